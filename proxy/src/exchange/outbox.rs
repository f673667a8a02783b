//! The bounded hand-over of records from the request path to the background.
//!
//! Promises: offering never waits, never allocates and never makes a system call unless
//! the receiver sleeps; what does not fit comes back to the caller and is counted.
//! Bounded by count and by the bytes that the records hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::Record;

/// The sending side, shared by all exchanges.
#[derive(Clone, Debug)]
pub struct Outbox {
    sender: SyncSender<Box<Record>>,
    gauge: Arc<Gauge>,
}

/// The receiving side, owned by the recorder.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<Box<Record>>,
    gauge: Arc<Gauge>,
}

/// Depth and losses, readable by anyone.
#[derive(Debug)]
pub struct Gauge {
    limit_bytes: usize,
    held_bytes: AtomicUsize,
    held_records: AtomicUsize,
    refused: AtomicU64,
}

/// A record that did not fit, given back.
#[derive(Debug)]
pub struct Refused(pub Box<Record>);

/// Makes an outbox that holds at most `limit_records` records and `limit_bytes` bytes of bodies.
pub fn outbox(limit_records: usize, limit_bytes: usize) -> (Outbox, Inbox) {
    let (sender, receiver) = sync_channel(limit_records);
    let gauge = Arc::new(Gauge {
        limit_bytes,
        held_bytes: AtomicUsize::new(0),
        held_records: AtomicUsize::new(0),
        refused: AtomicU64::new(0),
    });
    (Outbox { sender, gauge: gauge.clone() }, Inbox { receiver, gauge })
}

impl Outbox {
    /// Hands a record over, or gives it back at once when there is no room.
    pub fn offer(&self, record: Box<Record>) -> Result<(), Refused> {
        let bytes = weight(&record);
        let before = self.gauge.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.gauge.limit_bytes && before > 0 {
            return Err(self.refuse(record, bytes));
        }
        self.gauge.held_records.fetch_add(1, Ordering::Relaxed);
        self.sender.try_send(record).map_err(|fault| {
            self.gauge.held_records.fetch_sub(1, Ordering::Relaxed);
            let (TrySendError::Full(record) | TrySendError::Disconnected(record)) = fault;
            self.refuse(record, bytes)
        })
    }

    /// Depth and losses.
    pub fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    fn refuse(&self, record: Box<Record>, bytes: usize) -> Refused {
        self.gauge.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.gauge.refused.fetch_add(1, Ordering::Relaxed);
        Refused(record)
    }
}

impl Inbox {
    /// Takes a record if one is there.
    pub fn take(&self) -> Option<Box<Record>> {
        self.receiver.try_recv().ok().map(|record| self.release(record))
    }

    /// Waits for a record. `Err(true)` means that all senders are gone, `Err(false)` that
    /// the time is up.
    pub fn wait(&self, limit: Duration) -> Result<Box<Record>, bool> {
        match self.receiver.recv_timeout(limit) {
            Ok(record) => Ok(self.release(record)),
            Err(RecvTimeoutError::Timeout) => Err(false),
            Err(RecvTimeoutError::Disconnected) => Err(true),
        }
    }

    fn release(&self, record: Box<Record>) -> Box<Record> {
        self.gauge.held_bytes.fetch_sub(weight(&record), Ordering::Relaxed);
        self.gauge.held_records.fetch_sub(1, Ordering::Relaxed);
        record
    }
}

impl Gauge {
    /// Records waiting.
    pub fn records(&self) -> usize {
        self.held_records.load(Ordering::Relaxed)
    }

    /// Bytes of bodies waiting.
    pub fn bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Records refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Bytes that a record holds: its bodies, and a flat charge for the rest, most of it the read
/// buffer that its headers are slices of.
fn weight(record: &Record) -> usize {
    record.body_bytes() + (12 << 10)
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use bytes::{Bytes, BytesMut};
    use uuid::Uuid;

    use super::*;
    use crate::exchange::judged::Round;
    use crate::exchange::{Api, ExchangeId, Facts, Name, Request, TraceContext};

    fn record() -> Box<Record> {
        let request = Request {
            id: ExchangeId(Uuid::nil()),
            received_at: SystemTime::UNIX_EPOCH,
            arrived: Instant::now(),
            api: Api::Chat,
            method: http::Method::POST,
            target: http::uri::PathAndQuery::from_static("/"),
            headers: http::HeaderMap::new(),
            body: Bytes::from(vec![0; 1000]),
            facts: Facts::default(),
            again: Some(Bytes::from(vec![0; 2000])),
            deadline: None,
        };
        let mut record = Record::begin(request, Name::new("t").unwrap(), TraceContext::default());
        record.response.body = BytesMut::from(&[0; 4000][..]);
        record.judged.rounds = vec![Round {
            body: Bytes::from(vec![0; 8000]),
            content_type: String::new(),
            verdicts: Vec::new(),
            judged_at: Duration::ZERO,
            completion_tokens: 0,
        }];
        Box::new(record)
    }

    #[test]
    fn every_body_that_a_record_holds_is_counted_while_it_waits() {
        let (outbox, inbox) = outbox(8, 80_000);
        for held in [1, 2] {
            outbox.offer(record()).unwrap();
            assert!((15_000 * held..40_000 * held).contains(&outbox.gauge().bytes()), "{}", outbox.gauge().bytes());
        }
        assert!(outbox.offer(record()).is_err(), "three are more than the limit");
        while inbox.take().is_some() {}
        assert_eq!((outbox.gauge().bytes(), outbox.gauge().records(), outbox.gauge().refused()), (0, 0, 1));
    }
}
