//! Where to draw the line: by cost, by F1, or certified.
//!
//! A case fails from a threshold on: `score >= threshold`. Thresholds stand halfway between
//! two scores that were seen, so that rounding does not decide.

use crate::beta::binomial_at_most;
use crate::confusion::Confusion;
use crate::interval::exact_upper_limit;
use crate::ranking::{Scored, tables};

/// A threshold with what it does to the cases that it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Bad from this score on; within [0, 1].
    pub threshold: f64,
    /// The table at it. It flatters: the threshold was chosen on these cases.
    pub table: Confusion,
}

/// What is promised of what passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// Largest share of bad among what passes.
    pub alpha: f64,
    /// Largest chance that the promise is broken.
    pub delta: f64,
}

/// What could be promised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Certificate {
    /// A threshold that keeps the promise.
    Certified {
        /// Bad from this score on.
        threshold: f64,
        /// Cases that pass.
        passing: u64,
        /// Bad ones among them.
        bad: u64,
        /// Exact upper limit of the share of bad among what passes, at the confidence of the promise.
        limit: f64,
    },
    /// No threshold can be shown to keep the promise on these cases.
    Unreachable,
}

/// The threshold with the least mean cost of a false alarm and a miss; none without cases.
/// Of equals the one that leaves more alone.
///
/// Source: C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001 (empirically,
/// as the scores need not be calibrated).
pub fn by_cost(cases: &[Scored], false_alarm: f64, miss: f64) -> Option<Chosen> {
    best(cases, |table| -(false_alarm * table.false_positive + miss * table.false_negative))
}

/// The threshold with the best F1; none where nothing is bad.
///
/// Source: Z. Lipton, C. Elkan and B. Naryanaswamy, "Optimal thresholding of classifiers to
/// maximize F1 measure", ECML 2014.
pub fn by_f1(cases: &[Scored]) -> Option<Chosen> {
    cases.iter().any(|case| case.bad).then_some(())?;
    best(cases, |table| table.f1().unwrap_or(0.0))
}

fn best(cases: &[Scored], worth: impl Fn(&Confusion) -> f64) -> Option<Chosen> {
    if cases.is_empty() {
        return None;
    }
    let tables = tables(cases);
    let mut best = (0, f64::NEG_INFINITY);
    for (at, (_, table)) in tables.iter().enumerate() {
        let reached = worth(table);
        if reached > best.1 + 1e-12 * reached.abs().max(1.0) {
            best = (at, reached);
        }
    }
    let at = best.0;
    let score = |at: usize| tables.get(at).map(|(score, _)| *score);
    let threshold = match (score(at), score(at + 1)) {
        // Nothing fails: above every score, or at 1 where a score is 1 already.
        (Some(f64::INFINITY), Some(highest)) => (highest + (1.0 - highest) / 2.0).max(highest.next_up()).min(1.0),
        (Some(own), Some(below)) => own + (below - own) / 2.0,
        (Some(own), None) => own,
        (None, _) => 1.0,
    };
    Some(Chosen { threshold, table: tables[at].1 })
}

/// The highest threshold under which at most `alpha` of what passes is bad, with a chance of
/// at most `delta` to be wrong.
///
/// Cases must be independent and as frequent as in traffic: one per source text, unweighted.
/// The order of tests is fixed before any label is seen: thresholds `1/steps, 2/steps ...`
/// upwards, those that pass least first, each by the exact binomial test (a Clopper-Pearson
/// limit) until one fails. It begins where a fifth of the cases passes, and twice as many as a
/// clean sample would need: with fewer, one unlucky case would end it.
///
/// Sources: A. Angelopoulos et al., "Learn then test" (arXiv 2110.01052), fixed sequence
/// testing; J. Jung et al., "Trust or escalate" (arXiv 2407.18370), theorem 1.
pub fn certified(cases: &[Scored], promise: Promise, steps: u32) -> Certificate {
    let mut scores: Vec<(f64, bool)> = cases.iter().map(|case| (case.score, case.bad)).collect();
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut bad_before = vec![0_u64];
    for (_, bad) in &scores {
        bad_before.push(bad_before.last().copied().unwrap_or_default() + u64::from(*bad));
    }
    let clean = (promise.delta.ln() / (-promise.alpha).ln_1p()).ceil().max(1.0) as u64;
    let least = (2 * clean).max(scores.len() as u64 / 5);
    let mut found = Certificate::Unreachable;
    for step in 1..=steps {
        let threshold = f64::from(step) / f64::from(steps);
        let below = scores.partition_point(|(score, _)| *score < threshold);
        let (passing, bad) = (below as u64, bad_before[below]);
        if passing < least {
            continue;
        }
        if binomial_at_most(bad, passing, promise.alpha) > promise.delta {
            break;
        }
        let limit = exact_upper_limit(bad, passing, promise.delta);
        found = Certificate::Certified { threshold, passing, bad, limit };
    }
    found
}

/// The share that must go to people, however good the critic, where a share of `risk` of all
/// answers is bad and at most `alpha` of what passes may be: `(risk - alpha) / (1 - alpha)`; 0
/// where the risk is lower than that.
pub fn least_escalated(risk: f64, alpha: f64) -> f64 {
    if alpha >= 1.0 { 0.0 } else { ((risk - alpha) / (1.0 - alpha)).max(0.0) }
}

#[cfg(test)]
#[path = "threshold_tests.rs"]
mod tests;
