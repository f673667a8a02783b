//! What was said against what was true, and every share of it.
//!
//! "Positive" is what is looked for: a bad answer. Counts are weights, so that cases may
//! stand for more than themselves; intervals of weighted tables come from a bootstrap.

/// A two by two table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confusion {
    /// Bad, and said to be.
    pub true_positive: f64,
    /// Good, and said to be bad.
    pub false_positive: f64,
    /// Good, and said to be.
    pub true_negative: f64,
    /// Bad, and said to be good.
    pub false_negative: f64,
}

impl Confusion {
    /// Counts one case.
    pub fn add(&mut self, said: bool, truth: bool, weight: f64) {
        let cell = match (said, truth) {
            (true, true) => &mut self.true_positive,
            (true, false) => &mut self.false_positive,
            (false, false) => &mut self.true_negative,
            (false, true) => &mut self.false_negative,
        };
        *cell += weight;
    }

    /// The weight of all cases.
    pub fn total(&self) -> f64 {
        self.true_positive + self.false_positive + self.true_negative + self.false_negative
    }

    /// Share that is right; none without cases.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.true_positive + self.true_negative, self.total())
    }

    /// Share of bad among what was said to be bad; none where nothing was.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// Share of the bad that was found (sensitivity); none where nothing is bad.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// Share of the good that was left alone; none where nothing is good.
    pub fn specificity(&self) -> Option<f64> {
        ratio(self.true_negative, self.true_negative + self.false_positive)
    }

    /// Harmonic mean of precision and recall; none where nothing is bad and nothing was said to be.
    ///
    /// Source: C. J. van Rijsbergen, "Information Retrieval" (1979), chapter 7.
    pub fn f1(&self) -> Option<f64> {
        ratio(2.0 * self.true_positive, 2.0 * self.true_positive + self.false_positive + self.false_negative)
    }

    /// Mean of recall and specificity; none where one class is missing.
    ///
    /// Source: K. H. Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some((self.recall()? + self.specificity()?) / 2.0)
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.metrics` 1.9 on the same counts.
    #[test]
    fn the_shares_equal_scikit_learn() {
        let table = Confusion { true_positive: 30.0, false_positive: 10.0, true_negative: 50.0, false_negative: 20.0 };
        let found = [table.accuracy(), table.precision(), table.recall(), table.f1(), table.balanced_accuracy()];
        let expected = [80.0 / 110.0, 0.75, 0.6, 2.0 / 3.0, (0.6 + 50.0 / 60.0) / 2.0];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn what_has_no_value_has_none() {
        let mut table = Confusion::default();
        assert_eq!([table.accuracy(), table.precision(), table.recall(), table.f1()], [None; 4]);
        table.add(false, false, 2.0);
        assert_eq!((table.accuracy(), table.recall(), table.f1()), (Some(1.0), None, None));
        table.add(true, false, 1.0);
        assert_eq!((table.f1(), table.balanced_accuracy()), (Some(0.0), None));
    }
}
