//! The thread that empties the outbox: sees every record once, keeps what is to be kept,
//! hands it to the spool, and accounts for what was lost.
//!
//! Promises: it never makes the request path pay for a wake-up while traffic flows (it
//! polls, and only blocks after a second without records); a loss is kept in memory until
//! the sink has taken its
//! [`StoredGap`](crate::exchange::stored::StoredGap), at most one per reason and second; on stop it
//! empties the outbox until the deadline, and what it could not empty is one more gap; records
//! that are being judged are called back in time and kept without the verdicts that lack.
//! What it must not know: sampling, redaction, disk; they come through [`Keeper`] and [`Sink`].

mod gaps;
mod lost;
mod metrics;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::exchange::Record;
use crate::exchange::outbox::{Gauge, Inbox};
use crate::exchange::stored::Stored;
use gaps::Gaps;

pub use lost::Lost;
pub use metrics::Metrics;

/// Decides what is kept of a record.
pub trait Keeper: Send {
    /// Sees a record, exactly once each, whether or not it will be kept.
    fn see(&mut self, record: &Record);
    /// Has it judged before it is kept. Gives it back, or keeps it for [`Self::returned`].
    fn judge(&mut self, record: Box<Record>) -> Option<Box<Record>> {
        Some(record)
    }
    /// A record that was judged in the meantime.
    fn returned(&mut self) -> Option<Box<Record>> {
        None
    }
    /// Records that are still to come back.
    fn away(&self) -> usize {
        0
    }
    /// Has what is away come back at once, judged or not.
    fn recall(&mut self) {}
    /// Puts what is kept of it at the end of `out`; nothing where it is not sampled.
    fn keep(&mut self, record: &Record, out: &mut Vec<Stored>);
    /// Between records: puts at the end of `out` what else is to be kept.
    fn between(&mut self, _out: &mut Vec<Stored>) {}
}

/// Takes payloads for the disk.
pub trait Sink: Send {
    /// Takes one payload, or says why not.
    fn append(&mut self, payload: &[u8]) -> Result<(), Lost>;
    /// Takes an account of losses where [`Self::append`] has no room: what is lost because the
    /// disk queue is full must not be forgotten because it is full.
    fn append_account(&mut self, payload: &[u8]) -> Result<(), Lost> {
        self.append(payload)
    }
    /// Makes safe what was taken; called after every batch. Errors are the payloads that stay
    /// in memory; the next flush tries them again.
    fn flush(&mut self) -> Result<(), Waiting>;
}

/// Payloads that a flush could not make safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting(pub u64);

/// Where time comes from, so that tests need not wait.
pub trait Clock: Send {
    /// Wall clock.
    fn now(&self) -> SystemTime;
    /// Monotonic clock.
    fn instant(&self) -> Instant;
    /// Lets time pass while the outbox is empty.
    fn nap(&self, period: Duration);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

/// Everything that the recorder works with.
pub struct Parts<K, S, C> {
    /// The receiving side of the outbox.
    pub inbox: Inbox,
    /// The outbox's losses.
    pub gauge: Arc<Gauge>,
    /// What is kept.
    pub keeper: K,
    /// Where it goes.
    pub sink: S,
    /// Time.
    pub clock: C,
    /// Counters.
    pub metrics: Metrics,
    /// Name of this Weir in its gaps.
    pub instance: String,
}

/// A running recorder.
#[derive(Debug)]
pub struct Recorder {
    thread: JoinHandle<()>,
    stop: Arc<Stop>,
}

/// How a recorder is told to stop.
#[derive(Debug)]
struct Stop {
    asked: AtomicBool,
    /// Milliseconds from the request to stop to the deadline.
    grace_millis: AtomicU64,
}

/// The grace of a recorder that was not asked to stop, whose outbox has no senders any more.
const UNASKED_MILLIS: u64 = 5_000;
/// Records taken in one go before losses are looked at.
const BATCH: usize = 256;
/// Pause while the outbox is empty.
const NAP: Duration = Duration::from_millis(5);
/// After so long without a record the recorder blocks, and the next record wakes it.
const IDLE: Duration = Duration::from_secs(1);
/// Longest block, so that a stop or a loss is noticed.
const BLOCK: Duration = Duration::from_millis(100);
/// Gaps of one reason are written no more often than this.
const GAP_EVERY: Duration = Duration::from_secs(1);

impl Clock for MachineClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn nap(&self, period: Duration) {
        std::thread::sleep(period);
    }
}

