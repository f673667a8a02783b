//! Tests of chosen thresholds and of what is said of them.

use super::*;
use crate::evaluate::Settings;
use crate::evaluate::measure::tests::{honest, seen};

fn threshold_of(found: Calibrated) -> (f64, Calibration) {
    match found {
        Calibrated::Threshold { threshold, calibration } => (threshold, *calibration),
        Calibrated::Unreachable { .. } => panic!("{found:?}"),
    }
}

#[test]
fn an_honest_score_is_cut_where_theory_cuts_it() {
    let cases = honest(20_000, 1);
    let chosen = |goal, settings| threshold_of(calibrate("v", "d", &cases, goal, settings).unwrap());
    // Fail where s > false_alarm / (false_alarm + miss); best F1 of s uniform is at half its best value.
    let (by_cost, told) = chosen(Goal::Cost { false_alarm: 3.0, miss: 1.0 }, Settings::default());
    assert!((by_cost - 0.75).abs() < 0.05, "{by_cost}");
    assert_eq!((told.method.as_str(), told.miss_cost, told.data.as_str()), ("cost", Some(1.0), "d"));
    let (by_f1, told) = chosen(Goal::F1, Settings::default());
    assert!((by_f1 - told.f1.unwrap() / 2.0).abs() < 0.05, "{by_f1} {told:?}");
    let (rare, _) = chosen(Goal::F1, Settings { prior: Some(0.05), seed: 1 });
    assert!(rare > by_f1 + 0.2, "where bad is rare the line is higher: {rare} {by_f1}");
}

#[test]
fn what_is_expected_is_not_what_the_choice_flatters_itself_with() {
    // Scores that know nothing: chosen on 60 cases, F1 on those cases is better than on others.
    let mut flattered = 0;
    for seed in 0..20 {
        let mut draws = Draws::new(seed);
        let cases: Vec<Observed> = (0..60).map(|group| seen(draws.unit() < 0.3, draws.unit(), 0.5, group)).collect();
        let (threshold, told) = threshold_of(calibrate("v", "d", &cases, Goal::F1, Settings::default()).unwrap());
        let mut own = Confusion::default();
        cases.iter().for_each(|case| own.add(case.score.unwrap() >= threshold, case.bad, 1.0));
        flattered += u32::from(own.f1().unwrap() >= told.f1.unwrap());
    }
    assert!(flattered >= 18, "{flattered} of 20");
}

#[test]
fn a_certificate_rests_on_one_case_of_each_source() {
    let one = |(at, case): (usize, Observed)| Observed { group: at as u32 / 5, ..case };
    let cases: Vec<Observed> = honest(5000, 2).into_iter().enumerate().map(one).collect();
    let goal = Goal::Certified { alpha: 0.2, delta: 0.05 };
    let (threshold, told) = threshold_of(calibrate("v", "d", &cases, goal, Settings::default()).unwrap());
    assert_eq!((told.certified_on, told.groups, told.cases), (Some(1000), 1000, 5000));
    // Under t a share of t / 2 is bad.
    assert!(threshold < 0.4 && threshold > 0.25 && told.passed_bad_limit.unwrap() <= 0.2, "{threshold} {told:?}");
    let strict = Goal::Certified { alpha: 0.0001, delta: 0.05 };
    let Calibrated::Unreachable { risk, least_escalated, cases: n } =
        calibrate("v", "d", &cases, strict, Settings::default()).unwrap()
    else {
        panic!("one in ten thousand cannot be shown on a thousand cases")
    };
    assert!((risk - 0.5).abs() < 0.06 && (least_escalated - risk).abs() < 0.01 && n == 1000);
    let moved = calibrate("v", "d", &cases, goal, Settings { prior: Some(0.1), seed: 1 });
    assert!(moved.unwrap_err().0.contains("as frequent as in traffic"));
}

#[test]
fn without_scores_or_a_class_there_is_nothing_to_choose() {
    let all = |change: fn(Observed) -> Observed| honest(50, 3).into_iter().map(change).collect::<Vec<_>>();
    let table = [
        (Vec::new(), "no case"),
        (all(|one| Observed { score: None, ..one }), "no scores"),
        (all(|one| Observed { bad: true, ..one }), "is good"),
        (all(|one| Observed { bad: false, ..one }), "is bad"),
    ];
    for (cases, said) in table {
        let error = calibrate("v", "d", &cases, Goal::F1, Settings::default()).unwrap_err().0;
        assert!(error.contains(said), "{error}");
    }
}
