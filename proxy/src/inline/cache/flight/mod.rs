//! Single flight: equal requests that miss at the same time share one running generation.
//!
//! Promises: a flight has one source (the engine, asked once) and any number of participants,
//! each of which receives every byte in order: what has come so far at once, then live. No
//! participant disturbs another by leaving, being late or being slow; when the last one
//! leaves, the source is dropped in the same moment. Memory is bounded: see [`tape`].
//! No task is spawned: whoever polls drives the source, see [`shared`] and [`bell`].
//!
//! Must not know: how keys are made, what an answer means, what is kept afterwards.

mod bell;
mod participant;
mod shared;
mod source;
mod tape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::time::Instant;

pub use participant::Participant;
pub use shared::Flight;
pub use source::{Asking, Generated};

use crate::exchange::Budget;
use shared::Home;
use tape::Tape;

const SHARDS: usize = 16;

/// The flights that can be joined.
pub struct Flights<B> {
    shards: Arc<Shards<B>>,
    budget: Budget,
}

/// What an exchange wants generated.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Digest of `key`.
    pub digest: [u8; 32],
    /// Everything that decides the answer, compared byte for byte before a flight is shared.
    pub key: Bytes,
    /// Whether the answer is asked for as a stream.
    pub streamed: bool,
    /// Most bytes of the answer that are kept for others.
    pub limit_bytes: usize,
    /// When this exchange, and no other, gives up.
    pub deadline: Option<Instant>,
}

/// How an exchange takes part.
pub enum Joined<B> {
    /// It began the generation.
    Lead(Participant<B>),
    /// It shares one that was there.
    Follow(Participant<B>),
}

/// Where a flight is found: by digest, and whether it is a stream.
type Slot = ([u8; 32], bool);

struct Shards<B>([Mutex<HashMap<Slot, Weak<Flight<B>>>>; SHARDS]);

impl<B> Flights<B> {
    /// No flights yet; what they keep is taken from `budget`.
    pub fn new(budget: Budget) -> Self {
        let shards = Shards(std::array::from_fn(|_| Mutex::default()));
        Self { shards: Arc::new(shards), budget }
    }

    /// Joins the flight that generates this already, or leads a new one, whose source `begin`
    /// makes. `begin` runs under a lock: it makes the future and does nothing else.
    ///
    /// A stream shares streams only, since a plain generation has no live tokens to give; a
    /// plain request shares either and reads a stream with [`Participant::whole`].
    pub fn join(&self, wanted: Wanted, begin: impl FnOnce() -> Asking<B>) -> Joined<B> {
        // Dropped after the guard below: the last one out of a flight needs the lock.
        let mut passed = Vec::new();
        let mut shard = self.shards.lock(&wanted.digest);
        let slots = [true, false].map(|streamed| (wanted.digest, streamed));
        for slot in slots.iter().filter(|(_, streamed)| *streamed || !wanted.streamed) {
            let Some(flight) = shard.get(slot).and_then(Weak::upgrade) else { continue };
            match flight.enter(&wanted.key) {
                Some(seat) => return Joined::Follow(Participant::new(flight, seat, wanted.deadline)),
                None => passed.push(flight),
            }
        }
        let slot = (wanted.digest, wanted.streamed);
        // Another request of the same digest keeps its place, and one without room for its key
        // gets none: such a flight serves its leader alone.
        let taken = passed.iter().any(|flight| flight.is_joinable() && flight.slot() == Some(slot));
        let mut share = self.budget.share();
        let home = (!taken && share.grow(wanted.key.len())).then(|| Home { shards: self.shards.clone(), slot });
        let key = if home.is_some() { wanted.key } else { Bytes::new() };
        let flight = Arc::new(Flight::new(key, wanted.streamed, home, begin(), Tape::new(wanted.limit_bytes, share)));
        if flight.slot().is_some() {
            shard.insert(slot, Arc::downgrade(&flight));
        }
        Joined::Lead(Participant::new(flight, shared::LEADER, wanted.deadline))
    }

    /// Flights that can be joined now.
    pub fn count(&self) -> usize {
        self.shards.0.iter().map(|shard| lock(shard).len()).sum()
    }
}

impl<B> Shards<B> {
    fn lock(&self, digest: &[u8; 32]) -> MutexGuard<'_, HashMap<Slot, Weak<Flight<B>>>> {
        lock(&self.0[usize::from(digest[0]) % SHARDS])
    }

    /// Empties a slot if it is still this flight's.
    fn remove(&self, slot: &Slot, flight: *const Flight<B>) {
        let mut shard = self.lock(&slot.0);
        if shard.get(slot).is_some_and(|found| std::ptr::eq(found.as_ptr(), flight)) {
            shard.remove(slot);
        }
    }
}

/// No state here is left half changed by a panic: a source runs outside of every lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
