//! The threshold of a critic, chosen on labelled cases, with all that says where it came from.

use serde::{Deserialize, Serialize};
use weir_stats::confusion::Confusion;
use weir_stats::random::Draws;
use weir_stats::ranking::{Scored, at_prior};
use weir_stats::threshold::{Certificate, Chosen, Promise, by_cost, by_f1, certified, least_escalated};

use super::measure::scored;
use super::observe::Observed;

/// Parts in which a choice is tried on cases that it was not made on.
const FOLDS: usize = 5;
/// Thresholds that a certificate tries.
const STEPS: u32 = 1000;

/// What a threshold is to be good for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// The least mean cost.
    Cost {
        /// Of a good answer that fails.
        false_alarm: f64,
        /// Of a bad answer that passes.
        miss: f64,
    },
    /// The best F1.
    F1,
    /// At most a share `alpha` of what passes is bad, except with a chance of `delta`.
    Certified {
        /// Largest share of bad among what passes.
        alpha: f64,
        /// Chance to be wrong.
        delta: f64,
    },
}

/// Where a threshold came from; it is kept beside the threshold in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How it was chosen: `cost`, `f1` or `certified`.
    pub method: String,
    /// The critic's version that gave the scores: with another the threshold means nothing.
    pub critic: String,
    /// BLAKE3 of the files of cases.
    pub data: String,
    /// Cases that were judged.
    pub cases: u64,
    /// Source texts among them.
    pub groups: u64,
    /// Bad ones among the cases.
    pub bad: u64,
    /// Share of bad among the cases.
    pub prevalence: f64,
    /// Share of bad in the traffic that is meant, where it was said to be another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<f64>,
    /// What made the parts and draws.
    pub seed: u64,
    /// Cost of a false alarm, for `cost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarm_cost: Option<f64>,
    /// Cost of a miss, for `cost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss_cost: Option<f64>,
    /// Largest share of bad among what passes, for `certified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Chance that the promise is broken, for `certified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Independent cases that the certificate rests on: one of each source text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified_on: Option<u64>,
    /// Upper limit of the share of bad among what passes, for `certified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_bad_limit: Option<f64>,
    /// Precision to be expected, from thresholds tried on cases that they were not chosen on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Recall to be expected, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    /// F1 to be expected, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Share of all cases that fail.
    pub failed_share: f64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibrated {
    /// A threshold with its provenance.
    Threshold {
        /// Bad from this score on.
        threshold: f64,
        /// Where it came from.
        calibration: Box<Calibration>,
    },
    /// No threshold can be shown to keep the promise.
    Unreachable {
        /// Share of bad among independent cases.
        risk: f64,
        /// Share that must go to people however good the critic: 0 where the risk itself is low enough.
        least_escalated: f64,
        /// Independent cases that there were.
        cases: usize,
    },
}

/// Why there is nothing to choose by; lower case, says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotCalibrate(pub String);

impl std::fmt::Display for CannotCalibrate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotCalibrate {}

impl Goal {
    /// The word of the method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cost { .. } => "cost",
            Self::F1 => "f1",
            Self::Certified { .. } => "certified",
        }
    }

    fn choose(self, cases: &[Scored]) -> Option<Chosen> {
        match self {
            Self::Cost { false_alarm, miss } => by_cost(cases, false_alarm, miss),
            Self::F1 => by_f1(cases),
            Self::Certified { alpha, delta } => match certified(cases, Promise { alpha, delta }, STEPS) {
                Certificate::Certified { threshold, .. } => Some(Chosen { threshold, table: Confusion::default() }),
                Certificate::Unreachable => None,
            },
        }
    }
}

