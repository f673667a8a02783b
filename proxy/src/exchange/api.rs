//! The API shapes that Weir knows, and how a path maps to one.

use std::borrow::Cow;

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

/// Last parts of native paths that write no text.
const WORDLESS: [&str; 22] = [
    "tokenize",
    "detokenize",
    "apply-template",
    "count_tokens",
    "embedding",
    "embeddings",
    "rerank",
    "reranking",
    "score",
    "pooling",
    "classify",
    "slots",
    "props",
    "lora-adapters",
    "load_lora_adapter",
    "unload_lora_adapter",
    "sleep",
    "wake_up",
    "reset_prefix_cache",
    "flush_cache",
    "start_profile",
    "stop_profile",
];

/// A path without escapes (RFC 3986, 6.2.2.2) and doubled slashes.
fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let mut plain = String::with_capacity(decoded.len());
    for letter in decoded.chars() {
        if !(letter == '/' && plain.ends_with('/')) {
            plain.push(letter);
        }
    }
    Cow::Owned(plain)
}

impl Api {
    /// Every shape, for tables of metrics and tests.
    pub const ALL: [Self; 7] =
        [Self::Chat, Self::Completions, Self::Responses, Self::Messages, Self::Embeddings, Self::Models, Self::Opaque];

    /// The shape of a request. The path comes without its query; it may be spelled in any way
    /// that an engine takes for the same.
    pub fn of(method: &http::Method, path: &str) -> Self {
        let path = plain(path);
        match (method.as_str(), &*path) {
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

    /// Whether requests of a native path make the engine write text: everything that is posted,
    /// but for what is known to count, measure or compare only; and answers that were made before.
    pub fn writes_text(self, method: &http::Method, path: &str) -> bool {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::Messages => true,
            Self::Embeddings | Self::Models => false,
            Self::Opaque if method == http::Method::POST => {
                let path = plain(path);
                let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                !WORDLESS.contains(&last)
            }
            Self::Opaque => plain(path).starts_with("/v1/responses/"),
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
