//! Two critics on the same cases, in pairs.
//!
//! Only cases that both judged are compared; a pair tells more than two figures apart, as
//! what is hard for one is hard for the other.

use serde::Serialize;
use weir_stats::bootstrap::{Bootstrap, clusters};
use weir_stats::confusion::Confusion;
use weir_stats::paired::{clustered, mcnemar_mid_p};
use weir_stats::ranking::{Scored, auroc_difference};

use super::figures::Figure;
use super::measure::scored;
use super::observe::Observed;
use crate::Outcome;

/// What the new critic is against the old. Differences are new less old.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Cases that both judged.
    pub pairs: usize,
    /// Cases that only one of the two judged.
    pub judged_by_one: usize,
    /// Verdicts right with the old one only.
    pub only_old_right: u64,
    /// Verdicts right with the new one only.
    pub only_new_right: u64,
    /// Chance of verdicts as unequal where both are right equally often: McNemar's test by
    /// its mid-p value, or Durkalski's where cases share source texts.
    pub verdicts_p: f64,
    /// Difference of the areas under the ROC curve.
    pub auroc: Option<Figure>,
    /// Two-sided chance of one as large where there is none.
    pub auroc_p: Option<f64>,
    /// Difference of F1.
    pub f1: Option<Figure>,
    /// What that comes to.
    pub conclusion: Conclusion,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// The new one is better by a difference that chance does not explain, and worse by none.
    Better,
    /// The new one is worse by a difference that chance does not explain.
    Worse,
    /// Chance explains every difference.
    Undecided,
}

impl Conclusion {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Undecided => "undecided",
        }
    }
}

/// Compares what two critics said of the same cases, in the same order.
///
/// Differences of F1 have the percentile interval of a paired bootstrap over source texts, of
/// AUROC that of DeLong's method for groups ([`auroc_difference`]).
pub fn compare(old: &[Observed], new: &[Observed], seed: u64) -> Comparison {
    let both: Vec<(&Observed, &Observed)> = old.iter().zip(new).collect();
    let judged: Vec<(&Observed, &Observed)> =
        both.iter().copied().filter(|(old, new)| scored(old).is_some() && scored(new).is_some()).collect();
    let one = both.iter().filter(|(old, new)| scored(old).is_some() != scored(new).is_some()).count();
    let is_right = |one: &Observed| (one.outcome == Outcome::Fail) == one.bad;
    let only = |side: bool| {
        let mine = |(old, new): &&(&Observed, &Observed)| is_right(old) != is_right(new) && is_right(new) == side;
        judged.iter().filter(mine).count() as u64
    };
    let (only_old_right, only_new_right) = (only(false), only(true));
    let has_scores = judged.iter().all(|(old, new)| old.score.is_some() && new.score.is_some());
    let side = |pick: fn(&(&Observed, &Observed)) -> Option<Scored>| judged.iter().filter_map(pick).collect::<Vec<_>>();
    let areas = auroc_difference(&side(|pair| scored(pair.0)), &side(|pair| scored(pair.1))).filter(|_| has_scores);
    let groups: Vec<u32> = judged.iter().map(|(old, _)| old.group).collect();
    let f1 = |indices: &mut dyn Iterator<Item = usize>| {
        let mut tables = [Confusion::default(); 2];
        for (old, new) in indices.map(|index| judged[index]) {
            tables[0].add(old.outcome == Outcome::Fail, old.bad, old.weight);
            tables[1].add(new.outcome == Outcome::Fail, new.bad, new.weight);
        }
        Some(tables[1].f1()? - tables[0].f1()?)
    };
    let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
    let ends = bootstrap.interval(&groups, |indices| f1(&mut indices.iter().copied()));
    let mut found = Comparison {
        pairs: judged.len(),
        judged_by_one: one,
        only_old_right,
        only_new_right,
        verdicts_p: verdicts_p(&judged, is_right),
        auroc: areas.map(|(difference, _)| Figure::of(difference)),
        auroc_p: areas.map(|(_, chance)| chance),
        f1: f1(&mut (0..judged.len())).map(|value| Figure::new(value, ends)),
        conclusion: Conclusion::Undecided,
    };
    found.conclusion = conclusion(&found);
    found
}

fn verdicts_p(judged: &[(&Observed, &Observed)], is_right: impl Fn(&Observed) -> bool) -> f64 {
    let difference =
        |(old, new): &(&Observed, &Observed)| f64::from(u8::from(is_right(new))) - f64::from(u8::from(is_right(old)));
    let groups: Vec<u32> = judged.iter().map(|(old, _)| old.group).collect();
    let clusters = clusters(&groups);
    let count = |wanted: f64| judged.iter().filter(|pair| difference(pair) == wanted).count() as u64;
    if clusters.len() == judged.len() {
        return mcnemar_mid_p(count(-1.0), count(1.0));
    }
    let sums: Vec<f64> =
        clusters.iter().map(|cluster| cluster.iter().map(|index| difference(&judged[*index])).sum()).collect();
    clustered(&sums)
}

/// Two tests decide, of the verdicts and of the areas, each at half of 5 %: a difference that
/// is none is shown in one of twenty comparisons at most. F1 is for people.
fn conclusion(found: &Comparison) -> Conclusion {
    const LEVEL: f64 = 0.025;
    let verdicts = found.only_new_right as f64 - found.only_old_right as f64;
    let area = found.auroc.map_or(0.0, |figure| figure.value);
    let tests = [(found.verdicts_p, verdicts), (found.auroc_p.unwrap_or(1.0), area)];
    let shown = |sign: f64| tests.iter().any(|(p, difference)| *p < LEVEL && difference * sign > 0.0);
    match (shown(-1.0), shown(1.0)) {
        (true, _) => Conclusion::Worse,
        (false, true) => Conclusion::Better,
        (false, false) => Conclusion::Undecided,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
