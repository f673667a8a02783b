//! Error bodies and error events of every dialect, read into text.

use super::json::{items, text};
use crate::exchange::tree::Value;

/// Longer texts are cut: some engines quote the whole request back.
const MAX_BYTES: usize = 4096;

/// The text of an error body, JSON or not; none where the body is empty or no text.
///
/// OpenAI, vLLM, llama.cpp: `{"error":{"message"}}`. TGI, trtllm-serve: `{"error":"..."}`.
/// SGLang, older vLLM, trtllm-serve: `{"object":"error","message"}`. Anthropic:
/// `{"type":"error","error":{"message"}}`. FastAPI: `{"detail":"..."|[{"loc","msg"}]}`.
/// May quote the client's words: not for metrics or logs.
pub fn error_text(body: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::String(text)) => plain(&text),
        Ok(value) => in_value(&value, true).or_else(|| detail(&value)),
        Err(_) => plain(std::str::from_utf8(body).ok()?),
    }
}

fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| cut(text))
}

/// The error within an answer or an event; `known` says that it must be one.
pub(super) fn in_value(value: &Value, known: bool) -> Option<String> {
    let kind = text(value, "type");
    let nested = value
        .get("error")
        .filter(|_| !kind.starts_with("response."))
        .or_else(|| (kind == "response.failed").then(|| value.get("response")?.get("error")).flatten());
    match nested {
        Some(Value::String(text)) => return plain(text),
        Some(object @ Value::Object(_)) => return Some(message(object)),
        _ => {}
    }
    let is_error = known || kind == "error" || text(value, "object") == "error";
    (is_error && value.get("message").is_some()).then(|| message(value))
}

fn message(object: &Value) -> String {
    let found = ["message", "type", "code"].map(|key| text(object, key));
    cut(found.into_iter().find(|text| !text.is_empty()).unwrap_or("the engine gave no text"))
}

/// FastAPI's own errors: not found, and requests that fail validation.
fn detail(value: &Value) -> Option<String> {
    if let Some(text) = value.get("detail").and_then(Value::as_str) {
        return plain(text);
    }
    let faults: Vec<String> = items(value, "detail")
        .iter()
        .take(8)
        .map(|fault| {
            let place: Vec<String> = items(fault, "loc").iter().map(super::json::as_written).collect();
            format!("{}: {}", place.join("."), text(fault, "msg"))
        })
        .collect();
    plain(&faults.join("; "))
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_BYTES)].to_owned()
}
