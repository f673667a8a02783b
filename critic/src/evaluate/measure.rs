//! What a critic is worth, from what it said.
//!
//! Figures are of the cases that were judged; how many were not, and why, stands beside them.

use std::collections::BTreeMap;

use weir_stats::agreement;
use weir_stats::bootstrap::{Bootstrap, quantile};
use weir_stats::confusion::Confusion;
use weir_stats::interval::Interval;
use weir_stats::ranking::{self, Scored, at_prior};
use weir_stats::reliability;

use super::figures::{Cost, Evaluation, Figure, ReliabilityBin, Slice, Spans, Table};
use super::observe::{Observed, SpanCount};
use crate::Outcome;

/// Points of a curve that are kept: more cannot be seen.
const CURVE_POINTS: usize = 300;
/// Bins of reliability, as is usual.
const BINS: usize = 15;
/// Kinds that get figures of their own.
const MAX_SLICES: usize = 60;

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Share of bad in the traffic that is meant, where the cases hold another.
    pub prior: Option<f64>,
    /// What decides the resamples.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { prior: None, seed: 1 }
    }
}

/// One judged case as the statistics see it; without a scale the verdict is the score.
pub(super) fn scored(observed: &Observed) -> Option<Scored> {
    let said = match observed.outcome {
        Outcome::Fail => 1.0,
        Outcome::Pass => 0.0,
        Outcome::Skipped(_) => return None,
    };
    let score = observed.score.unwrap_or(said);
    Some(Scored { score, bad: observed.bad, weight: observed.weight, group: observed.group })
}

/// Judged cases: what the critic said, and each as the statistics see it.
struct Judged {
    said: Vec<bool>,
    cases: Vec<Scored>,
    has_scores: bool,
    is_plain: bool,
}

impl Judged {
    fn of(observed: &[Observed], prior: Option<f64>) -> Self {
        let judged: Vec<&Observed> = observed.iter().filter(|one| scored(one).is_some()).collect();
        let said = judged.iter().map(|one| one.outcome == Outcome::Fail).collect();
        let cases: Vec<Scored> = judged.iter().filter_map(|one| scored(one)).collect();
        let cases = prior.and_then(|prior| at_prior(&cases, prior)).unwrap_or(cases);
        let has_scores = !judged.is_empty() && judged.iter().all(|one| one.score.is_some());
        let mut groups: Vec<u32> = cases.iter().map(|case| case.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let is_plain = groups.len() == cases.len() && cases.iter().all(|case| case.weight == 1.0);
        Self { said, cases, has_scores, is_plain }
    }

    fn table(&self, indices: impl Iterator<Item = usize>) -> Confusion {
        let mut table = Confusion::default();
        indices.for_each(|i| table.add(self.said[i], self.cases[i].bad, self.cases[i].weight));
        table
    }

    fn whole(&self) -> Confusion {
        self.table(0..self.cases.len())
    }

    fn drawn(&self, indices: &[usize]) -> Vec<Scored> {
        indices.iter().map(|index| self.cases[*index]).collect()
    }

    fn bootstrap(&self, seed: u64) -> (Bootstrap, Vec<u32>) {
        // Sorting a resample is what costs; beyond this size intervals are narrow anyway.
        let runs = if self.cases.len() > 20_000 { 200 } else { 1000 };
        (Bootstrap { runs, seed, ..Bootstrap::default() }, self.cases.iter().map(|case| case.group).collect())
    }
}

/// Measures what was said.
pub fn measure(critic: &str, observed: &[Observed], settings: &Settings) -> Evaluation {
    let judged = Judged::of(observed, settings.prior);
    let bad = |cases: &[Scored]| cases.iter().filter(|case| case.bad).count();
    let all_bad = observed.iter().filter(|one| one.bad).count();
    let groups = observed.iter().map(|one| one.group).collect::<std::collections::BTreeSet<_>>().len();
    let table = judged.whole();
    let mut found = Evaluation {
        critic: critic.to_owned(),
        cases: observed.len(),
        groups,
        judged: judged.cases.len(),
        bad: bad(&judged.cases),
        prevalence: if observed.is_empty() { 0.0 } else { all_bad as f64 / observed.len() as f64 },
        prior: settings.prior,
        skipped: skipped(observed),
        bad_skipped: all_bad - bad(&judged.cases),
        table: Table {
            bad_failed: table.true_positive,
            good_failed: table.false_positive,
            good_passed: table.true_negative,
            bad_passed: table.false_negative,
        },
        accuracy: None,
        precision: None,
        recall: None,
        false_alarms: None,
        f1: None,
        balanced_accuracy: None,
        kappa: None,
        auroc: None,
        average_precision: None,
        expected_calibration_error: None,
        brier: None,
        spans: spans(observed),
        cost: cost(observed),
        roc: Vec::new(),
        precision_recall: Vec::new(),
        reliability: Vec::new(),
        histogram: Vec::new(),
        slices: slices(observed),
    };
    shares(&mut found, &judged, settings.seed);
    if judged.has_scores {
        scores(&mut found, &judged, settings.seed);
    }
    found
}

fn skipped(observed: &[Observed]) -> BTreeMap<&'static str, usize> {
    let mut found = BTreeMap::new();
    for one in observed {
        if let Outcome::Skipped(cause) = one.outcome {
            *found.entry(cause.as_str()).or_default() += 1;
        }
    }
    found
}

