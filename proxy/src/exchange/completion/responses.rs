//! Responses: `output` items of a plain answer, `response.*` events of a stream.
//!
//! Deltas are gathered by `output_index`, or by item id where an engine leaves that out
//! (llama.cpp b11549 does); an item's `done` event and the final response
//! hold the whole text again and replace what was gathered.

use super::json::{append_texts, as_written, copy_text, index, items, text};
use super::pieces::Piece;
use super::{Assembler, Part, ToolCall};
use crate::exchange::tree::Value;

/// Takes a plain answer or an event.
pub(super) fn take(assembler: &mut Assembler, part: Part, name: &[u8], value: &Value) {
    if part == Part::Whole {
        return response(assembler, value);
    }
    let kind = match text(value, "type") {
        "" => std::str::from_utf8(name).unwrap_or_default(),
        kind => kind,
    };
    if !kind.starts_with("response.") {
        return;
    }
    assembler.seen = true;
    match kind {
        "response.completed" | "response.incomplete" | "response.failed" => {
            response(assembler, value.get("response").unwrap_or(&Value::Null));
            assembler.completion.ended = true;
        }
        "response.created" | "response.in_progress" => {
            assembler.envelope(value.get("response").unwrap_or(&Value::Null));
        }
        "response.output_item.added" | "response.output_item.done" => {
            let item = value.get("item").unwrap_or(&Value::Null);
            let number = place(assembler, value);
            assembler.pieces.set(number, piece(item));
        }
        _ => delta(assembler, kind, value),
    }
}

fn place(assembler: &mut Assembler, value: &Value) -> usize {
    index(value, "output_index").unwrap_or_else(|| {
        let item = value.get("item").unwrap_or(&Value::Null);
        let ids = [text(value, "item_id"), text(item, "id"), text(item, "call_id")];
        assembler.pieces.number_of(ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default())
    })
}

fn delta(assembler: &mut Assembler, kind: &str, value: &Value) {
    let Some(delta) = value.get("delta").and_then(Value::as_str) else { return };
    let number = place(assembler, value);
    let Some(piece) = assembler.pieces.at(number) else { return };
    match kind {
        "response.output_text.delta" => piece.text.push_str(delta),
        "response.refusal.delta" => piece.refusal.push_str(delta),
        "response.reasoning_text.delta" | "response.reasoning.delta" => piece.reasoning.push_str(delta),
        "response.reasoning_summary_text.delta" => piece.summary.push_str(delta),
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta" => {
            piece.call.get_or_insert_default().arguments.push_str(delta);
        }
        _ => {}
    }
}

/// A response object, whole or the last one of a stream.
fn response(assembler: &mut Assembler, value: &Value) {
    let output = items(value, "output");
    assembler.seen |= text(value, "object") == "response" || !output.is_empty();
    assembler.envelope(value);
    if !output.is_empty() {
        assembler.pieces.set_all(output.iter().map(piece));
    }
    let incomplete = value.get("incomplete_details").map_or("", |details| text(details, "reason"));
    let status = text(value, "status");
    if assembler.seen
        && !status.is_empty()
        && let Some(choice) = assembler.completion.choice(0)
    {
        choice.finish_reason = if incomplete.is_empty() { status } else { incomplete }.to_owned();
    }
}

fn piece(item: &Value) -> Piece {
    let mut piece = Piece::default();
    match text(item, "type") {
        "message" | "" => {
            for part in items(item, "content") {
                piece.text.push_str(text(part, "text"));
                piece.refusal.push_str(text(part, "refusal"));
            }
        }
        "reasoning" => {
            append_texts(&mut piece.reasoning, item.get("content").unwrap_or(&Value::Null));
            append_texts(&mut piece.summary, item.get("summary").unwrap_or(&Value::Null));
        }
        "function_call" | "custom_tool_call" | "mcp_call" => piece.call = Some(call(item)),
        // They say what was looked for, not what was found.
        "web_search_call" | "file_search_call" | "mcp_list_tools" => {}
        _ => piece.unknown = true,
    }
    piece
}

fn call(item: &Value) -> ToolCall {
    let mut call = ToolCall::default();
    copy_text(&mut call.id, item, "id");
    copy_text(&mut call.id, item, "call_id");
    copy_text(&mut call.name, item, "name");
    call.arguments = as_written(item.get("arguments").or_else(|| item.get("input")).unwrap_or(&Value::Null));
    call
}
