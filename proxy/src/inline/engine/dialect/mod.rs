//! What each engine program speaks: health, version, model, metrics, tokens.
//!
//! Promises: pure. A [`Dialect`] says which paths to ask and reads the answers; asking is
//! the work of whoever holds the connection. Answers are foreign bytes: nothing here
//! panics, and what an answer does not tell stays empty. Error bodies need no dialect:
//! [`crate::exchange::completion::error_text`] reads all of them.

mod detect;
mod llama_cpp;
mod openai;
mod prometheus;
mod sglang;
mod state;
mod tensorrt_llm;
mod tgi;
mod vllm;

use std::time::Duration;

use serde_json::Value;

use crate::exchange::{EngineKind, Fingerprint};

pub use self::detect::{DETECTION_PATHS, detect};
pub use self::prometheus::{Sample, samples};
pub use self::state::EngineState;
use self::state::Source;

/// The paths of one engine program and the readers of what they answer.
#[derive(Debug)]
pub struct Dialect {
    /// Whose it is.
    pub kind: EngineKind,
    /// `GET` path that tells whether the engine takes requests.
    pub health_path: &'static str,
    /// How long a healthy engine may take to answer it: a shorter timeout ejects good replicas.
    pub health_takes: Duration,
    /// `GET` paths whose answers identify model and version; some may be missing in a version.
    pub discovery: &'static [&'static str],
    /// `GET` paths of metrics, the better one first; empty where there are none.
    pub metrics_paths: &'static [&'static str],
    /// Whether reading `metrics_paths` takes the numbers from whoever reads next.
    pub metrics_are_consumed: bool,
    metrics: &'static [Source],
    fingerprint: fn(&Answers<'_>) -> Fingerprint,
    tokenize: Option<Tokenize>,
}

#[derive(Debug)]
struct Tokenize {
    path: &'static str,
    /// Body for model and text.
    body: fn(&str, &str) -> Value,
}

/// Answer to one `GET`.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Path that was asked, without query.
    pub path: &'a str,
    /// HTTP status.
    pub status: u16,
    /// Body, whole.
    pub body: &'a [u8],
}

/// Whether a replica takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ready,
    /// Not yet: the model is being loaded.
    Loading,
    /// It says that it does not.
    Failing,
}

/// The dialect of an engine program.
pub fn of(kind: EngineKind) -> &'static Dialect {
    match kind {
        EngineKind::Vllm => &vllm::DIALECT,
        EngineKind::Sglang => &sglang::DIALECT,
        EngineKind::TensorrtLlm => &tensorrt_llm::DIALECT,
        EngineKind::LlamaCpp => &llama_cpp::DIALECT,
        EngineKind::Tgi => &tgi::DIALECT,
        EngineKind::Openai => &openai::DIALECT,
    }
}

impl Dialect {
    /// Reads the answer of the health path. A refusal for want of a key is an answer of a
    /// living engine: whether the client's key is good shows on the client's request.
    pub fn health(&self, status: u16, body: &[u8]) -> Health {
        match status {
            200..=299 | 401 | 403 => Health::Ready,
            503 if says_loading(body) => Health::Loading,
            _ => Health::Failing,
        }
    }

    /// Reads the answers of the discovery paths.
    pub fn fingerprint(&self, answers: &[Answer<'_>]) -> Fingerprint {
        let mut fingerprint = (self.fingerprint)(&Answers(answers));
        fingerprint.flags.sort_unstable();
        fingerprint
    }

    /// Reads the body of a metrics path.
    pub fn state(&self, body: &[u8]) -> EngineState {
        match body.trim_ascii_start().first() {
            Some(b'[' | b'{') => tensorrt_llm::iteration_state(body),
            _ => state::read(body, self.metrics),
        }
    }

    /// Path and JSON body of a `POST` that counts the tokens of a text; none where the
    /// engine has no such path.
    pub fn tokenize(&self, model: &str, text: &str) -> Option<(&'static str, Vec<u8>)> {
        let tokenize = self.tokenize.as_ref()?;
        Some((tokenize.path, (tokenize.body)(model, text).to_string().into_bytes()))
    }

    /// Reads the count from the answer to such a `POST`: `count` (vLLM, SGLang), the length
    /// of `tokens` (llama.cpp) or of the array itself (TGI).
    pub fn token_count(&self, body: &[u8]) -> Option<u32> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let listed = value.get("tokens").unwrap_or(&value).as_array().map(Vec::len);
        let count = value.get("count").and_then(Value::as_u64);
        count.or(listed.map(|n| n as u64)).and_then(|n| u32::try_from(n).ok())
    }
}

