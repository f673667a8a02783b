//! One running generation and who takes part in it.
//!
//! The source is polled by one participant at a time, which takes it out of the lock for that
//! long: the others neither wait for the engine's socket nor for each other. A participant that
//! is alone lends the source its own waker; as soon as there are two, the source hears the
//! [`Bell`], so that progress never depends on one that has left or stopped reading. Two moments
//! could lose a wake-up, and each has its cure: another one comes while the first drives alone
//! (the driver sees it and polls again with the bell), the bell rings while the source is
//! polled (the driver wakes itself).

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::bell::Bell;
use super::core::{After, Bill, Core};
use super::source::{Asking, Generated, Progress, Source};
use super::tape::{Reader, Tape};
use super::{Lane, Shards, Slot, lock};
use crate::exchange::{Error, ExchangeId, Kind, Record};

/// Seat of the participant that a flight begins with.
pub(super) const LEADER: usize = 0;

/// Exchanges of one generation that are remembered.
const REMEMBERED: usize = 4096;

/// One generation, shared by all that want it. Whoever holds it keeps it joinable after its
/// end; only participants keep it running.
pub struct Flight<B> {
    key: Bytes,
    lane: Lane,
    home: Option<Home<B>>,
    bell: Arc<Bell>,
    /// The bell as a waker.
    waker: Waker,
    core: Mutex<Core<B>>,
}

/// Where a flight can be found.
pub(super) struct Home<B> {
    pub(super) shards: Arc<Shards<B>>,
    pub(super) slot: Slot,
}

/// What a flight begins with.
pub(super) struct Begin<B> {
    pub(super) key: Bytes,
    pub(super) lane: Lane,
    pub(super) home: Option<Home<B>>,
    pub(super) asking: Asking<B>,
    pub(super) tape: Tape,
}

/// The source while it is polled, outside of the lock.
struct Turn<'a, B> {
    flight: &'a Flight<B>,
    source: Option<Box<Source<B>>>,
    /// Whether the source hears the bell, not the participant itself.
    bell: bool,
}

impl<B> Flight<B> {
    /// A flight with its leader on board.
    pub(super) fn new(wanted: Begin<B>, leader: ExchangeId) -> Self {
        let Begin { key, lane, home, asking, tape } = wanted;
        let bell = Arc::new(Bell::default());
        let core = Core {
            source: Some(Box::new(Source::Asking(asking))),
            asked: None,
            head: None,
            tape,
            ended: None,
            joinable: home.is_some(),
            decided: false,
            bill: Bill::Leader,
            exchanges: vec![leader],
            readers: vec![Some(Reader::default())],
            present: 1,
        };
        Self { key, lane, home, waker: Waker::from(bell.clone()), bell, core: Mutex::new(core) }
    }

    /// The form in which the answer comes.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Whether others can join.
    pub fn is_joinable(&self) -> bool {
        self.lock().joinable
    }

    /// Whether the answer is kept from its first byte on.
    pub fn is_whole(&self) -> bool {
        self.lock().tape.is_whole()
    }

    /// Those who take part now.
    pub fn participants(&self) -> usize {
        self.lock().present
    }

