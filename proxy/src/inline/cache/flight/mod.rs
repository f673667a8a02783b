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
mod core;
mod participant;
mod shared;
mod source;
mod tape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use prometheus::IntGauge;
use tokio::time::Instant;

pub use participant::Participant;
pub use shared::Flight;
pub use source::{Asking, Generated};

use crate::exchange::completion::render::Form;
use crate::exchange::{Budget, ExchangeId};
use shared::{Begin, Home};
use tape::Tape;

const SHARDS: usize = 16;

/// The flights that can be joined.
pub struct Flights<B> {
    shards: Arc<Shards<B>>,
    budget: Budget,
    participants: IntGauge,
}

/// What an exchange wants generated.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Digest of `key`.
    pub digest: [u8; 32],
    /// Everything that decides the answer, compared byte for byte before a flight is shared.
    pub key: Bytes,
    /// The kinds of generation that serve, the one that is begun last.
    pub lanes: &'static [Lane],
    /// Most bytes of the answer that are kept for others.
    pub limit_bytes: usize,
    /// Most bytes that a participant may be behind, once no more is kept than needed.
    pub lag_bytes: usize,
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

/// Generations of one key that differ in their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// One body.
    Plain,
    /// A stream.
    Stream,
    /// A stream with a chunk that tells the usage, which the client asked for.
    StreamWithUsage,
}

impl Lane {
    /// The form in which such a generation comes.
    pub fn form(self) -> Form {
        match self {
            Self::Plain => Form::Plain,
            Self::Stream => Form::Stream { include_usage: false },
            Self::StreamWithUsage => Form::Stream { include_usage: true },
        }
    }
}

/// Where a flight is found: by digest and form.
type Slot = ([u8; 32], Lane);

struct Shards<B>([Mutex<HashMap<Slot, Weak<Flight<B>>>>; SHARDS]);

impl<B> Flights<B> {
    /// No flights yet; what they keep is taken from `budget`, and who takes part is counted.
    pub fn new(budget: Budget, participants: IntGauge) -> Self {
        let shards = Shards(std::array::from_fn(|_| Mutex::default()));
        Self { shards: Arc::new(shards), budget, participants }
    }

    /// Joins the flight that generates this already, or leads a new one, whose source `begin`
    /// makes. `begin` runs under a lock: it makes the future and does nothing else.
    ///
    /// One that wants another form than its flight has reads it with [`Participant::whole`].
    pub fn join(&self, wanted: Wanted, begin: impl FnOnce() -> Asking<B>) -> Joined<B> {
        // Dropped after the guard below: the last one out of a flight needs the lock.
        let mut passed = Vec::new();
        let mut shard = self.shards.lock(&wanted.digest);
        let (lane, _) = wanted.lanes.split_last().expect("every form has a kind of generation of its own");
        for slot in wanted.lanes.iter().map(|lane| (wanted.digest, *lane)) {
            let Some(flight) = shard.get(&slot).and_then(Weak::upgrade) else { continue };
            match flight.enter(&wanted.key, wanted.exchange) {
                Some(seat) => {
                    return Joined::Follow(Participant::new(flight, seat, wanted.deadline, &self.participants));
                }
                None => passed.push(flight),
            }
        }
        let slot = (wanted.digest, *lane);
        // Another request of the same digest keeps its place, and one without room for its key
        // gets none: such a flight serves its leader alone.
        let taken = passed.iter().any(|flight| flight.is_joinable() && flight.slot() == Some(slot));
        let mut share = self.budget.share();
        let home = (!taken && share.grow(wanted.key.len())).then(|| Home { shards: self.shards.clone(), slot });
        let key = if home.is_some() { wanted.key } else { Bytes::new() };
        let tape = Tape::new(wanted.limit_bytes, wanted.lag_bytes, share);
        let begin = Begin { key, lane: *lane, home, asking: begin(), tape };
        let flight = Arc::new(Flight::new(begin, wanted.exchange));
        if flight.slot().is_some() {
            shard.insert(slot, Arc::downgrade(&flight));
        }
        Joined::Lead(Participant::new(flight, shared::LEADER, wanted.deadline, &self.participants))
    }

    /// Flights that can be joined now.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
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
