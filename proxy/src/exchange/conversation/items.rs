//! Messages, items and their parts, in the spellings of all shapes.

use super::{Message, Part};
use crate::exchange::tree::Value;

/// A message with its parts.
pub(super) fn message(role: &str, parts: Vec<Part>) -> Message {
    Message { role: role.to_owned(), parts }
}

/// A message of the chat and Messages shapes.
pub(super) fn chat_message(value: &Value) -> Message {
    let role = text(value, "role");
    let mut found = Vec::new();
    let reasoning = ["reasoning_content", "reasoning"].map(|key| text(value, key));
    if let Some(reasoning) = reasoning.into_iter().find(|reasoning| !reasoning.is_empty()) {
        found.push(Part::Reasoning(reasoning.to_owned()));
    }
    let content = value.get("content").unwrap_or(&Value::Null);
    if matches!(role, "tool" | "function") {
        found.push(Part::ToolResult(flat(content)));
    } else {
        found.extend(parts(content));
    }
    if !text(value, "refusal").is_empty() {
        found.push(Part::Text(text(value, "refusal").to_owned()));
    }
    let calls = value.get("tool_calls").and_then(Value::as_array).unwrap_or_default();
    found
        .extend(calls.iter().map(|entry| call(entry.get("function").or_else(|| entry.get("custom")).unwrap_or(entry))));
    found.extend(value.get("function_call").filter(|function| function.is_object()).map(call));
    message(role, found)
}

/// An item of a Responses `input`.
pub(super) fn response_item(value: &Value) -> Message {
    match text(value, "type") {
        "message" | "" if value.get("role").is_some() => {
            message(text(value, "role"), parts(value.get("content").unwrap_or(&Value::Null)))
        }
        "function_call" | "custom_tool_call" | "mcp_call" => message("assistant", vec![call(value)]),
        "function_call_output" | "custom_tool_call_output" => {
            let output = value.get("output").unwrap_or(&Value::Null);
            message("tool", vec![Part::ToolResult(flat(output))])
        }
        "reasoning" => {
            let of = |key: &str| flat(value.get(key).unwrap_or(&Value::Null));
            let content = of("content");
            message("assistant", vec![Part::Reasoning(if content.is_empty() { of("summary") } else { content })])
        }
        _ => match value {
            Value::String(said) => message("user", vec![Part::Text(said.to_string())]),
            other => message("", vec![part(other)]),
        },
    }
}

/// Content: text, null, or an array of parts.
pub(super) fn parts(content: &Value) -> Vec<Part> {
    match content {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().map(part).collect(),
        one => vec![part(one)],
    }
}

fn part(value: &Value) -> Part {
    if let Value::String(text) = value {
        return Part::Text(text.to_string());
    }
    let of = |key: &str| flat(value.get(key).unwrap_or(&Value::Null));
    match text(value, "type") {
        "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => Part::Text(of("text")),
        "refusal" => Part::Text(of("refusal")),
        "thinking" => Part::Reasoning(of("thinking")),
        "reasoning" => Part::Reasoning(of("text")),
        "tool_use" | "server_tool_use" => call(value),
        "tool_result" => Part::ToolResult(of("content")),
        "" if value.get("text").is_some() => Part::Text(of("text")),
        "" => Part::Other("unknown".to_owned()),
        kind => Part::Other(kind.to_owned()),
    }
}

/// A tool call, whatever its arguments are called, and whether they are text or JSON.
fn call(value: &Value) -> Part {
    let arguments = ["arguments", "input"].iter().find_map(|key| value.get(key)).unwrap_or(&Value::Null);
    let arguments = match arguments {
        Value::Null => String::new(),
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    };
    Part::ToolCall { name: text(value, "name").to_owned(), arguments }
}

/// Text of a value that is text or parts; parts without text leave their type in brackets.
fn flat(content: &Value) -> String {
    let lines: Vec<String> = parts(content)
        .into_iter()
        .map(|part| match part {
            Part::Text(text) | Part::Reasoning(text) | Part::ToolResult(text) => text,
            Part::ToolCall { name, .. } => format!("[{name}]"),
            Part::Other(kind) => format!("[{kind}]"),
        })
        .collect();
    match content {
        // A tool may answer with bare JSON.
        Value::Object(_) if content.get("type").is_none() => content.to_string(),
        _ => lines.join("\n"),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
