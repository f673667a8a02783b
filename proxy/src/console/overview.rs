//! What the overview shows of this moment, from samples and the wiring's closures. Pure but
//! for reading those.

use std::sync::Arc;

use serde::Serialize;

use super::live::{Replica, Sample};
use super::series::{QUANTILES, rate};
use super::{Console, EngineFacts};

/// Samples looked back for ratios and quantiles: five minutes.
const LOOK_BACK: usize = 60;

/// The figures of this moment.
#[derive(Debug, Default, Serialize)]
pub(super) struct Now {
    /// When the newest sample was taken, milliseconds since the Unix epoch; 0 before the first.
    pub(super) at: i64,
    /// Exchanges per second over 30 s.
    rate: f64,
    in_flight: Option<f64>,
    queue_depth: Option<f64>,
    /// Share of exchanges of the last five minutes that an engine or Weir failed; none without traffic.
    failure_ratio: Option<f64>,
    /// Exchanges that it is made of: failed, and all.
    failed: f64,
    ended: f64,
    /// Errors of the last five minutes, most frequent first.
    errors: Vec<Counted>,
    /// Over five minutes, in seconds.
    quantiles: Vec<Spread>,
    tokens: Tokens,
    engines: Vec<EngineRow>,
    background: Background,
    store: StoreState,
}

#[derive(Debug, Serialize)]
struct Counted {
    word: String,
    count: f64,
}