    /// The whole answer; none unless it has ended well and was kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> Option<Bytes> {
        let core = self.lock();
        core.tape.all().filter(|_| matches!(core.ended, Some(Ok(()))))
    }

    /// Says that it is known what becomes of the answer, as it was not before. Others join still.
    pub fn decide(&self) -> bool {
        !std::mem::replace(&mut self.lock().decided, true)
    }

    /// Whether the exchange that began the generation left it to others.
    pub fn was_handed_over(&self) -> bool {
        self.lock().bill != Bill::Leader
    }

    /// Takes over to answer for the engine's work, where nobody else does.
    pub fn take_bill(&self) -> bool {
        let mut core = self.lock();
        let is_open = core.bill == Bill::Open;
        if is_open {
            core.bill = Bill::Taken;
        }
        is_open
    }

    /// The exchanges that took part, the one that began it first; at most 4,096 are remembered.
    pub fn exchanges(&self) -> Vec<ExchangeId> {
        self.lock().exchanges.clone()
    }

    /// Whether the answer has come to its proper end.
    pub fn has_ended_well(&self) -> bool {
        matches!(self.lock().ended, Some(Ok(())))
    }

    /// Lets nobody join any more; those on board go on.
    pub fn close(&self) {
        let was_joinable = self.lock().detach();
        if was_joinable {
            self.leave_map();
        }
    }

    /// Copies what the asking found (engine, attempts, moments) into a participant's record;
    /// nothing before it is over.
    pub fn note(&self, record: &mut Record) {
        self.lock().asked.iter().for_each(|asked| asked.note(record));
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        self.home.as_ref().map(|home| home.slot)
    }

    /// Takes a seat, if the flight can be joined and the key is the same.
    pub(super) fn enter(&self, key: &[u8], exchange: ExchangeId) -> Option<usize> {
        let mut core = self.lock();
        if !core.joinable || *self.key != *key {
            return None;
        }
        core.present += 1;
        if core.exchanges.len() < REMEMBERED {
            core.exchanges.push(exchange);
        }
        let reader = Some(Reader::default());
        let free = core.readers.iter().position(Option::is_none).unwrap_or(core.readers.len());
        match core.readers.get_mut(free) {
            Some(place) => *place = reader,
            None => core.readers.push(reader),
        }
        Some(free)
    }

    /// Gives a seat up; the last one out ends the flight. Nobody needs to take over: those who
    /// wait all hear the bell, and have been woken with the one that left if it has rung.
    pub(super) fn leave(&self, seat: usize) {
        self.bell.forget(seat);
        let mut core = self.lock();
        core.readers[seat] = None;
        core.present -= 1;
        if seat == LEADER && core.bill == Bill::Leader && core.present > 0 && core.ended.is_none() {
            core.bill = Bill::Open;
        }
        if core.present == 0 && core.ended.is_none() {
            let after = core.end(Err(Error::new(Kind::ClientLeft, "every client closed its connection")));
            drop(core);
            self.finish(after);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core<B>> {
        lock(&self.core)
    }

    fn finish(&self, after: After<B>) {
        if after.leave {
            self.leave_map();
        }
        if after.ring {
            self.bell.ring();
        }
    }

    fn leave_map(&self) {
        self.home.iter().for_each(|home| home.shards.remove(&home.slot, self));
    }
}

impl<B: Generated> Flight<B> {
    /// Gives what `want` finds in the core, polling the source for as long as it finds nothing.
    pub(super) fn poll<T>(
        &self,
        seat: usize,
        cx: &mut Context<'_>,
        want: impl Fn(&mut Core<B>) -> Option<T>,
    ) -> Poll<T> {
        loop {
            let mut core = self.lock();
            if let Some(found) = want(&mut core) {
                return Poll::Ready(found);
            }
            let Some(mut turn) = self.take_turn(&mut core, seat, cx) else { return Poll::Pending };
            drop(core);
            let Poll::Ready(progress) = turn.poll(cx) else {
                if turn.pause(seat, cx) {
                    return Poll::Pending;
                }
                continue;
            };
            let mut core = self.lock();
            let after = turn.settle(&mut core, progress);
            let found = want(&mut core);
            drop(core);
            self.finish(after);
            if let Some(found) = found {
                return Poll::Ready(found);
            }
        }
    }

    /// Takes the source to poll it; none where somebody else does or the bell will ring: then
    /// the seat waits.
    fn take_turn(&self, core: &mut Core<B>, seat: usize, cx: &Context<'_>) -> Option<Turn<'_, B>> {
        let bell = core.present > 1;
        if core.source.is_none() {
            self.bell.wait(seat, cx.waker());
            return None;
        }
        if bell && self.bell.wait_if_armed(seat, cx.waker()) {
            return None;
        }
        self.bell.arm(bell);
        Some(Turn { flight: self, source: core.source.take(), bell })
    }
}

impl<B: Generated> Turn<'_, B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Progress<B>> {
        let source = self.source.as_mut().expect("a turn has its source until it is given back, which ends it");
        match self.bell {
            true => source.poll(&mut Context::from_waker(&self.flight.waker)),
            false => source.poll(cx),
        }
    }

    /// Gives the source back, which has nothing yet; false where it must be polled again at
    /// once, since others came who would not hear it.
    fn pause(mut self, seat: usize, cx: &Context<'_>) -> bool {
        let mut core = self.flight.lock();
        core.source = self.source.take();
        if !self.bell {
            self.flight.bell.wait(seat, cx.waker());
            return core.present == 1;
        }
        if !self.flight.bell.wait_if_armed(seat, cx.waker()) {
            drop(core);
            // Not polled again here: a source that gives way to other tasks rings at once.
            cx.waker().wake_by_ref();
            // Others may wait again since that ring: they must not depend on this one, which may leave.
            self.flight.bell.ring();
        }
        true
    }

    fn settle(mut self, core: &mut Core<B>, progress: Progress<B>) -> After<B> {
        core.source = self.source.take();
        let mut after = core.settle(progress);
        // It must not look armed to those who come later, even where nobody is left to hear it.
        after.ring |= self.bell;
        after
    }
}

/// A source that panics ends the flight for the others too, rather than leave them waiting.
impl<B> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        if self.source.is_some() {
            let mut core = self.flight.lock();
            let after = core.end(Err(Error::new(Kind::Internal, "a fault of Weir ended the exchange")));
            drop(core);
            self.flight.finish(after);
        }
    }
}

impl<B> Drop for Flight<B> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<B> std::fmt::Debug for Flight<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flight").field("lane", &self.lane).finish_non_exhaustive()
    }
}
