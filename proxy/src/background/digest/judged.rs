//! What critics said of an exchange, and the answers that were not given.
//!
//! Findings and answers are text: all of it passes redaction. A finding's span is moved to the
//! redacted text, and is dropped where redaction has taken it away.

use std::collections::BTreeMap;
use std::ops::Range;

use weir_critic::{Finding, Outcome, Place};

use super::facts::micros;
use super::text::{Pen, said};
use super::{Config, is_read};
use crate::exchange::Record;
use crate::exchange::completion::{self, Completion};
use crate::exchange::judged::{Round, Verdict};
use crate::exchange::record::is_event_stream;
use crate::exchange::stored::{StoredExchange, StoredFinding, StoredRound, StoredVerdict};

/// Most verdicts kept of one exchange: all of any panel that a person would read.
const VERDICTS: usize = 256;

/// Longest quotation of an answer in a finding.
const QUOTE_BYTES: usize = 1024;

/// What is kept on each side of a quotation.
const AROUND_CHARS: usize = 80;

/// The words, which need no text.
pub(super) fn words(row: &mut StoredExchange, record: &Record) {
    let judged = &record.judged;
    row.verdict = judged.word.as_str().to_owned();
    row.decision = judged.decision.as_str().to_owned();
    row.handling = judged.decision.handling().to_owned();
    row.stopped = judged.stopped;
}

/// Verdicts and the answers that were not given.
pub(super) fn fill(
    row: &mut StoredExchange,
    record: &Record,
    given: Option<&Completion>,
    config: &Config,
    pen: &mut Pen<'_>,
) {
    let judged = &record.judged;
    let limit = config.text_bytes.bytes();
    let mut texts = Texts::new(given, limit);
    row.verdicts.extend(judged.own_verdicts().take(VERDICTS).map(|verdict| stored(0, verdict, &mut texts, pen)));
    let mut room = config.response_bytes.bytes();
    for (round, number) in judged.rounds.iter().zip(1..) {
        let read = read(record, round);
        let mut texts = Texts::new(read.as_ref(), limit);
        let left = VERDICTS.saturating_sub(row.verdicts.len());
        row.verdicts.extend(round.verdicts.iter().take(left).map(|verdict| stored(number, verdict, &mut texts, pen)));
        let body = pen.body(&round.content_type, &round.body, room);
        room = room.saturating_sub(body.len());
        row.content_truncated |= body.is_empty() && !round.body.is_empty();
        row.rounds.push(StoredRound {
            round: number,
            judged_us: micros(round.judged_at),
            completion_tokens: round.completion_tokens,
            response_type: pen.short(&round.content_type),
            body,
            text: texts.first(pen),
        });
    }
}

fn read(record: &Record, round: &Round) -> Option<Completion> {
    let request = &record.request;
    is_read(request.api)
        .then(|| {
            completion::read(request.api, request.target.path(), is_event_stream(&round.content_type), &round.body)
        })
        .flatten()
}

fn stored(round: u16, verdict: &Verdict, texts: &mut Texts<'_>, pen: &mut Pen<'_>) -> StoredVerdict {
    let judgement = &verdict.judgement;
    let reason = match judgement.outcome {
        Outcome::Skipped(skip) => skip.as_str(),
        Outcome::Pass | Outcome::Fail => "",
    };
    StoredVerdict {
        round,
        critic: verdict.critic.to_string(),
        version: verdict.version.to_string(),
        mode: verdict.mode.as_str().to_owned(),
        outcome: judgement.outcome.as_str().to_owned(),
        reason: reason.to_owned(),
        score: judgement.score.filter(|score| score.is_finite()),
        findings: judgement.findings.iter().map(|finding| found(finding, texts, pen)).collect(),
        took_us: micros(verdict.took),
        prompt_tokens: verdict.cost.prompt_tokens,
        completion_tokens: verdict.cost.completion_tokens,
        engine_us: micros(verdict.cost.engine_time),
    }
}