#[derive(Debug, Default, Serialize)]
struct Spread {
    name: &'static str,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// Tokens per second over 30 s.
#[derive(Debug, Default, Serialize)]
struct Tokens {
    prompt: f64,
    completion: f64,
    wasted: f64,
    /// Share of prompt tokens of the last five minutes that came from the engines' prefix caches.
    cached_ratio: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
struct EngineRow {
    #[serde(flatten)]
    facts: EngineFacts,
    /// `up`, `down`, `half_open`, `open` (breaker) or `unknown`.
    state: &'static str,
    in_flight: Option<f64>,
    running: Option<f64>,
    waiting: Option<f64>,
    kv_cache_ratio: Option<f64>,
}

/// The way of records from the outbox to the store. None where a metric is missing.
#[derive(Debug, Default, Serialize)]
struct Background {
    outbox_records: Option<f64>,
    outbox_bytes: Option<f64>,
    outbox_refused: Option<f64>,
    spool_records: Option<f64>,
    spool_bytes: Option<f64>,
    sink_lag: Option<f64>,
    sink_rows_rate: f64,
    batches: Vec<Counted>,
    /// Records lost since start, by reason.
    lost: Vec<Counted>,
}

#[derive(Debug, Default, Serialize)]
struct StoreState {
    there: bool,
    note: String,
}

impl Console {
    /// Reads everything that the overview shows.
    pub(super) fn now(&self) -> Now {
        let samples = self.live.samples();
        let (there, note) = self.store.state();
        let mut now = Now::of(&samples);
        now.engines = engines((self.engines)(), samples.last().map(Arc::as_ref));
        now.store = StoreState { there, note };
        now
    }
}

impl Now {
    fn of(samples: &[Arc<Sample>]) -> Self {
        let Some((last, before)) = samples.split_last() else { return Self::default() };
        let newest = samples.len() - 1;
        let earlier = before.get(newest.saturating_sub(LOOK_BACK)).unwrap_or(last);
        let change = |name: &str, label: &str| (last.value(name, label) - earlier.value(name, label)).max(0.0);
        let per_second = |name: &str, label: &str| rate(samples, newest, |sample| sample.value(name, label));
        let outcomes = counted(last, earlier, "weir_exchanges_total");
        let all: f64 = outcomes.iter().map(|outcome| outcome.count).sum();
        let failed = outcomes.iter().filter(|outcome| matches!(&*outcome.word, "engine_error" | "failed" | "broken"));
        let failed: f64 = failed.map(|outcome| outcome.count).sum();
        // An engine that refuses a bad request has not failed; such an attempt is always the last.
        // A sum of nothing is -0.0, which would be shown with its sign.
        let failed = (failed - change("weir_attempts_total", "status_4xx")).max(0.0) + 0.0;
        let prompt = change("weir_tokens_total", "prompt");
        Self {
            at: last.at,
            rate: rate(samples, newest, |sample| sample.total("weir_exchanges_total").unwrap_or(0.0)),
            in_flight: last.total("weir_in_flight"),
            queue_depth: last.total("weir_queue_depth"),
            failure_ratio: (all > 0.0).then(|| failed / all),
            failed,
            ended: all,
            errors: counted(last, earlier, "weir_errors_total"),
            quantiles: QUANTILES.iter().map(|(name, metric)| spread(last, earlier, name, metric)).collect(),
            tokens: Tokens {
                prompt: per_second("weir_tokens_total", "prompt"),
                completion: per_second("weir_tokens_total", "completion"),
                wasted: per_second("weir_tokens_total", "wasted"),
                cached_ratio: (prompt > 0.0).then(|| change("weir_tokens_total", "cached") / prompt),
            },
            background: background(samples, last),
            ..Self::default()
        }
    }
}

fn background(samples: &[Arc<Sample>], last: &Sample) -> Background {
    let nothing = Sample::default();
    Background {
        outbox_records: last.total("weir_outbox_records"),
        outbox_bytes: last.total("weir_outbox_bytes"),
        outbox_refused: last.total("weir_outbox_refused_total"),
        spool_records: last.total("weir_spool_records"),
        spool_bytes: last.total("weir_spool_bytes"),
        sink_lag: last.total("weir_sink_lag_seconds"),
        sink_rows_rate: rate(samples, samples.len() - 1, |sample| sample.value("weir_sink_rows_total", "exchanges")),
        batches: counted(last, &nothing, "weir_sink_batches_total"),
        lost: counted(last, &nothing, "weir_recorder_lost_total"),
    }
}

fn spread(last: &Sample, earlier: &Sample, name: &'static str, metric: &str) -> Spread {
    let at = |q| last.quantile(earlier, metric, q);
    Spread { name, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

/// Changes by label, most first, without those that did not change.
fn counted(last: &Sample, earlier: &Sample, name: &str) -> Vec<Counted> {
    let change = |label: &str| (last.value(name, label) - earlier.value(name, label)).max(0.0);
    let all = last.labels(name).map(|label| Counted { word: label.to_owned(), count: change(label) });
    let mut some: Vec<_> = all.filter(|counted| counted.count > 0.0).collect();
    some.sort_by(|a, b| b.count.total_cmp(&a.count));
    some
}

/// Replicas that the wiring knows, with their gauges; then those that only have gauges.
fn engines(facts: Vec<EngineFacts>, last: Option<&Sample>) -> Vec<EngineRow> {
    let mut gauges: Vec<(&str, &str, Replica)> = last.into_iter().flat_map(Sample::replicas).collect();
    let mut rows: Vec<EngineRow> = Vec::with_capacity(facts.len());
    for facts in facts {
        let same = |(engine, replica, _): &(&str, &str, Replica)| *engine == facts.engine && *replica == facts.replica;
        let state = gauges.iter().position(same).map(|at| gauges.swap_remove(at).2).unwrap_or_default();
        rows.push(row(facts, state));
    }
    for (engine, replica, state) in gauges {
        let facts = EngineFacts { engine: engine.into(), replica: replica.into(), ..EngineFacts::default() };
        rows.push(row(facts, state));
    }
    rows.sort_by(|a, b| (&a.facts.engine, &a.facts.replica).cmp(&(&b.facts.engine, &b.facts.replica)));
    rows
}

fn row(facts: EngineFacts, state: Replica) -> EngineRow {
    let Replica { in_flight, running, waiting, kv_cache_ratio, .. } = state;
    EngineRow { state: word(state), in_flight, running, waiting, kv_cache_ratio, facts }
}

fn word(state: Replica) -> &'static str {
    match (state.up, state.breaker) {
        (_, Some(breaker)) if breaker >= 1.0 => "open",
        (Some(up), _) if up < 1.0 => "down",
        (_, Some(breaker)) if breaker > 0.0 => "half_open",
        (Some(_), _) => "up",
        (None, _) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_named_by_its_worst_sign() {
        let replica = |up, breaker| Replica { up, breaker, ..Replica::default() };
        let table = [
            (replica(Some(1.0), Some(0.0)), "up"),
            (replica(Some(1.0), None), "up"),
            (replica(Some(0.0), Some(0.0)), "down"),
            (replica(Some(1.0), Some(0.5)), "half_open"),
            (replica(Some(0.0), Some(1.0)), "open"),
            (replica(None, None), "unknown"),
        ];
        for (state, expected) in table {
            assert_eq!(word(state), expected, "{state:?}");
        }
    }

    #[test]
    fn before_the_first_sample_nothing_is_claimed() {
        let now = Now::of(&[]);
        assert_eq!((now.at, now.failure_ratio, now.in_flight), (0, None, None));
    }

    #[test]
    fn requests_that_an_engine_refused_as_the_clients_fault_are_no_failures() {
        let registry = prometheus::Registry::new();
        let counter = |name: &str| {
            let counter = prometheus::IntCounterVec::new(prometheus::Opts::new(name, "x"), &["outcome"]).unwrap();
            registry.register(Box::new(counter.clone())).unwrap();
            counter
        };
        let (exchanges, attempts) = (counter("weir_exchanges_total"), counter("weir_attempts_total"));
        let before = Arc::new(Sample::read(&registry.gather(), 0));
        for (counters, outcome, count) in [
            (&exchanges, "complete", 6),
            (&exchanges, "engine_error", 3),
            (&exchanges, "broken", 1),
            (&attempts, "status_4xx", 2),
        ] {
            counters.with_label_values(&[outcome]).inc_by(count);
        }
        let now = Now::of(&[before, Arc::new(Sample::read(&registry.gather(), 5000))]);
        assert_eq!((now.failed, now.ended, now.failure_ratio), (2.0, 10.0, Some(0.2)));
    }

    #[test]
    fn one_sample_is_enough_to_show_gauges() {
        let now = Now::of(&[Arc::new(Sample::read(&[], 7))]);
        assert_eq!((now.at, now.rate), (7, 0.0));
    }
}
