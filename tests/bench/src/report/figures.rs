//! Medians, ratios and differences of samples, round by round.

use crate::plan::{Sample, Samples, Unit};
use crate::target::{DIRECT, NGINX, WEIR};

/// Samples, looked at.
pub(super) struct Figures<'a>(pub(super) &'a Samples);

impl Figures<'_> {
    fn of(&self, measure: &'static str, target: &'static str) -> &[Sample] {
        self.0.get(&(measure, target)).map_or(&[], Vec::as_slice)
    }

    /// A figure, median over the rounds.
    pub(super) fn median(&self, measure: &'static str, target: &'static str, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.of(measure, target).iter().map(figure).collect())
    }

    /// A figure, summed over the rounds.
    pub(super) fn sum(&self, measure: &'static str, target: &'static str, figure: impl Fn(&Sample) -> f64) -> f64 {
        self.of(measure, target).iter().map(figure).sum()
    }

    /// A figure's ratio to another target's in the same round, for each round.
    pub(super) fn ratios(
        &self,
        measure: &'static str,
        target: &'static str,
        base: &'static str,
        figure: impl Fn(&Sample) -> f64,
    ) -> Vec<f64> {
        let pairs = self.of(measure, target).iter().zip(self.of(measure, base));
        pairs.map(|(sample, base)| figure(sample) / figure(base).max(f64::MIN_POSITIVE)).collect()
    }

    /// Ratio of what Weir's request path alone uses to what nginx uses, for each round.
    pub(super) fn path_ratios(&self, measure: &'static str, unit: Unit) -> Vec<f64> {
        let pairs = self.of(measure, WEIR).iter().zip(self.of(measure, NGINX));
        pairs.map(|(weir, nginx)| weir.path_cost_us(unit) / nginx.cost_us(unit).max(f64::MIN_POSITIVE)).collect()
    }

    /// What a target adds to a figure of direct's in the same round, for each round.
    pub(super) fn differences(
        &self,
        measure: &'static str,
        target: &'static str,
        figure: impl Fn(&Sample) -> f64,
    ) -> Vec<f64> {
        let pairs = self.of(measure, target).iter().zip(self.of(measure, DIRECT));
        pairs.map(|(sample, direct)| figure(sample) - figure(direct)).collect()
    }
}

/// The middle of some values; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

/// The lowest and the highest of some values.
pub(super) fn spread(values: &[f64]) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{lowest:.2} – {highest:.2}")
}

/// Bytes as MiB.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
