//! Embeddings: the model and the usage; the vectors are skipped without being kept.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Assembler, error};
use crate::exchange::tree::Value;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    data: Option<IgnoredAny>,
    #[serde(default, borrow)]
    model: Value<'a>,
    #[serde(default, borrow)]
    usage: Value<'a>,
}

/// Takes a plain answer.
pub(super) fn plain(assembler: &mut Assembler, body: &[u8]) {
    if let Ok(Body { data: Some(_), model, usage }) = serde_json::from_slice(body) {
        assembler.seen = true;
        assembler.envelope(&Value::Object(vec![("model".into(), model), ("usage".into(), usage)]));
    } else if let Ok(value) = serde_json::from_slice::<Value>(body) {
        assembler.completion.error = error::in_value(&value, false);
        assembler.seen = assembler.completion.error.is_some();
    }
    assembler.completion.ended = assembler.seen;
}