impl Recorder {
    /// Starts the thread. Errors are the system's, when it has no thread to give.
    pub fn start<K, S, C>(parts: Parts<K, S, C>) -> std::io::Result<Self>
    where
        K: Keeper + 'static,
        S: Sink + 'static,
        C: Clock + 'static,
    {
        let stop = Arc::new(Stop { asked: AtomicBool::new(false), grace_millis: AtomicU64::new(UNASKED_MILLIS) });
        let seen = stop.clone();
        let thread = std::thread::Builder::new().name("weir-recorder".to_owned());
        let thread = thread.spawn(move || Work::new(parts).run(&seen))?;
        Ok(Self { thread, stop })
    }

    /// Asks the thread to empty the outbox within `grace` and waits for it. Blocks: call it
    /// where blocking is allowed. False where the thread had panicked.
    pub fn stop(self, grace: Duration) -> bool {
        let millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.stop.grace_millis.store(millis, Ordering::Relaxed);
        self.stop.asked.store(true, Ordering::Release);
        self.thread.join().is_ok()
    }
}

/// The thread's own state.
struct Work<K, S, C> {
    parts: Parts<K, S, C>,
    gaps: Gaps,
    /// Refusals of the outbox that are accounted for.
    refused: u64,
    out: Vec<Stored>,
    payload: Vec<u8>,
}

impl<K: Keeper, S: Sink, C: Clock> Work<K, S, C> {
    fn new(parts: Parts<K, S, C>) -> Self {
        let gaps = Gaps::new(&parts.instance);
        Self { parts, gaps, refused: 0, out: Vec::new(), payload: Vec::new() }
    }

    fn run(mut self, stop: &Stop) {
        let mut last = self.parts.clock.instant();
        while !stop.asked.load(Ordering::Acquire) {
            let mut taken = self.batch();
            self.between();
            // What a failed flush leaves is tried again; the spool counts the failure.
            let _waits = self.parts.sink.flush();
            if taken == 0 {
                let idle = self.parts.clock.instant().saturating_duration_since(last) >= IDLE;
                match if idle { self.parts.inbox.wait(BLOCK) } else { Err(false) } {
                    Ok(record) => {
                        self.record(record);
                        taken = 1;
                    }
                    // All senders are gone: nothing will come any more.
                    Err(true) => break,
                    Err(false) if !idle => self.parts.clock.nap(NAP),
                    Err(false) => {}
                }
            }
            if taken > 0 {
                last = self.parts.clock.instant();
            }
            self.account(GAP_EVERY);
        }
        self.drain(Duration::from_millis(stop.grace_millis.load(Ordering::Relaxed)));
    }

    fn between(&mut self) {
        self.out.clear();
        self.parts.keeper.between(&mut self.out);
        self.append_out();
    }

    fn append_out(&mut self) {
        for stored in std::mem::take(&mut self.out) {
            if let Err(lost) = self.append(&stored) {
                self.lose(lost, 1);
            }
        }
    }

    /// Takes what is there, up to a batch.
    fn batch(&mut self) -> usize {
        let mut taken = 0;
        while taken < BATCH {
            let Some(record) = self.parts.inbox.take() else { break };
            self.record(record);
            taken += 1;
        }
        taken + self.judged()
    }

    /// Keeps what came back from its critics, up to a batch.
    fn judged(&mut self) -> usize {
        let mut taken = 0;
        while taken < BATCH {
            let Some(record) = self.parts.keeper.returned() else { break };
            self.keep(&record);
            taken += 1;
        }
        taken
    }

