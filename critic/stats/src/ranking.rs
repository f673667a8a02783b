//! How well scores put the bad before the good, whatever the threshold.
//!
//! A case is bad or good and has a score, higher meaning worse; weights let cases stand for
//! more than themselves, and groups say which cases are not independent.

use crate::bootstrap::clusters;
use crate::confusion::Confusion;
use crate::interval::{Interval, Z_95};
use crate::normal;

/// One judged case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Finite; higher is worse.
    pub score: f64,
    /// The truth.
    pub bad: bool,
    /// What the case stands for; positive.
    pub weight: f64,
    /// Cases with the same number belong together, as answers to one source text do.
    pub group: u32,
}

/// An estimate with its standard error and interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The interval.
    pub interval: Interval,
}

/// The table of every threshold "bad from this score on", strictest first: one per distinct
/// score, after one that nothing reaches.
pub fn tables(cases: &[Scored]) -> Vec<(f64, Confusion)> {
    let mut sorted: Vec<&Scored> = cases.iter().collect();
    sorted.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    let mut table = Confusion::default();
    sorted.iter().for_each(|case| table.add(false, case.bad, case.weight));
    let mut found = vec![(f64::INFINITY, table)];
    for (at, case) in sorted.iter().enumerate() {
        if case.bad {
            table.true_positive += case.weight;
            table.false_negative = (table.false_negative - case.weight).max(0.0);
        } else {
            table.false_positive += case.weight;
            table.true_negative = (table.true_negative - case.weight).max(0.0);
        }
        if sorted.get(at + 1).is_none_or(|next| next.score < case.score) {
            found.push((case.score, table));
        }
    }
    found
}

/// Area under the ROC curve: the chance that a bad case scores above a good one, ties counting
/// half; none where one class is missing.
pub fn auroc(cases: &[Scored]) -> Option<f64> {
    let (mut area, mut last): (f64, Option<Confusion>) = (0.0, None);
    for (_, table) in tables(cases) {
        if let Some(before) = last {
            let width = table.false_positive - before.false_positive;
            area += width * (table.true_positive + before.true_positive) / 2.0;
        }
        last = Some(table);
    }
    let last = last?;
    let all = last.true_positive * last.false_positive;
    (all > 0.0).then(|| area / all)
}

/// [`auroc`] with its error, groups taken as drawn whole.
///
/// With every case a group of its own and equal weights this is DeLong's interval. Where the
/// classes do not overlap at all it would have no width: then it is Newcombe's.
///
/// Sources: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988); for
/// groups N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53
/// (1997), section 2, weights entering as in Taylor linearisation; R. G. Newcombe, "Confidence
/// intervals for an effect size measure based on the Mann-Whitney statistic. Part 2",
/// Statistics in Medicine 25 (2006), method 5.
pub fn auroc_estimate(cases: &[Scored]) -> Option<Estimate> {
    let value = auroc(cases)?;
    let standard_error = clustered_variance(&influences(cases)?, cases).sqrt();
    let interval =
        if standard_error > 0.0 { around(value, standard_error, (0.0, 1.0)) } else { newcombe(value, cases) };
    Some(Estimate { value, standard_error, interval })
}

/// The difference of the areas of two scores of the same cases, the second less the first,
/// and the two-sided chance of one as large where there is none.
///
/// Sources: as [`auroc_estimate`], on differences of the placements. None where a class is
/// missing or the cases are not the same.
pub fn auroc_difference(old: &[Scored], new: &[Scored]) -> Option<(Estimate, f64)> {
    if old.len() != new.len() || old.iter().zip(new).any(|(a, b)| a.bad != b.bad || a.group != b.group) {
        return None;
    }
    let value = auroc(new)? - auroc(old)?;
    let differences: Vec<f64> = influences(new)?.iter().zip(influences(old)?).map(|(new, old)| new - old).collect();
    let standard_error = clustered_variance(&differences, new).sqrt();
    let chance = if standard_error > 0.0 { normal::two_sided(value / standard_error) } else { 1.0 };
    let interval = around(value, standard_error, (-1.0, 1.0));
    Some((Estimate { value, standard_error, interval }, chance))
}

fn around(value: f64, standard_error: f64, bounds: (f64, f64)) -> Interval {
    let half = Z_95 * standard_error;
    Interval { low: (value - half).max(bounds.0), high: (value + half).min(bounds.1) }
}

