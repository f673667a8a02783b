//! Rulings by table, and what holds for every panel.

use proptest::prelude::*;

use super::*;
use crate::Skip;

const CASCADE: Combine = Combine::Cascade { pass_at_most: 0.2, fail_at_least: 0.8 };
const WEIGHTED: Combine = Combine::Weighted { threshold: 0.5 };
const EVERY: [Combine; 4] = [Combine::Any, Combine::All, WEIGHTED, CASCADE];

fn verdict(name: &str, outcome: Outcome, score: Option<f64>) -> Verdict {
    Verdict {
        critic: name.into(),
        version: "1".into(),
        mode: Mode::Enforce,
        on_skip: OnSkip::Open,
        weight: 1.0,
        judgement: Judgement { outcome, score, findings: Vec::new() },
        took: Duration::ZERO,
        cost: Cost::default(),
    }
}

fn pass() -> Verdict {
    verdict("rule", Outcome::Pass, None)
}

fn fail() -> Verdict {
    verdict("rule", Outcome::Fail, None)
}

fn scored(score: f64) -> Verdict {
    verdict("model", if score >= 0.5 { Outcome::Fail } else { Outcome::Pass }, Some(score))
}

fn late(on_skip: OnSkip) -> Verdict {
    Verdict { on_skip, ..verdict("judge", Outcome::Skipped(Skip::TimedOut), None) }
}

fn bad(combine: Combine, verdicts: &[Verdict]) -> bool {
    combine.rule(verdicts).decision == Decision::Fail
}

#[test]
fn each_way_to_combine_rules_as_it_says() {
    let silent = || verdict("grounding", Outcome::Skipped(Skip::NotApplicable), None);
    // (verdicts, bad under any, all, weighted, cascade)
    let table: [(Vec<Verdict>, [bool; 4]); 12] = [
        (vec![], [false; 4]),
        (vec![silent()], [false; 4]),
        (vec![pass(), pass()], [false; 4]),
        (vec![fail()], [true; 4]),
        (vec![fail(), pass()], [true, false, true, true]),
        (vec![pass(), fail()], [true, false, true, true]),
        (vec![silent(), fail()], [true; 4]),
        (vec![scored(0.1), scored(0.95)], [true, false, true, false]),
        (vec![scored(0.6), scored(0.1)], [true, false, false, false]),
        (vec![scored(0.4), scored(0.9), scored(0.1)], [true, false, false, true]),
        (vec![scored(0.4), scored(0.55)], [true, false, false, true]),
        (vec![pass(), scored(0.3)], [false; 4]),
    ];
    for (verdicts, expected) in table {
        let got = EVERY.map(|combine| bad(combine, &verdicts));
        assert_eq!(got, expected, "{verdicts:?}");
    }
}

#[test]
fn a_critic_that_owed_a_verdict_counts_as_configured_and_is_named() {
    for combine in EVERY {
        let open = combine.rule(&[late(OnSkip::Open)]);
        assert_eq!((open.decision, open.judged, open.is_whole()), (Decision::Pass, 0, false), "{combine:?}");
        let closed = combine.rule(&[late(OnSkip::Closed)]);
        assert_eq!((closed.decision, closed.judged), (Decision::Fail, 0), "{combine:?}");
        assert_eq!((&*closed.skipped[0], &*closed.failed[0]), ("judge", "judge"));
    }
}

#[test]
fn a_late_judge_does_not_wash_away_what_a_cheaper_critic_doubted() {
    assert!(bad(CASCADE, &[scored(0.6), late(OnSkip::Open)]));
    assert!(!bad(CASCADE, &[scored(0.4), late(OnSkip::Open)]));
    assert!(bad(CASCADE, &[scored(0.4), late(OnSkip::Closed)]));
}

#[test]
fn weights_move_a_weighted_ruling() {
    let heavy = |weight, score| Verdict { weight, ..scored(score) };
    assert!(bad(WEIGHTED, &[heavy(3.0, 0.6), heavy(1.0, 0.3)]));
    assert!(!bad(WEIGHTED, &[heavy(1.0, 0.6), heavy(3.0, 0.3)]));
    let odd = WEIGHTED.rule(&[heavy(f64::NAN, 1.0), heavy(-1.0, 1.0), heavy(1.0, 0.25)]);
    assert_eq!(odd.badness.score, 0.25);
}

