//! What is kept of an exchange: the payload of the spool and the source of the store's rows.
//!
//! One [`Stored`] is one spool record, encoded as MessagePack with field names, so that a
//! newer Weir reads what an older one spooled: fields are only added, each with a default.
//! Text fields are already redacted.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One spool record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// A sampled exchange.
    Exchange(Box<StoredExchange>),
    /// Records that could not be kept.
    Gap(StoredGap),
    /// Something that happened to the service rather than to one answer.
    Event(StoredEvent),
}

/// A sampled exchange: metadata first, content last. Durations are in microseconds from
/// arrival; 0 means "not reached". Empty text means "not told".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredExchange {
    /// Identity (UUIDv7).
    pub exchange_id: Uuid,
    /// Arrival, microseconds since the Unix epoch.
    pub started_at: i64,
    /// Whose it is.
    pub tenant: String,
    /// The route that took it.
    pub route: String,
    /// API shape.
    pub api: String,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// `model` of the request.
    pub model_requested: String,
    /// `model` of the answer.
    pub model_answered: String,
    /// Engine name.
    pub engine: String,
    /// Engine program.
    pub engine_kind: String,
    /// `host:port` of the replica.
    pub replica: String,
    /// Digest of the engine fingerprint.
    pub fingerprint: String,
    /// The engine fingerprint as JSON.
    pub fingerprint_json: String,
    /// Status sent to the client; 0 where nothing was sent.
    pub status: u16,
    /// How it ended.
    pub outcome: String,
    /// Kind of the fault; empty where none.
    pub error_kind: String,
    /// The fault's text, for people; never prompt text.
    pub error_message: String,
    /// Finish reason of each choice.
    pub finish_reasons: Vec<String>,
    /// Tries at an engine.
    pub attempts: Vec<StoredAttempt>,
    /// Body read, tenant and route known.
    pub identified_us: u64,
    /// Place in flight had.
    pub admitted_us: u64,
    /// Sent to the engine.
    pub sent_us: u64,
    /// Engine's response head.
    pub head_us: u64,
    /// First byte of the answer.
    pub first_byte_us: u64,
    /// First token.
    pub first_token_us: u64,
    /// Last byte of the answer.
    pub last_byte_us: u64,
    /// Over for the client.
    pub total_us: u64,
    /// Longest pause within a stream.
    pub longest_gap_us: u64,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// Bytes of the response body.
    pub response_bytes: u64,
    /// Server-sent events in the answer.
    pub events: u32,
    /// Prompt tokens, as the engine counted them.
    pub prompt_tokens: u32,
    /// Completion tokens, as the engine counted them, or estimated where `usage_source` says so.
    pub completion_tokens: u32,
    /// Prompt tokens served from the engine's prefix cache.
    pub cached_tokens: u32,
    /// Reasoning tokens within the completion.
    pub reasoning_tokens: u32,
    /// Where the counts come from: `engine`, `estimated` or empty.
    pub usage_source: String,
    /// Completion tokens generated for a client that had left.
    pub wasted_tokens: u32,
    /// Prompt tokens expected from the size of the prompt; 0 where not estimated.
    pub expected_prompt_tokens: u32,
    /// Whether the engine seems to have cut the prompt without saying so.
    pub prompt_truncated: bool,
    /// What the cache did: `hit`, `miss` ...; `off` or empty where it had no part.
    pub cache: String,
    /// Why it did not answer; empty where that says it all.
    pub cache_reason: String,
    /// The exchange whose answer was given again, and which has the text of both; nil but for hits.
    pub cache_source: Uuid,
    /// Age of the answer that was given again.
    pub cache_age_us: u64,
    /// Prompt tokens that no engine had to read.
    pub saved_prompt_tokens: u32,
    /// Completion tokens that no engine had to make.
    pub saved_completion_tokens: u32,
    /// What the engine had taken for them.
    pub saved_engine_us: u64,
    /// What critics say of the answer, in a word: `pass`, `fail`, `skipped`; empty where none judged.
    pub verdict: String,
    /// What was decided: `pass`, `escalate`; empty where nothing was to be decided.
    pub decision: String,
    /// What the client got where no answer was good enough: `refuse`, `fallback`, `deliver`.
    pub handling: String,
    /// Whether rules ended the stream.
    pub stopped: bool,
    /// Every verdict, those of answers that were not given included.
    pub verdicts: Vec<StoredVerdict>,
    /// Answers that were not given, in order.
    pub rounds: Vec<StoredRound>,
    /// Probability with which this row was kept, in (0, 1].
    pub inclusion_probability: f64,
    /// Why it was kept: `uniform`, `error`, `slow` ...
    pub sample_reason: String,
    /// Places where redaction changed the text.
    pub redactions: u32,
    /// `User-Agent` of the client.
    pub user_agent: String,
    /// W3C trace id in hex.
    pub trace_id: String,
    /// Span id of this exchange in hex.
    pub span_id: String,
    /// Version of Weir.
    pub weir_version: String,
    /// Name of this Weir instance.
    pub instance: String,
    /// Whether a body was longer than what is kept.
    pub content_truncated: bool,
    /// Request headers, without credentials.
    pub request_headers: Vec<(String, String)>,
    /// Request body, redacted.
    pub request_body: String,
    /// `Content-Type` of the answer.
    pub response_type: String,
    /// Response body, redacted.
    pub response_body: String,
    /// Last user message in plain text, redacted, for search.
    pub prompt_text: String,
    /// Answer in plain text (first choice), redacted, for search.
    pub completion_text: String,
}

