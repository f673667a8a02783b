//! Tests of the figures: small tables by hand, and what they say of critics that are known.

use std::time::Duration;

use weir_stats::random::Draws;

use super::*;
use crate::Skip;

pub(crate) fn seen(bad: bool, score: f64, threshold: f64, group: u32) -> Observed {
    Observed {
        bad,
        group,
        weight: 1.0,
        slice: String::new(),
        outcome: if score >= threshold { Outcome::Fail } else { Outcome::Pass },
        score: Some(score),
        spans: None,
        cpu: Duration::from_micros(10),
        tokens: 0,
    }
}

/// A critic that is honest: of cases with score s a share of s is bad.
pub(crate) fn honest(n: u32, seed: u64) -> Vec<Observed> {
    let mut draws = Draws::new(seed);
    let one = |group| {
        let score = draws.unit();
        seen(draws.unit() < score, score, 0.5, group)
    };
    (0..n).map(one).collect()
}

#[test]
fn an_honest_critic_measures_as_theory_says() {
    let found = measure("v", &honest(4000, 1), &Settings::default());
    // Of s uniform: AUROC 5/6, accuracy at ½ 3/4, Brier 1/6, kappa ½.
    let table = [(found.auroc, 5.0 / 6.0), (found.accuracy, 0.75), (found.brier, 1.0 / 6.0), (found.kappa, 0.5)];
    for (figure, truth) in table {
        let figure = figure.unwrap();
        assert!((figure.value - truth).abs() < 0.03, "{figure:?} {truth}");
        assert!(figure.low.unwrap() < figure.value && figure.value < figure.high.unwrap(), "{figure:?}");
    }
    assert!(found.expected_calibration_error.unwrap().value < 0.03);
    assert_eq!((found.cases, found.judged, found.groups), (4000, 4000, 4000));
    assert!(found.roc.len() <= CURVE_POINTS + 2 && found.roc[0] == [0.0, 0.0, 1.0]);
    assert_eq!(found.roc.last().map(|point| [point[0], point[1]]), Some([1.0, 1.0]));
    assert_eq!(found.reliability.len(), BINS);
    assert_eq!(measure("v", &honest(4000, 1), &Settings::default()), found);
}

#[test]
fn what_is_skipped_is_told_and_not_counted_as_right() {
    let mut observed = vec![seen(true, 0.9, 0.5, 0), seen(false, 0.1, 0.5, 1)];
    for (bad, cause) in [(true, Skip::NotApplicable), (true, Skip::Abstained), (false, Skip::Abstained)] {
        observed.push(Observed { outcome: Outcome::Skipped(cause), score: None, ..seen(bad, 0.0, 0.5, 2) });
    }
    let found = measure("v", &observed, &Settings::default());
    assert_eq!((found.cases, found.judged, found.bad, found.bad_skipped), (5, 2, 1, 2));
    assert_eq!(found.skipped, BTreeMap::from([("abstained", 2), ("not_applicable", 1)]));
    assert_eq!(found.table, Table { bad_failed: 1.0, good_passed: 1.0, ..Table::default() });
    let nothing = measure("v", &[], &Settings::default());
    assert_eq!((nothing.accuracy, nothing.auroc, nothing.prevalence), (None, None, 0.0));
}

#[test]
fn a_rule_without_scores_has_shares_but_no_ranking() {
    let observed: Vec<Observed> = honest(100, 2).into_iter().map(|one| Observed { score: None, ..one }).collect();
    let found = measure("v", &observed, &Settings::default());
    assert!(found.f1.is_some() && found.auroc.is_none() && found.roc.is_empty());
    assert_eq!(found.expected_calibration_error, None);
}

#[test]
fn a_prior_moves_precision_as_bayes_says() {
    let rare = measure("v", &honest(4000, 3), &Settings { prior: Some(0.1), seed: 1 });
    let even = measure("v", &honest(4000, 3), &Settings::default());
    let (recall, alarms) = (even.recall.unwrap().value, even.false_alarms.unwrap().value);
    let expected = 0.1 * recall / (0.1 * recall + 0.9 * alarms);
    assert!((rare.precision.unwrap().value - expected).abs() < 1e-9);
    assert!(
        (rare.recall.unwrap().value - recall).abs() < 1e-9
            && (rare.auroc.unwrap().value - even.auroc.unwrap().value).abs() < 1e-9
    );
}

#[test]
fn spans_slices_and_costs_are_of_what_they_say() {
    let count = |right, marked, wanted| Some(SpanCount { right, marked, wanted });
    let mut observed = vec![
        Observed { spans: count(6, 10, 8), slice: "a".to_owned(), ..seen(true, 0.9, 0.5, 0) },
        Observed { spans: count(0, 2, 0), slice: "b".to_owned(), ..seen(false, 0.7, 0.5, 1) },
        Observed { spans: None, slice: "b".to_owned(), ..seen(false, 0.2, 0.5, 2) },
    ];
    observed[2].cpu = Duration::from_micros(1000);
    let found = measure("v", &observed, &Settings::default());
    let spans = found.spans.unwrap();
    assert_eq!((spans.cases, spans.precision, spans.recall, spans.f1), (2, 0.5, 0.75, 0.6));
    assert_eq!((found.slices["a"].recall, found.slices["b"].false_alarms), (Some(1.0), Some(0.5)));
    assert!(found.cost.cpu_us_p50 == 10.0 && found.cost.cpu_us_p99 > 900.0, "{:?}", found.cost);
}
