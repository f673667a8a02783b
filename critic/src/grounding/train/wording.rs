//! Weights of words and pairs: logistic regression with L2, by stochastic gradient steps
//! whose size falls with what a weight has moved already.
//! Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.

use super::super::trees::probability;
use super::super::wording::{BUCKETS, Wording};
use super::boost::Random;

/// Rows to learn from.
pub(super) struct Rows<'a> {
    /// Buckets of each row.
    pub(super) features: &'a [Vec<u32>],
    /// 1 for what is to be found, 0 for what is not.
    pub(super) labels: &'a [f32],
    /// Weight of each row; rows of weight 0 are not seen.
    pub(super) weights: &'a [f32],
    /// Seed of their order.
    pub(super) seed: u64,
}

const PASSES: usize = 15;

const RATE: f32 = 0.1;

/// L2 penalty of each weight, beside the sum of the losses of all rows.
const RIDGE: f32 = 20.0;

/// Learns.
pub(super) fn learn(rows: &Rows) -> Wording {
    let mut order: Vec<usize> = (0..rows.labels.len()).filter(|row| rows.weights[*row] > 0.0).collect();
    let mut having = vec![0f32; BUCKETS];
    order.iter().flat_map(|row| &rows.features[*row]).for_each(|at| having[*at as usize] += 1.0);
    let (mut weights, mut moved) = (vec![0f32; BUCKETS], vec![1e-4f32; BUCKETS]);
    let (mut offset, mut offset_moved) = (0f32, 1e-4f32);
    let mut random = Random::new(rows.seed);
    for _ in 0..PASSES {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &row in &order {
            let features = &rows.features[row];
            let margin = offset + features.iter().map(|at| weights[*at as usize]).sum::<f32>();
            let error = rows.weights[row] * (probability(margin) - rows.labels[row]);
            offset_moved += error * error;
            offset -= RATE * error / offset_moved.sqrt();
            for at in features.iter().map(|at| *at as usize) {
                // A weight's penalty is paid in parts, by the rows that have it.
                let slope = error + RIDGE * weights[at] / having[at];
                moved[at] += slope * slope;
                weights[at] -= RATE * slope / moved[at].sqrt();
            }
        }
    }
    let step = weights.iter().fold(f32::MIN_POSITIVE, |most, weight| most.max(weight.abs() / 127.0));
    Wording { offset, step, weights: weights.iter().map(|weight| (weight / step).round() as i8).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_only_the_bad_have_makes_worse_and_one_that_all_have_does_not() {
        let features: Vec<Vec<u32>> = (0..200).map(|row| if row % 2 == 0 { vec![5, 9] } else { vec![5] }).collect();
        let labels: Vec<f32> = (0..200).map(|row| if row % 2 == 0 { 1.0 } else { 0.0 }).collect();
        let rows = Rows { features: &features, labels: &labels, weights: &[1.0; 200], seed: 3 };
        let learned = learn(&rows);
        assert!(learned.margin(&[5, 9]) > 0.5 && learned.margin(&[5]) < -0.2);
        assert_eq!(learned, learn(&rows));
    }
}