/// Chooses a threshold by what a critic said. `data` is the digest of the files.
pub fn calibrate(
    critic: &str,
    data: &str,
    observed: &[Observed],
    goal: Goal,
    settings: super::Settings,
) -> Result<Calibrated, CannotCalibrate> {
    let cases = usable(observed)?;
    let bad = cases.iter().filter(|case| case.bad).count();
    let mut groups: Vec<u32> = cases.iter().map(|case| case.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut calibration = Calibration {
        method: goal.as_str().to_owned(),
        critic: critic.to_owned(),
        data: data.to_owned(),
        cases: cases.len() as u64,
        groups: groups.len() as u64,
        bad: bad as u64,
        prevalence: bad as f64 / cases.len() as f64,
        prior: settings.prior,
        seed: settings.seed,
        ..Calibration::default()
    };
    let (threshold, learned) = match goal {
        Goal::Certified { alpha, delta } => {
            let is_as_traffic = settings.prior.is_none() && cases.iter().all(|case| case.weight == 1.0);
            if !is_as_traffic {
                let why = "a certificate needs cases as frequent as in traffic; leave out the prior and the weights";
                return Err(CannotCalibrate(why.to_owned()));
            }
            let alone = one_of_each(&cases, settings.seed);
            match certify(&alone, Promise { alpha, delta }, &mut calibration) {
                Ok(threshold) => (threshold, alone),
                Err(unreachable) => return Ok(unreachable),
            }
        }
        Goal::Cost { .. } | Goal::F1 => {
            let weighted = settings.prior.and_then(|prior| at_prior(&cases, prior)).unwrap_or(cases);
            let chosen =
                goal.choose(&weighted).ok_or_else(|| CannotCalibrate("no case is bad; add some".to_owned()))?;
            if let Goal::Cost { false_alarm, miss } = goal {
                calibration.false_alarm_cost = Some(false_alarm);
                calibration.miss_cost = Some(miss);
            }
            (chosen.threshold, weighted)
        }
    };
    expect(&mut calibration, &learned, threshold, goal);
    Ok(Calibrated::Threshold { threshold, calibration: Box::new(calibration) })
}

/// The certified threshold of independent cases, noted; or that there is none.
fn certify(alone: &[Scored], promise: Promise, calibration: &mut Calibration) -> Result<f64, Calibrated> {
    let Certificate::Certified { threshold, limit, .. } = certified(alone, promise, STEPS) else {
        let risk = alone.iter().filter(|case| case.bad).count() as f64 / alone.len() as f64;
        let least_escalated = least_escalated(risk, promise.alpha);
        return Err(Calibrated::Unreachable { risk, least_escalated, cases: alone.len() });
    };
    calibration.alpha = Some(promise.alpha);
    calibration.delta = Some(promise.delta);
    calibration.certified_on = Some(alone.len() as u64);
    calibration.passed_bad_limit = Some(limit);
    Ok(threshold)
}

/// Notes what is to be expected of the threshold.
fn expect(calibration: &mut Calibration, learned: &[Scored], threshold: f64, goal: Goal) {
    let all: f64 = learned.iter().map(|case| case.weight).sum();
    let failed: f64 = learned.iter().filter(|case| case.score >= threshold).map(|case| case.weight).sum();
    calibration.failed_share = failed / all;
    let expected = crossed(learned, goal, calibration.seed);
    calibration.precision = expected.precision();
    calibration.recall = expected.recall();
    calibration.f1 = expected.f1();
}

/// Judged cases with a score of both classes.
fn usable(observed: &[Observed]) -> Result<Vec<Scored>, CannotCalibrate> {
    let judged: Vec<&Observed> = observed.iter().filter(|one| scored(one).is_some()).collect();
    if judged.is_empty() {
        return Err(CannotCalibrate("the critic judged no case; give cases that it applies to".to_owned()));
    }
    if judged.iter().any(|one| one.score.is_none()) {
        return Err(CannotCalibrate("the critic gives no scores, so it has no threshold".to_owned()));
    }
    let cases: Vec<Scored> = judged.into_iter().filter_map(scored).collect();
    match (cases.iter().any(|case| case.bad), cases.iter().all(|case| case.bad)) {
        (true, false) => Ok(cases),
        (false, _) => Err(CannotCalibrate("no judged case is bad; add some".to_owned())),
        (true, true) => Err(CannotCalibrate("no judged case is good; add some".to_owned())),
    }
}

/// One case of each source text, drawn: those of one text are not independent.
fn one_of_each(cases: &[Scored], seed: u64) -> Vec<Scored> {
    let groups: Vec<u32> = cases.iter().map(|case| case.group).collect();
    let mut draws = Draws::new(seed);
    let clusters = weir_stats::bootstrap::clusters(&groups);
    clusters.iter().map(|cluster| cases[cluster[draws.below(cluster.len())]]).collect()
}

/// The table of thresholds, each chosen on the other parts; a part without a choice passes.
fn crossed(cases: &[Scored], goal: Goal, seed: u64) -> Confusion {
    let groups: Vec<u32> = cases.iter().map(|case| case.group).collect();
    let mut clusters = weir_stats::bootstrap::clusters(&groups);
    Draws::new(seed).shuffle(&mut clusters);
    let mut table = Confusion::default();
    for fold in 0..FOLDS {
        let part = |is_held: bool| {
            let chosen = clusters.iter().enumerate().filter(move |(at, _)| (at % FOLDS == fold) == is_held);
            chosen.flat_map(|(_, cluster)| cluster.iter().map(|index| cases[*index])).collect::<Vec<_>>()
        };
        let threshold = goal.choose(&part(false)).map_or(f64::INFINITY, |chosen| chosen.threshold);
        part(true).iter().for_each(|case| table.add(case.score >= threshold, case.bad, case.weight));
    }
    table
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;
