//! Embeddings: the model and the usage; the vectors are skipped without being kept.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Assembler, error};

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    data: Option<IgnoredAny>,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    usage: Value,
}

/// Takes a plain answer.
pub(super) fn plain(assembler: &mut Assembler, body: &[u8]) {
    if let Ok(Body { data: Some(_), model, usage }) = serde_json::from_slice(body) {
        assembler.seen = true;
        assembler.envelope(&serde_json::json!({ "model": model, "usage": usage }));
    } else if let Ok(value) = serde_json::from_slice::<Value>(body) {
        assembler.completion.error = error::in_value(&value, false);
        assembler.seen = assembler.completion.error.is_some();
    }
    assembler.completion.ended = assembler.seen;
}
