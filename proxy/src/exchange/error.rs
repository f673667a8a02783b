//! What can go wrong with an exchange: a kind, its source, and whether a retry is safe.
//!
//! The kind decides everything that follows (status, breaker, metric label); the two
//! texts are for people: `message` goes to the client, `detail` to the log only.

use serde::{Deserialize, Serialize};

/// Who caused a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The client sent something that cannot be served, or left.
    Client,
    /// The engine was unreachable, late, or broke.
    Engine,
    /// A limit or fault of Weir itself.
    Weir,
    /// Critics found the answer bad.
    Critic,
}

/// Closed set of faults; the word of each is a metric label and a column value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The body is no JSON, or not the JSON that this path takes.
    InvalidRequest,
    /// The body is larger than the route allows.
    BodyTooLarge,
    /// The header section is larger than allowed.
    HeadersTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// No API key, or one that no tenant has.
    Unauthorized,
    /// No route takes this request.
    NoRoute,
    /// The client takes an answer from the cache only, and there is none.
    NotCached,
    /// The tenant is over its request or token rate.
    RateLimited,
    /// The client closed its connection before the answer was complete.
    ClientLeft,
    /// The client read so slowly that an answer shared with others could not be kept for it.
    SlowReader,
    /// More exchanges in flight and waiting than Weir admits.
    Overloaded,
    /// Weir is stopping.
    Draining,
    /// A fault of Weir that should not happen.
    Internal,
    /// No connection to any replica could be made.
    Unreachable,
    /// Every replica's breaker is open.
    BreakerOpen,
    /// Connecting took longer than allowed.
    ConnectTimeout,
    /// The first token took longer than allowed.
    FirstTokenTimeout,
    /// The pause between two pieces of the answer was longer than allowed.
    InterTokenTimeout,
    /// The whole exchange took longer than allowed.
    TotalTimeout,
    /// The engine answered with a 5xx status.
    EngineStatus,
    /// The engine closed the connection before or within its answer.
    EngineBroke,
    /// The engine's answer is not valid HTTP, or over a limit.
    EngineInvalid,
    /// No answer was good enough for the critics of its route.
    Rejected,
    /// A generation was stopped because it had gone wrong beyond repair.
    Degenerate,
}

impl Kind {
    /// Every kind, for tables of metrics and tests.
    pub const ALL: [Self; 24] = [
        Self::InvalidRequest,
        Self::BodyTooLarge,
        Self::HeadersTooLarge,
        Self::RequestTimeout,
        Self::Unauthorized,
        Self::NoRoute,
        Self::NotCached,
        Self::RateLimited,
        Self::ClientLeft,
        Self::SlowReader,
        Self::Overloaded,
        Self::Draining,
        Self::Internal,
        Self::Unreachable,
        Self::BreakerOpen,
        Self::ConnectTimeout,
        Self::FirstTokenTimeout,
        Self::InterTokenTimeout,
        Self::TotalTimeout,
        Self::EngineStatus,
        Self::EngineBroke,
        Self::EngineInvalid,
        Self::Rejected,
        Self::Degenerate,
    ];

    /// The word used in labels, columns, error bodies and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::BodyTooLarge => "body_too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::Unauthorized => "unauthorized",
            Self::NoRoute => "no_route",
            Self::NotCached => "not_cached",
            Self::RateLimited => "rate_limited",
            Self::ClientLeft => "client_left",
            Self::SlowReader => "slow_reader",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::Internal => "internal",
            Self::Unreachable => "unreachable",
            Self::BreakerOpen => "breaker_open",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::InterTokenTimeout => "inter_token_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::EngineStatus => "engine_status",
            Self::EngineBroke => "engine_broke",
            Self::EngineInvalid => "engine_invalid",
            Self::Rejected => "answer_rejected",
            Self::Degenerate => "generation_stopped",
        }
    }

    /// Who caused it.
    pub fn source(self) -> Source {
        match self {
            Self::InvalidRequest
            | Self::BodyTooLarge
            | Self::HeadersTooLarge
            | Self::RequestTimeout
            | Self::Unauthorized
            | Self::NoRoute
            | Self::NotCached
            | Self::RateLimited
            | Self::ClientLeft
            | Self::SlowReader => Source::Client,
            Self::Overloaded | Self::Draining | Self::Internal => Source::Weir,
            Self::Unreachable
            | Self::BreakerOpen
            | Self::ConnectTimeout
            | Self::FirstTokenTimeout
            | Self::InterTokenTimeout
            | Self::TotalTimeout
            | Self::EngineStatus
            | Self::EngineBroke
            | Self::EngineInvalid => Source::Engine,
            Self::Rejected | Self::Degenerate => Source::Critic,
        }
    }
}

/// A fault of one exchange.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {message}", kind.as_str())]
pub struct Error {
    /// What it is.
    pub kind: Kind,
    /// For the client: lower case, says what to change; never holds prompt text.
    pub message: String,
    /// For the log only; empty where the message says it all; never holds prompt text.
    pub detail: String,
    /// When a retry may succeed, told to the client as `Retry-After`.
    pub retry_after: Option<std::time::Duration>,
}

impl Error {
    /// A fault with a text for the client.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: String::new(), retry_after: None }
    }

    /// Whether another engine may do better: it is the engine's fault, and there is time left.
    pub fn is_replaceable(&self) -> bool {
        self.kind.source() == Source::Engine && self.kind != Kind::TotalTimeout
    }

    /// Adds what only the log may know.
    pub fn detail(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// Adds the moment from which a retry may succeed.
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
