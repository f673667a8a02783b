//! Tests of the rankings, against scikit-learn and by simulation.

use super::*;
use crate::random::Draws;

/// Sixty cases with many ties; weights run 1, 2, 3.
fn fixture(weigh: impl Fn(usize) -> f64) -> Vec<Scored> {
    let one = |i: usize| {
        let bad = (i * i + 3 * i) % 7 < 3;
        let raw = ((i * 37) % 23) as f64 / 23.0 + if bad { 0.25 } else { 0.0 };
        Scored { score: (raw * 20.0).round_ties_even() / 20.0, bad, weight: weigh(i), group: i as u32 }
    };
    (0..60).map(one).collect()
}

fn other(cases: &[Scored]) -> Vec<Scored> {
    let score = |i: usize, bad: bool| ((i * 29) % 31) as f64 / 31.0 + if bad { 0.1 } else { 0.0 };
    cases.iter().enumerate().map(|(i, case)| Scored { score: score(i, case.bad), ..*case }).collect()
}

/// `sklearn.metrics.roc_auc_score` and `average_precision_score` 1.9.
#[test]
fn areas_equal_scikit_learn_with_ties_and_weights() {
    let (plain, weighted) = (fixture(|_| 1.0), fixture(|i| 1.0 + (i % 3) as f64));
    let table = [
        (auroc(&plain), 0.657_318_741_450_068_3),
        (average_precision(&plain), 0.539_189_899_451_684_4),
        (auroc(&weighted), 0.624_369_747_899_159_7),
        (average_precision(&weighted), 0.479_754_357_839_504),
    ];
    for (found, expected) in table {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} {expected}");
    }
}

/// DeLong's standard errors as numpy gives them from the placements.
#[test]
fn errors_of_single_cases_are_delongs() {
    let (old, new) = (fixture(|_| 1.0), other(&fixture(|_| 1.0)));
    let found = auroc_estimate(&old).unwrap();
    assert!((found.standard_error - 0.079_333_045_699_021_05).abs() < 1e-12, "{found:?}");
    let (difference, chance) = auroc_difference(&old, &new).unwrap();
    assert!((difference.value + 0.089_603_283_173_734_67).abs() < 1e-12, "{difference:?}");
    assert!((difference.standard_error - 0.093_006_639_441_806_15).abs() < 1e-12, "{difference:?}");
    assert!((0.33..0.34).contains(&chance), "{chance}");
    assert_eq!(auroc_difference(&old, &new[1..]), None);
}

/// Sources share their difficulty: the interval by groups holds the truth, the one by cases does not.
#[test]
fn the_interval_by_groups_holds_the_truth_where_answers_share_a_source() {
    let mut draws = Draws::new(21);
    let mut drawn = |n: u32| -> Vec<Scored> {
        let mut cases = Vec::new();
        for group in 0..n {
            let shared = draws.unit();
            for _ in 0..6 {
                let bad = draws.unit() < 0.4;
                let score = shared + 0.2 * draws.unit() + if bad { 0.25 } else { 0.0 };
                cases.push(Scored { score, bad, weight: 1.0, group });
            }
        }
        cases
    };
    let truth = auroc(&drawn(60_000)).unwrap();
    let (mut by_group, mut by_case) = (0, 0);
    for _ in 0..600 {
        // All answers of a source are bad or good together half the time, as with a poor context.
        let mut cases = drawn(60);
        let holds = |found: Interval| found.low <= truth && truth <= found.high;
        by_group += u32::from(holds(auroc_estimate(&cases).unwrap().interval));
        (0_u32..).zip(cases.iter_mut()).for_each(|(i, case)| case.group = i);
        by_case += u32::from(holds(auroc_estimate(&cases).unwrap().interval));
    }
    assert!((552..=588).contains(&by_group), "{by_group} of 600 by groups, {by_case} by cases");
}

#[test]
fn classes_that_do_not_overlap_have_an_interval_all_the_same() {
    let cases: Vec<Scored> =
        (0..40).map(|i| Scored { score: f64::from(i), bad: i >= 30, weight: 1.0, group: i as u32 }).collect();
    let found = auroc_estimate(&cases).unwrap();
    assert_eq!((found.value, found.interval.high), (1.0, 1.0));
    assert!((0.75..0.95).contains(&found.interval.low), "{found:?}");
    assert_eq!(auroc(&cases[..30]), None);
    assert_eq!((auroc(&[]), average_precision(&cases[..30])), (None, None));
}

#[test]
fn another_prior_moves_precision_and_leaves_the_ranking() {
    let cases = fixture(|_| 1.0);
    let rare = at_prior(&cases, 0.05).unwrap();
    assert!((auroc(&rare).unwrap() - auroc(&cases).unwrap()).abs() < 1e-12);
    assert!(average_precision(&rare).unwrap() < average_precision(&cases).unwrap());
    let (bad, all) = rare
        .iter()
        .fold((0.0, 0.0), |(bad, all), case| (bad + if case.bad { case.weight } else { 0.0 }, all + case.weight));
    assert!((bad / all - 0.05).abs() < 1e-12 && (all - 60.0).abs() < 1e-9);
    assert_eq!(at_prior(&cases[..0], 0.1), None);
}
