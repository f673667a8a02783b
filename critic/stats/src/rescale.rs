//! Scores made into probabilities by labelled cases.

use crate::ranking::Scored;

/// A rising step function from score to probability.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Isotonic {
    /// `(score, probability)`, both rising; between two the line that joins them.
    pub knots: Vec<(f64, f64)>,
}

/// Fits a rising function to the share of bad, by pooling neighbours that fall.
///
/// Source: M. Ayer et al., "An empirical distribution function for sampling with incomplete
/// information", Annals of Mathematical Statistics 26 (1955); for scores B. Zadrozny and C. Elkan, KDD 2002.
pub fn isotonic(cases: &[Scored]) -> Isotonic {
    let mut sorted: Vec<&Scored> = cases.iter().collect();
    sorted.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    // Blocks of (first score, last score, weight of bad, weight).
    let mut blocks: Vec<(f64, f64, f64, f64)> = Vec::new();
    for tie in sorted.chunk_by(|a, b| a.score == b.score) {
        let weight: f64 = tie.iter().map(|case| case.weight).sum();
        let bad: f64 = tie.iter().filter(|case| case.bad).map(|case| case.weight).sum();
        let mut block = (tie[0].score, tie[0].score, bad, weight);
        while let Some(before) = blocks.pop_if(|before| before.2 * block.3 >= block.2 * before.3) {
            block = (before.0, block.1, before.2 + block.2, before.3 + block.3);
        }
        blocks.push(block);
    }
    let mut knots = Vec::with_capacity(2 * blocks.len());
    for (first, last, bad, weight) in blocks.into_iter().filter(|block| block.3 > 0.0) {
        knots.push((first, bad / weight));
        if last > first {
            knots.push((last, bad / weight));
        }
    }
    Isotonic { knots }
}

impl Isotonic {
    /// The probability of a score; beyond the ends that of the end. A fit of nothing knows nothing: ½.
    pub fn probability(&self, score: f64) -> f64 {
        let above = self.knots.partition_point(|knot| knot.0 < score);
        match (above.checked_sub(1).map(|below| self.knots[below]), self.knots.get(above)) {
            (Some(below), Some(above)) => below.1 + (above.1 - below.1) * (score - below.0) / (above.0 - below.0),
            (Some(end), None) => end.1,
            (None, Some(end)) => end.1,
            (None, None) => 0.5,
        }
    }
}

/// `probability = 1 / (1 + e^(slope · score + offset))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platt {
    /// A of the paper: negative where higher scores are worse.
    pub slope: f64,
    /// B of the paper.
    pub offset: f64,
}

/// Fits a sigmoid by Newton's method with backtracking; none where a class is missing.
///
/// Sources: J. Platt, "Probabilistic outputs for support vector machines" (1999), with his
/// targets; H.-T. Lin, C.-J. Lin and R. C. Weng, "A note on Platt's probabilistic outputs",
/// Machine Learning 68 (2007), for the algorithm.
pub fn platt(cases: &[Scored]) -> Option<Platt> {
    let weight_of = |bad: bool| cases.iter().filter(|case| case.bad == bad).map(|case| case.weight).sum::<f64>();
    let (bad, good) = (weight_of(true), weight_of(false));
    if bad <= 0.0 || good <= 0.0 {
        return None;
    }
    let target = |case: &Scored| if case.bad { (bad + 1.0) / (bad + 2.0) } else { 1.0 / (good + 2.0) };
    let loss = |fit: Platt| {
        let one = |case: &Scored| {
            let f = case.score * fit.slope + fit.offset;
            let t = target(case);
            case.weight * if f >= 0.0 { t * f + (-f).exp().ln_1p() } else { (t - 1.0) * f + f.exp().ln_1p() }
        };
        cases.iter().map(one).sum::<f64>()
    };
    let mut fit = Platt { slope: 0.0, offset: ((good + 1.0) / (bad + 1.0)).ln() };
    let mut value = loss(fit);
    for _ in 0..100 {
        let Some((slope, offset, gain)) = newton_step(cases, fit, target) else { break };
        let mut step = 1.0;
        let better = loop {
            let tried = Platt { slope: fit.slope + step * slope, offset: fit.offset + step * offset };
            let reached = loss(tried);
            if reached < value + 1e-4 * step * gain {
                break Some((tried, reached));
            }
            step /= 2.0;
            if step < 1e-10 {
                break None;
            }
        };
        let Some(better) = better else { break };
        (fit, value) = better;
    }
    Some(fit)
}

