//! Messages (Anthropic): `content` blocks of a plain answer, `content_block_*` events of a
//! stream. vLLM, SGLang and llama.cpp serve this shape too.
//!
//! A tool's input is an object in a plain answer and JSON text in a stream; the object is
//! written out compact with its keys sorted, so its text may differ from what the LLM wrote.

use super::json::{as_written, copy_text, index, items, text};
use super::pieces::Piece;
use super::{Assembler, Part, ToolCall};
use crate::exchange::tree::Value;

/// Takes a plain answer or an event.
pub(super) fn take(assembler: &mut Assembler, part: Part, name: &[u8], value: &Value) {
    if part == Part::Whole {
        return message(assembler, value);
    }
    let kind = match text(value, "type") {
        "" => std::str::from_utf8(name).unwrap_or_default(),
        kind => kind,
    };
    let number = index(value, "index").unwrap_or(0);
    match kind {
        "message_start" => {
            message(assembler, value.get("message").unwrap_or(&Value::Null));
            assembler.seen = true;
        }
        "content_block_start" => {
            assembler.pieces.set(number, piece(Part::Delta, value.get("content_block").unwrap_or(&Value::Null)));
        }
        "content_block_delta" => delta(assembler, number, value.get("delta").unwrap_or(&Value::Null)),
        "message_delta" => {
            stop_reason(assembler, value.get("delta").unwrap_or(&Value::Null));
            assembler.counts.read(value);
        }
        "message_stop" => assembler.completion.ended = true,
        _ => return,
    }
    assembler.seen = true;
}

fn message(assembler: &mut Assembler, value: &Value) {
    if text(value, "type") != "message" && value.get("content").is_none() {
        return;
    }
    assembler.seen = true;
    assembler.envelope(value);
    stop_reason(assembler, value);
    for (number, block) in items(value, "content").iter().enumerate() {
        assembler.pieces.set(number, piece(Part::Whole, block));
    }
}

fn stop_reason(assembler: &mut Assembler, value: &Value) {
    if let Some(choice) = assembler.completion.choice(0) {
        copy_text(&mut choice.finish_reason, value, "stop_reason");
    }
}

fn delta(assembler: &mut Assembler, number: usize, delta: &Value) {
    let Some(piece) = assembler.pieces.at(number) else { return };
    match text(delta, "type") {
        "text_delta" => piece.text.push_str(text(delta, "text")),
        "thinking_delta" => piece.reasoning.push_str(text(delta, "thinking")),
        "input_json_delta" => {
            let arguments = &mut piece.call.get_or_insert_default().arguments;
            arguments.push_str(text(delta, "partial_json"));
        }
        _ => {}
    }
}

fn piece(part: Part, block: &Value) -> Piece {
    let mut piece = Piece::default();
    match text(block, "type") {
        "text" => piece.text.push_str(text(block, "text")),
        "thinking" => piece.reasoning.push_str(text(block, "thinking")),
        "tool_use" | "server_tool_use" => piece.call = Some(call(part, block)),
        // Encrypted: nobody reads it.
        "redacted_thinking" => {}
        _ => piece.unknown = true,
    }
    piece
}

fn call(part: Part, block: &Value) -> ToolCall {
    let input = block.get("input").unwrap_or(&Value::Null);
    // The start of a streamed block says `"input": {}`, and deltas follow.
    let is_placeholder = part == Part::Delta && input.is_empty_object();
    let arguments = if is_placeholder { String::new() } else { as_written(input) };
    ToolCall { id: text(block, "id").to_owned(), name: text(block, "name").to_owned(), arguments }
}
