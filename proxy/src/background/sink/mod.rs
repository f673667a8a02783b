//! Takes records from the spool and writes them to ClickHouse, in batches, once each.
//!
//! Promises: what was not acknowledged at the spool comes again, and coming again changes
//! nothing (deduplication tokens); ClickHouse may be away for as long as it likes; rows that
//! it refuses for their content are set aside and do not hold up the others. Must not know
//! the format of the spool ([`Source`] is all it sees of it), nor which ClickHouse it writes
//! to, nor who reads.
//!
//! Reading order: `deliver` (one batch), `insert` (one table), `classify`, `rows`,
//! `rejected` (what it keeps on disk).

mod classify;
mod config;
mod deliver;
mod insert;
mod metrics;
mod rejected;
mod rows;
mod verdicts;

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::exchange::stored::StoredGap;
use insert::{Inserter, Stopped};
use rejected::Aside;

pub use classify::{CONTENT_CODES, Verdict, classify};
pub use config::Config;
pub use metrics::Metrics;

/// Where batches come from.
///
/// The sink acknowledges a batch before it asks for the next. A batch that was handed out
/// and not acknowledged comes again, also after a crash, **unchanged**: same records, same
/// token. Everything about "once" rests on that.
pub trait Source: Send + 'static {
    /// The next records, as soon as a limit is reached or the wait is over; none where nothing
    /// is there. Dropping the future half way loses nothing.
    fn next_batch(&mut self, limits: Limits) -> impl Future<Output = io::Result<Option<Batch>>> + Send;

    /// The records up to and including this one are stored, or set aside and counted.
    fn acknowledge(&mut self, last_seq: u64) -> impl Future<Output = io::Result<()>> + Send;
}

/// How much a batch may hold, and how long to wait until it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most records.
    pub records: usize,
    /// Most bytes of payload; a single larger record still comes, alone.
    pub bytes: usize,
    /// Longest wait for a full batch; then what is there is given.
    pub wait: Duration,
}

/// Spool records in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Sequence number to acknowledge.
    pub last_seq: u64,
    /// Identity of this batch: the same at every delivery, and of no other batch of any spool.
    pub token: String,
    /// Name of the Weir instance whose spool this is.
    pub instance: String,
    /// Sequence number and payload, a MessagePack [`crate::exchange::stored::Stored`].
    pub records: Vec<(u64, Bytes)>,
    /// Records of this stretch that the spool has lost. A nil `gap_id` is filled in from the
    /// token, so that a gap that comes again is the same gap.
    pub gaps: Vec<StoredGap>,
}

/// The tables that the sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Exchanges,
    ExchangeContents,
    Verdicts,
    ExchangeRounds,
    Events,
    Gaps,
    Fingerprints,
}

impl Table {
    const ALL: [Self; 7] = [
        Self::Exchanges,
        Self::ExchangeContents,
        Self::Verdicts,
        Self::ExchangeRounds,
        Self::Events,
        Self::Gaps,
        Self::Fingerprints,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Exchanges => "exchanges",
            Self::ExchangeContents => "exchange_contents",
            Self::Verdicts => "verdicts",
            Self::ExchangeRounds => "exchange_rounds",
            Self::Events => "events",
            Self::Gaps => "gaps",
            Self::Fingerprints => "fingerprints",
        }
    }
}

/// The running sink. Dropping it ends it at once; nothing is lost by that.
#[derive(Debug)]
pub struct Sink {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Sink {
    /// Begins to write what `source` gives to whatever client `clients` holds, waiting
    /// while it holds none. Needs a Tokio runtime around it.
    pub fn start<S: Source>(
        config: Config,
        source: S,
        clients: watch::Receiver<Option<Client>>,
        metrics: Metrics,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let aside = Aside::new(&config.data_dir, config.rejected_bytes.0);
        let inserter = Inserter { config, clients, stop: stopping, metrics, oldest_at: None };
        let task = tokio::spawn(Loop { source, inserter, aside }.run());
        Self { stop, task }
    }

    /// Writes what the spool still holds for as long as ClickHouse takes it, at most
    /// `within`; what is left then comes after the next start.
    pub async fn stop(mut self, within: Duration) {
        self.stop.send_replace(true);
        match tokio::time::timeout(within, &mut self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the task of the sink broke"),
            Err(_) => tracing::warn!("the sink did not finish in time; the rest waits in the spool"),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Loop<S> {
    source: S,
    inserter: Inserter,
    aside: Aside,
}

/// What one round found.
enum Round {
    Empty,
    Delivered,
}

impl<S: Source> Loop<S> {
    async fn run(mut self) {
        loop {
            let began = Instant::now();
            // Asked before the round: what came until the stop is still written.
            let stopping = *self.inserter.stop.borrow();
            match self.step(stopping).await {
                Ok(Round::Delivered) => {}
                Ok(Round::Empty) if stopping => return,
                // A source that answers at once must not make this loop spin.
                Ok(Round::Empty) => {
                    self.wait(self.inserter.config.flush_interval.saturating_sub(began.elapsed())).await
                }
                Err(Stopped) => return,
            }
        }
    }

    /// Delivers one batch, if there is one.
    async fn step(&mut self, stopping: bool) -> Result<Round, Stopped> {
        let batch = match self.next_batch(stopping).await {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.inserter.oldest_at = None;
                self.inserter.tell_lag();
                return Ok(Round::Empty);
            }
            Err(error) => {
                source_failed(&self.inserter.metrics, &error);
                return Ok(Round::Empty);
            }
        };
        deliver::deliver(&mut self.inserter, &self.aside, &batch).await?;
        self.acknowledge(batch.last_seq).await?;
        Ok(Round::Delivered)
    }

    /// Waits for a full batch, but no longer once Weir stops.
    async fn next_batch(&mut self, stopping: bool) -> io::Result<Option<Batch>> {
        let config = &self.inserter.config;
        let wait = if stopping { Duration::ZERO } else { *config.flush_interval };
        let limits = Limits { records: config.batch_records, bytes: config.batch_bytes.bytes(), wait };
        tokio::select! {
            batch = self.source.next_batch(limits) => batch,
            _ = self.inserter.stop.wait_for(|stop| *stop), if !stopping => Ok(None),
        }
    }

    async fn acknowledge(&mut self, last_seq: u64) -> Result<(), Stopped> {
        while let Err(error) = self.source.acknowledge(last_seq).await {
            source_failed(&self.inserter.metrics, &error);
            self.inserter.pause(*self.inserter.config.flush_interval).await?;
        }
        Ok(())
    }

    /// Waits; not at all when Weir stops.
    async fn wait(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.inserter.stop.wait_for(|stop| *stop) => {}
        }
    }
}

fn source_failed(metrics: &Metrics, error: &io::Error) {
    metrics.source_errors.inc();
    tracing::error!(%error, "the spool cannot be read");
}
