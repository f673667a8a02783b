//! The exact tier: answers by the digest of their key, in memory, bounded in bytes and time.
//!
//! Promises: an entry is given only where its full key is equal and its time is not up by the
//! caller's clock; what left is counted once, with its cause; an entry can be taken out by
//! the exchange that made it.
//!
//! Seams, for later, both behind [`Store::lookup`] and [`Store::insert`]:
//!
//! * A *shared tier* for several replicas stands behind this one. It is asked on
//!   [`Miss::Absent`] only, away from this module since it waits; what it has is inserted here. Keys
//!   are ready for it: they begin with the number of their form and hold no address of this
//!   process. Epochs are not: they would have to be kept in the shared store.
//! * A *semantic tier* is asked after both, inside one exact fingerprint of everything but the
//!   last user turn; what it gives is another [`Miss`]-like outcome with its own word, never a
//!   plain hit, since its false hits are measured.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;

use super::config::Config;
use super::control::Control;
use super::entry::{Answer, Entry};
use super::epochs::Epochs;
use super::key::Key;
use super::metrics::Metrics;
use crate::exchange::ExchangeId;
use crate::exchange::cached::{Evicted, Miss, Rejected};

/// The store. Lives as long as the process, through reloads too: what it holds stays good,
/// and other sizes take a restart.
#[derive(Debug)]
pub struct Store {
    pub(super) entries: Cache<[u8; 32], Arc<Entry>>,
    by_source: Arc<Index>,
    epochs: Arc<Epochs>,
    metrics: Metrics,
    max_entry_bytes: u64,
    /// Answers that came in, by the first byte of their digest: who looked for one sees by it
    /// whether another look may find more.
    inserts: [AtomicU32; 256],
}

/// What is held now; entries whose time is up count until they are swept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries.
    pub entries: u64,
    /// Bytes, keys and bookkeeping included.
    pub bytes: u64,
    /// Ceiling of the bytes.
    pub max_bytes: u64,
}

/// Entries by the exchange that made them. Locked to insert and to take out, never to look up.
#[derive(Debug, Default)]
struct Index(Mutex<HashMap<ExchangeId, Weak<Entry>>>);

/// Each entry has its own time, counted from when it was made.
struct OwnTime;

impl Store {
    /// An empty store.
    pub fn new(config: &Config, metrics: Metrics) -> Self {
        let (by_source, epochs) = (Arc::<Index>::default(), Arc::<Epochs>::default());
        let leave = {
            let (by_source, epochs, metrics) = (by_source.clone(), epochs.clone(), metrics.clone());
            move |_: Arc<[u8; 32]>, entry: Arc<Entry>, cause: RemovalCause| {
                by_source.forget(&entry);
                metrics.evicted(cause_of(&entry, cause, &epochs), entry.weight());
            }
        };
        let entries = Cache::builder()
            .name("answers")
            .max_capacity(config.max_bytes.0)
            .weigher(|_: &[u8; 32], entry: &Arc<Entry>| entry.weight())
            .expire_after(OwnTime)
            .eviction_listener(leave)
            .build();
        let inserts = std::array::from_fn(|_| AtomicU32::new(0));
        Self { entries, by_source, epochs, metrics, max_entry_bytes: config.max_entry_bytes.0, inserts }
    }

    /// The epochs that keys are made with, and by which routes and tenants are flushed.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The answer to a request, where there is one that its client takes.
    ///
    /// Counts nothing: [`Entry::hit`] does once it is certain that it is given.
    pub fn lookup(&self, key: &Key, now: Instant, control: &Control) -> Result<Arc<Entry>, Miss> {
        if control.no_cache {
            return Err(Miss::NoCache);
        }
        let entry = self.entries.get(key.digest()).ok_or(Miss::Absent)?;
        if entry.answer.key.full() != key.full() {
            return Err(Miss::Absent);
        }
        let remaining = entry.remaining(now).ok_or(Miss::Absent)?;
        let too_old = control.max_age.is_some_and(|most| entry.age(now) > most);
        if too_old || remaining < control.min_fresh { Err(Miss::Stale) } else { Ok(entry) }
    }

    /// Keeps an answer in place of the one that its key had.
    pub fn insert(&self, answer: Answer) -> Result<Arc<Entry>, Rejected> {
        let entry = Arc::new(Entry::new(answer));
        let weight = entry.weight();
        if u64::from(weight) > self.max_entry_bytes {
            return Err(Rejected::TooLarge);
        }
        self.metrics.stored(weight);
        if !self.is_current(&entry) {
            // Flushed while it was made: nobody could ever find it.
            self.metrics.evicted(Evicted::Flushed, weight);
            return Ok(entry);
        }
        self.by_source.remember(&entry);
        self.entries.insert(*entry.answer.key.digest(), entry.clone());
        self.place(&entry.answer.key).fetch_add(1, Ordering::Release);
        Ok(entry)
    }

