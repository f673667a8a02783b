//! The rows of the tables, and how a stored record becomes rows.
//!
//! Pure. Every record is taken apart by naming all its fields, so that a new field without
//! a column does not compile. Column names, types and order: `migrations/`.

use clickhouse::Row;
use serde::Serialize;
use uuid::Uuid;

use super::insert::Rows;
use super::verdicts::{self, RoundRow, Sum, VerdictRow};
use crate::exchange::stored::{Stored, StoredEvent, StoredExchange, StoredGap};

/// The rows of one batch by table.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) fingerprints: Rows<FingerprintRow>,
    pub(super) exchanges: Rows<ExchangeRow>,
    pub(super) contents: Rows<ContentRow>,
    pub(super) verdicts: Rows<VerdictRow>,
    pub(super) rounds: Rows<RoundRow>,
    pub(super) events: Rows<EventRow>,
    pub(super) gaps: Rows<GapRow>,
}

#[derive(Debug, Row, Serialize)]
pub(super) struct ExchangeRow {
    #[serde(with = "clickhouse::serde::uuid")]
    exchange_id: Uuid,
    started_at: i64,
    tenant: String,
    route: String,
    api: String,
    method: String,
    path: String,
    stream: bool,
    model_requested: String,
    model_answered: String,
    engine: String,
    engine_kind: String,
    replica: String,
    fingerprint: String,
    status: u16,
    outcome: String,
    error_kind: String,
    error_message: String,
    finish_reasons: Vec<String>,
    #[serde(rename = "attempts.engine")]
    attempts_engine: Vec<String>,
    #[serde(rename = "attempts.replica")]
    attempts_replica: Vec<String>,
    #[serde(rename = "attempts.started_us")]
    attempts_started_us: Vec<u64>,
    #[serde(rename = "attempts.took_us")]
    attempts_took_us: Vec<u64>,
    #[serde(rename = "attempts.status")]
    attempts_status: Vec<u16>,
    #[serde(rename = "attempts.error_kind")]
    attempts_error_kind: Vec<String>,
    identified_us: u64,
    admitted_us: u64,
    sent_us: u64,
    head_us: u64,
    first_byte_us: u64,
    first_token_us: u64,
    last_byte_us: u64,
    total_us: u64,
    longest_gap_us: u64,
    request_bytes: u64,
    response_bytes: u64,
    events: u32,
    prompt_tokens: u32,
    completion_tokens: u32,
    cached_tokens: u32,
    reasoning_tokens: u32,
    usage_source: String,
    wasted_tokens: u32,
    expected_prompt_tokens: u32,
    prompt_truncated: bool,
    inclusion_probability: f64,
    sample_reason: String,
    redactions: u32,
    user_agent: String,
    trace_id: String,
    span_id: String,
    weir_version: String,
    instance: String,
    content_truncated: bool,
    cache: String,
    cache_reason: String,
    #[serde(with = "clickhouse::serde::uuid")]
    cache_source: Uuid,
    cache_age_us: u64,
    saved_prompt_tokens: u32,
    saved_completion_tokens: u32,
    saved_engine_us: u64,
    verdict: String,
    decision: String,
    handling: String,
    stopped: bool,
    failed_answers: u16,
    failed_critics: Vec<String>,
    skipped_critics: Vec<String>,
    judge_prompt_tokens: u64,
    judge_completion_tokens: u64,
    judge_engine_us: u64,
}

#[derive(Debug, Row, Serialize)]
pub(super) struct ContentRow {
    #[serde(with = "clickhouse::serde::uuid")]
    exchange_id: Uuid,
    started_at: i64,
    tenant: String,
    route: String,
    request_headers: Vec<(String, String)>,
    request_body: String,
    response_type: String,
    response_body: String,
    prompt_text: String,
    completion_text: String,
}

#[derive(Debug, Row, Serialize)]
pub(super) struct FingerprintRow {
    digest: String,
    engine: String,
    engine_kind: String,
    fingerprint_json: String,
    last_seen_at: i64,
}

#[derive(Debug, Row, Serialize)]
pub(super) struct EventRow {
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
    at: i64,
    kind: String,
    #[serde(with = "clickhouse::serde::uuid")]
    exchange_id: Uuid,
    tenant: String,
    route: String,
    engine: String,
    detail: String,
    instance: String,
}

#[derive(Debug, Row, Serialize)]
pub(super) struct GapRow {
    #[serde(with = "clickhouse::serde::uuid")]
    gap_id: Uuid,
    from_at: i64,
    to_at: i64,
    reason: String,
    lost: u64,
    instance: String,
}

impl Tables {
    /// Takes a record apart into the rows it is kept in.
    pub(super) fn add(&mut self, seq: u64, record: Stored) {
        match record {
            Stored::Exchange(exchange) => self.add_exchange(seq, *exchange),
            Stored::Gap(gap) => self.gaps.push(seq, gap.into()),
            Stored::Event(event) => self.events.push(seq, event.into()),
        }
    }

    fn add_exchange(&mut self, seq: u64, mut exchange: StoredExchange) {
        if let Some(fingerprint) = FingerprintRow::of(&mut exchange) {
            let known = self.fingerprints.rows.iter_mut().find(|row| row.is_of(&fingerprint));
            match known {
                Some(row) => row.last_seen_at = row.last_seen_at.max(fingerprint.last_seen_at),
                None => self.fingerprints.push(seq, fingerprint),
            }
        }
        if let Some(content) = ContentRow::of(&mut exchange) {
            self.contents.push(seq, content);
        }
        verdicts::verdicts(&exchange).for_each(|row| self.verdicts.push(seq, row));
        verdicts::rounds(&exchange).for_each(|row| self.rounds.push(seq, row));
        self.exchanges.push(seq, exchange.into());
    }
}

