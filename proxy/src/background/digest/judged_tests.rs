//! Tests of what is kept of verdicts and of answers that were not given.

use weir_critic::{Finding, Judgement, Place, Skip};

use super::tests::{choice, digest, nothing, record};
use super::*;
use crate::exchange::judged::{Cost, Decision, Handling, Judged, Mode, OnSkip, Round, Verdict, Word};

fn verdict(critic: &str, mode: Mode, judgement: Judgement) -> Verdict {
    let cost = Cost { prompt_tokens: 5, completion_tokens: 6, engine_time: std::time::Duration::from_micros(7) };
    let took = std::time::Duration::from_micros(8);
    Verdict {
        critic: critic.into(),
        version: "1".into(),
        mode,
        on_skip: OnSkip::Open,
        weight: 1.0,
        judgement,
        took,
        cost,
    }
}

fn found(span: std::ops::Range<usize>) -> Judgement {
    Judgement::of(vec![Finding::new("address", Place::Text { choice: 0 }, "é is said").at(span)])
}

fn round(text: &str, verdicts: Vec<Verdict>) -> Round {
    let message = serde_json::json!({"role": "assistant", "content": text});
    let body = serde_json::json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string();
    let judged_at = std::time::Duration::from_micros(9);
    Round { body: body.into(), content_type: "application/json".to_owned(), verdicts, judged_at, completion_tokens: 3 }
}

fn kept(judged: Judged, text: &str) -> StoredExchange {
    let mut record = record(b"{}", b"");
    record.judged = judged;
    let completion = Completion { choices: vec![choice(text, "stop")], ..Completion::default() };
    digest(&record, &Read { conversation: None, completion: Some(completion) }, &mut nothing()).0
}

#[test]
fn verdicts_and_rounds_are_kept_with_every_text_redacted() {
    let judged = Judged {
        decision: Decision::Pass,
        word: Word::Pass,
        verdicts: vec![
            verdict("pii", Mode::Enforce, Judgement::pass()),
            verdict("judge", Mode::Audit, Judgement::skipped(Skip::TimedOut)),
            verdict("grounding", Mode::Audit, Judgement::scored(0.25, 0.5, Vec::new())),
        ],
        rounds: vec![round("write to éva now", vec![verdict("pii", Mode::Enforce, found(9..13))])],
        ..Judged::default()
    };
    let row = kept(judged, "fine");
    assert_eq!((row.verdict.as_str(), row.decision.as_str(), row.handling.as_str()), ("pass", "pass", ""));
    let said: Vec<_> = row.verdicts.iter().map(|v| (v.round, v.critic.as_str(), v.outcome.as_str(), v.score)).collect();
    let expected = [
        (0, "pii", "pass", None),
        (0, "judge", "skipped", None),
        (0, "grounding", "pass", Some(0.25)),
        (1, "pii", "fail", None),
    ];
    assert_eq!(said, expected);
    assert_eq!(row.verdicts[1].reason, "timed_out");
    let finding = &row.verdicts[3].findings[0];
    assert_eq!(
        (finding.code.as_str(), finding.message.as_str(), finding.place.as_str()),
        ("address", "# is said", "text")
    );
    assert_eq!((finding.span, finding.quote.1.as_str()), ((9, 12), "#va"));
    assert_eq!((finding.quote.0.as_str(), finding.quote.2.as_str()), ("write to ", " now"));
    let round = &row.rounds[0];
    assert_eq!(
        (round.round, round.text.as_str(), round.judged_us, round.completion_tokens),
        (1, "write to #va now", 9, 3)
    );
    assert!(round.body.contains("#va") && !round.body.contains('é'), "{}", round.body);
}

#[test]
fn a_span_moves_with_what_was_redacted_before_it_and_goes_with_what_was_redacted_around_it() {
    // Each é is two bytes and becomes one; "bad" is there twice.
    let text = "bad éé then bad";
    let at = text.rfind("bad").unwrap();
    let judged = |span| Judged { verdicts: vec![verdict("c", Mode::Audit, found(span))], ..Judged::default() };
    let table = [(at..at + 3, (12, 15)), (0..3, (0, 3)), (4..6, (4, 5)), (5..9, (0, 0))];
    for (span, expected) in table {
        let row = kept(judged(span.clone()), text);
        assert_eq!(row.verdicts[0].findings[0].span, expected, "{span:?}");
    }
}

#[test]
fn without_a_given_answer_the_best_round_is_not_told_twice() {
    let bad = || vec![verdict("pii", Mode::Enforce, found(0..1))];
    for (handling, numbers) in
        [(Handling::Refuse, vec![1]), (Handling::Fallback, vec![1]), (Handling::Deliver, vec![0, 1])]
    {
        let decision = Decision::Escalate(handling);
        let judged = Judged {
            decision,
            verdicts: bad(),
            rounds: vec![round("x", bad())],
            word: Word::Fail,
            ..Judged::default()
        };
        let row = kept(judged, "x");
        assert_eq!(row.verdicts.iter().map(|verdict| verdict.round).collect::<Vec<_>>(), numbers, "{handling:?}");
        assert_eq!((row.verdict.as_str(), row.handling.as_str()), ("fail", handling.as_str()));
    }
}

#[test]
fn all_rounds_together_are_bounded() {
    let judged = Judged { rounds: (0..5).map(|_| round(&"x".repeat(1000), Vec::new())).collect(), ..Judged::default() };
    let mut record = record(b"{}", b"");
    record.judged = judged;
    let config = Config { response_bytes: ByteSize(2048), text_bytes: ByteSize(64), ..Config::default() };
    let mut digester = Digester::new(&config, "here");
    let (row, _) =
        digester.assemble(&record, &Read::default(), super::tests::INCLUSION, &super::tests::Plain, &mut nothing());
    assert!(row.rounds.iter().map(|round| round.body.len()).sum::<usize>() <= 2048);
    assert!(row.rounds.iter().all(|round| round.text.len() <= 64));
    assert!(row.content_truncated);
}
