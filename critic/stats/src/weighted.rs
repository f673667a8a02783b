//! Totals of a whole from a sample in which each unit had its own known chance to be kept.

/// An estimated total and its standard error, in the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Total {
    /// The estimate.
    pub value: f64,
    /// Its estimated standard error.
    pub standard_error: f64,
}

/// Why a total cannot be estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSample {
    /// There are not as many probabilities as values.
    Lengths,
    /// A probability is not in (0, 1], or a value is not finite.
    OutOfRange,
}

impl std::fmt::Display for BadSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lengths => "give one inclusion probability for each value",
            Self::OutOfRange => "give inclusion probabilities in (0, 1] and finite values",
        })
    }
}

impl std::error::Error for BadSample {}

/// The Horvitz–Thompson total of the kept `values`, each with the `probability` with which it
/// was kept, and its standard error where units were kept independently (Poisson sampling):
///
/// ```text
/// total = Σ y / p          variance = Σ (1 − p) y² / p²
/// ```
///
/// Source: D. G. Horvitz and D. J. Thompson, JASA 47 (1952); C.-E. Särndal, B. Swensson and
/// J. Wretman, "Model Assisted Survey Sampling" (1992), result 3.5.1 and section 3.5.
pub fn total(values: &[f64], probabilities: &[f64]) -> Result<Total, BadSample> {
    if values.len() != probabilities.len() {
        return Err(BadSample::Lengths);
    }
    let (mut sum, mut variance) = (0.0, 0.0);
    for (value, probability) in values.iter().zip(probabilities) {
        if !(value.is_finite() && *probability > 0.0 && *probability <= 1.0) {
            return Err(BadSample::OutOfRange);
        }
        let weighted = value / probability;
        sum += weighted;
        variance += (1.0 - probability) * weighted * weighted;
    }
    Ok(Total { value: sum, standard_error: variance.sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sample of a small whole, weighted by its chance: the estimates average to the
    /// truth and their variances to the variance of the estimates, exactly.
    #[test]
    fn total_and_variance_are_unbiased_over_all_samples() {
        let values = [3.0, 7.0, 0.5, 11.0, 2.0];
        let chances = [0.2, 0.9, 0.5, 1.0, 0.05];
        let truth: f64 = values.iter().sum();
        let (mut mean, mut square, mut claimed) = (0.0, 0.0, 0.0);
        for sample in 0u32..32 {
            let kept: Vec<usize> = (0..5).filter(|i| sample >> i & 1 == 1).collect();
            let chance: f64 =
                (0..5).map(|i| if sample >> i & 1 == 1 { chances[i] } else { 1.0 - chances[i] }).product();
            let y: Vec<f64> = kept.iter().map(|i| values[*i]).collect();
            let p: Vec<f64> = kept.iter().map(|i| chances[*i]).collect();
            let found = total(&y, &p).unwrap();
            mean += chance * found.value;
            square += chance * (found.value - truth).powi(2);
            claimed += chance * found.standard_error.powi(2);
        }
        assert!((mean - truth).abs() < 1e-9, "{mean} {truth}");
        assert!((claimed - square).abs() < 1e-9, "{claimed} {square}");
    }

    #[test]
    fn what_is_kept_for_certain_has_no_error_and_bad_samples_are_refused() {
        assert_eq!(total(&[1.0, 2.0], &[1.0, 1.0]).unwrap(), Total { value: 3.0, standard_error: 0.0 });
        assert_eq!(total(&[], &[]).unwrap(), Total { value: 0.0, standard_error: 0.0 });
        assert_eq!(total(&[1.0], &[]), Err(BadSample::Lengths));
        for bad in [0.0, -0.1, 1.1, f64::NAN] {
            assert_eq!(total(&[1.0], &[bad]), Err(BadSample::OutOfRange));
        }
    }
}