#[test]
fn the_kept_attempt_has_the_fewest_failures_then_the_lowest_score_then_came_first() {
    let ruling = |failures, score| {
        let mut ruling = Combine::Any.rule(&[]);
        ruling.badness = Badness { failures, score };
        ruling
    };
    let best =
        |attempts: &[(usize, f64)]| Ruling::best(&attempts.iter().map(|&(f, s)| ruling(f, s)).collect::<Vec<_>>());
    assert_eq!(best(&[(2, 0.1), (1, 0.9), (1, 0.8)]), Some(2));
    assert_eq!(best(&[(1, 0.5), (1, 0.5)]), Some(0));
    assert_eq!(best(&[]), None);
}

#[test]
fn limits_that_cannot_be_are_faults() {
    assert!(Combine::Any.faults().is_empty() && CASCADE.faults().is_empty());
    assert_eq!(Combine::Weighted { threshold: f64::NAN }.faults().len(), 1);
    assert_eq!(Combine::Cascade { pass_at_most: 0.8, fail_at_least: 0.2 }.faults().len(), 1);
    assert_eq!(Combine::Cascade { pass_at_most: -1.0, fail_at_least: 2.0 }.faults().len(), 2);
}

#[test]
fn a_verdict_and_a_way_to_combine_survive_being_written_down() {
    let wrote = serde_json::to_string(&late(OnSkip::Closed)).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&wrote).unwrap(), late(OnSkip::Closed));
    let read: Combine = serde_json::from_str(r#"{"cascade":{"pass_at_most":0.2,"fail_at_least":0.8}}"#).unwrap();
    assert_eq!(read, CASCADE);
    assert!(serde_json::from_str::<Combine>(r#"{"weighted":{"threshold":0.2,"limit":1}}"#).is_err());
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    let outcome = prop_oneof![
        Just((Outcome::Pass, None)),
        Just((Outcome::Fail, None)),
        (0.0..=1.0f64).prop_map(|s| (if s >= 0.5 { Outcome::Fail } else { Outcome::Pass }, Some(s))),
        (0..Skip::ALL.len()).prop_map(|i| (Outcome::Skipped(Skip::ALL[i]), None)),
    ];
    (outcome, any::<bool>(), any::<bool>(), 0.0..3.0f64, "[a-c]").prop_map(
        |((outcome, score), audit, closed, weight, name)| {
            let mode = if audit { Mode::Audit } else { Mode::Enforce };
            let on_skip = if closed { OnSkip::Closed } else { OnSkip::Open };
            Verdict { mode, on_skip, weight, ..verdict(&name, outcome, score) }
        },
    )
}

fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    proptest::collection::vec(any_verdict(), 0..7)
}

proptest! {
    #[test]
    fn an_audit_verdict_never_changes_a_ruling(verdicts in verdicts()) {
        let enforced: Vec<_> = verdicts.iter().filter(|v| v.mode == Mode::Enforce).cloned().collect();
        for combine in EVERY {
            prop_assert_eq!(combine.rule(&verdicts), combine.rule(&enforced));
        }
    }

    #[test]
    fn what_is_settled_stays_so_whatever_follows(first in verdicts(), rest in verdicts()) {
        let whole: Vec<_> = first.iter().chain(&rest).cloned().collect();
        for combine in EVERY {
            if combine.settled(&first) {
                prop_assert_eq!(combine.rule(&first).decision, combine.rule(&whole).decision);
                prop_assert!(combine.settled(&whole));
            }
        }
    }

    #[test]
    fn fail_closed_is_never_milder_than_fail_open(verdicts in verdicts()) {
        let all = |on_skip| verdicts.iter().cloned().map(|v| Verdict { on_skip, ..v }).collect::<Vec<_>>();
        for combine in EVERY {
            let (open, closed) = (combine.rule(&all(OnSkip::Open)), combine.rule(&all(OnSkip::Closed)));
            prop_assert!(closed.decision == Decision::Fail || open.decision == Decision::Pass);
            prop_assert_ne!(closed.badness.compare(open.badness), Ordering::Less);
            prop_assert_eq!(open.skipped, closed.skipped);
        }
    }

    #[test]
    fn order_matters_to_a_cascade_only(mut verdicts in verdicts()) {
        let before = [Combine::Any, Combine::All].map(|c| c.rule(&verdicts).decision);
        verdicts.reverse();
        prop_assert_eq!(before, [Combine::Any, Combine::All].map(|c| c.rule(&verdicts).decision));
    }

    #[test]
    fn a_ruling_fails_only_where_somebody_failed_or_scored(verdicts in verdicts()) {
        for combine in [Combine::Any, Combine::All, CASCADE] {
            let ruling = combine.rule(&verdicts);
            prop_assert!(ruling.decision == Decision::Pass || !ruling.failed.is_empty());
            prop_assert!((0.0..=1.0).contains(&ruling.badness.score));
        }
    }
}