/// One try at an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredAttempt {
    /// Engine name.
    pub engine: String,
    /// `host:port` of the replica.
    pub replica: String,
    /// Start.
    pub started_us: u64,
    /// From start to the response head or the fault.
    pub took_us: u64,
    /// Status of the response head; 0 where none came.
    pub status: u16,
    /// Kind of the fault; empty where none.
    pub error_kind: String,
}

/// What one critic said of one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredVerdict {
    /// Which answer: 0 is the one that was given, from 1 on those that were not.
    pub round: u16,
    /// Name of the critic in the configuration.
    pub critic: String,
    /// Version of the critic and of its settings.
    pub version: String,
    /// `enforce` or `audit`.
    pub mode: String,
    /// `pass`, `fail` or `skipped`.
    pub outcome: String,
    /// Why it did not say, a word of [`weir_critic::Skip`]; empty where it did.
    pub reason: String,
    /// Probability that the answer is bad, 0..=1; none where the critic has no scale.
    pub score: Option<f64>,
    /// What was found.
    pub findings: Vec<StoredFinding>,
    /// From its turn until it had spoken.
    pub took_us: u64,
    /// Tokens that an engine read for it.
    pub prompt_tokens: u64,
    /// Tokens that an engine made for it.
    pub completion_tokens: u64,
    /// Time that an engine had its questions.
    pub engine_us: u64,
}

/// One thing that a critic found. All texts are redacted, and cut where they are long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredFinding {
    /// What it is, one word of a closed set per critic.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// Which text: `whole`, `text`, `reasoning`, `refusal`, `tool_call`, `turn`, `passage`.
    pub place: String,
    /// Which of them: the choice, the turn or the passage.
    pub index: u32,
    /// Bytes of the redacted text at that place; empty where it is the whole of it, or was redacted away.
    pub span: (u64, u64),
    /// The text there, with a little of what stands before and after it.
    pub quote: (String, String, String),
}

/// An answer that was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredRound {
    /// From 1, in order.
    pub round: u16,
    /// When it was judged, counted from arrival.
    pub judged_us: u64,
    /// Tokens that the engine made for it.
    pub completion_tokens: u32,
    /// Its `Content-Type`.
    pub response_type: String,
    /// Its body, redacted.
    pub body: String,
    /// Its text (first choice), redacted.
    pub text: String,
}

/// Records that could not be kept: every later statistic must respect them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredGap {
    /// Identity, so that re-delivery is harmless.
    pub gap_id: Uuid,
    /// First loss, microseconds since the Unix epoch.
    pub from_at: i64,
    /// Last loss.
    pub to_at: i64,
    /// Where it was lost: `outbox_full`, `spool_full`, `record_too_large`, `torn_tail`, `rejected` ...
    pub reason: String,
    /// Records lost.
    pub lost: u64,
    /// Name of this Weir instance.
    pub instance: String,
}

/// Something that happened to the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredEvent {
    /// Identity, so that re-delivery is harmless.
    pub event_id: Uuid,
    /// When, microseconds since the Unix epoch.
    pub at: i64,
    /// What: `prompt_truncated`, `engine_changed`, `engine_down`, `engine_up`, `config_reloaded` ...
    pub kind: String,
    /// Exchange it belongs to; nil where none.
    pub exchange_id: Uuid,
    /// Tenant, route and engine, where they apply.
    pub tenant: String,
    /// Route.
    pub route: String,
    /// Engine.
    pub engine: String,
    /// JSON object with what else is known; never prompt text.
    pub detail: String,
    /// Name of this Weir instance.
    pub instance: String,
}

impl StoredVerdict {
    /// Whether the critic should have judged and did not.
    pub fn failed_to_judge(&self) -> bool {
        weir_critic::Skip::ALL.iter().any(|skip| skip.is_failure() && skip.as_str() == self.reason)
    }
}