    /// Empties the outbox until the deadline; what is left is lost, and said to be. What is
    /// being judged has half of that time for it.
    fn drain(&mut self, grace: Duration) {
        let begun = self.parts.clock.instant();
        let mut recalled = false;
        loop {
            let past = self.parts.clock.instant().saturating_duration_since(begun);
            if past >= grace {
                break;
            }
            if !recalled && past >= grace / 2 {
                self.parts.keeper.recall();
                recalled = true;
            }
            // Looked at first: what comes back after this is found below, or in the next round.
            let away = self.parts.keeper.away();
            if self.batch() > 0 {
                continue;
            }
            if away == 0 {
                break;
            }
            self.parts.clock.nap(NAP);
        }
        self.give_up();
        self.between();
        self.account(Duration::ZERO);
        if let Err(Waiting(payloads)) = self.parts.sink.flush() {
            tracing::error!(payloads, "the spool could not write what was still in memory");
        }
        for gap in self.gaps.still_open() {
            tracing::error!(reason = gap.reason, lost = gap.lost, "the spool did not take the account of lost records");
        }
    }

    /// Keeps what is back from its critics; the rest of what is still there is lost.
    fn give_up(&mut self) {
        self.parts.keeper.recall();
        loop {
            let away = self.parts.keeper.away() as u64;
            if self.judged() > 0 {
                continue;
            }
            if away > 0 {
                self.lose(Lost::Stopped, away);
            }
            break;
        }
        while let Some(mut record) = self.parts.inbox.take() {
            record.judged.settle();
            self.parts.keeper.see(&record);
            self.parts.metrics.seen.inc();
            self.lose(Lost::Stopped, 1);
        }
    }

    fn record(&mut self, mut record: Box<Record>) {
        self.parts.metrics.seen.inc();
        // Before anybody looks at it.
        record.judged.settle();
        let keeper = &mut self.parts.keeper;
        // Foreign bytes pass here: a fault in reading them must cost one record, not all later ones.
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            keeper.see(&record);
            keeper.judge(record)
        }));
        match judged {
            Ok(Some(record)) => self.keep(&record),
            Ok(None) => {}
            Err(_) => self.lose(Lost::Panicked, 1),
        }
    }

    fn keep(&mut self, record: &Record) {
        self.out.clear();
        let (keeper, out) = (&mut self.parts.keeper, &mut self.out);
        let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keeper.keep(record, out)));
        if kept.is_err() {
            self.out.clear();
            self.lose(Lost::Panicked, 1);
        }
        self.append_out();
    }

    fn append(&mut self, stored: &Stored) -> Result<(), Lost> {
        self.append_by(S::append, stored)
    }

    fn append_account(&mut self, stored: &Stored) -> Result<(), Lost> {
        self.append_by(S::append_account, stored)
    }

    fn append_by(&mut self, way: fn(&mut S, &[u8]) -> Result<(), Lost>, stored: &Stored) -> Result<(), Lost> {
        self.payload.clear();
        rmp_serde::encode::write_named(&mut self.payload, stored).map_err(|_| Lost::Unencodable)?;
        way(&mut self.parts.sink, &self.payload)?;
        self.parts.metrics.kept.inc();
        self.parts.metrics.bytes.inc_by(self.payload.len() as u64);
        Ok(())
    }

    fn lose(&mut self, reason: Lost, n: u64) {
        self.parts.metrics.lost.with_label_values(&[reason.as_str()]).inc_by(n);
        self.gaps.lose(reason, n, self.parts.clock.now());
    }

    /// Looks at the outbox's refusals, and writes the gaps that are due.
    fn account(&mut self, every: Duration) {
        let refused = self.parts.gauge.refused();
        if refused > self.refused {
            self.lose(Lost::OutboxFull, refused - self.refused);
            self.refused = refused;
        }
        let now = self.parts.clock.instant();
        for reason in Lost::ALL {
            let Some(gap) = self.gaps.due(reason, now, every) else { continue };
            // A gap that the spool does not take stays open, grows, and is tried again. The room
            // kept for accounts is small: it is for a stop, and for what waits long.
            let gap = Stored::Gap(gap);
            let pressing = every.is_zero() || self.gaps.waits_long(reason, now);
            let taken = self.append(&gap).is_ok() || (pressing && self.append_account(&gap).is_ok());
            self.gaps.tried(reason, now, taken);
        }
    }
}