/// How far each case moves the area: its placement among the other class less the area, times
/// its share of its own class.
fn influences(cases: &[Scored]) -> Option<Vec<f64>> {
    let area = auroc(cases)?;
    let weight_of = |bad: bool| cases.iter().filter(|case| case.bad == bad).map(|case| case.weight).sum::<f64>();
    let (bad, good) = (weight_of(true), weight_of(false));
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_unstable_by(|a, b| cases[*a].score.total_cmp(&cases[*b].score));
    let mut found = vec![0.0; cases.len()];
    // Weight of each class at lower scores, and at the same score.
    let (mut bad_below, mut good_below) = (0.0, 0.0);
    for tie in order.chunk_by(|a, b| cases[*a].score == cases[*b].score) {
        let tied = |bad: bool| tie.iter().filter(|i| cases[**i].bad == bad).map(|i| cases[*i].weight).sum::<f64>();
        let (bad_tied, good_tied) = (tied(true), tied(false));
        for index in tie {
            let case = &cases[*index];
            let (placement, own) = match case.bad {
                true => ((good_below + good_tied / 2.0) / good, bad),
                false => ((bad - bad_below - bad_tied / 2.0) / bad, good),
            };
            found[*index] = case.weight / own * (placement - area);
        }
        bad_below += bad_tied;
        good_below += good_tied;
    }
    Some(found)
}

fn clustered_variance(influences: &[f64], cases: &[Scored]) -> f64 {
    let groups: Vec<u32> = cases.iter().map(|case| case.group).collect();
    let clusters = clusters(&groups);
    let (mut squares, mut counts, mut cross) = ([0.0; 2], [0.0_f64; 2], 0.0);
    for cluster in &clusters {
        let mut sums = [0.0; 2];
        let mut present = [false; 2];
        for index in cluster {
            let class = usize::from(cases[*index].bad);
            sums[class] += influences[*index];
            present[class] = true;
        }
        for class in 0..2 {
            squares[class] += sums[class] * sums[class];
            counts[class] += f64::from(u8::from(present[class]));
        }
        cross += sums[0] * sums[1];
    }
    let corrected = |sum: f64, n: f64| if n > 1.0 { sum * n / (n - 1.0) } else { sum };
    let own: f64 = (0..2).map(|class| corrected(squares[class], counts[class])).sum();
    (own + 2.0 * corrected(cross, clusters.len() as f64)).max(0.0)
}

/// Newcombe's method 5: the areas that lie within z of their own standard error.
fn newcombe(value: f64, cases: &[Scored]) -> Interval {
    let bad = cases.iter().filter(|case| case.bad).count() as f64;
    let good = cases.len() as f64 - bad;
    let mean = (bad + good) / 2.0;
    let is_near = |area: f64| {
        let spread = 1.0 + (mean - 1.0) * ((1.0 - area) / (2.0 - area) + area / (1.0 + area));
        (value - area).abs() <= Z_95 * (area * (1.0 - area) * spread / (bad * good)).sqrt()
    };
    let end = |outside: f64| {
        let (mut far, mut near) = (outside, value);
        for _ in 0..60 {
            let middle = 0.5 * (far + near);
            if is_near(middle) { near = middle } else { far = middle }
        }
        near
    };
    Interval { low: if value > 0.0 { end(0.0) } else { 0.0 }, high: if value < 1.0 { end(1.0) } else { 1.0 } }
}

/// Average precision: precision at each threshold, weighted by the recall it adds; none
/// where nothing is bad.
///
/// Source: the step-wise sum of C. D. Manning, P. Raghavan and H. Schütze, "Introduction to
/// Information Retrieval" (2008), section 8.4, without interpolation (J. Davis and M. Goadrich,
/// ICML 2006, say why not).
pub fn average_precision(cases: &[Scored]) -> Option<f64> {
    let (mut sum, mut recall) = (0.0, 0.0);
    for (_, table) in tables(cases) {
        let reached = table.recall()?;
        sum += (reached - recall) * table.precision().unwrap_or(0.0);
        recall = reached;
    }
    Some(sum)
}

/// Weights that give the bad a share of `prior` without changing what scores say of each
/// class: for a test set that holds more bad than traffic does. None where a class is missing.
///
/// Source: C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
pub fn at_prior(cases: &[Scored], prior: f64) -> Option<Vec<Scored>> {
    let all: f64 = cases.iter().map(|case| case.weight).sum();
    let bad: f64 = cases.iter().filter(|case| case.bad).map(|case| case.weight).sum();
    if bad <= 0.0 || bad >= all {
        return None;
    }
    let factor = |is_bad: bool| if is_bad { prior * all / bad } else { (1.0 - prior) * all / (all - bad) };
    Some(cases.iter().map(|case| Scored { weight: case.weight * factor(case.bad), ..*case }).collect())
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
mod tests;
