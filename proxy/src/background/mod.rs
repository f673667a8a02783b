//! Work that no client waits for: outbox → audit → sample → spool (disk) → sink → ClickHouse.
//!
//! Wires the parts below it, which do not know each other. Meets the request path in the
//! outbox only.

pub mod digest;
pub mod recorder;
pub mod redact;
pub mod sample;
pub mod sink;
pub mod spool;
pub mod store;
pub mod truncation;

mod adapters;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::sync::watch;

use crate::exchange::cached::Reading;
use crate::exchange::completion::Completion;
use crate::exchange::draft::OnRefused;
use crate::exchange::outbox::{Gauge, Inbox};
use crate::exchange::stored::{Stored, StoredEvent, StoredExchange};
use crate::exchange::{Outcome, Record};

/// Events of the service that may wait for the recorder.
const EVENTS: usize = 256;

/// What the background is configured with.
pub struct Settings<'a> {
    /// Name of this Weir in every row.
    pub instance: &'a str,
    /// Which exchanges are kept.
    pub sample: &'a sample::Config,
    /// What is taken out of them.
    pub redact: &'a redact::Config,
    /// How much of them is kept.
    pub digest: &'a digest::Config,
    /// The disk queue.
    pub spool: &'a spool::Config,
    /// Writing to ClickHouse.
    pub sink: &'a sink::Config,
    /// Which ClickHouse.
    pub store: &'a store::Config,
}

/// Told of every record: those kept, those not sampled, and those that the outbox refused.
pub trait Observer: Send + Sync {
    /// Exactly once for each exchange that reached the recorder.
    fn seen(&self, record: &Record);
    /// Exactly once for each that did not. Called on the request path: must not block.
    fn refused(&self, record: &Record);
    /// Once for each exchange that reached the recorder, with what was read in the answer.
    fn read(&self, record: &Record, row: &StoredExchange);
}

/// Has records judged before they are kept.
pub trait Audit: Send + Sync {
    /// Gives the record back judged, or keeps it for [`Self::returned`].
    fn judge(&self, record: Box<Record>) -> Option<Box<Record>>;
    /// A record that was judged in the meantime.
    fn returned(&self) -> Option<Box<Record>>;
    /// Records that are still to come back. What was away and is not any more is there to be
    /// had from [`Self::returned`].
    fn away(&self) -> usize;
    /// Gives back at once what is away, and keeps none any more: critics that have not spoken
    /// are skipped.
    fn recall(&self);
}

/// Who judges, once there is a path whose routes say so.
pub type Auditing = Arc<std::sync::OnceLock<Arc<dyn Audit>>>;

/// The running background.
pub struct Background {
    recorder: recorder::Recorder,
    sink: sink::Sink,
    store: store::Store,
    rules: Arc<ArcSwap<Rules>>,
    observer: Arc<dyn Observer>,
    events: SyncSender<StoredEvent>,
    auditing: Auditing,
}

/// What may change while Weir runs.
struct Rules {
    sampler: sample::Sampler,
    redactor: redact::Redactor,
}

