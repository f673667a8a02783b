//! From a finished record to spans. Pure.
//!
//! One SERVER span per exchange (HTTP semantic conventions), one CLIENT span below it per
//! attempt (GenAI semantic conventions, client inference span, status "development", as of
//! 2026: <https://github.com/open-telemetry/semantic-conventions-genai>). The engine got the
//! server span as its parent before any attempt span had an id, so the engine's own spans
//! are siblings of the attempts. No attribute carries content, a query or a header.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::evaluations;
use crate::exchange::stored::StoredExchange;
use crate::exchange::{Api, Attempt, Outcome, Record};

/// How many spans a record gives.
pub(super) fn count(record: &Record) -> usize {
    1 + record.attempts.len()
}

/// The spans of a record: the exchange first, then its attempts in order.
pub(super) fn of(record: &Record, stored: Option<&StoredExchange>) -> Vec<SpanData> {
    let mut spans = vec![exchange(record)];
    for (index, attempt) in record.attempts.iter().enumerate() {
        let events = evaluations::of(record, index);
        spans.push(SpanData { events, ..try_at_engine(record, attempt, index, stored) });
    }
    spans
}

fn exchange(record: &Record) -> SpanData {
    let method = record.request.method.as_str();
    // An opaque path is an engine's own and may hold anything: it would make too many names.
    let known = record.request.api != Api::Opaque;
    let path = record.request.target.path();
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.to_owned()),
        KeyValue::new("url.path", path.to_owned()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("weir.exchange.id", record.request.id.to_string()),
        KeyValue::new("weir.tenant", record.tenant.to_string()),
        KeyValue::new("weir.route", record.route.to_string()),
        KeyValue::new("weir.outcome", record.outcome.as_str()),
        KeyValue::new("weir.attempts", record.attempts.len() as i64),
    ];
    if record.status > 0 {
        attributes.push(KeyValue::new("http.response.status_code", i64::from(record.status)));
    }
    let judged = &record.judged;
    let words = [
        ("weir.verdict", judged.word.as_str()),
        ("weir.decision", judged.decision.as_str()),
        ("weir.handling", judged.decision.handling()),
    ];
    attributes
        .extend(words.into_iter().filter(|(_, word)| !word.is_empty()).map(|(key, word)| KeyValue::new(key, word)));
    if !judged.rounds.is_empty() {
        attributes.push(KeyValue::new("weir.failed_answers", judged.rounds.len() as i64));
    }
    let failed = matches!(record.outcome, Outcome::Failed | Outcome::Broken) || record.status >= 500;
    let error = failed.then(|| match &record.error {
        Some(error) => Cow::Borrowed(error.kind.as_str()),
        None => Cow::Owned(record.status.to_string()),
    });
    Span {
        id: record.trace.span_id,
        parent: record.trace.parent_id,
        parent_is_remote: true,
        kind: SpanKind::Server,
        name: if known { format!("{method} {path}").into() } else { method.to_owned().into() },
        started: Duration::ZERO,
        ended: end(record),
        attributes,
        error,
    }
    .into_data(record)
}

fn try_at_engine(record: &Record, attempt: &Attempt, index: usize, stored: Option<&StoredExchange>) -> SpanData {
    let is_last = index + 1 == record.attempts.len();
    let mut attributes = request_attributes(record, attempt);
    if is_last && let Some(stored) = stored {
        attributes.extend(answer_attributes(stored));
    }
    if is_last && let (Some(sent), Some(first)) = (record.timings.sent, record.timings.first_token) {
        let seconds = first.saturating_sub(sent).as_secs_f64();
        attributes.push(KeyValue::new("gen_ai.response.time_to_first_chunk", seconds));
    }
    let broken = record.error.as_ref().filter(|_| is_last && record.outcome == Outcome::Broken);
    let error = match (attempt.error.or(broken.map(|error| error.kind)), attempt.status) {
        (Some(kind), _) => Some(Cow::Borrowed(kind.as_str())),
        (None, 400..) => Some(Cow::Owned(attempt.status.to_string())),
        (None, _) => None,
    };
    let head = attempt.started + attempt.took;
    let answered = is_last && attempt.error.is_none();
    let name = match (operation(record.request.api), &record.request.facts.model) {
        (Some(operation), Some(model)) => format!("{operation} {model}"),
        (Some(operation), None) => operation.to_owned(),
        (None, _) => record.request.method.to_string(),
    };
    Span {
        id: attempt_id(record.trace.span_id, index),
        parent: record.trace.span_id,
        parent_is_remote: false,
        kind: SpanKind::Client,
        name: name.into(),
        started: attempt.started,
        ended: if answered { record.timings.last_byte.unwrap_or(head).max(head) } else { head },
        attributes,
        error,
    }
    .into_data(record)
}

