//! Why a page or an API call cannot be answered, and what to change.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal. `Display` says what happened, [`Failure::cure`] what to change.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the store is away: {0}")]
    StoreAbsent(String),
    #[error("the store did not answer within {0:?}")]
    StoreSlow(std::time::Duration),
    #[error("the store refused the query: {0}")]
    Store(String),
    #[error("there is no such exchange in the store")]
    NoExchange,
    #[error("{0}")]
    NotCached(String),
    #[error("there is nothing at this address")]
    NoPage,
    #[error("{what}")]
    BadRequest { what: String, cure: &'static str },
    #[error("the page could not be drawn: {0}")]
    Page(String),
    #[error("a login is needed")]
    NoLogin,
    #[error("this request came from another site")]
    OtherOrigin,
    #[error("the console does not answer to the name '{0}'")]
    OtherHost(String),
    #[error("too many refused logins from this address")]
    TooManyLogins,
}

impl Failure {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::StoreAbsent(_) | Self::StoreSlow(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) => StatusCode::BAD_GATEWAY,
            Self::NoExchange | Self::NotCached(_) | Self::NoPage => StatusCode::NOT_FOUND,
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::Page(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoLogin => StatusCode::UNAUTHORIZED,
            Self::OtherOrigin | Self::OtherHost(_) => StatusCode::FORBIDDEN,
            Self::TooManyLogins => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The word of the API's error body, and of the strings that the pages show.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::StoreAbsent(_) => "store_absent",
            Self::StoreSlow(_) => "store_slow",
            Self::Store(_) => "store_refused",
            Self::NoExchange => "no_exchange",
            Self::NotCached(_) => "not_cached",
            Self::NoPage => "no_page",
            Self::BadRequest { .. } => "bad_request",
            Self::Page(_) => "page",
            Self::NoLogin => "no_login",
            Self::OtherOrigin => "other_origin",
            Self::OtherHost(_) => "other_host",
            Self::TooManyLogins => "too_many_logins",
        }
    }

    /// What a page says beneath the heading that its word stands for.
    pub(super) fn explanation(&self) -> String {
        match self {
            Self::StoreAbsent(note) | Self::Store(note) => note.clone(),
            other => other.to_string(),
        }
    }

    /// What the caller can change.
    pub(super) fn cure(&self) -> &str {
        match self {
            Self::StoreAbsent(_) => "live figures work without it; see /readyz and the store's log",
            Self::StoreSlow(_) => "narrow the time range or the filters",
            Self::Store(_) => "see the log of Weir; the schema may be older or newer than this program",
            Self::NoExchange => "it may not have been sampled, may still be in the spool, or its time to live is over",
            Self::NotCached(_) => "it may have expired or been evicted already; see /cache for what is there",
            Self::NoPage => "begin at /",
            Self::BadRequest { cure, .. } => cure,
            Self::Page(_) => "this is a fault of Weir: report it with the log line",
            Self::NoLogin => "log in at /login, or send the admin token as 'Authorization: Bearer'",
            Self::OtherOrigin => "send the request from the console's own pages, or with a bearer token",
            Self::OtherHost(_) => {
                "use the address that Weir printed, or add this name to console.hosts in the configuration"
            }
            Self::TooManyLogins => "wait a minute",
        }
    }
}

impl From<clickhouse::error::Error> for Failure {
    fn from(fault: clickhouse::error::Error) -> Self {
        // A ClickHouse message may quote the text that was searched for; its first line is enough.
        let text = fault.to_string();
        Self::Store(text.lines().next().unwrap_or_default().chars().take(300).collect())
    }
}

/// The API's form of a refusal.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error": {"kind": self.word(), "message": self.to_string(), "cure": self.cure()}});
        (self.status(), Json(body)).into_response()
    }
}
