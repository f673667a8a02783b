//! Wakes the participants that wait.
//!
//! Where a flight has several participants, its source is polled with the bell as its waker.
//! A bell that is *armed* will ring when the source can go on, so whoever finds it armed need
//! not poll the source: it only has to wait. Wakers are called outside of every lock, and each
//! participant is woken only while it waits: one that does not read is never relied upon.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};

use super::lock;

#[derive(Default)]
pub(super) struct Bell(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    armed: bool,
    /// By seat; none where nobody waits.
    wakers: Vec<Option<Waker>>,
}

impl Bell {
    /// The source is about to be polled with the bell, or with something else.
    pub(super) fn arm(&self, armed: bool) {
        lock(&self.0).armed = armed;
    }

    /// Lets a seat wait.
    pub(super) fn wait(&self, seat: usize, waker: &Waker) {
        let waiting = lock(&self.0);
        drop(add(waiting, seat, waker));
    }

    /// Lets a seat wait if the bell is armed; whether it is.
    pub(super) fn wait_if_armed(&self, seat: usize, waker: &Waker) -> bool {
        let waiting = lock(&self.0);
        let armed = waiting.armed;
        if armed {
            drop(add(waiting, seat, waker));
        }
        armed
    }

    /// The seat is given up.
    pub(super) fn forget(&self, seat: usize) {
        let waker = lock(&self.0).wakers.get_mut(seat).and_then(Option::take);
        drop(waker);
    }

    /// Wakes all that wait.
    pub(super) fn ring(&self) {
        let mut waiting = lock(&self.0);
        waiting.armed = false;
        let wakers = std::mem::take(&mut waiting.wakers);
        drop(waiting);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Adds a waker and frees the lock. Gives the waker that it replaces, to be dropped after.
fn add(mut waiting: MutexGuard<'_, Waiting>, seat: usize, waker: &Waker) -> Option<Waker> {
    if waiting.wakers.len() <= seat {
        waiting.wakers.resize(seat + 1, None);
    }
    let place = &mut waiting.wakers[seat];
    match place {
        Some(known) if known.will_wake(waker) => None,
        _ => place.replace(waker.clone()),
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
