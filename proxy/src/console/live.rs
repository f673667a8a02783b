//! The last hour of the process's own metrics, kept in memory.
//!
//! Every [`EVERY`] the registry is read into one [`Sample`]: cumulative values, summed over
//! all labels but one. Rates and quantiles are made later, from differences. Bounded: an
//! hour of samples, and only the metrics in [`KEPT`] and [`HISTOGRAMS`]. A metric that is
//! missing is simply not there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Time between two samples.
pub const EVERY: Duration = Duration::from_secs(5);
/// Samples kept: one hour, and one to take the first difference from.
const KEEP: usize = 721;
/// Values of one label that are kept apart; the rest is summed as `other`.
const MAX_VALUES: usize = 64;

/// Counters and gauges kept, each with the label that is kept apart.
const KEPT: [(&str, &str); 15] = [
    ("weir_exchanges_total", "outcome"),
    ("weir_errors_total", "kind"),
    ("weir_tokens_total", "kind"),
    ("weir_in_flight", ""),
    ("weir_queue_depth", ""),
    ("weir_engine_in_flight", "engine"),
    ("weir_outbox_records", ""),
    ("weir_outbox_bytes", ""),
    ("weir_outbox_refused_total", ""),
    ("weir_spool_records", ""),
    ("weir_spool_bytes", ""),
    ("weir_sink_lag_seconds", ""),
    ("weir_sink_rows_total", "table"),
    ("weir_sink_batches_total", "outcome"),
    ("weir_recorder_lost_total", "reason"),
];
/// Histograms kept, summed over all labels, or over those with one label's value: the phases
/// of Weir's own time overlap, so only their total counts.
const HISTOGRAMS: [(&str, Option<(&str, &str)>); 4] = [
    ("weir_exchange_seconds", None),
    ("weir_first_token_seconds", None),
    ("weir_inter_token_seconds", None),
    ("weir_overhead_seconds", Some(("phase", "total"))),
];
/// Gauges kept for each replica.
const REPLICA: [&str; 6] = [
    "weir_engine_up",
    "weir_engine_breaker",
    "weir_engine_in_flight",
    "weir_engine_requests_running",
    "weir_engine_requests_waiting",
    "weir_engine_kv_cache_used_ratio",
];

/// One reading of the registry.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When, milliseconds since the Unix epoch.
    pub at: i64,
    values: BTreeMap<&'static str, BTreeMap<Box<str>, f64>>,
    histograms: BTreeMap<&'static str, Buckets>,
    replicas: BTreeMap<(Box<str>, Box<str>), Replica>,
}

/// Cumulative counts under each upper bound; the last bound is `+Inf`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    bounds: Vec<f64>,
    counts: Vec<f64>,
}

/// State of one engine replica as its gauges tell it; none where a gauge is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Replica {
    pub(super) up: Option<f64>,
    pub(super) breaker: Option<f64>,
    pub(super) in_flight: Option<f64>,
    pub(super) running: Option<f64>,
    pub(super) waiting: Option<f64>,
    pub(super) kv_cache_ratio: Option<f64>,
}

/// The ring of samples. Cheap to clone; written by [`sample`], read by the pages.
#[derive(Clone, Debug, Default)]
pub struct Live {
    ring: Arc<RwLock<VecDeque<Arc<Sample>>>>,
}

