//! Agreement beyond chance between two who judged the same cases.

use crate::confusion::Confusion;
use crate::interval::{Interval, Z_95};

/// An estimate with its interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kappa {
    /// Agreement beyond chance: 1 is full, 0 is what chance gives.
    pub value: f64,
    /// Its large-sample standard error.
    pub standard_error: f64,
    /// `value` ± 1.96 standard errors, within [-1, 1].
    pub interval: Interval,
}

/// Cohen's kappa of a two by two table of independent cases; none where chance alone would
/// make them agree always.
///
/// Sources: J. Cohen, "A coefficient of agreement for nominal scales" (1960); standard error:
/// J. L. Fleiss, J. Cohen and B. S. Everitt, "Large sample standard errors of kappa and weighted
/// kappa", Psychological Bulletin 72 (1969), formula 13.
pub fn cohen(table: &Confusion) -> Option<Kappa> {
    let n = table.total();
    if n <= 0.0 {
        return None;
    }
    let cells =
        [[table.true_positive / n, table.false_positive / n], [table.false_negative / n, table.true_negative / n]];
    let rows = [cells[0][0] + cells[0][1], cells[1][0] + cells[1][1]];
    let columns = [cells[0][0] + cells[1][0], cells[0][1] + cells[1][1]];
    let seen = cells[0][0] + cells[1][1];
    let chance = rows[0] * columns[0] + rows[1] * columns[1];
    let beyond = 1.0 - chance;
    if beyond <= 0.0 {
        return None;
    }
    let value = (seen - chance) / beyond;
    let off = 1.0 - seen;
    let mut sum = 0.0;
    for i in 0..2 {
        sum += cells[i][i] * (beyond - (columns[i] + rows[i]) * off).powi(2);
        let other = 1 - i;
        sum += off * off * cells[i][other] * (columns[i] + rows[other]).powi(2);
    }
    let correction = seen * chance - 2.0 * chance + seen;
    let variance = ((sum - correction * correction) / (n * beyond.powi(4))).max(0.0);
    let standard_error = variance.sqrt();
    let half = Z_95 * standard_error;
    let interval = Interval { low: (value - half).max(-1.0), high: (value + half).min(1.0) };
    Some(Kappa { value, standard_error, interval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draws;

    fn table(cells: [f64; 4]) -> Confusion {
        Confusion {
            true_positive: cells[0],
            false_positive: cells[1],
            false_negative: cells[2],
            true_negative: cells[3],
        }
    }

    /// `statsmodels.stats.inter_rater.cohens_kappa` 0.15 (`kappa`, `std_kappa`).
    #[test]
    fn value_and_standard_error_equal_statsmodels() {
        for (cells, kappa, error) in KAPPAS {
            let found = cohen(&table(cells)).unwrap();
            assert!((found.value - kappa).abs() < 1e-12, "{cells:?}: {found:?}");
            assert!((found.standard_error - error).abs() < 1e-10, "{cells:?}: {found:?}");
        }
    }

    const KAPPAS: [([f64; 4], f64, f64); 3] = [
        ([20.0, 5.0, 10.0, 15.0], 0.4, 0.126_996_062_931_100_33),
        ([45.0, 15.0, 25.0, 15.0], 0.130_434_782_608_695_54, 0.098_661_537_623_439_6),
        ([90.0, 3.0, 8.0, 400.0], 0.928_856_357_228_612_3, 0.021_186_042_738_972_71),
    ];

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        let mut draws = Draws::new(11);
        let truth = { (0.82 - 0.58) / (1.0 - 0.58) };
        let covered = (0..2000).filter(|_| {
            let mut seen = Confusion::default();
            for _ in 0..300 {
                let bad = draws.unit() < 0.3;
                // Both margins are .3: bad is told in 70 %, good mistaken in .3·.3/.7.
                let said = if bad { draws.unit() < 0.7 } else { draws.unit() < 0.09 / 0.7 };
                seen.add(said, bad, 1.0);
            }
            let found = cohen(&seen).unwrap().interval;
            found.low <= truth && truth <= found.high
        });
        let share = covered.count() as f64 / 2000.0;
        assert!((0.93..0.97).contains(&share), "{share}");
    }

    #[test]
    fn without_anything_beyond_chance_there_is_no_kappa() {
        assert_eq!(cohen(&Confusion::default()), None);
        assert_eq!(cohen(&table([0.0, 0.0, 0.0, 9.0])), None);
    }
}
