//! Intervals of any statistic by drawing again from what was seen.

use std::collections::BTreeMap;

use crate::interval::Interval;
use crate::random::Draws;

/// How often and with which seed to draw, and how sure to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples; 1,000 give the ends of a 95 % interval to about a twentieth of its width.
    pub runs: u32,
    /// What makes the same intervals again.
    pub seed: u64,
    /// Confidence, as in .95.
    pub confidence: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { runs: 1000, seed: 1, confidence: 0.95 }
    }
}

impl Bootstrap {
    /// The percentile interval of a statistic of indices `0..groups.len()`.
    ///
    /// Whole groups are drawn, as answers to one source text are not independent; cases that
    /// belong together have the same number. A resample without a value, say one without any
    /// bad answer, is left out; none where more than half had none, or there is one group only.
    ///
    /// Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter
    /// 13; drawing of clusters: A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their
    /// Application" (1997), section 3.8.
    pub fn interval(self, groups: &[u32], statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<Interval> {
        let [interval] = self.intervals(groups, |indices| [statistic(indices)]);
        interval
    }

    /// The same for several statistics of the same resamples.
    pub fn intervals<const N: usize>(
        self,
        groups: &[u32],
        statistics: impl Fn(&[usize]) -> [Option<f64>; N],
    ) -> [Option<Interval>; N] {
        let clusters = clusters(groups);
        if clusters.len() < 2 {
            return [None; N];
        }
        let mut draws = Draws::new(self.seed);
        let mut values: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
        let mut indices = Vec::with_capacity(groups.len());
        for _ in 0..self.runs {
            indices.clear();
            (0..clusters.len()).for_each(|_| indices.extend_from_slice(&clusters[draws.below(clusters.len())]));
            for (values, value) in values.iter_mut().zip(statistics(&indices)) {
                values.extend(value.filter(|value| value.is_finite()));
            }
        }
        values.map(|values| self.percentiles(values))
    }

    fn percentiles(self, mut values: Vec<f64>) -> Option<Interval> {
        if values.is_empty() || (values.len() as f64) < f64::from(self.runs) / 2.0 {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let outside = (1.0 - self.confidence) / 2.0;
        Some(Interval { low: quantile(&values, outside), high: quantile(&values, 1.0 - outside) })
    }
}

/// The quantile of sorted values, between neighbours by a straight line (R. J. Hyndman and
/// Y. Fan, "Sample quantiles in statistical packages", 1996, type 7); 0 of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// The indices of each group, groups in order of their number.
pub fn clusters(groups: &[u32]) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        found.entry(*group).or_default().push(index);
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64], indices: &[usize]) -> Option<f64> {
        Some(indices.iter().map(|index| values[*index]).sum::<f64>() / indices.len() as f64)
    }

    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_theory_says_and_the_seed_decides_it() {
        let mut draws = Draws::new(3);
        let values: Vec<f64> = (0..400).map(|_| draws.unit()).collect();
        let alone: Vec<u32> = (0..400).collect();
        let boot = Bootstrap::default();
        let found = boot.interval(&alone, |indices| mean(&values, indices)).unwrap();
        let width = 2.0 * 1.96 / (12.0 * 400.0_f64).sqrt();
        assert!(((found.high - found.low) / width - 1.0).abs() < 0.12, "{found:?} against {width}");
        assert_eq!(Some(found), boot.interval(&alone, |indices| mean(&values, indices)));
    }

    #[test]
    fn copies_of_a_case_do_not_narrow_the_interval_when_they_are_one_group() {
        let mut draws = Draws::new(5);
        let values: Vec<f64> = (0..100).map(|_| draws.unit()).flat_map(|value| [value; 6]).collect();
        let (alone, sources): (Vec<u32>, Vec<u32>) = (0..600).map(|i| (i, i / 6)).unzip();
        let width = |groups: &[u32]| {
            let found = Bootstrap::default().interval(groups, |indices| mean(&values, indices)).unwrap();
            found.high - found.low
        };
        let ratio = width(&sources) / width(&alone);
        assert!((2.1..2.8).contains(&ratio), "√6 = 2.45 was expected: {ratio}");
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        let boot = Bootstrap::default();
        assert_eq!(boot.interval(&[0, 0, 0], |_| Some(1.0)), None);
        assert_eq!(boot.interval(&[0, 1, 2], |_| None), None);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
    }
}
