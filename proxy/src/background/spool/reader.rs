//! The reading side: batches in order, handed out again in the same form until acknowledged.
//!
//! The work is blocking and happens on tokio's blocking threads: a batch of some MiB may lie
//! on a cold disk after an outage of the store, and the cursor is forced to the disk twice a
//! batch; neither may hold up a runtime. A call that is dropped half way loses nothing.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::cursor::{Cursor, State};
use super::format::Seq;
use super::gather::{Bound, Damage, Place, Source};
use super::ledger::Shared;

/// The reading side of a spool.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    core: Arc<Mutex<Core>>,
}

/// How much a batch may hold, and how long to wait until it does.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most records.
    pub records: usize,
    /// Most bytes of payload; a single larger record still comes, alone.
    pub bytes: usize,
    /// Longest wait for a full batch; then what is there is given.
    pub wait: Duration,
}

/// Consecutive records, and those among them that are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// First number.
    pub first_seq: Seq,
    /// Last number: the one to acknowledge.
    pub last_seq: Seq,
    /// Identity of this batch, the same at every delivery and of no other batch: 32 hex digits
    /// of the spool's random identity, first and last number, joined by `-`.
    pub token: String,
    /// What can be read, in order; may be empty where all is lost.
    pub records: Vec<(Seq, Bytes)>,
    /// What is lost, in order.
    pub damage: Vec<Damage>,
}

/// Why there is no batch, or why it could not be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk; worth a retry after a pause.
    #[error("the spool cannot be read or its cursor written: {0}")]
    Io(#[from] io::Error),
    /// Another batch than the one that is out.
    #[error("record {0} does not end the batch that was handed out last")]
    NotInFlight(Seq),
    /// The runtime stops.
    #[error("the runtime stops")]
    Stopped,
}

#[derive(Debug)]
pub(super) struct Core {
    shared: Arc<Shared>,
    cursor: Cursor,
    source: Source,
    /// Behind what is acknowledged.
    place: Place,
    /// Behind the batch that is out, once it was read, and how many of its records are lost.
    after: Option<(Place, u64)>,
    instance: String,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, cursor: Cursor) -> Self {
        let core = Arc::new(Mutex::new(Core::new(shared.clone(), cursor)));
        Self { shared, core }
    }

    /// Random identity of this spool in hex, kept in its directory.
    pub fn instance(&self) -> String {
        self.core().instance.clone()
    }

    /// The next batch: the one that is out and not acknowledged, exactly as before, or else
    /// what follows, as soon as it is full or the wait is over. None where nothing is there.
    pub async fn next_batch(&mut self, limits: Limits) -> Result<Option<Batch>, ReadError> {
        let deadline = tokio::time::Instant::now() + limits.wait;
        while !self.is_ready(limits) {
            if tokio::time::timeout_at(deadline, self.shared.flushed.notified()).await.is_err() {
                break;
            }
        }
        self.blocking(move |core| core.read(limits)).await
    }

    /// Marks the batch that is out as delivered, for good, and deletes segments that are done with.
    pub async fn acknowledge(&mut self, last_seq: Seq) -> Result<(), ReadError> {
        self.blocking(move |core| core.acknowledge(last_seq)).await
    }

    /// Whether the writer is gone and everything was acknowledged.
    pub fn is_drained(&self) -> bool {
        let ledger = self.shared.ledger();
        ledger.closed && !ledger.in_flight && ledger.waiting_records() == 0
    }

    /// Records flushed and not acknowledged.
    pub fn waiting_records(&self) -> u64 {
        self.shared.ledger().waiting_records()
    }

    fn is_ready(&self, limits: Limits) -> bool {
        let ledger = self.shared.ledger();
        ledger.in_flight
            || ledger.closed
            || ledger.waiting_records() >= limits.records as u64
            || ledger.waiting_bytes() >= limits.bytes as u64
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Core) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let core = self.core.clone();
        let work = move || work(&mut core.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.map_err(|_| ReadError::Stopped)?
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn new(shared: Arc<Shared>, cursor: Cursor) -> Self {
        let state = cursor.state();
        let instance = state.instance.iter().map(|byte| format!("{byte:02x}")).collect();
        let place = Place::after(state.acknowledged);
        Self { shared, cursor, source: Source::default(), place, after: None, instance }
    }

    pub(super) fn read(&mut self, limits: Limits) -> Result<Option<Batch>, ReadError> {
        let state = self.cursor.state();
        let exactly = state.in_flight.map(|(_, last)| last);
        let mut after = self.place;
        // A batch of nothing would never end.
        let bound = Bound { records: limits.records.max(1), bytes: limits.bytes.max(1), exactly };
        let gathered = self.source.gather(&self.shared, &mut after, bound)?;
        let (first_seq, last_seq) = (self.place.want, Seq(after.want.0 - 1));
        if last_seq < first_seq {
            return Ok(None);
        }
        if exactly.is_none() {
            // Before anyone sees the batch: a crash from here on gives the same one again.
            self.cursor.store(State { in_flight: Some((first_seq, last_seq)), ..state })?;
            self.shared.ledger().in_flight = true;
        }
        self.after = Some((after, gathered.damage.iter().map(|damage| damage.lost).sum()));
        let token = format!("{}-{first_seq}-{last_seq}", self.instance);
        Ok(Some(Batch { first_seq, last_seq, token, records: gathered.records, damage: gathered.damage }))
    }

    pub(super) fn acknowledge(&mut self, last_seq: Seq) -> Result<(), ReadError> {
        let state = self.cursor.state();
        let out = state.in_flight.filter(|(_, last)| *last == last_seq);
        let Some(((first, _), (after, lost))) = out.zip(self.after) else {
            return Err(ReadError::NotInFlight(last_seq));
        };
        self.cursor.store(State { acknowledged: last_seq, in_flight: None, ..state })?;
        (self.place, self.after) = (after, None);
        self.shared.metrics.acknowledged.inc_by(last_seq.0 - first.0 + 1);
        self.shared.metrics.damaged.inc_by(lost);
        let done = self.shared.ledger().acknowledge(last_seq, (after.segment, after.offset));
        for segment in done {
            // What cannot be deleted now is deleted when the spool is opened next; until then it
            // takes room on the disk and therefore stays in the count.
            match fs::remove_file(self.shared.segment_path(segment.first)) {
                Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%fault, segment = segment.first.0, "a finished spool segment could not be deleted");
                    break;
                }
                _ => self.shared.ledger().forget_oldest(),
            }
        }
        self.shared.ledger().show(&self.shared.metrics);
        Ok(())
    }
}