impl FingerprintRow {
    /// Takes the fingerprint out of an exchange, where one is told.
    fn of(exchange: &mut StoredExchange) -> Option<Self> {
        let fingerprint_json = std::mem::take(&mut exchange.fingerprint_json);
        (!exchange.fingerprint.is_empty()).then(|| Self {
            digest: exchange.fingerprint.clone(),
            engine: exchange.engine.clone(),
            engine_kind: exchange.engine_kind.clone(),
            fingerprint_json,
            last_seen_at: exchange.started_at,
        })
    }

    fn is_of(&self, other: &Self) -> bool {
        self.digest == other.digest && self.engine == other.engine
    }
}

impl ContentRow {
    /// Takes the text out of an exchange; none where no content is kept.
    fn of(exchange: &mut StoredExchange) -> Option<Self> {
        let row = Self {
            exchange_id: exchange.exchange_id,
            started_at: exchange.started_at,
            tenant: exchange.tenant.clone(),
            route: exchange.route.clone(),
            request_headers: std::mem::take(&mut exchange.request_headers),
            request_body: std::mem::take(&mut exchange.request_body),
            response_type: std::mem::take(&mut exchange.response_type),
            response_body: std::mem::take(&mut exchange.response_body),
            prompt_text: std::mem::take(&mut exchange.prompt_text),
            completion_text: std::mem::take(&mut exchange.completion_text),
        };
        let texts = [&row.request_body, &row.response_type, &row.response_body, &row.prompt_text, &row.completion_text];
        let empty = row.request_headers.is_empty() && texts.into_iter().all(String::is_empty);
        (!empty).then_some(row)
    }
}

impl From<StoredEvent> for EventRow {
    fn from(event: StoredEvent) -> Self {
        let StoredEvent { event_id, at, kind, exchange_id, tenant, route, engine, detail, instance } = event;
        Self { event_id, at, kind, exchange_id, tenant, route, engine, detail, instance }
    }
}

impl From<StoredGap> for GapRow {
    fn from(gap: StoredGap) -> Self {
        let StoredGap { gap_id, from_at, to_at, reason, lost, instance } = gap;
        Self { gap_id, from_at, to_at, reason, lost, instance }
    }
}

/// The fields left out went into the rows of the other tables before.
impl From<StoredExchange> for ExchangeRow {
    fn from(exchange: StoredExchange) -> Self {
        let StoredExchange {
            exchange_id,
            started_at,
            tenant,
            route,
            api,
            method,
            path,
            stream,
            model_requested,
            model_answered,
            engine,
            engine_kind,
            replica,
            fingerprint,
            fingerprint_json: _,
            status,
            outcome,
            error_kind,
            error_message,
            finish_reasons,
            attempts,
            identified_us,
            admitted_us,
            sent_us,
            head_us,
            first_byte_us,
            first_token_us,
            last_byte_us,
            total_us,
            longest_gap_us,
            request_bytes,
            response_bytes,
            events,
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
            usage_source,
            wasted_tokens,
            expected_prompt_tokens,
            prompt_truncated,
            inclusion_probability,
            sample_reason,
            redactions,
            user_agent,
            trace_id,
            span_id,
            weir_version,
            instance,
            content_truncated,
            cache,
            cache_reason,
            cache_source,
            cache_age_us,
            saved_prompt_tokens,
            saved_completion_tokens,
            saved_engine_us,
            verdict,
            decision,
            handling,
            stopped,
            verdicts,
            rounds,
            request_headers: _,
            request_body: _,
            response_type: _,
            response_body: _,
            prompt_text: _,
            completion_text: _,
        } = exchange;
        let sum = Sum::of(&verdicts);
        Self {
            exchange_id,
            started_at,
            tenant,
            route,
            api,
            method,
            path,
            stream,
            model_requested,
            model_answered,
            engine,
            engine_kind,
            replica,
            fingerprint,
            status,
            outcome,
            error_kind,
            error_message,
            finish_reasons,
            attempts_engine: attempts.iter().map(|attempt| attempt.engine.clone()).collect(),
            attempts_replica: attempts.iter().map(|attempt| attempt.replica.clone()).collect(),
            attempts_started_us: attempts.iter().map(|attempt| attempt.started_us).collect(),
            attempts_took_us: attempts.iter().map(|attempt| attempt.took_us).collect(),
            attempts_status: attempts.iter().map(|attempt| attempt.status).collect(),
            attempts_error_kind: attempts.iter().map(|attempt| attempt.error_kind.clone()).collect(),
            identified_us,
            admitted_us,
            sent_us,
            head_us,
            first_byte_us,
            first_token_us,
            last_byte_us,
            total_us,
            longest_gap_us,
            request_bytes,
            response_bytes,
            events,
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
            usage_source,
            wasted_tokens,
            expected_prompt_tokens,
            prompt_truncated,
            inclusion_probability,
            sample_reason,
            redactions,
            user_agent,
            trace_id,
            span_id,
            weir_version,
            instance,
            content_truncated,
            cache,
            cache_reason,
            cache_source,
            cache_age_us,
            saved_prompt_tokens,
            saved_completion_tokens,
            saved_engine_us,
            verdict,
            decision,
            handling,
            stopped,
            failed_answers: u16::try_from(rounds.len()).unwrap_or(u16::MAX),
            failed_critics: sum.failed,
            skipped_critics: sum.skipped,
            judge_prompt_tokens: sum.prompt_tokens,
            judge_completion_tokens: sum.completion_tokens,
            judge_engine_us: sum.engine_us,
        }
    }
}