/// Reads the registry for ever, once per [`EVERY`].
pub(super) async fn sample(live: Live, registry: prometheus::Registry) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        timer.tick().await;
        live.push(Sample::read(&registry.gather(), now_ms()));
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Live {
    /// Adds a sample; the oldest leaves when an hour is full.
    pub fn push(&self, sample: Sample) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == KEEP {
            ring.pop_front();
        }
        ring.push_back(Arc::new(sample));
    }

    /// All samples, oldest first.
    pub(super) fn samples(&self) -> Vec<Arc<Sample>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Sample {
    /// Takes what is kept from the gathered metrics.
    pub fn read(families: &[MetricFamily], at: i64) -> Self {
        let mut sample = Self { at, ..Self::default() };
        for family in families {
            sample.read_family(family);
        }
        sample
    }

    fn read_family(&mut self, family: &MetricFamily) {
        let (name, kind) = (family.name(), family.get_field_type());
        if let Some((kept, label)) = KEPT.into_iter().find(|(kept, _)| *kept == name) {
            let values = self.values.entry(kept).or_default();
            for metric in family.get_metric() {
                let key = label_of(metric, label);
                let room = values.len() < MAX_VALUES || values.contains_key(key);
                *values.entry(if room { key } else { "other" }.into()).or_default() += number(metric, kind);
            }
        }
        if let Some((kept, only)) = HISTOGRAMS.into_iter().find(|(kept, _)| *kept == name) {
            let buckets = self.histograms.entry(kept).or_default();
            let counts = |metric: &&Metric| only.is_none_or(|(label, value)| label_of(metric, label) == value);
            family.get_metric().iter().filter(counts).for_each(|metric| buckets.add(metric));
        }
        if REPLICA.contains(&name) {
            for metric in family.get_metric().iter().take(MAX_VALUES * 4) {
                let key = (label_of(metric, "engine").into(), label_of(metric, "replica").into());
                let replica = self.replicas.entry(key).or_default();
                let place = match name {
                    "weir_engine_up" => &mut replica.up,
                    "weir_engine_breaker" => &mut replica.breaker,
                    "weir_engine_in_flight" => &mut replica.in_flight,
                    "weir_engine_requests_running" => &mut replica.running,
                    "weir_engine_requests_waiting" => &mut replica.waiting,
                    _ => &mut replica.kv_cache_ratio,
                };
                *place = Some(number(metric, kind));
            }
        }
    }

    /// Sum of a metric over all labels; none where it is missing.
    pub(super) fn total(&self, name: &str) -> Option<f64> {
        self.values.get(name).map(|values| values.values().sum())
    }

    /// One value of the label that is kept apart; 0 where it is missing.
    pub(super) fn value(&self, name: &str, label: &str) -> f64 {
        self.values.get(name).and_then(|values| values.get(label)).copied().unwrap_or(0.0)
    }

    /// Values of the label that is kept apart.
    pub(super) fn labels(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.get(name).into_iter().flat_map(|values| values.keys().map(AsRef::as_ref))
    }

    /// Engine replicas with their gauges.
    pub(super) fn replicas(&self) -> impl Iterator<Item = (&str, &str, Replica)> {
        self.replicas.iter().map(|((engine, replica), state)| (engine.as_ref(), replica.as_ref(), *state))
    }

    /// Quantile of what was observed after `earlier`; none where nothing was.
    pub(super) fn quantile(&self, earlier: &Sample, name: &str, q: f64) -> Option<f64> {
        let now = self.histograms.get(name)?;
        let counts = now.since(earlier.histograms.get(name));
        quantile(&now.bounds, &counts, q)
    }
}

fn label_of<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value())
}

fn number(metric: &Metric, kind: MetricType) -> f64 {
    match kind {
        MetricType::COUNTER => metric.get_counter().get_value(),
        _ => metric.get_gauge().get_value(),
    }
}

impl Buckets {
    fn add(&mut self, metric: &Metric) {
        let histogram = metric.get_histogram();
        if self.bounds.is_empty() {
            self.bounds = histogram.get_bucket().iter().map(|bucket| bucket.upper_bound()).collect();
            if self.bounds.last().is_none_or(|last| last.is_finite()) {
                self.bounds.push(f64::INFINITY);
            }
            self.counts = vec![0.0; self.bounds.len()];
        }
        // One histogram has one set of bounds; a bucket that does not fit is left to `+Inf`.
        for (count, bucket) in self.counts.iter_mut().zip(histogram.get_bucket()) {
            *count += bucket.cumulative_count() as f64;
        }
        if let Some(last) = self.counts.last_mut().filter(|_| self.bounds.len() > histogram.get_bucket().len()) {
            *last += histogram.get_sample_count() as f64;
        }
    }

    fn since(&self, earlier: Option<&Self>) -> Vec<f64> {
        match earlier {
            Some(earlier) if earlier.bounds == self.bounds => {
                self.counts.iter().zip(&earlier.counts).map(|(now, then)| (now - then).max(0.0)).collect()
            }
            _ => self.counts.clone(),
        }
    }
}

