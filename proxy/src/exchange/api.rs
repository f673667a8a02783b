//! The API shapes that Weir knows, and how a path maps to one.

use serde::{Deserialize, Serialize};

/// Shape of an exchange, decided by method and path alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// `POST /v1/chat/completions` (OpenAI).
    Chat,
    /// `POST /v1/completions` (OpenAI, legacy).
    Completions,
    /// `POST /v1/responses` (OpenAI).
    Responses,
    /// `POST /v1/messages` (Anthropic).
    Messages,
    /// `POST /v1/embeddings` (OpenAI).
    Embeddings,
    /// `GET /v1/models` and below it.
    Models,
    /// Anything else: an engine's native path, passed without a look inside.
    Opaque,
}

impl Api {
    /// Every shape, for tables of metrics and tests.
    pub const ALL: [Self; 7] =
        [Self::Chat, Self::Completions, Self::Responses, Self::Messages, Self::Embeddings, Self::Models, Self::Opaque];

    /// The shape of a request. The path comes without its query.
    pub fn of(method: &http::Method, path: &str) -> Self {
        match (method.as_str(), path) {
            ("POST", "/v1/chat/completions") => Self::Chat,
            ("POST", "/v1/completions") => Self::Completions,
            ("POST", "/v1/responses") => Self::Responses,
            ("POST", "/v1/messages") => Self::Messages,
            ("POST", "/v1/embeddings") => Self::Embeddings,
            ("GET", "/v1/models") => Self::Models,
            ("GET", path) if path.starts_with("/v1/models/") => Self::Models,
            _ => Self::Opaque,
        }
    }

    /// The word used in labels, columns and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
            Self::Opaque => "opaque",
        }
    }

    /// Whether a stream of this shape owes an end marker: `[DONE]`, `message_stop`, `response.completed`.
    pub fn owes_end(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Responses | Self::Messages)
    }

    /// Whether the request body must be a JSON object for Weir to accept it.
    pub fn takes_json(self) -> bool {
        !matches!(self, Self::Models | Self::Opaque)
    }
}
