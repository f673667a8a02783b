//! Rates and quantiles over the last hour, made from samples: what the charts draw.
//!
//! Pure. Rates are taken over [`RATE_WINDOW`], quantiles over [`QUANTILE_WINDOW`]: wide
//! enough to be steady, narrow enough to show a change within a minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::live::{EVERY, Sample};

/// Samples between the two ends of a rate: 30 s.
const RATE_WINDOW: usize = 6;
/// Samples between the two ends of a quantile: 60 s.
const QUANTILE_WINDOW: usize = 12;

/// Columns for the charts; every column is as long as `at`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Series {
    /// Milliseconds since the Unix epoch.
    pub(super) at: Vec<i64>,
    /// Milliseconds between two points.
    pub(super) every: u64,
    /// Exchanges per second by outcome.
    pub(super) exchanges: BTreeMap<String, Vec<f64>>,
    /// Errors per second by kind.
    pub(super) errors: BTreeMap<String, Vec<f64>>,
    /// Tokens per second by kind.
    pub(super) tokens: BTreeMap<String, Vec<f64>>,
    /// Exchanges in flight, by engine.
    pub(super) engines: BTreeMap<String, Vec<f64>>,
    /// Gauges by short name.
    pub(super) gauges: BTreeMap<&'static str, Vec<Option<f64>>>,
    /// Quantiles in seconds by short name.
    pub(super) quantiles: BTreeMap<&'static str, Quantiles>,
}

/// Three quantiles of one histogram, in seconds; none where nothing was observed.
#[derive(Debug, Default, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: Vec<Option<f64>>,
    pub(super) p95: Vec<Option<f64>>,
    pub(super) p99: Vec<Option<f64>>,
}

/// Short names of the gauges that are drawn.
const GAUGES: [(&str, &str); 5] = [
    ("in_flight", "weir_in_flight"),
    ("queue_depth", "weir_queue_depth"),
    ("spool_records", "weir_spool_records"),
    ("outbox_records", "weir_outbox_records"),
    ("sink_lag", "weir_sink_lag_seconds"),
];
/// Short names of the histograms that are drawn.
pub(super) const QUANTILES: [(&str, &str); 4] = [
    ("first_token", "weir_first_token_seconds"),
    ("total", "weir_exchange_seconds"),
    ("inter_token", "weir_inter_token_seconds"),
    ("overhead", "weir_overhead_seconds"),
];

/// The points after `since` (milliseconds since the Unix epoch).
pub(super) fn series(samples: &[Arc<Sample>], since: i64) -> Series {
    let first = samples.partition_point(|sample| sample.at <= since).max(1);
    let points: Vec<usize> = (first..samples.len()).collect();
    let mut series = Series { every: EVERY.as_millis() as u64, ..Series::default() };
    series.at = points.iter().map(|i| samples[*i].at).collect();
    series.exchanges = by_label(samples, &points, "weir_exchanges_total", Change::Rate);
    series.errors = by_label(samples, &points, "weir_errors_total", Change::Rate);
    series.tokens = by_label(samples, &points, "weir_tokens_total", Change::Rate);
    series.engines = by_label(samples, &points, "weir_engine_in_flight", Change::Level);
    for (short, name) in GAUGES {
        let column: Vec<_> = points.iter().map(|i| samples[*i].total(name)).collect();
        series.gauges.insert(short, column);
    }
    for (short, name) in QUANTILES {
        series.quantiles.insert(short, quantiles(samples, &points, name));
    }
    series
}

#[derive(Clone, Copy)]
enum Change {
    Rate,
    Level,
}

fn by_label(samples: &[Arc<Sample>], points: &[usize], name: &str, change: Change) -> BTreeMap<String, Vec<f64>> {
    let labels = samples.last().into_iter().flat_map(|last| last.labels(name));
    let column = |label: &str| {
        let value = |i: &usize| match change {
            Change::Rate => rate(samples, *i, |sample| sample.value(name, label)),
            Change::Level => samples[*i].value(name, label),
        };
        points.iter().map(value).collect()
    };
    labels.map(|label| (label.to_owned(), column(label))).collect()
}

fn quantiles(samples: &[Arc<Sample>], points: &[usize], name: &str) -> Quantiles {
    let column = |q: f64| -> Vec<Option<f64>> {
        let earlier = |i: usize| &samples[i.saturating_sub(QUANTILE_WINDOW)];
        points.iter().map(|i| samples[*i].quantile(earlier(*i), name, q).map(brief)).collect()
    };
    Quantiles { p50: column(0.5), p95: column(0.95), p99: column(0.99) }
}

/// Change per second up to sample `i` over the rate window; a counter that began again gives 0.
pub(super) fn rate(samples: &[Arc<Sample>], i: usize, value: impl Fn(&Sample) -> f64) -> f64 {
    let (now, then) = (&samples[i], &samples[i.saturating_sub(RATE_WINDOW)]);
    let seconds = (now.at - then.at) as f64 / 1000.0;
    if seconds > 0.0 { brief(((value(now) - value(then)) / seconds).max(0.0)) } else { 0.0 }
}

/// Four digits are more than a chart shows, and a third of the bytes.
fn brief(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts, Registry};

    fn minute_of_steady_traffic() -> Vec<Arc<Sample>> {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("weir_exchanges_total", "x"), &["outcome"]).unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        let sample = |i: i64| {
            counter.with_label_values(&["complete"]).inc_by(10);
            Arc::new(Sample::read(&registry.gather(), i * 5000))
        };
        (0..13).map(sample).collect()
    }

    #[test]
    fn ten_exchanges_in_five_seconds_are_two_per_second() {
        let series = series(&minute_of_steady_traffic(), i64::MIN);
        assert_eq!(series.at.len(), 12);
        assert_eq!(series.exchanges["complete"], vec![2.0; 12]);
    }

    #[test]
    fn only_points_after_the_given_moment_come() {
        let series = series(&minute_of_steady_traffic(), 50_000);
        assert_eq!(series.at, [55_000, 60_000]);
        assert_eq!(series.exchanges["complete"], [2.0, 2.0]);
        assert_eq!(series.quantiles["total"].p50, [None, None]);
    }

    #[test]
    fn no_samples_give_no_points() {
        assert!(series(&[], 0).at.is_empty());
    }
}
