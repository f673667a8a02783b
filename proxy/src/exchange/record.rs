//! The record of one exchange as the request path leaves it: raw, unparsed, cheap.
//!
//! The request path fills it in and offers it to the outbox exactly once, whatever
//! happened. Parsing, redaction and storage are the background's work.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{Cached, Caching, EngineKind, Error, Fingerprint, Judged, Kind, Name, Request};

/// One exchange with everything that is known of it.
#[derive(Debug)]
pub struct Record {
    /// What the client sent.
    pub request: Request,
    /// Whose it is.
    pub tenant: Name,
    /// The route that took it.
    pub route: Name,
    /// Trace context, as received or begun here.
    pub trace: TraceContext,
    /// The engine that gave the answer; none where no engine was asked.
    pub engine: Option<Answerer>,
    /// Every try at an engine, in order.
    pub attempts: Vec<Attempt>,
    /// How it ended.
    pub outcome: Outcome,
    /// The fault that ended it, where one did.
    pub error: Option<Error>,
    /// HTTP status sent to the client; 0 where nothing was sent.
    pub status: u16,
    /// The answer as sent to the client.
    pub response: Capture,
    /// When what happened.
    pub timings: Timings,
    /// What the cache did.
    pub cache: Cached,
    /// What critics said, and what was decided.
    pub judged: Judged,
}

impl Record {
    /// The record of an exchange that has just begun; until it is known whose it is and which
    /// route takes it, `nobody` stands for both.
    pub fn begin(request: Request, nobody: Name, trace: TraceContext) -> Self {
        Self {
            request,
            tenant: nobody.clone(),
            route: nobody,
            trace,
            engine: None,
            attempts: Vec::new(),
            outcome: Outcome::ClientLeft,
            error: None,
            status: 0,
            response: Capture::default(),
            timings: Timings::default(),
            cache: Cached::default(),
            judged: Judged::default(),
        }
    }

    /// Whether its answer is another exchange's too, which tells what it has cost.
    pub fn shares_in_another(&self) -> bool {
        let takes_over = || self.cache.ticket.as_ref().is_some_and(|ticket| ticket.takes_over(self));
        self.cache.caching == Caching::Collapsed && !takes_over()
    }

    /// Bytes of all bodies that it holds: what was asked, what was given, and what was not given
    /// because it was not good enough.
    pub fn body_bytes(&self) -> usize {
        let again = self.request.again.as_ref().map_or(0, Bytes::len);
        let rounds: usize = self.judged.rounds.iter().map(|round| round.body.len()).sum();
        self.request.body.len() + again + self.response.body.capacity() + rounds
    }

    /// A record of nobody's, by which an engine can be asked the same while this one's client
    /// may leave.
    pub fn for_asking(&self) -> Box<Self> {
        // The client's own hurry is not that of others.
        let request = Request { deadline: None, ..self.request.clone() };
        Box::new(Self {
            tenant: self.tenant.clone(),
            timings: self.timings,
            ..Self::begin(request, self.route.clone(), self.trace)
        })
    }
}

/// The engine replica that answered.
#[derive(Clone, Debug)]
pub struct Answerer {
    /// Name of the engine in the configuration.
    pub engine: Name,
    /// Its program.
    pub kind: EngineKind,
    /// Authority (`host:port`) of the replica.
    pub replica: Arc<str>,
    /// What identified it when it answered.
    pub fingerprint: Arc<Fingerprint>,
}

/// One try at an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Name of the engine.
    pub engine: Name,
    /// Authority of the replica.
    pub replica: Arc<str>,
    /// Start, counted from arrival.
    pub started: Duration,
    /// From start to the response head or to the fault.
    pub took: Duration,
    /// Status of the response head; 0 where none came.
    pub status: u16,
    /// The fault, where one ended it.
    pub error: Option<Kind>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The engine's whole answer reached the client, with a 2xx or 3xx status.
    Complete,
    /// The engine's whole answer reached the client, and it was a 4xx or 5xx.
    EngineError,
    /// Weir refused it before any engine was asked.
    Refused,
    /// No engine gave an answer, or Weir failed.
    Failed,
    /// The engine broke off, or was too late, within its answer.
    Broken,
    /// The client left before the end.
    ClientLeft,
}

impl Outcome {
    /// Every outcome, for tables of metrics and tests.
    pub const ALL: [Self; 6] =
        [Self::Complete, Self::EngineError, Self::Refused, Self::Failed, Self::Broken, Self::ClientLeft];

    /// The word used in labels, columns and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::EngineError => "engine_error",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::ClientLeft => "client_left",
        }
    }
}

/// A copy of the answer, up to a limit; the counts go on past it.
#[derive(Debug, Default)]
pub struct Capture {
    /// `Content-Type` of the answer.
    pub content_type: String,
    /// `Content-Encoding` of the answer; empty where none. Encoded answers are not parsed.
    pub content_encoding: String,
    /// The first bytes of the body as sent downstream.
    pub body: BytesMut,
    /// Bytes of the whole body.
    pub total_bytes: u64,
    /// Server-sent events in the body; 0 where it is no stream.
    pub events: u32,
}

impl Capture {
    /// Whether the body holds less than was sent.
    pub fn is_truncated(&self) -> bool {
        self.total_bytes > self.body.len() as u64
    }

    /// Whether the answer is a stream of server-sent events.
    pub fn is_stream(&self) -> bool {
        is_event_stream(&self.content_type)
    }
}

/// Whether a `Content-Type` is that of server-sent events; case does not matter (RFC 9110, 8.3.1).
pub fn is_event_stream(content_type: &str) -> bool {
    const NAME: &str = "text/event-stream";
    content_type.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}

/// Moments of an exchange, counted from arrival of the request head; none where not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// The request body was read and the tenant, route and policy were known.
    pub identified: Option<Duration>,
    /// A place among the exchanges in flight was had.
    pub admitted: Option<Duration>,
    /// The last attempt was sent to the engine over an open connection.
    pub sent: Option<Duration>,
    /// The engine's response head arrived.
    pub head: Option<Duration>,
    /// The first piece of the answer's body arrived.
    pub first_byte: Option<Duration>,
    /// The first token (content, reasoning or tool call) of a stream arrived.
    pub first_token: Option<Duration>,
    /// The last piece of the answer arrived.
    pub last_byte: Option<Duration>,
    /// The exchange was over for the client.
    pub finished: Option<Duration>,
    /// Longest pause between two pieces of a stream.
    pub longest_gap: Duration,
}

/// W3C trace context of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes; all zero is invalid.
    pub trace_id: [u8; 16],
    /// The caller's span; all zero where there was none.
    pub parent_id: [u8; 8],
    /// The span of this exchange, sent to the engine as its parent.
    pub span_id: [u8; 8],
    /// Whether the caller, or we as the root, sample the trace.
    pub sampled: bool,
}
