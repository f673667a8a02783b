//! A record in the making: whoever holds the draft holds the exchange.
//!
//! Promises that every exchange offers exactly one record to the outbox: [`Draft::finish`]
//! offers it, and a draft that is dropped unfinished (its future was cancelled because the
//! client hung up) offers itself as [`Outcome::ClientLeft`].

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Error, Kind, Outbox, Outcome, Record, Refused};

/// Told of every record that found no room in the outbox, so that metrics miss none.
pub type OnRefused = Arc<dyn Fn(&Record) + Send + Sync>;

/// The only owner of a [`Record`] until it is offered.
pub struct Draft {
    record: Option<Box<Record>>,
    outbox: Outbox,
    on_refused: OnRefused,
}

impl Draft {
    /// Begins a record.
    pub fn new(record: Box<Record>, outbox: Outbox, on_refused: OnRefused) -> Self {
        Self { record: Some(record), outbox, on_refused }
    }

    /// Time since arrival.
    pub fn elapsed(&self) -> Duration {
        self.request.arrived.elapsed()
    }

    /// Time from arrival to a moment.
    pub fn since_arrival(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.request.arrived)
    }

    /// Ends the exchange and offers its record.
    pub fn finish(mut self, outcome: Outcome, error: Option<Error>) {
        self.offer(outcome, error);
    }

    fn offer(&mut self, outcome: Outcome, error: Option<Error>) {
        let Some(mut record) = self.record.take() else { return };
        record.timings.finished = Some(record.request.arrived.elapsed());
        record.outcome = outcome;
        record.error = error;
        if let Err(Refused(record)) = self.outbox.offer(record) {
            (self.on_refused)(&record);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            let now = record.request.arrived.elapsed();
            // An attempt under way ends with the exchange.
            let left = record.attempts.last_mut().filter(|attempt| attempt.error == Some(Kind::ClientLeft));
            left.into_iter().for_each(|attempt| attempt.took = now.saturating_sub(attempt.started));
            let (outcome, error) = match std::thread::panicking() {
                true => (Outcome::Failed, Error::new(Kind::Internal, "a fault of Weir ended the exchange")),
                false => (Outcome::ClientLeft, Error::new(Kind::ClientLeft, "the client closed the connection")),
            };
            self.offer(outcome, Some(error));
        }
    }
}

impl Deref for Draft {
    type Target = Record;

    fn deref(&self) -> &Record {
        self.record.as_ref().expect("a draft holds its record until it is finished, which consumes it")
    }
}

impl DerefMut for Draft {
    fn deref_mut(&mut self) -> &mut Record {
        self.record.as_mut().expect("a draft holds its record until it is finished, which consumes it")
    }
}