/// Direction and its slope; none at the optimum.
fn newton_step(cases: &[Scored], fit: Platt, target: impl Fn(&Scored) -> f64) -> Option<(f64, f64, f64)> {
    let (mut h11, mut h22, mut h21, mut g1, mut g2) = (1e-12, 1e-12, 0.0, 0.0, 0.0);
    for case in cases {
        let p = fit.probability(case.score);
        let d2 = case.weight * p * (1.0 - p);
        h11 += case.score * case.score * d2;
        h22 += d2;
        h21 += case.score * d2;
        let d1 = case.weight * (target(case) - p);
        g1 += case.score * d1;
        g2 += d1;
    }
    if g1.abs() < 1e-5 && g2.abs() < 1e-5 {
        return None;
    }
    let determinant = h11 * h22 - h21 * h21;
    let slope = -(h22 * g1 - h21 * g2) / determinant;
    let offset = -(-h21 * g1 + h11 * g2) / determinant;
    Some((slope, offset, g1 * slope + g2 * offset))
}

impl Platt {
    /// The probability of a score.
    pub fn probability(self, score: f64) -> f64 {
        let f = score * self.slope + self.offset;
        if f >= 0.0 { (-f).exp() / (1.0 + (-f).exp()) } else { 1.0 / (1.0 + f.exp()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draws;
    use crate::reliability::expected_calibration_error;

    fn case(score: f64, bad: bool, weight: f64) -> Scored {
        Scored { score, bad, weight, group: 0 }
    }

    /// `sklearn.isotonic.isotonic_regression` 1.9 of y = 0 1 0 1 0 0 1 1 with weights 1 2 1 1 3 1 1 1.
    #[test]
    fn pooling_equals_scikit_learn() {
        let labels = [false, true, false, true, false, false, true, true];
        let weights = [1.0, 2.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0];
        let cases: Vec<Scored> = (0..8).map(|i| case(i as f64, labels[i], weights[i])).collect();
        let fit = isotonic(&cases);
        let expected = [0.0, 0.375, 0.375, 0.375, 0.375, 0.375, 1.0, 1.0];
        for (score, expected) in expected.iter().enumerate() {
            assert!((fit.probability(score as f64) - expected).abs() < 1e-12, "{score}: {fit:?}");
        }
        assert!((fit.probability(5.5) - 0.6875).abs() < 1e-12);
        assert_eq!((fit.probability(-9.0), fit.probability(99.0)), (0.0, 1.0));
        assert_eq!(Isotonic::default().probability(1.0), 0.5);
    }

    /// `sklearn.calibration._sigmoid_calibration` 1.9 on the same cases.
    #[test]
    fn the_sigmoid_equals_scikit_learn() {
        let scores = [-2.0, -1.0, -0.5, 0.0, 0.3, 1.0, 1.5, 2.5];
        let labels = [false, false, true, false, true, false, true, true];
        let cases: Vec<Scored> = scores.iter().zip(labels).map(|(score, bad)| case(*score, bad, 1.0)).collect();
        let fit = platt(&cases).unwrap();
        assert!((fit.slope - SLOPE).abs() < 1e-4 && (fit.offset - OFFSET).abs() < 1e-4, "{fit:?}");
        assert_eq!(platt(&cases[..2]), None);
    }

    const SLOPE: f64 = -0.595_073_388_5;
    const OFFSET: f64 = 0.131_711_761_2;

    #[test]
    fn both_make_a_bent_score_honest_on_new_cases() {
        let mut draws = Draws::new(9);
        let mut drawn = |n: usize| -> Vec<Scored> {
            let one = |_| {
                let logit = 6.0 * draws.unit() - 3.0;
                let bad = draws.unit() < 1.0 / (1.0 + f64::exp(-logit));
                // Twice too sure of itself.
                case(1.0 / (1.0 + f64::exp(-2.0 * logit)), bad, 1.0)
            };
            (0..n).map(one).collect()
        };
        let (train, test) = (drawn(4000), drawn(8000));
        let error_with = |scale: &dyn Fn(f64) -> f64| {
            let scaled: Vec<Scored> = test.iter().map(|case| Scored { score: scale(case.score), ..*case }).collect();
            expected_calibration_error(&scaled, 15).unwrap()
        };
        let (steps, sigmoid) = (isotonic(&train), platt(&train).unwrap());
        let before = error_with(&|score| score);
        let after = [error_with(&|score| steps.probability(score)), error_with(&|score| sigmoid.probability(score))];
        assert!(before > 0.1 && after[0] < 0.03 && after[1] < 0.06, "{before} {after:?}");
    }
}