fn found(finding: &Finding, texts: &mut Texts<'_>, pen: &mut Pen<'_>) -> StoredFinding {
    let (place, index) = place(finding.place);
    let quoted = finding.span.clone().and_then(|span| texts.quote(finding.place, span, pen));
    let (span, quote) = quoted.unwrap_or_default();
    StoredFinding {
        code: pen.short(&finding.code),
        message: pen.short(&finding.message),
        place: place.to_owned(),
        index: u32::try_from(index).unwrap_or(u32::MAX),
        span,
        quote,
    }
}

fn place(place: Place) -> (&'static str, usize) {
    match place {
        Place::Whole => ("whole", 0),
        Place::Text { choice } => ("text", choice),
        Place::Reasoning { choice } => ("reasoning", choice),
        Place::Refusal { choice } => ("refusal", choice),
        Place::ToolCall { choice, .. } => ("tool_call", choice),
        Place::Turn { turn } => ("turn", turn),
        Place::Passage { passage } => ("passage", passage),
    }
}

/// The texts of one answer, each redacted once.
struct Texts<'a> {
    completion: Option<&'a Completion>,
    limit: usize,
    redacted: BTreeMap<(&'static str, usize, usize), String>,
}

/// Span and quotation of a finding: before, itself, after.
type Quoted = ((u64, u64), (String, String, String));

impl<'a> Texts<'a> {
    fn new(completion: Option<&'a Completion>, limit: usize) -> Self {
        Self { completion, limit, redacted: BTreeMap::new() }
    }

    /// The text by which the answer is searched.
    fn first(&mut self, pen: &mut Pen<'_>) -> String {
        let first = self.completion.and_then(|completion| completion.choices.first());
        pen.long(first.map_or("", said), self.limit)
    }

    fn of(&self, place: Place) -> Option<&'a str> {
        let choice = |at: usize| self.completion?.choices.get(at);
        Some(match place {
            Place::Text { choice: at } => &choice(at)?.text,
            Place::Reasoning { choice: at } => &choice(at)?.reasoning,
            Place::Refusal { choice: at } => &choice(at)?.refusal,
            Place::ToolCall { choice: at, call } => &choice(at)?.tool_calls.get(call)?.arguments,
            Place::Whole | Place::Turn { .. } | Place::Passage { .. } => return None,
        })
    }

    /// Where the span is in the redacted text. The quotation is a part of that text, so that
    /// nothing is kept here which the text itself would not tell.
    fn quote(&mut self, at: Place, span: Range<usize>, pen: &mut Pen<'_>) -> Option<Quoted> {
        let text = self.of(at)?;
        let original =
            text.get(span.start..span.end.min(text.floor_char_boundary(span.start.saturating_add(QUOTE_BYTES))))?;
        let (name, index) = place(at);
        let call = if let Place::ToolCall { call, .. } = at { call } else { 0 };
        let limit = self.limit;
        let redacted = self.redacted.entry((name, index, call)).or_insert_with(|| pen.uncounted(text, limit));
        let quote = pen.uncounted(original, QUOTE_BYTES);
        if quote.is_empty() {
            return None;
        }
        // Redactions before it have moved it by a little: the nearest of its likes is it.
        let nearest = memchr::memmem::find_iter(redacted.as_bytes(), quote.as_bytes());
        let start = nearest.min_by_key(|start| start.abs_diff(span.start))?;
        let end = start + quote.len();
        let (before, after) = (redacted.get(..start)?, redacted.get(end..)?);
        let from = before.char_indices().rev().nth(AROUND_CHARS - 1).map_or(0, |(at, _)| at);
        let to = after.char_indices().nth(AROUND_CHARS).map_or(after.len(), |(at, _)| at);
        Some(((start as u64, end as u64), (before[from..].to_owned(), quote, after[..to].to_owned())))
    }
}
