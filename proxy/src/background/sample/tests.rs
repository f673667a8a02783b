//! Tests of what is kept, and with which probability.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn id(n: u64) -> ExchangeId {
    ExchangeId(Uuid::from_u128(u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C92)))
}

fn facts(n: u64, route: &Name) -> Facts<'_> {
    let (took, judged) = (Duration::ZERO, Judged::Good);
    Facts { id: id(n), route, course: Course::Ordinary, took, seen: u32::MAX, judged }
}

fn main_route() -> Name {
    Name::new("main").unwrap()
}

#[test]
fn the_largest_rate_that_applies_is_the_probability() {
    let route = main_route();
    let base =
        Config { rate: 0.1, errors: 0.5, judged_bad: 0.6, refusals: 0.3, slow: 0.4, rare: 0.2, ..Config::default() };
    let plain = facts(1, &route);
    let slow = Duration::from_secs(30);
    let table = [
        (base.clone(), plain, 0.1),
        (Config { rate: 0.0, ..base.clone() }, plain, 0.01),
        (base.clone(), Facts { course: Course::Error, ..plain }, 0.5),
        (base.clone(), Facts { course: Course::Refused, ..plain }, 0.3),
        (base.clone(), Facts { judged: Judged::Bad, ..plain }, 0.6),
        (base.clone(), Facts { judged: Judged::Bad, course: Course::Refused, ..plain }, 0.6),
        (base.clone(), Facts { took: slow, ..plain }, 0.4),
        (base.clone(), Facts { took: slow - Duration::from_nanos(1), ..plain }, 0.1),
        (base.clone(), Facts { seen: 9, ..plain }, 0.2),
        (base.clone(), Facts { seen: 10, ..plain }, 0.1),
        (base.clone(), Facts { seen: 0, took: slow, course: Course::Error, ..plain }, 0.5),
        (Config { routes: [(main_route(), 0.9)].into(), ..base }, Facts { course: Course::Error, ..plain }, 0.9),
    ];
    for (config, facts, probability) in table {
        assert_eq!(Sampler::new(&config).decide(&facts).probability, probability, "{facts:?}");
    }
}

#[test]
fn the_share_that_is_kept_is_the_probability() {
    let route = main_route();
    for rate in [0.01, 0.1, 0.37, 0.5, 0.9, 1.0] {
        let sampler = Sampler::new(&Config { rate, ..Config::default() });
        let n = 20_000u64;
        let kept = (0..n).filter(|n| sampler.decide(&facts(*n, &route)).keep).count() as u64;
        // Five standard errors: one false failure in two million draws of the salt.
        let interval = weir_stats::interval::wilson(kept, n, 5.0);
        assert!(interval.low <= rate && rate <= interval.high, "{rate}: {kept} of {n}");
    }
}

#[test]
fn weighted_totals_are_unbiased_on_mixed_traffic() {
    let route = main_route();
    let truth: f64 = (0..5000u64).map(|n| (n % 97) as f64).sum();
    let mut estimates = Vec::new();
    for salt in 0..40 {
        let config = Config { rate: 0.2, errors: 0.8, salt: salt.to_string(), ..Config::default() };
        let sampler = Sampler::new(&config);
        let (mut values, mut chances) = (Vec::new(), Vec::new());
        for n in 0..5000 {
            let course = if n % 10 == 0 { Course::Error } else { Course::Ordinary };
            let sampling = sampler.decide(&Facts { course, ..facts(n, &route) });
            if sampling.keep {
                values.push((n % 97) as f64);
                chances.push(sampling.probability);
            }
        }
        estimates.push(weir_stats::weighted::total(&values, &chances).unwrap());
    }
    let mean = estimates.iter().map(|total| total.value).sum::<f64>() / 40.0;
    let error = estimates.iter().map(|total| total.standard_error).sum::<f64>() / 40.0;
    assert!((mean - truth).abs() < 5.0 * error / 40f64.sqrt(), "{mean} {truth} {error}");
    let covered = estimates.iter().filter(|t| (t.value - truth).abs() < 1.96 * t.standard_error).count();
    assert!(covered >= 32, "{covered} of 40 intervals hold the truth");
}

#[test]
fn rare_pairs_are_counted_by_the_hour_and_within_bounds() {
    let (tenant, route) = (Name::new("t").unwrap(), main_route());
    let mut frequency = Frequency::default();
    let at = Duration::from_secs(7200);
    assert_eq!([0; 3].map(|_| frequency.seen(&tenant, &route, at)), [0, 1, 2]);
    assert_eq!(frequency.seen(&tenant, &route, at + Duration::from_secs(3600)), 0);
    for n in 0..PAIRS + 10 {
        frequency.seen(&Name::new(&format!("t{n}")).unwrap(), &route, at);
    }
    assert_eq!(frequency.counts.len(), PAIRS);
    assert_eq!(frequency.seen(&Name::new("new").unwrap(), &route, at), u32::MAX);
}

#[test]
fn rates_outside_their_range_are_faults() {
    assert_eq!(Config::default().faults("sample"), []);
    let config =
        Config { rate: 1.5, slow: f64::NAN, audit: 0.0, routes: [(main_route(), -0.1)].into(), ..Config::default() };
    let paths: Vec<_> = config.faults("sample").into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["sample.rate", "sample.slow", "sample.routes.main", "sample.audit"]);
}

proptest! {
    #[test]
    fn what_a_low_rate_keeps_a_higher_one_keeps_too(
        n: u64, low in 0.0..=1.0f64, more in 0.0..=1.0f64, salt in "[a-z]{0,4}"
    ) {
        let route = main_route();
        let high = low + (1.0 - low) * more;
        let keep = |rate| {
            let config = Config { rate, salt: salt.clone(), ..Config::default() };
            Sampler::new(&config).decide(&facts(n, &route))
        };
        prop_assert!(!keep(low).keep || keep(high).keep);
        prop_assert!(keep(1.0).keep);
        prop_assert_eq!(keep(low), keep(low));
        prop_assert_eq!(keep(low).keep, keep(low).reason != Reason::None);
    }
}