fn says_loading(body: &[u8]) -> bool {
    let text = crate::exchange::completion::error_text(body).unwrap_or_default();
    text.to_ascii_lowercase().contains("loading")
}

/// Answers of one discovery round.
struct Answers<'a>(&'a [Answer<'a>]);

impl Answers<'_> {
    fn body(&self, path: &str) -> Option<&[u8]> {
        self.0.iter().find(|a| a.path == path && a.status == 200).map(|a| a.body)
    }

    /// Body of the first of these paths that answered with JSON; null where none did.
    fn json(&self, paths: &[&str]) -> Value {
        let read = |path: &&str| serde_json::from_slice(self.body(path)?).ok();
        paths.iter().find_map(read).unwrap_or_default()
    }

    /// The served model in `/v1/models`: the first that is no adapter of another.
    fn model_card(&self) -> Value {
        let list = self.json(&["/v1/models"]);
        let cards = list.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_base = |card: &&Value| card.get("parent").is_none_or(Value::is_null);
        cards.iter().find(is_base).or(cards.first()).cloned().unwrap_or_default()
    }
}

/// A string field; empty where it is none.
fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A count of tokens; 0 where it is none.
fn tokens(value: &Value, key: &str) -> u32 {
    value.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// `key=value` of the scalar fields among these that are told; longer texts are no flags.
fn flags(value: &Value, keys: &[&str]) -> Vec<String> {
    let flag = |key: &&str| match value.get(key)? {
        Value::String(text) if text.len() <= 200 => Some(format!("{key}={text}")),
        told @ (Value::Bool(_) | Value::Number(_)) => Some(format!("{key}={told}")),
        _ => None,
    };
    keys.iter().filter_map(flag).collect()
}

/// First 16 hex digits of the BLAKE3 of a chat template; empty for an empty one.
fn template_hash(template: &str) -> String {
    if template.is_empty() { String::new() } else { blake3::hash(template.as_bytes()).to_hex()[..16].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_read_as_each_engine_tells_it() {
        let loading = br#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
        let table: [(EngineKind, u16, &[u8], Health); 8] = [
            (EngineKind::Vllm, 200, b"", Health::Ready),
            (EngineKind::Vllm, 503, b"", Health::Failing),
            (EngineKind::LlamaCpp, 200, br#"{"status":"ok"}"#, Health::Ready),
            (EngineKind::LlamaCpp, 503, loading, Health::Loading),
            (EngineKind::Sglang, 503, b"", Health::Failing),
            (EngineKind::Tgi, 503, br#"{"error":"unhealthy","error_type":"healthcheck"}"#, Health::Failing),
            (EngineKind::TensorrtLlm, 503, b"LLM is unavailable.", Health::Failing),
            (EngineKind::Openai, 401, b"{}", Health::Ready),
        ];
        for (kind, status, body, health) in table {
            assert_eq!(of(kind).health(status, body), health, "{kind:?} {status}");
        }
    }

    #[test]
    fn every_kind_has_its_dialect_and_reads_nothing_from_nothing() {
        for kind in EngineKind::ALL {
            let dialect = of(kind);
            assert_eq!(dialect.kind, kind);
            assert!(dialect.health_path.starts_with('/') && !dialect.discovery.is_empty());
            assert_eq!(dialect.fingerprint(&[]), Fingerprint::default());
            assert_eq!(dialect.state(b""), EngineState::default());
            assert_eq!(dialect.token_count(b"{}"), None);
        }
    }

    #[test]
    fn an_adapter_is_not_taken_for_the_model() {
        let body = br#"{"data":[{"id":"lora","parent":"base"},{"id":"base","parent":null,"max_model_len":8}]}"#;
        let answer = Answer { path: "/v1/models", status: 200, body };
        let fingerprint = of(EngineKind::Vllm).fingerprint(&[answer]);
        assert_eq!((fingerprint.model.as_str(), fingerprint.context_tokens), ("base", 8));
    }
}
