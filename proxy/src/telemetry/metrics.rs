//! Metrics of exchanges, observed from finished records.
//!
//! [`Metrics::observe`] is called exactly once for every record, [`Metrics::observe_stored`]
//! once for every record whose answer was read in the background. All traffic counts, not
//! only what sampling keeps. An answer that was given again or shared is no work of an engine:
//! it is in none of the metrics of tokens, of first tokens and of pauses.
//!
//! **Own overhead** is what Weir adds, told by phase, for exchanges that an engine answered:
//!
//! - `identify`: arrival of the request head → body read, tenant and route known. The body's
//!   way over the network is in it, because the two cannot be told apart from outside.
//! - `dispatch`: admitted → request sent on an open connection, less the time that earlier
//!   attempts spent at their engines. Choice of replica and connecting are in it.
//! - `finish`: last piece of the answer arrived → exchange over for the client.
//! - `total`: the three together. Waiting for a place in flight protects the engine and is
//!   told apart, as `queue`; waiting for the engine between sent and last piece is not ours.
//!
//! **Inter-token time** is the mean per exchange: first token → last piece, divided by the
//! server-sent events after the first; engines put one token, rarely a few, into an event.
//! The longest single pause has its own histogram, because a mean hides a stall.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::cached;
use super::process::Process;
use crate::exchange::stored::StoredExchange;
use crate::exchange::{Attempt, Caching, Kind, Outcome, Record, Source, Timings};

/// First token and whole exchange: 5 ms (cached prefix on a small model) to minutes.
const LONG: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];
/// Pauses between tokens: 1 ms to 10 s.
const GAPS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0];
/// Own overhead: 10 µs to 100 ms.
const SHORT: &[f64] =
    &[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];

/// Label value where no engine was asked.
const NO_ENGINE: &str = "none";

/// The metrics of exchanges, of the build and of the process.
#[derive(Clone, Debug)]
pub struct Metrics {
    exchanges: IntCounterVec,
    seconds: HistogramVec,
    first_token: HistogramVec,
    inter_token: HistogramVec,
    longest_gap: HistogramVec,
    tokens: IntCounterVec,
    errors: Vec<(Kind, IntCounter)>,
    attempts: IntCounterVec,
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    overhead: Overheads,
    cache: cached::Metrics,
}

/// One child per phase, resolved once: the phase with the most observations should cost least.
#[derive(Clone, Debug)]
struct Overheads {
    identify: Histogram,
    queue: Histogram,
    dispatch: Histogram,
    finish: Histogram,
    total: Histogram,
}

