//! Figures of a critic that gives probabilities.

/// A score beside the truth.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Probability that it is bad.
    pub score: f64,
    /// Whether it is.
    pub bad: bool,
}

/// Weights of good and bad that make bad a share of `prevalence`.
fn weights(pairs: &[Pair], prevalence: Option<f64>) -> (f64, f64) {
    let bad = pairs.iter().filter(|pair| pair.bad).count() as f64;
    let good = pairs.len() as f64 - bad;
    match prevalence {
        Some(share) if bad > 0.0 && good > 0.0 => ((1.0 - share) / good, share / bad),
        _ => (1.0, 1.0),
    }
}

/// Chance that a bad one scores above a good one, ties half (Mann–Whitney); .5 where there
/// are none of a kind.
pub fn auroc(pairs: &[Pair]) -> f64 {
    let mut sorted: Vec<&Pair> = pairs.iter().collect();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let (mut below, mut wins, mut at) = (0.0, 0.0, 0);
    while at < sorted.len() {
        let same = sorted[at..].iter().take_while(|pair| pair.score == sorted[at].score).count();
        let bad = sorted[at..at + same].iter().filter(|pair| pair.bad).count() as f64;
        let good = same as f64 - bad;
        wins += bad * (below + good / 2.0);
        below += good;
        at += same;
    }
    let bad = pairs.len() as f64 - below;
    if bad == 0.0 || below == 0.0 { 0.5 } else { wins / (bad * below) }
}

/// F1 of what scores at least `threshold`, as if `prevalence` of all were bad.
pub fn f1(pairs: &[Pair], threshold: f64, prevalence: Option<f64>) -> f64 {
    let (good, bad) = weights(pairs, prevalence);
    let (mut found, mut false_alarms, mut missed) = (0.0, 0.0, 0.0);
    for pair in pairs {
        match (pair.score >= threshold, pair.bad) {
            (true, true) => found += bad,
            (true, false) => false_alarms += good,
            (false, true) => missed += bad,
            (false, false) => {}
        }
    }
    if found == 0.0 { 0.0 } else { 2.0 * found / (2.0 * found + false_alarms + missed) }
}

/// Expected calibration error over ten bins of equal width (Guo et al., arXiv 1706.04599).
pub fn calibration_error(pairs: &[Pair], prevalence: Option<f64>) -> f64 {
    let (good, bad) = weights(pairs, prevalence);
    let mut bins = [(0.0, 0.0, 0.0); 10];
    for pair in pairs {
        let weight = if pair.bad { bad } else { good };
        let bin = &mut bins[((pair.score * 10.0) as usize).min(9)];
        bin.0 += weight;
        bin.1 += weight * pair.score;
        bin.2 += if pair.bad { weight } else { 0.0 };
    }
    let all: f64 = bins.iter().map(|bin| bin.0).sum();
    bins.iter().map(|bin| (bin.1 - bin.2).abs()).sum::<f64>() / all.max(f64::MIN_POSITIVE)
}

/// The threshold of highest F1 as if `prevalence` of all were bad: the middle of all
/// thresholds within .005 of the best, since the peak itself is chance.
pub fn threshold(pairs: &[Pair], prevalence: Option<f64>) -> f64 {
    let steps: Vec<f64> = (1..200).map(|step| f64::from(step) / 200.0).collect();
    let values: Vec<f64> = steps.iter().map(|&at| f1(pairs, at, prevalence)).collect();
    let best = values.iter().copied().fold(0.0, f64::max);
    let near: Vec<f64> = steps.iter().zip(&values).filter(|(_, f1)| **f1 >= best - 0.005).map(|(at, _)| *at).collect();
    near.iter().sum::<f64>() / near.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(scores: &[(f64, bool)]) -> Vec<Pair> {
        scores.iter().map(|&(score, bad)| Pair { score, bad }).collect()
    }

    #[test]
    fn figures_are_those_of_pencil_and_paper() {
        let four = pairs(&[(0.1, false), (0.4, true), (0.4, false), (0.9, true)]);
        assert!((auroc(&four) - 3.5 / 4.0).abs() < 1e-12);
        assert!((f1(&four, 0.4, None) - 0.8).abs() < 1e-12);
        // With one bad in four: found .25, false alarms .375, missed none.
        assert!((f1(&four, 0.4, Some(0.25)) - 0.5 / 0.875).abs() < 1e-12);
        assert!((calibration_error(&four, None) - (0.1 + 0.2 + 0.1) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn where_nothing_can_be_told_the_figure_says_so() {
        assert_eq!(auroc(&pairs(&[(0.3, true)])), 0.5);
        assert_eq!(f1(&[], 0.5, None), 0.0);
    }
}
