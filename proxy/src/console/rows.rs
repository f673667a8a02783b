//! Rows as the store gives them. Names and types are those of the queries in `queries`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// One line of the list.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) id: String,
    /// Arrival, microseconds since the Unix epoch.
    pub(super) started_us: i64,
    pub(super) tenant: String,
    pub(super) route: String,
    pub(super) api: String,
    pub(super) stream: bool,
    pub(super) model: String,
    pub(super) engine: String,
    pub(super) replica: String,
    pub(super) status: u16,
    pub(super) outcome: String,
    pub(super) error_kind: String,
    pub(super) tries: u64,
    pub(super) total_us: u64,
    pub(super) first_token_us: u64,
    pub(super) prompt_tokens: u32,
    pub(super) completion_tokens: u32,
    pub(super) prompt_truncated: bool,
    pub(super) inclusion_probability: f64,
    pub(super) sample_reason: String,
    /// What the cache did; `off` or empty where it had no part.
    pub(super) cache: String,
    pub(super) cache_reason: String,
    /// Of a hit, the exchange that has its texts; else nil.
    pub(super) cache_source: String,
    /// What critics say of the answer; empty where none judged.
    pub(super) verdict: String,
    pub(super) decision: String,
    /// What the client got where no answer was good enough.
    pub(super) handling: String,
    pub(super) stopped: bool,
    pub(super) failed_answers: u16,
    pub(super) failed_critics: Vec<String>,
    pub(super) skipped_critics: Vec<String>,
}

/// The first words of an exchange's texts, for the list.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Glimpse {
    pub(super) id: String,
    pub(super) prompt: String,
    pub(super) completion: String,
}

/// Metadata of one exchange. Durations are microseconds from arrival, 0 where not reached.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Whole {
    pub(super) id: String,
    pub(super) started_us: i64,
    pub(super) tenant: String,
    pub(super) route: String,
    pub(super) api: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) stream: bool,
    pub(super) model_requested: String,
    pub(super) model_answered: String,
    pub(super) engine: String,
    pub(super) engine_kind: String,
    pub(super) replica: String,
    pub(super) fingerprint: String,
    pub(super) status: u16,
    pub(super) outcome: String,
    pub(super) error_kind: String,
    pub(super) error_message: String,
    pub(super) finish_reasons: Vec<String>,
    pub(super) attempt_engines: Vec<String>,
    pub(super) attempt_replicas: Vec<String>,
    pub(super) attempt_started_us: Vec<u64>,
    pub(super) attempt_took_us: Vec<u64>,
    pub(super) attempt_statuses: Vec<u16>,
    pub(super) attempt_error_kinds: Vec<String>,
    pub(super) identified_us: u64,
    pub(super) admitted_us: u64,
    pub(super) sent_us: u64,
    pub(super) head_us: u64,
    pub(super) first_byte_us: u64,
    pub(super) first_token_us: u64,
    pub(super) last_byte_us: u64,
    pub(super) total_us: u64,
    pub(super) longest_gap_us: u64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) events: u32,
    pub(super) prompt_tokens: u32,
    pub(super) completion_tokens: u32,
    pub(super) cached_tokens: u32,
    pub(super) reasoning_tokens: u32,
    pub(super) usage_source: String,
    pub(super) wasted_tokens: u32,
    pub(super) expected_prompt_tokens: u32,
    pub(super) prompt_truncated: bool,
    pub(super) inclusion_probability: f64,
    pub(super) sample_reason: String,
    pub(super) redactions: u32,
    pub(super) user_agent: String,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) weir_version: String,
    pub(super) instance: String,
    pub(super) content_truncated: bool,
    /// What the cache did; `off` or empty where it had no part.
    pub(super) cache: String,
    pub(super) cache_reason: String,
    /// Of a hit, the exchange that has its texts; else nil.
    pub(super) cache_source: String,
    pub(super) cache_age_us: u64,
    pub(super) saved_prompt_tokens: u32,
    pub(super) saved_completion_tokens: u32,
    pub(super) saved_engine_us: u64,
    /// What critics say of the answer; empty where none judged.
    pub(super) verdict: String,
    pub(super) decision: String,
    /// What the client got where no answer was good enough.
    pub(super) handling: String,
    pub(super) stopped: bool,
    pub(super) failed_answers: u16,
    pub(super) failed_critics: Vec<String>,
    pub(super) skipped_critics: Vec<String>,
    pub(super) judge_prompt_tokens: u64,
    pub(super) judge_completion_tokens: u64,
    pub(super) judge_engine_us: u64,
}

/// Texts of one exchange.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Texts {
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) request_body: String,
    pub(super) response_type: String,
    pub(super) response_body: String,
    /// The answer's text (first choice), which spans of findings count in.
    pub(super) completion_text: String,
}

/// One body of an exchange, for the raw view.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct OneText {
    pub(super) text: String,
    /// Content type of the answer.
    pub(super) media_type: String,
}

/// Identity of a neighbour in the list.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct Neighbour {
    pub(super) id: String,
}

/// What a fingerprint digest stands for.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct FingerprintText {
    pub(super) fingerprint_json: String,
}

/// Estimated totals of a time range, each with its standard error.
#[derive(Clone, Copy, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Rows that the estimates rest on.
    pub(super) rows: u64,
    pub(super) total_exchanges: f64,
    pub(super) total_exchanges_error: f64,
    pub(super) total_failures: f64,
    pub(super) total_failures_error: f64,
    pub(super) total_prompt_tokens: f64,
    pub(super) total_prompt_tokens_error: f64,
    pub(super) total_completion_tokens: f64,
    pub(super) total_completion_tokens_error: f64,
    pub(super) total_cached_tokens: f64,
    pub(super) total_cached_tokens_error: f64,
    pub(super) total_wasted_tokens: f64,
    pub(super) total_wasted_tokens_error: f64,
    pub(super) total_truncated: f64,
    pub(super) total_truncated_error: f64,
}

/// Estimated exchanges of one class within one step of time.
#[derive(Clone, Debug, Row, Serialize, Deserialize)]
pub(super) struct Volume {
    /// Begin of the step, microseconds since the Unix epoch.
    pub(super) at_us: i64,
    /// `good`, `warn` or `bad`.
    pub(super) class: String,
    pub(super) exchanges: f64,
}

/// Values that occur within a time range.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Choices {
    pub(super) tenants: Vec<String>,
    pub(super) routes: Vec<String>,
    pub(super) models: Vec<String>,
    pub(super) engines: Vec<String>,
    pub(super) error_kinds: Vec<String>,
    /// Critics that found an answer bad.
    pub(super) critics: Vec<String>,
}

/// Records that could not be kept.
#[derive(Clone, Debug, Row, Serialize, Deserialize)]
pub(super) struct GapRow {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
    pub(super) reason: String,
    pub(super) lost: u64,
    pub(super) instance: String,
}

/// Something that happened to the service.
#[derive(Clone, Debug, Row, Serialize, Deserialize)]
pub(super) struct EventRow {
    pub(super) at_us: i64,
    pub(super) kind: String,
    pub(super) exchange: String,
    pub(super) engine: String,
    pub(super) detail: String,
}

/// Size of one table.
#[derive(Clone, Debug, Row, Serialize, Deserialize)]
pub(super) struct TableSize {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}