/// Own overhead of one exchange, by phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Overhead {
    identify: Duration,
    queue: Duration,
    dispatch: Duration,
    finish: Duration,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Where a metric of the same name is there already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let build =
            IntGaugeVec::new(Opts::new("weir_build_info", "Always 1; the label tells the version."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        add(registry, build)?;
        registry.register(Box::new(Process::new()?))?;
        let exchanges = Opts::new("weir_exchanges_total", "Exchanges that ended, by how they ended.");
        let tokens = Opts::new(
            "weir_tokens_total",
            "Tokens as engines counted them: prompt, completion; cached is part of prompt, reasoning and wasted (generated for a client that had left) are part of completion.",
        );
        let errors = Opts::new("weir_errors_total", "Faults that ended an exchange, with who caused them.");
        let errors = add(registry, IntCounterVec::new(errors, &["kind", "source"])?)?;
        let attempts =
            Opts::new("weir_attempts_total", "Tries at an engine: ok, status_4xx, status_5xx, or the fault.");
        Ok(Self {
            exchanges: add(registry, IntCounterVec::new(exchanges, &["api", "route", "outcome"])?)?,
            seconds: histogram(
                registry,
                "weir_exchange_seconds",
                "From arrival to the end for the client.",
                LONG,
                &["api", "route"],
            )?,
            first_token: histogram(
                registry,
                "weir_first_token_seconds",
                "From arrival to the first token of a stream.",
                LONG,
                &["route", "engine"],
            )?,
            inter_token: histogram(
                registry,
                "weir_inter_token_seconds",
                "Mean time between two events of a stream, one observation per exchange.",
                GAPS,
                &["engine"],
            )?,
            longest_gap: histogram(
                registry,
                "weir_longest_gap_seconds",
                "Longest pause within a stream, one observation per exchange.",
                GAPS,
                &["engine"],
            )?,
            tokens: add(registry, IntCounterVec::new(tokens, &["kind", "route", "engine"])?)?,
            errors: Kind::ALL.map(|kind| (kind, errors.with_label_values(&[kind.as_str(), source(kind)]))).to_vec(),
            attempts: add(registry, IntCounterVec::new(attempts, &["engine", "outcome"])?)?,
            request_bytes: add(
                registry,
                IntCounter::new("weir_request_bytes_total", "Bytes of request bodies received.")?,
            )?,
            response_bytes: add(
                registry,
                IntCounter::new("weir_response_bytes_total", "Bytes of response bodies sent.")?,
            )?,
            overhead: Overheads::register(registry)?,
            cache: cached::Metrics::register(registry)?,
        })
    }

    /// Observes a finished exchange; exactly once per record.
    pub fn observe(&self, record: &Record) {
        let api = record.request.api.as_str();
        let route = record.route.as_str();
        let engine = record.engine.as_ref().map_or(NO_ENGINE, |answerer| answerer.engine.as_str());
        let timings = &record.timings;
        self.exchanges.with_label_values(&[api, route, record.outcome.as_str()]).inc();
        if let Some(finished) = timings.finished {
            self.seconds.with_label_values(&[api, route]).observe(finished.as_secs_f64());
        }
        if !matches!(record.cache.caching, Caching::Hit | Caching::Collapsed) {
            self.observe_pace(record, route, engine);
        }
        self.cache.observe(record);
        if let Some(error) = &record.error
            && let Some((_, counter)) = self.errors.iter().find(|(kind, _)| *kind == error.kind)
        {
            counter.inc();
        }
        for attempt in &record.attempts {
            self.attempts.with_label_values(&[attempt.engine.as_str(), attempt_outcome(attempt)]).inc();
        }
        self.request_bytes.inc_by(record.request.body.len() as u64);
        self.response_bytes.inc_by(record.response.total_bytes);
        if let Some(overhead) = overhead(record) {
            self.overhead.observe(&overhead);
        }
    }

    /// How an engine kept its client waiting.
    fn observe_pace(&self, record: &Record, route: &str, engine: &str) {
        let timings = &record.timings;
        if let Some(first) = timings.first_token {
            self.first_token.with_label_values(&[route, engine]).observe(first.as_secs_f64());
        }
        if let Some(gap) = inter_token(timings, record.response.events) {
            self.inter_token.with_label_values(&[engine]).observe(gap.as_secs_f64());
            self.longest_gap.with_label_values(&[engine]).observe(timings.longest_gap.as_secs_f64());
        }
    }

    /// Observes what the background read in the answer.
    pub fn observe_stored(&self, record: &Record, stored: &StoredExchange) {
        match record.cache.caching {
            Caching::Hit => return,
            // Its tokens are zero but where it answers for the engine's work.
            Caching::Collapsed => self.cache.observe_shared(record, stored),
            Caching::Off | Caching::Bypass(_) | Caching::Miss(_) => {}
        }
        let engine = if stored.engine.is_empty() { NO_ENGINE } else { &stored.engine };
        let counts = [
            ("prompt", stored.prompt_tokens),
            ("completion", stored.completion_tokens),
            ("cached", stored.cached_tokens),
            ("reasoning", stored.reasoning_tokens),
            ("wasted", stored.wasted_tokens),
        ];
        for (kind, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.tokens.with_label_values(&[kind, &stored.route, engine]).inc_by(u64::from(count));
        }
    }
}

impl Overheads {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let phases = histogram(
            registry,
            "weir_overhead_seconds",
            "Time that Weir adds to an exchange, by phase; queue is waiting for a place and not part of total.",
            SHORT,
            &["phase"],
        )?;
        let child = |phase: &str| phases.with_label_values(&[phase]);
        Ok(Self {
            identify: child("identify"),
            queue: child("queue"),
            dispatch: child("dispatch"),
            finish: child("finish"),
            total: child("total"),
        })
    }

    fn observe(&self, overhead: &Overhead) {
        self.identify.observe(overhead.identify.as_secs_f64());
        self.queue.observe(overhead.queue.as_secs_f64());
        self.dispatch.observe(overhead.dispatch.as_secs_f64());
        self.finish.observe(overhead.finish.as_secs_f64());
        self.total.observe((overhead.identify + overhead.dispatch + overhead.finish).as_secs_f64());
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> prometheus::Result<HistogramVec> {
    add(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
}

fn source(kind: Kind) -> &'static str {
    match kind.source() {
        Source::Client => "client",
        Source::Engine => "engine",
        Source::Weir => "weir",
        Source::Critic => "critic",
    }
}

fn attempt_outcome(attempt: &Attempt) -> &'static str {
    match (attempt.error, attempt.status) {
        (Some(kind), _) => kind.as_str(),
        (None, 400..500) => "status_4xx",
        (None, 500..) => "status_5xx",
        (None, _) => "ok",
    }
}

/// Mean time between two events; none where there were fewer than two.
fn inter_token(timings: &Timings, events: u32) -> Option<Duration> {
    let span = timings.last_byte?.checked_sub(timings.first_token?)?;
    (events > 1).then(|| span / (events - 1))
}

/// Own overhead, as the preface defines it; none where the engine's answer did not end well.
fn overhead(record: &Record) -> Option<Overhead> {
    if !matches!(record.outcome, Outcome::Complete | Outcome::EngineError) {
        return None;
    }
    let timings = &record.timings;
    let (identified, admitted) = (timings.identified?, timings.admitted?);
    let (_, earlier) = record.attempts.split_last()?;
    let elsewhere: Duration = earlier.iter().map(|attempt| attempt.took).sum();
    Some(Overhead {
        identify: identified,
        queue: admitted.saturating_sub(identified),
        dispatch: timings.sent?.saturating_sub(admitted).saturating_sub(elsewhere),
        finish: timings.finished?.saturating_sub(timings.last_byte?),
    })
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
pub(super) mod tests;
