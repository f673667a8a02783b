//! Chat completions: `choices[].message` of a plain answer, `choices[].delta` of a chunk.
//!
//! A message is read as one large delta. Engines differ in the name of the reasoning field
//! (`reasoning_content` of DeepSeek, SGLang and llama.cpp, `reasoning` of vLLM and gpt-oss),
//! in whether tool call deltas carry an index, and in whether arguments are text or JSON.

use super::json::{append_texts, as_written, copy_text, index, items, text};
use super::{Assembler, Choice, MAX_PARTS, Part, ToolCall};
use crate::exchange::tree::Value;

/// Takes a plain answer or a chunk.
pub(super) fn take(assembler: &mut Assembler, part: Part, value: &Value) {
    let Some(choices) = value.get("choices").and_then(Value::as_array) else { return };
    assembler.seen = true;
    assembler.envelope(value);
    for (position, item) in choices.iter().enumerate() {
        let Some(choice) = assembler.completion.choice(index(item, "index").unwrap_or(position)) else { continue };
        copy_text(&mut choice.finish_reason, item, "finish_reason");
        let message = match part {
            Part::Whole => item.get("message"),
            Part::Delta => item.get("delta"),
        };
        if let Some(message) = message.or_else(|| item.get("message")) {
            delta(choice, part, message);
        }
    }
}

fn delta(choice: &mut Choice, part: Part, message: &Value) {
    match message.get("content") {
        Some(Value::Array(parts)) => parts.iter().for_each(|part| content_part(choice, part)),
        Some(content) => append_texts(&mut choice.text, content),
        None => {}
    }
    let reasoning = [text(message, "reasoning_content"), text(message, "reasoning")];
    choice.reasoning.push_str(reasoning.into_iter().find(|text| !text.is_empty()).unwrap_or_default());
    choice.refusal.push_str(text(message, "refusal"));
    for (position, call) in items(message, "tool_calls").iter().enumerate() {
        let place = index(call, "index").unwrap_or_else(|| match part {
            Part::Whole => position,
            Part::Delta => place_without_index(&choice.tool_calls, call),
        });
        tool_call(choice, place, call);
    }
    // The form before tools: one call, without id.
    if let Some(function) = message.get("function_call").filter(|f| f.is_object()) {
        function_delta(call_at(choice, 0), function);
    }
}

/// One part of a content array, as multimodal models and Mistral's reasoning models send it.
fn content_part(choice: &mut Choice, part: &Value) {
    match text(part, "type") {
        "refusal" => choice.refusal.push_str(text(part, "refusal")),
        "thinking" | "reasoning" => {
            let field = part.get("thinking").or_else(|| part.get("reasoning")).or_else(|| part.get("text"));
            append_texts(&mut choice.reasoning, field.unwrap_or(&Value::Null));
        }
        _ => append_texts(&mut choice.text, &Value::Array(vec![part.clone()])),
    }
}

/// A delta without index begins a new call where it names a new id, and else goes on with the last.
fn place_without_index(calls: &[ToolCall], call: &Value) -> usize {
    let id = text(call, "id");
    let continues = calls.last().is_some_and(|last| id.is_empty() || last.id == id);
    calls.len() - usize::from(continues)
}

fn tool_call(choice: &mut Choice, place: usize, call: &Value) {
    let Some(target) = call_at(choice, place) else { return };
    copy_text(&mut target.id, call, "id");
    if let Some(function) = call.get("function") {
        function_delta(Some(target), function);
    } else if let Some(custom) = call.get("custom") {
        copy_text(&mut target.name, custom, "name");
        target.arguments.push_str(text(custom, "input"));
    }
}

fn function_delta(target: Option<&mut ToolCall>, function: &Value) {
    let Some(target) = target else { return };
    copy_text(&mut target.name, function, "name");
    if let Some(arguments) = function.get("arguments") {
        target.arguments.push_str(&as_written(arguments));
    }
}

fn call_at(choice: &mut Choice, place: usize) -> Option<&mut ToolCall> {
    if place >= MAX_PARTS {
        return None;
    }
    if choice.tool_calls.len() <= place {
        choice.tool_calls.resize_with(place + 1, ToolCall::default);
    }
    choice.tool_calls.get_mut(place)
}