/// Why the background does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// A redaction rule is wrong.
    #[error(transparent)]
    Redact(#[from] redact::Error),
    /// The recorder's thread does not start.
    #[error("the recorder does not start: {0}")]
    Thread(#[from] std::io::Error),
    /// A metric could not be registered.
    #[error(transparent)]
    Metric(#[from] prometheus::Error),
}

impl Background {
    /// Starts everything; needs a Tokio runtime around it.
    pub fn start(
        settings: &Settings<'_>,
        inbox: Inbox,
        gauge: Arc<Gauge>,
        observer: Arc<dyn Observer>,
        registry: &Registry,
    ) -> Result<Self, Error> {
        adapters::register_outbox(registry, gauge.clone())?;
        let opened = spool::open(settings.spool.clone(), spool::Metrics::register(registry)?)?;
        tracing::info!(waiting = opened.recovery.waiting_records, torn = opened.recovery.torn_records, "spool opened");
        let store_metrics = store::Metrics::register(registry)?;
        let store = store::Store::start(settings.store.clone(), store::ChildProgram::default(), store_metrics);
        let source = adapters::Source::new(opened.reader, settings.instance);
        let sink_metrics = sink::Metrics::register(registry)?;
        let sink = sink::Sink::start(settings.sink.clone(), source, store.clients(), sink_metrics);
        let keep = Keep::new(settings.sample, settings.redact, settings.digest, settings.instance, observer.clone())?;
        let (rules, events, auditing) = (keep.rules.clone(), keep.events.0.clone(), keep.auditing.clone());
        let recorder = recorder::Recorder::start(recorder::Parts {
            inbox,
            gauge,
            keeper: keep,
            sink: adapters::Disk::new(opened.writer),
            clock: recorder::MachineClock,
            metrics: recorder::Metrics::register(registry)?,
            instance: settings.instance.to_owned(),
        })?;
        Ok(Self { recorder, sink, store, rules, observer, events, auditing })
    }

    /// For drafts: counts records that the outbox refused.
    pub fn on_refused(&self) -> OnRefused {
        let observer = self.observer.clone();
        Arc::new(move |record| observer.refused(record))
    }

    /// Has records judged from now on. Once.
    pub fn audit(&self, audit: Arc<dyn Audit>) {
        if self.auditing.set(audit).is_err() {
            tracing::error!("the background was given a second auditor and keeps the first");
        }
    }

    /// Where the service tells what happened to it.
    pub fn events(&self) -> SyncSender<StoredEvent> {
        self.events.clone()
    }

    /// The store's state.
    pub fn store(&self) -> watch::Receiver<store::State> {
        self.store.state()
    }

    /// The store's clients, as they come and go.
    pub fn clients(&self) -> watch::Receiver<Option<clickhouse::Client>> {
        self.store.clients()
    }

    /// Puts changed rules in force.
    pub fn reloader(&self) -> impl Fn(&sample::Config, &redact::Config) -> Result<(), Error> + Send + Sync + use<> {
        let rules = self.rules.clone();
        move |sample, redact| {
            rules.store(Arc::new(Rules::new(sample, redact)?));
            Ok(())
        }
    }

    /// Empties the outbox, then gives sink and store their time. The spool keeps the rest.
    pub async fn stop(self, recorder_grace: Duration, store_grace: Duration) {
        let recorder = self.recorder;
        let stopping = tokio::task::spawn_blocking(move || recorder.stop(recorder_grace));
        if !stopping.await.unwrap_or(false) {
            tracing::error!("the recorder broke");
        }
        self.sink.stop(store_grace).await;
        self.store.stop(store_grace).await;
    }
}

impl Rules {
    fn new(sample: &sample::Config, redact: &redact::Config) -> Result<Self, redact::Error> {
        Ok(Self { sampler: sample::Sampler::new(sample), redactor: redact::Redactor::new(redact)? })
    }
}

/// What the recorder does with each record: see → judge → sample → digest (redact, judge the prompt).
pub struct Keep {
    rules: Arc<ArcSwap<Rules>>,
    frequency: sample::Frequency,
    digester: digest::Digester,
    estimator: truncation::Estimator,
    observer: Arc<dyn Observer>,
    /// Both ends of the way for events of the service.
    events: (SyncSender<StoredEvent>, Receiver<StoredEvent>),
    auditing: Auditing,
}

impl Keep {
    /// Joins the parts. `instance` is the name of this Weir in every row.
    pub fn new(
        sample: &sample::Config,
        redact: &redact::Config,
        digest: &digest::Config,
        instance: &str,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, redact::Error> {
        Ok(Self {
            rules: Arc::new(ArcSwap::from_pointee(Rules::new(sample, redact)?)),
            frequency: sample::Frequency::default(),
            digester: digest::Digester::new(digest, instance),
            estimator: truncation::Estimator::default(),
            observer,
            events: sync_channel(EVENTS),
            auditing: Auditing::default(),
        })
    }

    fn sample(&mut self, rules: &Rules, record: &Record) -> sample::Sampling {
        let course = match record.outcome {
            Outcome::Complete => sample::Course::Ordinary,
            Outcome::Refused => sample::Course::Refused,
            Outcome::EngineError | Outcome::Failed | Outcome::Broken | Outcome::ClientLeft => sample::Course::Error,
        };
        let since_epoch = record.request.received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        rules.sampler.decide(&sample::Facts {
            id: record.request.id,
            route: &record.route,
            course,
            took: record.timings.finished.unwrap_or_default(),
            seen: self.frequency.seen(&record.tenant, &record.route, since_epoch),
            judged: if record.judged.has_failed() { sample::Judged::Bad } else { sample::Judged::Good },
        })
    }
}

impl recorder::Keeper for Keep {
    fn see(&mut self, record: &Record) {
        self.observer.seen(record);
    }

    fn judge(&mut self, mut record: Box<Record>) -> Option<Box<Record>> {
        if record.shares_in_another() {
            record.judged.tell_elsewhere();
        }
        match self.auditing.get() {
            Some(audit) => audit.judge(record),
            None => Some(record),
        }
    }

    fn returned(&mut self) -> Option<Box<Record>> {
        self.auditing.get()?.returned()
    }

    fn away(&self) -> usize {
        self.auditing.get().map_or(0, |audit| audit.away())
    }

    fn recall(&mut self) {
        self.auditing.get().iter().for_each(|audit| audit.recall());
    }

    fn keep(&mut self, record: &Record, out: &mut Vec<Stored>) {
        let rules = self.rules.load_full();
        let sampling = self.sample(&rules, record);
        if !sampling.keep {
            let (row, completion) = self.digester.outline(record);
            self.observer.read(record, &row);
            admit(record, &row, completion.as_ref());
            return;
        }
        let inclusion = digest::Inclusion { probability: sampling.probability, reason: sampling.reason.as_str() };
        let digested = self.digester.digest(record, inclusion, &rules.redactor, &mut self.estimator);
        self.observer.read(record, &digested.row);
        admit(record, &digested.row, digested.completion.as_ref());
        out.push(Stored::Exchange(Box::new(digested.row)));
        out.extend(digested.event.map(Stored::Event));
    }

    fn between(&mut self, out: &mut Vec<Stored>) {
        out.extend(self.events.1.try_iter().map(Stored::Event));
    }
}

/// Tells the cache what was read, where it waits for that.
fn admit(record: &Record, row: &StoredExchange, completion: Option<&Completion>) {
    let Some(ticket) = &record.cache.ticket else { return };
    let prompt_tokens = row.prompt_tokens + row.saved_prompt_tokens;
    let completion_tokens = row.completion_tokens + row.saved_completion_tokens;
    ticket.admit(record, &Reading { completion, prompt: &row.prompt_text, prompt_tokens, completion_tokens });
}

#[cfg(test)]
mod tests;
