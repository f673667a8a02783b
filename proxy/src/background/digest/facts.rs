//! The part of a row that needs no text: what is known of the exchange, in the row's units.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::text;
use crate::exchange::cached::Hit;
use crate::exchange::completion::Completion;
use crate::exchange::stored::{StoredAttempt, StoredExchange};
use crate::exchange::{Attempt, Outcome, Record};

pub(super) fn identity(row: &mut StoredExchange, record: &Record) {
    let request = &record.request;
    row.exchange_id = request.id.0;
    row.started_at = micros_since_epoch(request.received_at);
    row.tenant = record.tenant.to_string();
    row.route = record.route.to_string();
    row.api = request.api.as_str().to_owned();
    row.method = request.method.to_string();
    row.stream = request.facts.stream;
    if record.trace.trace_id != [0; 16] {
        row.trace_id = hex(&record.trace.trace_id);
        row.span_id = hex(&record.trace.span_id);
    }
}

pub(super) fn course(row: &mut StoredExchange, record: &Record) {
    row.status = record.status;
    row.outcome = record.outcome.as_str().to_owned();
    row.error_kind = record.error.as_ref().map_or_else(String::new, |error| error.kind.as_str().to_owned());
    row.attempts = record.attempts.iter().map(attempt).collect();
    row.request_bytes = record.request.body.len() as u64;
    row.response_bytes = record.response.total_bytes;
    row.events = record.response.events;
}

fn attempt(attempt: &Attempt) -> StoredAttempt {
    StoredAttempt {
        engine: attempt.engine.to_string(),
        replica: attempt.replica.to_string(),
        started_us: micros(attempt.started),
        took_us: micros(attempt.took),
        status: attempt.status,
        error_kind: attempt.error.map_or_else(String::new, |kind| kind.as_str().to_owned()),
    }
}

pub(super) fn timings(row: &mut StoredExchange, record: &Record) {
    let timings = &record.timings;
    row.identified_us = moment(timings.identified);
    row.admitted_us = moment(timings.admitted);
    row.sent_us = moment(timings.sent);
    row.head_us = moment(timings.head);
    row.first_byte_us = moment(timings.first_byte);
    row.first_token_us = moment(timings.first_token);
    row.last_byte_us = moment(timings.last_byte);
    row.total_us = moment(timings.finished);
    row.longest_gap_us = micros(timings.longest_gap);
}

/// Token counts: the engine's, or an estimate of the completion's.
pub(super) fn usage(row: &mut StoredExchange, record: &Record, completion: Option<&Completion>) {
    let told = completion.and_then(|completion| completion.usage);
    if let Some(usage) = told {
        row.prompt_tokens = usage.prompt_tokens;
        row.completion_tokens = usage.completion_tokens;
        row.cached_tokens = usage.cached_tokens;
        row.reasoning_tokens = usage.reasoning_tokens;
        row.usage_source = "engine".to_owned();
    } else if let Some(completion) = completion {
        row.completion_tokens = text::estimate_tokens(record, completion);
        if row.completion_tokens > 0 {
            row.usage_source = "estimated".to_owned();
        }
    }
    let goes_on = || record.cache.ticket.as_ref().is_some_and(|ticket| ticket.goes_on());
    if record.outcome == Outcome::ClientLeft && !goes_on() {
        row.wasted_tokens = row.completion_tokens;
    }
}

/// What the cache did, and what is known of the answer that it gave again.
pub(super) fn cache(row: &mut StoredExchange, record: &Record) {
    row.cache = record.cache.caching.outcome().to_owned();
    row.cache_reason = record.cache.caching.reason().to_owned();
    if record.shares_in_another() {
        // The engine worked for the exchange whose generation this one shared.
        row.saved_prompt_tokens = std::mem::take(&mut row.prompt_tokens);
        row.saved_completion_tokens = std::mem::take(&mut row.completion_tokens);
        (row.cached_tokens, row.reasoning_tokens, row.wasted_tokens) = (0, 0, 0);
        row.usage_source.clear();
    }
    let Some(Hit { about, age }) = &record.cache.hit else { return };
    row.cache_source = about.source.0;
    row.cache_age_us = micros(*age);
    row.saved_prompt_tokens = about.prompt_tokens;
    row.saved_completion_tokens = about.completion_tokens;
    row.saved_engine_us = micros(about.engine_time);
    row.model_answered.clone_from(&about.model);
    row.finish_reasons.clone_from(&about.finish_reasons);
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A moment that was reached is never 0, which means "not reached".
fn moment(at: Option<Duration>) -> u64 {
    at.map_or(0, |at| micros(at).max(1))
}

fn micros_since_epoch(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
