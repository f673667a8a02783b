//! What was read of an answer, as a plain body of its shape: for whoever reads it later.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::exchange::Api;
use crate::exchange::completion::{Choice, Completion, ToolCall};

/// A plain body that reads as that completion: its texts, calls and finish reasons. Responses and
/// Messages have one choice. None for shapes whose answers are not judged.
pub fn of_completion(api: Api, completion: &Completion) -> Option<Bytes> {
    let choices = completion.choices.iter().enumerate();
    let first = || completion.choices.first().cloned().unwrap_or_default();
    let mut body = match api {
        Api::Chat => json!({"choices": choices.map(|(at, choice)| chat(at, choice)).collect::<Vec<_>>()}),
        Api::Completions => json!({"choices": choices.map(|(at, choice)| legacy(at, choice)).collect::<Vec<_>>()}),
        Api::Responses => json!({"object": "response", "output": output(&first())}),
        Api::Messages => json!({"type": "message", "role": "assistant", "content": content(&first())}),
        Api::Embeddings | Api::Models | Api::Opaque => return None,
    };
    let reason = first().finish_reason;
    match api {
        Api::Responses => set(&mut body, "status", &reason),
        Api::Messages => set(&mut body, "stop_reason", &reason),
        _ => {}
    }
    set(&mut body, "model", &completion.model);
    Some(body.to_string().into())
}

fn set(object: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        object[key] = text.into();
    }
}

fn chat(index: usize, choice: &Choice) -> Value {
    let mut message = json!({"role": "assistant"});
    set(&mut message, "content", &choice.text);
    set(&mut message, "reasoning_content", &choice.reasoning);
    set(&mut message, "refusal", &choice.refusal);
    if !choice.tool_calls.is_empty() {
        let call = |ToolCall { id, name, arguments }: &ToolCall| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        message["tool_calls"] = choice.tool_calls.iter().map(call).collect();
    }
    json!({"index": index, "message": message, "finish_reason": choice.finish_reason})
}

fn legacy(index: usize, choice: &Choice) -> Value {
    let mut value = json!({"index": index, "text": choice.text, "finish_reason": choice.finish_reason});
    set(&mut value, "reasoning", &choice.reasoning);
    value
}

fn output(choice: &Choice) -> Value {
    let part = |kind: &str, key: &str, text: &str| match text.is_empty() {
        true => None,
        false => Some(Value::Object(Map::from_iter([("type".into(), kind.into()), (key.into(), text.into())]))),
    };
    let mut items: Vec<Value> = Vec::new();
    if let Some(reasoning) = part("reasoning_text", "text", &choice.reasoning) {
        items.push(json!({"type": "reasoning", "content": [reasoning]}));
    }
    let parts = [part("output_text", "text", &choice.text), part("refusal", "refusal", &choice.refusal)];
    let parts: Vec<Value> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        items.push(json!({"type": "message", "role": "assistant", "content": parts}));
    }
    items.extend(choice.tool_calls.iter().map(|ToolCall { id, name, arguments }| {
        json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
    }));
    items.into()
}

fn content(choice: &Choice) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    if !choice.reasoning.is_empty() {
        blocks.push(json!({"type": "thinking", "thinking": choice.reasoning}));
    }
    if !choice.text.is_empty() {
        blocks.push(json!({"type": "text", "text": choice.text}));
    }
    // Arguments that broke off are no JSON: they stand here as text.
    blocks.extend(choice.tool_calls.iter().map(
        |ToolCall { id, name, arguments }| json!({"type": "tool_use", "id": id, "name": name, "input": arguments}),
    ));
    blocks.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::completion::read;

    #[test]
    fn what_is_written_reads_as_what_was_said() {
        let call = ToolCall { id: "c".into(), name: "f".into(), arguments: "{\"a".into() };
        let whole = Choice {
            text: "te\"xt".into(),
            reasoning: "why".into(),
            refusal: "no".into(),
            tool_calls: vec![call],
            finish_reason: "length".into(),
        };
        for api in [Api::Chat, Api::Completions, Api::Responses, Api::Messages] {
            let mut choice = whole.clone();
            if matches!(api, Api::Completions | Api::Messages) {
                choice.refusal.clear();
            }
            if api == Api::Completions {
                choice.tool_calls.clear();
            }
            for choice in [choice, Choice { text: "only".into(), ..Choice::default() }] {
                let said = Completion { choices: vec![choice], model: "m".into(), ..Completion::default() };
                let body = of_completion(api, &said).unwrap();
                let read = read(api, "", false, &body).unwrap();
                assert_eq!((&read.choices, &read.model), (&said.choices, &said.model), "{api:?}");
            }
        }
    }
}
