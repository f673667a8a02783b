//! The standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Probability that a standard normal variable is at most `x`.
///
/// By the series of erf near 0 and the continued fraction of erfc beyond; absolute error below 1e-14.
/// Source: NIST Digital Library of Mathematical Functions, 7.6.2 and 7.9.3.
pub fn cdf(x: f64) -> f64 {
    let z = x.abs() * FRAC_1_SQRT_2;
    let tail = if z < 2.5 { 0.5 * (1.0 - erf_by_series(z)) } else { 0.5 * erfc_by_fraction(z) };
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Chance of a standard normal variable at least as far from 0 as `x`, on either side.
pub fn two_sided(x: f64) -> f64 {
    2.0 * cdf(-x.abs())
}

/// `erf z = 2/√π e^(−z²) Σ 2ⁿ z^(2n+1) / (2n+1)!!`
fn erf_by_series(z: f64) -> f64 {
    let (mut term, mut sum, mut n) = (z, z, 0.0);
    while term > sum * 1e-17 && n < 200.0 {
        n += 1.0;
        term *= 2.0 * z * z / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / PI.sqrt() * (-z * z).exp() * sum
}

/// `erfc z = e^(−z²)/√π · 1/(z + (1/2)/(z + (2/2)/(z + (3/2)/(z + ...))))`, from the inside out.
fn erfc_by_fraction(z: f64) -> f64 {
    let inner = (1..=60).rev().fold(z, |below, k| z + f64::from(k) / 2.0 / below);
    (-z * z).exp() / (PI.sqrt() * inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.norm.cdf` 1.17.
    #[test]
    fn it_equals_scipy() {
        let table = [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.959_963_984_540_054, 0.025),
            (3.4, 0.999_663_070_734_323_1),
            (3.6, 0.999_840_891_409_842_4),
            (-6.0, 9.865_876_450_376_946e-10),
            (0.1, 0.539_827_837_277_029),
        ];
        for (x, expected) in table {
            assert!((cdf(x) - expected).abs() < 1e-13, "{x}: {} {expected}", cdf(x));
        }
        assert!((two_sided(-1.959_963_984_540_054) - 0.05).abs() < 1e-13);
    }
}