/// What is known before the answer.
fn request_attributes(record: &Record, attempt: &Attempt) -> Vec<KeyValue> {
    let (host, port) = attempt.replica.rsplit_once(':').unwrap_or((&attempt.replica, ""));
    let mut attributes = vec![
        KeyValue::new("server.address", host.trim_start_matches('[').trim_end_matches(']').to_owned()),
        KeyValue::new("weir.engine", attempt.engine.to_string()),
    ];
    if let Ok(port) = port.parse::<u16>() {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    if attempt.status > 0 {
        attributes.push(KeyValue::new("http.response.status_code", i64::from(attempt.status)));
    }
    let Some(operation) = operation(record.request.api) else { return attributes };
    // An engine that did not answer is known by name only; "openai" is what the conventions
    // give for a server known by its API alone.
    let answerer = record.engine.as_ref().filter(|answerer| answerer.engine == attempt.engine);
    let facts = &record.request.facts;
    attributes.push(KeyValue::new("gen_ai.operation.name", operation));
    attributes
        .push(KeyValue::new("gen_ai.provider.name", answerer.map_or("openai", |answerer| answerer.kind.as_str())));
    if let Some(model) = &facts.model {
        attributes.push(KeyValue::new("gen_ai.request.model", model.to_string()));
    }
    if facts.stream {
        attributes.push(KeyValue::new("gen_ai.request.stream", true));
    }
    if let Some(limit) = facts.max_tokens {
        attributes.push(KeyValue::new("gen_ai.request.max_tokens", i64::from(limit)));
    }
    if facts.choices > 1 {
        attributes.push(KeyValue::new("gen_ai.request.choice.count", i64::from(facts.choices)));
    }
    attributes
}

/// What the background read in the answer.
fn answer_attributes(stored: &StoredExchange) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    if !stored.model_answered.is_empty() {
        attributes.push(KeyValue::new("gen_ai.response.model", stored.model_answered.clone()));
    }
    let counts = [
        ("gen_ai.usage.input_tokens", stored.prompt_tokens),
        ("gen_ai.usage.output_tokens", stored.completion_tokens),
        ("gen_ai.usage.cache_read.input_tokens", stored.cached_tokens),
        ("gen_ai.usage.reasoning.output_tokens", stored.reasoning_tokens),
    ];
    for (key, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        attributes.push(KeyValue::new(key, i64::from(count)));
    }
    if !stored.finish_reasons.is_empty() {
        let reasons = stored.finish_reasons.iter().cloned().map(StringValue::from).collect();
        attributes.push(KeyValue::new("gen_ai.response.finish_reasons", Value::Array(Array::String(reasons))));
    }
    attributes
}

/// `gen_ai.operation.name`; none where the exchange asks no model.
fn operation(api: Api) -> Option<&'static str> {
    match api {
        Api::Chat | Api::Responses | Api::Messages => Some("chat"),
        Api::Completions => Some("text_completion"),
        Api::Embeddings => Some("embeddings"),
        Api::Models | Api::Opaque => None,
    }
}

/// Id of an attempt's span: drawn from the exchange's, so that making spans stays pure.
fn attempt_id(span_id: [u8; 8], index: usize) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&span_id);
    hasher.update(&(index as u64).to_le_bytes());
    let mut id = [0; 8];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    id
}

/// The last moment known of a record.
fn end(record: &Record) -> Duration {
    let timings = &record.timings;
    let attempts = record.attempts.last().map(|attempt| attempt.started + attempt.took);
    timings.finished.or(timings.last_byte).or(attempts).or(timings.identified).unwrap_or_default()
}

/// A span with moments counted from arrival.
struct Span {
    id: [u8; 8],
    parent: [u8; 8],
    parent_is_remote: bool,
    kind: SpanKind,
    name: Cow<'static, str>,
    started: Duration,
    ended: Duration,
    attributes: Vec<KeyValue>,
    error: Option<Cow<'static, str>>,
}

impl Span {
    fn into_data(mut self, record: &Record) -> SpanData {
        let at = |moment: Duration| -> SystemTime { record.request.received_at + moment };
        let status = match &self.error {
            Some(error) => Status::error(error.clone()),
            None => Status::Unset,
        };
        if let Some(error) = self.error {
            self.attributes.push(KeyValue::new("error.type", error));
        }
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(record.trace.trace_id),
                SpanId::from_bytes(self.id),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::from_bytes(self.parent),
            parent_span_is_remote: self.parent_is_remote && self.parent != [0; 8],
            span_kind: self.kind,
            name: self.name,
            start_time: at(self.started),
            end_time: at(self.ended),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::builder("weir")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}
