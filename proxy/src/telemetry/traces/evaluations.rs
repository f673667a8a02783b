//! What critics said, as events on the spans of the answers that they judged. Pure.
//!
//! Name and attributes are those of the event `gen_ai.evaluation.result` (GenAI semantic
//! conventions, status "development", as of 2026:
//! <https://github.com/open-telemetry/semantic-conventions-genai>). The score is the probability
//! that the answer is bad; the label is `pass`, `fail` or `skipped`. There is no explanation: a
//! finding may quote the answer, and no span carries content.

use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::Event;
use opentelemetry_sdk::trace::SpanEvents;
use weir_critic::Outcome;

use crate::exchange::Record;
use crate::exchange::judged::Verdict;

/// Name of the event.
const RESULT: &str = "gen_ai.evaluation.result";

/// Events of one span: as many as a collector takes by default.
const EVENTS: usize = 128;

/// The events of an attempt by its place. Verdicts of an answer that was not given belong to the
/// last attempt begun before it was judged, all others to the last attempt.
pub(super) fn of(record: &Record, attempt: usize) -> SpanEvents {
    let judged = &record.judged;
    let last = record.attempts.len().saturating_sub(1);
    let place = |at: Duration| {
        let begun = record.attempts.iter().take_while(|attempt| attempt.started <= at).count();
        begun.saturating_sub(1)
    };
    let rounds = judged.rounds.iter().filter(|round| place(round.judged_at) == attempt);
    let rounds = rounds.flat_map(|round| round.verdicts.iter().map(|verdict| (verdict, Some(round.judged_at))));
    let given = judged.own_verdicts().filter(|_| attempt == last);
    let given = given.map(|verdict| (verdict, None));
    let mut events: Vec<Event> = rounds.chain(given).map(|(verdict, at)| event(record, verdict, at)).collect();
    let dropped_count = u32::try_from(events.len().saturating_sub(EVENTS)).unwrap_or(u32::MAX);
    events.truncate(EVENTS);
    let mut kept = SpanEvents::default();
    kept.events = events;
    kept.dropped_count = dropped_count;
    kept
}

fn event(record: &Record, verdict: &Verdict, at: Option<Duration>) -> Event {
    let timings = &record.timings;
    let at = at.or(timings.last_byte).or(timings.finished).unwrap_or_default();
    let moment: SystemTime = record.request.received_at + at;
    let judgement = &verdict.judgement;
    let mut attributes = vec![
        KeyValue::new("gen_ai.evaluation.name", verdict.critic.to_string()),
        KeyValue::new("gen_ai.evaluation.score.label", judgement.outcome.as_str()),
        KeyValue::new("weir.critic.version", verdict.version.to_string()),
        KeyValue::new("weir.critic.mode", verdict.mode.as_str()),
    ];
    if let Some(score) = judgement.score {
        attributes.push(KeyValue::new("gen_ai.evaluation.score.value", score));
    }
    if let Outcome::Skipped(skip) = judgement.outcome {
        let key = if skip.is_failure() { "error.type" } else { "weir.critic.skipped" };
        attributes.push(KeyValue::new(key, skip.as_str()));
    }
    Event::new(RESULT, moment, attributes, 0)
}

#[cfg(test)]
mod tests {
    use weir_critic::{Finding, Judgement, Place, Skip};

    use super::super::super::metrics::tests::record;
    use super::*;
    use crate::exchange::judged::{Cost, Decision, Judged, Mode, OnSkip, Round, Word};

    fn verdict(critic: &str, judgement: Judgement) -> Verdict {
        Verdict {
            critic: critic.into(),
            version: "1".into(),
            mode: Mode::Enforce,
            on_skip: OnSkip::Open,
            weight: 1.0,
            judgement,
            took: Duration::ZERO,
            cost: Cost::default(),
        }
    }

    fn told(events: &SpanEvents) -> Vec<String> {
        let of = |event: &Event| {
            let pairs = event.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value));
            assert_eq!(event.name, RESULT);
            pairs.filter(|pair| !pair.starts_with("weir.critic.version")).collect::<Vec<_>>().join(" ")
        };
        events.iter().map(of).collect()
    }

    #[test]
    fn each_verdict_is_an_event_of_the_attempt_whose_answer_it_judged_and_carries_no_text() {
        let mut record = record();
        let first = record.attempts[0].clone();
        record.attempts = vec![first.clone(), crate::exchange::Attempt { started: Duration::from_secs(5), ..first }];
        let finding = Finding::new("email", Place::Whole, "SECRET");
        let round = Round {
            body: bytes::Bytes::from_static(b"SECRET"),
            content_type: String::new(),
            verdicts: vec![verdict("pii", Judgement::of(vec![finding]))],
            judged_at: Duration::from_secs(4),
            completion_tokens: 1,
        };
        record.judged = Judged {
            decision: Decision::Pass,
            word: Word::Skipped,
            verdicts: vec![
                verdict("grounding", Judgement::scored(0.25, 0.5, Vec::new())),
                verdict("judge", Judgement::skipped(Skip::TimedOut)),
                verdict("other", Judgement::skipped(Skip::NotSampled)),
            ],
            rounds: vec![round],
            ..Judged::default()
        };
        assert_eq!(
            told(&of(&record, 0)),
            ["gen_ai.evaluation.name=pii gen_ai.evaluation.score.label=fail weir.critic.mode=enforce"]
        );
        assert_eq!(
            told(&of(&record, 1)),
            [
                "gen_ai.evaluation.name=grounding gen_ai.evaluation.score.label=pass weir.critic.mode=enforce gen_ai.evaluation.score.value=0.25",
                "gen_ai.evaluation.name=judge gen_ai.evaluation.score.label=skipped weir.critic.mode=enforce error.type=timed_out",
                "gen_ai.evaluation.name=other gen_ai.evaluation.score.label=skipped weir.critic.mode=enforce weir.critic.skipped=not_sampled",
            ]
        );
    }
}