/// Figures of the verdicts.
fn shares(found: &mut Evaluation, judged: &Judged, seed: u64) {
    let all = |table: &Confusion| {
        let kappa = agreement::cohen(table).map(|kappa| kappa.value);
        let alarms = table.specificity().map(|share| 1.0 - share);
        let counts = [table.accuracy(), table.precision(), table.recall(), alarms];
        (counts, [table.f1(), table.balanced_accuracy(), kappa])
    };
    let (bootstrap, groups) = judged.bootstrap(seed);
    let whole = judged.whole();
    let (counts, others) = all(&whole);
    let ends: [Option<Interval>; 7] = bootstrap.intervals(&groups, |indices| {
        let (counts, others) = all(&judged.table(indices.iter().copied()));
        [counts[0], counts[1], counts[2], counts[3], others[0], others[1], others[2]]
    });
    let figure = |value: Option<f64>, ends: Option<Interval>| value.map(|value| Figure::new(value, ends));
    found.accuracy = figure(counts[0], ends[0]);
    found.precision = figure(counts[1], ends[1]);
    found.recall = figure(counts[2], ends[2]);
    found.false_alarms = figure(counts[3], ends[3]);
    found.f1 = figure(others[0], ends[4]);
    found.balanced_accuracy = figure(others[1], ends[5]);
    let exact = agreement::cohen(&whole).filter(|_| judged.is_plain).map(|kappa| kappa.interval);
    found.kappa = figure(others[2], exact.or(ends[6]));
}

/// Figures of the scores.
fn scores(found: &mut Evaluation, judged: &Judged, seed: u64) {
    let cases = &judged.cases;
    let all = |cases: &[Scored]| {
        let error = reliability::expected_calibration_error(cases, BINS);
        [ranking::average_precision(cases), error, reliability::brier(cases)]
    };
    let (bootstrap, groups) = judged.bootstrap(seed);
    let ends: [Option<Interval>; 3] = bootstrap.intervals(&groups, |indices| all(&judged.drawn(indices)));
    let [precision, error, brier] = all(cases);
    let figure = |value: Option<f64>, ends: Option<Interval>| value.map(|value| Figure::new(value, ends));
    found.auroc = ranking::auroc_estimate(cases).map(Figure::of);
    found.average_precision = figure(precision, ends[0]);
    found.expected_calibration_error = figure(error, ends[1]);
    found.brier = figure(brier, ends[2]);
    let tables = ranking::tables(cases);
    let step = tables.len().div_ceil(CURVE_POINTS).max(1);
    let last = tables.len() - 1;
    for (_, (threshold, table)) in tables.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last) {
        let threshold = threshold.min(1.0);
        if let (Some(recall), Some(specificity)) = (table.recall(), table.specificity()) {
            found.roc.push([1.0 - specificity, recall, threshold]);
        }
        if let (Some(recall), Some(precision)) = (table.recall(), table.precision()) {
            found.precision_recall.push([recall, precision, threshold]);
        }
    }
    let bin = |bin: reliability::Bin| ReliabilityBin { score: bin.score, bad: bin.bad, weight: bin.weight };
    found.reliability = reliability::bins(cases, BINS).into_iter().map(bin).collect();
    found.histogram = vec![[0.0; 2]; 20];
    for case in cases {
        let at = ((case.score.clamp(0.0, 1.0) * 20.0) as usize).min(19);
        found.histogram[at][usize::from(case.bad)] += case.weight;
    }
}

fn spans(observed: &[Observed]) -> Option<Spans> {
    let counts: Vec<SpanCount> = observed.iter().filter_map(|one| one.spans).collect();
    let sum = |part: fn(&SpanCount) -> u64| counts.iter().map(part).sum::<u64>() as f64;
    let (right, marked, wanted) = (sum(|c| c.right), sum(|c| c.marked), sum(|c| c.wanted));
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    (wanted > 0.0).then(|| Spans {
        cases: counts.len(),
        precision: share(right, marked),
        recall: share(right, wanted),
        f1: share(2.0 * right, marked + wanted),
    })
}

fn cost(observed: &[Observed]) -> Cost {
    let judged: Vec<&Observed> = observed.iter().filter(|one| scored(one).is_some()).collect();
    let mut times: Vec<f64> = judged.iter().map(|one| one.cpu.as_secs_f64() * 1e6).collect();
    times.sort_unstable_by(f64::total_cmp);
    let n = times.len().max(1) as f64;
    Cost {
        cpu_us_p50: quantile(&times, 0.5),
        cpu_us_p99: quantile(&times, 0.99),
        cpu_us_mean: times.iter().sum::<f64>() / n,
        tokens_mean: judged.iter().map(|one| one.tokens as f64).sum::<f64>() / n,
    }
}

fn slices(observed: &[Observed]) -> BTreeMap<String, Slice> {
    let mut parts: BTreeMap<&str, Vec<&Observed>> = BTreeMap::new();
    for one in observed {
        parts.entry(&one.slice).or_default().push(one);
    }
    if parts.len() < 2 || parts.len() > MAX_SLICES {
        return BTreeMap::new();
    }
    parts.into_iter().map(|(name, part)| (name.to_owned(), slice(&part))).collect()
}

fn slice(part: &[&Observed]) -> Slice {
    let cases: Vec<Scored> = part.iter().filter_map(|one| scored(one)).collect();
    let mut table = Confusion::default();
    for one in part.iter().filter(|one| scored(one).is_some()) {
        table.add(one.outcome == Outcome::Fail, one.bad, one.weight);
    }
    let has_scores = part.iter().filter(|one| scored(one).is_some()).all(|one| one.score.is_some());
    Slice {
        cases: part.len(),
        judged: cases.len(),
        bad: cases.iter().filter(|case| case.bad).count(),
        precision: table.precision(),
        recall: table.recall(),
        false_alarms: table.specificity().map(|share| 1.0 - share),
        f1: table.f1(),
        auroc: ranking::auroc_estimate(&cases).filter(|_| has_scores).map(Figure::of),
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
pub(crate) mod tests;
