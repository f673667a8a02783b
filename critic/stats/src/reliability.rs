//! Whether a score of .3 is bad in three of ten.

use crate::ranking::Scored;

/// Cases of about the same score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Lowest score.
    pub low: f64,
    /// Highest score.
    pub high: f64,
    /// Mean score.
    pub score: f64,
    /// Share of bad.
    pub bad: f64,
    /// Weight of the cases.
    pub weight: f64,
}

/// At most `count` bins of about equal weight, by score; cases of one score stay together.
///
/// Source: equal-mass bins as in M. P. Naeini, G. Cooper and M. Hauskrecht, "Obtaining well
/// calibrated probabilities using Bayesian binning", AAAI 2015; J. Nixon et al., "Measuring
/// calibration in deep learning" (2019) say why equal width misleads.
pub fn bins(cases: &[Scored], count: usize) -> Vec<Bin> {
    let mut sorted: Vec<&Scored> = cases.iter().collect();
    sorted.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    let all: f64 = cases.iter().map(|case| case.weight).sum();
    let (mut found, mut open, mut before): (Vec<Bin>, Option<Bin>, f64) = (Vec::new(), None, 0.0);
    for tie in sorted.chunk_by(|a, b| a.score == b.score) {
        let weight: f64 = tie.iter().map(|case| case.weight).sum();
        let bad: f64 = tie.iter().filter(|case| case.bad).map(|case| case.weight).sum();
        let score = tie[0].score;
        let bin = open.get_or_insert(Bin { low: score, high: score, score: 0.0, bad: 0.0, weight: 0.0 });
        bin.high = score;
        bin.score += weight * score;
        bin.bad += bad;
        bin.weight += weight;
        before += weight;
        // A bin closes where the next would be nearer to its end than this one.
        let due = all * (found.len() + 1) as f64 / count.max(1) as f64;
        if before >= due * (1.0 - 1e-12) {
            found.extend(open.take());
        }
    }
    found.extend(open);
    found.into_iter().filter(|bin| bin.weight > 0.0).map(mean).collect()
}

fn mean(sums: Bin) -> Bin {
    Bin { score: sums.score / sums.weight, bad: sums.bad / sums.weight, ..sums }
}

/// Expected calibration error: mean distance of score and share of bad over [`bins`], each by
/// its weight; none without cases. It is above 0 even for a perfect critic, by about the noise
/// of the share in a bin.
///
/// Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017, with equal-mass bins.
pub fn expected_calibration_error(cases: &[Scored], count: usize) -> Option<f64> {
    let bins = bins(cases, count);
    let all: f64 = bins.iter().map(|bin| bin.weight).sum();
    (all > 0.0).then(|| bins.iter().map(|bin| bin.weight * (bin.score - bin.bad).abs()).sum::<f64>() / all)
}

/// Brier score: mean squared distance of score and truth; none without cases.
///
/// Source: G. W. Brier, "Verification of forecasts expressed in terms of probability" (1950).
pub fn brier(cases: &[Scored]) -> Option<f64> {
    let all: f64 = cases.iter().map(|case| case.weight).sum();
    let error = |case: &Scored| case.weight * (case.score - f64::from(u8::from(case.bad))).powi(2);
    (all > 0.0).then(|| cases.iter().map(error).sum::<f64>() / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draws;

    fn case(score: f64, bad: bool) -> Scored {
        Scored { score, bad, weight: 1.0, group: 0 }
    }

    #[test]
    fn the_error_of_a_small_table_is_what_paper_and_pencil_give() {
        let cases = [case(0.1, false), case(0.2, true), case(0.8, true), case(0.9, true)];
        // Bins {.1, .2}: score .15, bad .5; {.8, .9}: score .85, bad 1.
        assert!((expected_calibration_error(&cases, 2).unwrap() - (0.35 + 0.15) / 2.0).abs() < 1e-12);
        assert!((brier(&cases).unwrap() - (0.01 + 0.64 + 0.04 + 0.01) / 4.0).abs() < 1e-12);
        assert_eq!((expected_calibration_error(&[], 10), brier(&[])), (None, None));
    }

    #[test]
    fn bins_have_equal_mass_and_never_part_a_score() {
        let cases: Vec<Scored> = (0..100).map(|i| case(f64::from(i) / 100.0, false)).collect();
        let weights: Vec<f64> = bins(&cases, 10).iter().map(|bin| bin.weight).collect();
        assert_eq!(weights, [10.0; 10]);
        let tied: Vec<Scored> = (0..100).map(|i| case(if i < 95 { 0.5 } else { 0.9 }, i % 2 == 0)).collect();
        let found = bins(&tied, 10);
        assert_eq!(found.iter().map(|bin| bin.weight).collect::<Vec<_>>(), [95.0, 5.0]);
    }

    #[test]
    fn an_honest_score_has_little_error_and_a_boastful_one_much() {
        let mut draws = Draws::new(2);
        let (mut honest, mut boastful) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let chance = draws.unit();
            let bad = draws.unit() < chance;
            honest.push(case(chance, bad));
            boastful.push(case(f64::from(u8::from(chance > 0.5)), bad));
        }
        assert!(expected_calibration_error(&honest, 15).unwrap() < 0.015);
        assert!((expected_calibration_error(&boastful, 15).unwrap() - 0.25).abs() < 0.02);
    }
}