    /// Changes whenever an answer to this key came in, and seldom else.
    pub fn inserts(&self, key: &Key) -> u32 {
        self.place(key).load(Ordering::Acquire)
    }

    fn place(&self, key: &Key) -> &AtomicU32 {
        &self.inserts[usize::from(key.digest()[0])]
    }

    /// Takes out what that exchange made or shared; whether there was anything.
    pub fn evict(&self, source: ExchangeId, cause: Evicted) -> bool {
        let Some(entry) = self.by_source.find(source) else { return false };
        let digest = *entry.answer.key.digest();
        // Moka 0.12 takes the weight of a replacement that it has not booked yet off the total
        // when the entry is taken out, and would hold more than its ceiling ever after.
        self.entries.run_pending_tasks();
        // A newer answer may stand in its place by now: it stays.
        let result = self.entries.entry(digest).and_compute_with(|held| match held {
            Some(held) if Arc::ptr_eq(held.value(), &entry) => {
                entry.condemn(cause);
                Op::Remove
            }
            _ => Op::Nop,
        });
        matches!(result, CompResult::Removed(_))
    }

    /// What that exchange made or shared, if it can still be given.
    pub fn made_by(&self, source: ExchangeId, now: Instant) -> Option<Arc<Entry>> {
        self.by_source.find(source).filter(|entry| self.is_current(entry) && entry.remaining(now).is_some())
    }

    /// Takes out what is over its time or its room. Lookups and inserts do so in passing; an
    /// idle store needs a call now and then.
    pub fn sweep(&self) {
        self.entries.run_pending_tasks();
    }

    /// What is held now.
    pub fn totals(&self) -> Totals {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Totals {
            entries: count(self.metrics.entries.get()),
            bytes: count(self.metrics.bytes.get()),
            max_bytes: self.entries.policy().max_capacity().unwrap_or(0),
        }
    }

    /// Counts an answer that does not enter.
    pub fn reject(&self, cause: Rejected) {
        self.metrics.rejected(cause);
    }

    /// Whether a key made now could find it.
    pub(super) fn is_current(&self, entry: &Entry) -> bool {
        is_current(entry, &self.epochs)
    }
}

/// The exchanges by which an entry is found.
fn ids(entry: &Entry) -> impl Iterator<Item = ExchangeId> + '_ {
    std::iter::once(entry.answer.about.source).chain(entry.answer.exchanges.iter().copied())
}

fn is_current(entry: &Entry, epochs: &Epochs) -> bool {
    let Answer { key, tenant, route, .. } = &entry.answer;
    key.tenant_epoch() == epochs.tenant(tenant) && key.route_epoch() == epochs.route(route)
}

fn cause_of(entry: &Entry, cause: RemovalCause, epochs: &Epochs) -> Evicted {
    match cause {
        RemovalCause::Explicit => entry.cause().unwrap_or(Evicted::Person),
        RemovalCause::Expired | RemovalCause::Size if !is_current(entry, epochs) => Evicted::Flushed,
        RemovalCause::Expired => Evicted::Expired,
        RemovalCause::Size => Evicted::Size,
        RemovalCause::Replaced => Evicted::Replaced,
    }
}

impl Index {
    fn remember(&self, entry: &Arc<Entry>) {
        let mut index = self.lock();
        for id in ids(entry) {
            index.insert(id, Arc::downgrade(entry));
        }
    }

    fn find(&self, source: ExchangeId) -> Option<Arc<Entry>> {
        self.lock().get(&source).and_then(Weak::upgrade)
    }

    /// Forgets an entry, unless its exchanges have made another since.
    fn forget(&self, entry: &Arc<Entry>) {
        let mut index = self.lock();
        for id in ids(entry) {
            if index.get(&id).is_some_and(|held| std::ptr::eq(held.as_ptr(), Arc::as_ptr(entry))) {
                index.remove(&id);
            }
        }
    }

    /// A map stays whole whoever panicked beside it.
    fn lock(&self) -> MutexGuard<'_, HashMap<ExchangeId, Weak<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl Expiry<[u8; 32], Arc<Entry>> for OwnTime {
    fn expire_after_create(&self, _: &[u8; 32], entry: &Arc<Entry>, at: Instant) -> Option<Duration> {
        Some(entry.remaining(at).unwrap_or_default())
    }

    fn expire_after_update(
        &self,
        key: &[u8; 32],
        entry: &Arc<Entry>,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, at)
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