/// Quantile from cumulative bucket counts, linear within the bucket, as Prometheus'
/// `histogram_quantile` does it: what lies above the last finite bound is said to lie on it.
fn quantile(bounds: &[f64], counts: &[f64], q: f64) -> Option<f64> {
    let total = counts.last().copied().filter(|total| *total > 0.0)?;
    let rank = q * total;
    let at = counts.iter().position(|count| *count >= rank)?;
    let below = if at == 0 { (0.0, 0.0) } else { (bounds[at - 1], counts[at - 1]) };
    if bounds[at].is_infinite() {
        return Some(below.0);
    }
    let within = counts[at] - below.1;
    let share = if within > 0.0 { (rank - below.1) / within } else { 1.0 };
    Some(below.0 + (bounds[at] - below.0) * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

    #[test]
    fn labels_are_summed_but_for_the_one_kept_apart() {
        let registry = Registry::new();
        let opts = Opts::new("weir_exchanges_total", "x");
        let counter = IntCounterVec::new(opts, &["api", "outcome"]).unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.with_label_values(&["chat", "complete"]).inc_by(3);
        counter.with_label_values(&["messages", "complete"]).inc_by(4);
        counter.with_label_values(&["chat", "failed"]).inc();
        let sample = Sample::read(&registry.gather(), 0);
        assert_eq!(sample.value("weir_exchanges_total", "complete"), 7.0);
        assert_eq!(sample.total("weir_exchanges_total"), Some(8.0));
        assert_eq!(sample.total("weir_spool_bytes"), None);
    }

    #[test]
    fn a_quantile_counts_only_what_came_after_the_earlier_sample() {
        let registry = Registry::new();
        let opts = HistogramOpts::new("weir_exchange_seconds", "x").buckets(vec![1.0, 2.0, 4.0]);
        let histogram = HistogramVec::new(opts, &["route"]).unwrap();
        registry.register(Box::new(histogram.clone())).unwrap();
        histogram.with_label_values(&["a"]).observe(0.5);
        let before = Sample::read(&registry.gather(), 0);
        for route in ["a", "b"] {
            (0..50).for_each(|_| histogram.with_label_values(&[route]).observe(3.0));
        }
        let after = Sample::read(&registry.gather(), 1);
        assert_eq!(after.quantile(&before, "weir_exchange_seconds", 0.5), Some(3.0));
        assert_eq!(after.quantile(&after, "weir_exchange_seconds", 0.5), None);
        assert_eq!(after.quantile(&before, "weir_inter_token_seconds", 0.5), None);
    }

    #[test]
    fn quantiles_agree_with_the_rule_of_prometheus() {
        let bounds = [1.0, 2.0, 4.0, f64::INFINITY];
        let table = [
            ([0.0, 0.0, 0.0, 0.0], 0.5, None),
            ([10.0, 10.0, 10.0, 10.0], 0.5, Some(0.5)),
            ([0.0, 10.0, 10.0, 10.0], 0.5, Some(1.5)),
            ([0.0, 5.0, 10.0, 10.0], 0.75, Some(3.0)),
            ([0.0, 0.0, 0.0, 10.0], 0.5, Some(4.0)),
        ];
        for (counts, q, expected) in table {
            assert_eq!(quantile(&bounds, &counts, q), expected, "{counts:?} {q}");
        }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let live = Live::default();
        (0..KEEP as i64 + 10).for_each(|at| live.push(Sample { at, ..Sample::default() }));
        let samples = live.samples();
        assert_eq!((samples.len(), samples[0].at), (KEEP, 10));
    }

    #[test]
    fn a_replica_has_the_gauges_that_are_there() {
        let registry = Registry::new();
        let up = GaugeVec::new(Opts::new("weir_engine_up", "x"), &["engine", "replica"]).unwrap();
        registry.register(Box::new(up.clone())).unwrap();
        up.with_label_values(&["main", "gpu-0:8000"]).set(1.0);
        let sample = Sample::read(&registry.gather(), 0);
        let replicas: Vec<_> = sample.replicas().collect();
        assert_eq!(replicas, [("main", "gpu-0:8000", Replica { up: Some(1.0), ..Replica::default() })]);
    }
}
