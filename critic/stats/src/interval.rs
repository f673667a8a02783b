//! Confidence intervals for shares.

use crate::beta;

/// Two-sided standard normal quantile of 95 per cent confidence.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// An interval of a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end, in [0, 1].
    pub low: f64,
    /// Upper end, in [0, 1].
    pub high: f64,
}

/// Wilson's score interval for a share of `successes` in `n` independent trials, without
/// continuity correction; `z` is the two-sided standard normal quantile ([`Z_95`]).
///
/// No trials say nothing: the answer is then [0, 1]. `successes` above `n` count as `n`.
///
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical
/// inference", JASA 22 (1927); recommended by R. G. Newcombe, Statistics in Medicine 17 (1998).
pub fn wilson(successes: u64, n: u64, z: f64) -> Interval {
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (k, n) = (successes.min(n), n);
    let (share, trials, z2) = (k as f64 / n as f64, n as f64, z * z);
    let centre = share + z2 / (2.0 * trials);
    let half = z * (share * (1.0 - share) / trials + z2 / (4.0 * trials * trials)).sqrt();
    let scale = 1.0 + z2 / trials;
    // At the edges the exact end is 0 or 1; rounding must not move it.
    let low = if k == 0 { 0.0 } else { ((centre - half) / scale).max(0.0) };
    let high = if k == n { 1.0 } else { ((centre + half) / scale).min(1.0) };
    Interval { low, high }
}

/// The exact interval of Clopper and Pearson: it holds the true share with at least that
/// `confidence`, as in .95, whatever the share. No trials say nothing: [0, 1].
///
/// Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits
/// illustrated in the case of the binomial", Biometrika 26 (1934).
pub fn clopper_pearson(successes: u64, n: u64, confidence: f64) -> Interval {
    let outside = (1.0 - confidence) / 2.0;
    let low = 1.0 - exact_upper_limit(n - successes.min(n), n, outside);
    Interval { low, high: exact_upper_limit(successes, n, outside) }
}

/// The one-sided exact limit: the share is above it with a chance of at most `delta`.
pub fn exact_upper_limit(successes: u64, n: u64, delta: f64) -> f64 {
    if successes >= n {
        return 1.0;
    }
    beta::quantile(successes as f64 + 1.0, (n - successes) as f64, 1.0 - delta)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe (1998), table I, method 3: the four examples with their published limits.
    #[test]
    fn the_published_examples_come_out() {
        let table =
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)];
        for (k, n, low, high) in table {
            let found = wilson(k, n, Z_95);
            assert!((found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5, "{k}/{n}: {found:?}");
        }
    }

    #[test]
    fn the_interval_mirrors_and_holds_the_share() {
        for n in 1..60 {
            for k in 0..=n {
                let (one, other) = (wilson(k, n, Z_95), wilson(n - k, n, Z_95));
                let share = k as f64 / n as f64;
                assert!(0.0 <= one.low && one.low <= share && share <= one.high && one.high <= 1.0);
                assert!((one.low - (1.0 - other.high)).abs() < 1e-12);
            }
        }
        assert_eq!(wilson(0, 0, Z_95), Interval { low: 0.0, high: 1.0 });
    }

    /// `scipy.stats.binomtest(k, n).proportion_ci(method="exact")` 1.17; Newcombe (1998), table I, method 5.
    #[test]
    fn exact_limits_equal_scipy() {
        let table = [
            (81, 263, 0.252_736_745_585_042_67, 0.367_621_922_601_347_46),
            (0, 20, 0.0, 0.168_433_470_983_085_48),
            (1, 29, 0.000_872_646_883_597_107_2, 0.177_644_295_488_414_65),
            (20, 20, 0.831_566_529_016_914_5, 1.0),
        ];
        for (k, n, low, high) in table {
            let found = clopper_pearson(k, n, 0.95);
            assert!((found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9, "{k}/{n}: {found:?}");
        }
        assert_eq!(clopper_pearson(0, 0, 0.95), Interval { low: 0.0, high: 1.0 });
    }
}
