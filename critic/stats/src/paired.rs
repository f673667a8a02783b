//! Two critics on the same cases.

use crate::beta::{binomial_at_most, ln_gamma};
use crate::normal;

/// Chance of a split of the discordant cases at least as uneven where both are equally often
/// right: McNemar's test with the mid-p value. `only_old` were right with the old one only,
/// `only_new` with the new one only.
///
/// Sources: Q. McNemar, Psychometrika 12 (1947); M. W. Fagerland, S. Lydersen and P. Laake,
/// "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact
/// conditional", BMC Medical Research Methodology 13 (2013).
pub fn mcnemar_mid_p(only_old: u64, only_new: u64) -> f64 {
    let n = only_old + only_new;
    if n == 0 {
        return 1.0;
    }
    let few = only_old.min(only_new);
    let (n_, k) = (n as f64, few as f64);
    let ln_choose = ln_gamma(n_ + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n_ - k + 1.0);
    let here = (ln_choose - n_ * std::f64::consts::LN_2).exp();
    let tail = if 2 * few == n { 0.5 * (1.0 + here) } else { binomial_at_most(few, n, 0.5) };
    (2.0 * tail - here).clamp(0.0, 1.0)
}

/// The same for cases that belong together: `differences` are sums over one group each, 1 for a
/// case that only the new one got right and -1 for one that only the old one did.
///
/// Source: V. L. Durkalski et al., "Analysis of clustered matched-pair data", Statistics in
/// Medicine 22 (2003); of groups of one it is McNemar's asymptotic test.
pub fn clustered(differences: &[f64]) -> f64 {
    let squares: f64 = differences.iter().map(|difference| difference * difference).sum();
    if squares > 0.0 { normal::two_sided(differences.iter().sum::<f64>() / squares.sqrt()) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draws;

    /// Fagerland et al. (2013), tables 1 and 2: airway hyper-responsiveness before and after
    /// stem cell transplantation (1 and 7) and complete response before and after consolidation
    /// therapy (59 and 80); their mid-p values are .039 and .076.
    #[test]
    fn the_published_examples_come_out() {
        assert!((mcnemar_mid_p(1, 7) - 0.0391).abs() < 5e-4, "{}", mcnemar_mid_p(1, 7));
        assert!((mcnemar_mid_p(59, 80) - 0.0756).abs() < 5e-4, "{}", mcnemar_mid_p(59, 80));
        assert!((mcnemar_mid_p(7, 1) - mcnemar_mid_p(1, 7)).abs() < 1e-15);
        assert!((mcnemar_mid_p(0, 0) - 1.0).abs() < 1e-12 && (mcnemar_mid_p(4, 4) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn groups_of_one_give_the_asymptotic_test_and_even_groups_nothing() {
        let alone: Vec<f64> = [vec![1.0; 80], vec![-1.0; 59], vec![0.0; 50]].concat();
        // (80 - 59)² / 139 = 3.1727, of which the upper tail of χ² with one degree is .0749 (Fagerland et al., table 4).
        assert!((clustered(&alone) - 0.0749).abs() < 1e-4, "{}", clustered(&alone));
        assert!((clustered(&[0.0, 0.0]) - 1.0).abs() < 1e-15 && (clustered(&[]) - 1.0).abs() < 1e-15);
        assert!(clustered(&[3.0, 3.0, -3.0]) > 0.5, "three texts say little, whatever the number of answers");
    }

    #[test]
    fn equals_are_told_apart_no_more_often_than_promised() {
        let mut draws = Draws::new(4);
        let alarms = (0..4000).filter(|_| {
            let new = (0..40).filter(|_| draws.unit() < 0.5).count() as u64;
            mcnemar_mid_p(40 - new, new) <= 0.05
        });
        let share = alarms.count() as f64 / 4000.0;
        assert!(share < 0.06, "{share}");
    }
}
