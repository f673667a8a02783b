//! Tests of the thresholds: small tables by hand, promises by simulation.

use super::*;
use crate::random::Draws;

fn case(score: f64, bad: bool) -> Scored {
    Scored { score, bad, weight: 1.0, group: 0 }
}

fn four() -> Vec<Scored> {
    vec![case(0.1, false), case(0.4, true), case(0.6, false), case(0.9, true)]
}

#[test]
fn costs_and_f1_choose_what_paper_and_pencil_choose() {
    // Dear alarms: only .9 fails. Dear misses: from .4 on.
    let table = [(by_cost(&four(), 5.0, 1.0), 0.75), (by_cost(&four(), 1.0, 5.0), 0.25), (by_f1(&four()), 0.25)];
    for (chosen, threshold) in table {
        assert!((chosen.unwrap().threshold - threshold).abs() < 1e-12, "{chosen:?} {threshold}");
    }
    assert_eq!((by_cost(&[], 1.0, 1.0), by_f1(&[case(0.5, false)])), (None, None));
    let never = by_cost(&[case(0.2, false), case(0.8, false)], 1.0, 1.0).unwrap();
    assert!((never.threshold - 0.9).abs() < 1e-12 && never.table.false_positive == 0.0);
}

#[test]
fn every_choice_is_at_least_as_good_as_every_other() {
    let mut draws = Draws::new(31);
    for _ in 0..200 {
        let n = 1 + draws.below(30);
        let cases: Vec<Scored> = (0..n).map(|_| case(draws.below(8) as f64 / 8.0, draws.unit() < 0.4)).collect();
        let cost = |threshold: f64| {
            let wrong = |case: &&Scored| (case.score >= threshold) != case.bad;
            let price = |case: &Scored| if case.bad { 3.0 } else { 1.0 };
            cases.iter().filter(wrong).map(price).sum::<f64>()
        };
        let chosen = by_cost(&cases, 1.0, 3.0).unwrap();
        let least = (0..=17).map(|step| cost(f64::from(step) / 16.0)).fold(f64::INFINITY, f64::min);
        assert!(cost(chosen.threshold) <= least + 1e-9, "{cases:?} {chosen:?}");
    }
}

/// Answers whose chance to be bad is what the score says, bent: at threshold t the share of bad
/// among what passes is known.
fn drawn(draws: &mut Draws, n: usize) -> Vec<Scored> {
    let one = |_| {
        let score = draws.unit();
        case(score, draws.unit() < score * score)
    };
    (0..n).map(one).collect()
}

/// Share of bad under t: the mean of s² over [0, t].
fn risk_under(threshold: f64) -> f64 {
    threshold * threshold / 3.0
}

/// The highest threshold at which the share seen is within the promise.
fn empirical(cases: &[Scored], alpha: f64) -> f64 {
    let keeps = |step: &u32| {
        let threshold = f64::from(*step) / 200.0;
        let passing = cases.iter().filter(|case| case.score < threshold);
        let (bad, all) = passing.fold((0.0, 0.0), |(bad, all), case| (bad + f64::from(u8::from(case.bad)), all + 1.0));
        all > 0.0 && bad <= alpha * all
    };
    (1..=200).rev().find(keeps).map_or(0.0, |step| f64::from(step) / 200.0)
}

#[test]
fn a_seen_share_breaks_its_promise_every_other_time_and_a_certificate_keeps_it() {
    let promise = Promise { alpha: 0.1, delta: 0.05 };
    for (n, least) in [(300, 820), (1000, 950)] {
        let mut draws = Draws::new(77);
        let (mut seen, mut certified_broken, mut certified_at_all, mut passing_share) = (0, 0, 0, 0.0);
        for _ in 0..1000 {
            let cases = drawn(&mut draws, n);
            seen += u32::from(risk_under(empirical(&cases, promise.alpha)) > promise.alpha);
            if let Certificate::Certified { threshold, .. } = certified(&cases, promise, 200) {
                certified_at_all += 1;
                certified_broken += u32::from(risk_under(threshold) > promise.alpha);
                passing_share += threshold;
            }
        }
        assert!((360..=560).contains(&seen), "n {n}: {seen} of 1000 broken by the share seen");
        assert!(certified_broken <= 50, "n {n}: {certified_broken} of 1000 broken by certificates");
        assert!(certified_at_all > least, "n {n}: {certified_at_all} of 1000 certified anything");
        // The best threshold passes √.3 = .55 of all.
        assert!(passing_share / f64::from(certified_at_all) > 0.35, "n {n}: {passing_share}");
    }
}

#[test]
fn what_cannot_be_promised_is_not() {
    let mut draws = Draws::new(5);
    let hopeless: Vec<Scored> = (0..500).map(|_| case(draws.unit(), draws.unit() < 0.4)).collect();
    let promise = Promise { alpha: 0.05, delta: 0.05 };
    assert_eq!(certified(&hopeless, promise, 200), Certificate::Unreachable);
    assert_eq!(certified(&[], promise, 200), Certificate::Unreachable);
    let few: Vec<Scored> = (0..20).map(|i| case(f64::from(i) / 20.0, false)).collect();
    assert_eq!(certified(&few, promise, 200), Certificate::Unreachable, "20 clean cases cannot show 5 %");
    assert!((least_escalated(0.4, 0.05) - 0.35 / 0.95).abs() < 1e-12);
    assert_eq!(least_escalated(0.02, 0.05), 0.0);
}
