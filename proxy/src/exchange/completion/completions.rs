//! Legacy completions: `choices[].text`, plain and streamed alike.

use super::Assembler;
use super::json::{copy_text, index, text};
use crate::exchange::tree::Value;

/// Takes a plain answer or a chunk.
pub(super) fn take(assembler: &mut Assembler, value: &Value) {
    let Some(choices) = value.get("choices").and_then(Value::as_array) else { return };
    assembler.seen = true;
    assembler.envelope(value);
    for (position, item) in choices.iter().enumerate() {
        let Some(choice) = assembler.completion.choice(index(item, "index").unwrap_or(position)) else { continue };
        copy_text(&mut choice.finish_reason, item, "finish_reason");
        choice.text.push_str(text(item, "text"));
        choice.reasoning.push_str(text(item, "reasoning"));
    }
}
