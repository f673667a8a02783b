//! The figures of an evaluation, as reports and JSON have them.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_stats::interval::Interval;
use weir_stats::ranking::Estimate;

/// An estimate with its 95 % interval, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// A two by two table; counts, or weights where cases have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// Bad and failed.
    pub bad_failed: f64,
    /// Good and failed: false alarms.
    pub good_failed: f64,
    /// Good and passed.
    pub good_passed: f64,
    /// Bad and passed: misses.
    pub bad_passed: f64,
}

/// All figures of a critic on a set of cases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The critic's version.
    pub critic: String,
    /// Cases given.
    pub cases: usize,
    /// Source texts among them.
    pub groups: usize,
    /// Cases that the critic judged.
    pub judged: usize,
    /// Bad ones among the judged.
    pub bad: usize,
    /// Share of bad among all cases given.
    pub prevalence: f64,
    /// Share of bad that figures are given for, where it is another.
    pub prior: Option<f64>,
    /// Cases that were skipped, by cause.
    pub skipped: BTreeMap<&'static str, usize>,
    /// Bad ones among the skipped: nobody looked at them.
    pub bad_skipped: usize,
    /// What was said against what was true.
    pub table: Table,
    /// Share that is right.
    pub accuracy: Option<Figure>,
    /// Share of bad among what failed.
    pub precision: Option<Figure>,
    /// Share of the bad that failed.
    pub recall: Option<Figure>,
    /// Share of the good that failed.
    pub false_alarms: Option<Figure>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<Figure>,
    /// Mean of recall and specificity.
    pub balanced_accuracy: Option<Figure>,
    /// Agreement with the labels beyond chance.
    pub kappa: Option<Figure>,
    /// Chance that a bad case scores above a good one.
    pub auroc: Option<Figure>,
    /// Area under precision against recall.
    pub average_precision: Option<Figure>,
    /// Mean distance of score and share of bad, in bins of equal mass.
    pub expected_calibration_error: Option<Figure>,
    /// Mean squared distance of score and truth.
    pub brier: Option<Figure>,
    /// Marked characters against those that should be.
    pub spans: Option<Spans>,
    /// What judging cost.
    pub cost: Cost,
    /// `[false alarms, recall, threshold]`, from nothing failed to all.
    pub roc: Vec<[f64; 3]>,
    /// `[recall, precision, threshold]`.
    pub precision_recall: Vec<[f64; 3]>,
    /// Scores against shares of bad.
    pub reliability: Vec<ReliabilityBin>,
    /// Good and bad cases by score, in twentieths.
    pub histogram: Vec<[f64; 2]>,
    /// Figures by kind of case, where there is more than one.
    pub slices: BTreeMap<String, Slice>,
}

/// Cases of about the same score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Mean score.
    pub score: f64,
    /// Share of bad.
    pub bad: f64,
    /// Weight of the cases.
    pub weight: f64,
}

/// Marked characters against those that should be, over all answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spans {
    /// Answers in which people marked what is bad, or that nothing is.
    pub cases: usize,
    /// Share of the marked that should be.
    pub precision: f64,
    /// Share marked of what should be.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// What judging cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Median processor time of a judged case, in microseconds.
    pub cpu_us_p50: f64,
    /// The 99th percentile.
    pub cpu_us_p99: f64,
    /// Mean.
    pub cpu_us_mean: f64,
    /// Mean tokens of engines per judged case; 0 where none was asked.
    pub tokens_mean: f64,
}

/// Figures of one kind of case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Slice {
    /// Cases given.
    pub cases: usize,
    /// Cases judged.
    pub judged: usize,
    /// Bad ones among the judged.
    pub bad: usize,
    /// Share of bad among what failed.
    pub precision: Option<f64>,
    /// Share of the bad that failed.
    pub recall: Option<f64>,
    /// Share of the good that failed.
    pub false_alarms: Option<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Chance that a bad case scores above a good one.
    pub auroc: Option<Figure>,
}

impl Figure {
    pub(super) fn new(value: f64, interval: Option<Interval>) -> Self {
        Self { value, low: interval.map(|ends| ends.low), high: interval.map(|ends| ends.high) }
    }

    pub(super) fn of(estimate: Estimate) -> Self {
        Self::new(estimate.value, Some(estimate.interval))
    }
}
