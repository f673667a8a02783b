//! Answers of every shape, form and kind, with a text of the test's choice in them.

use harness::Answer;
use serde_json::{Value, json};

/// The API shapes whose answers are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Completions,
    Responses,
    Messages,
}

/// What the text stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    ToolCall,
    Reasoning,
    /// The second of two choices.
    Choices,
    /// The answer to an image.
    Multimodal,
}

pub(super) const APIS: [Api; 4] = [Api::Chat, Api::Completions, Api::Responses, Api::Messages];
pub(super) const KINDS: [Kind; 5] = [Kind::Text, Kind::ToolCall, Kind::Reasoning, Kind::Choices, Kind::Multimodal];

impl Api {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// Whether the shape knows that kind at all.
    pub(super) fn knows(self, kind: Kind) -> bool {
        match kind {
            Kind::Text => true,
            Kind::Choices => matches!(self, Self::Chat | Self::Completions),
            Kind::ToolCall | Kind::Reasoning | Kind::Multimodal => self != Self::Completions,
        }
    }

    pub(super) fn request(self, kind: Kind, stream: bool) -> Value {
        let mut body = json!({"model": "m", "stream": stream});
        let content = match (self, kind) {
            (Self::Responses, Kind::Multimodal) => {
                json!([{"type": "input_text", "text": "what is this?"}, {"type": "input_image", "image_url": "data:,"}])
            }
            (Self::Messages, Kind::Multimodal) => {
                let source = json!({"type": "base64", "media_type": "image/png", "data": ""});
                json!([{"type": "image", "source": source}, {"type": "text", "text": "what is this?"}])
            }
            (_, Kind::Multimodal) => {
                json!([{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}])
            }
            _ => json!("what is it?"),
        };
        let turns = json!([{"role": "user", "content": content}]);
        match self {
            Self::Completions => body["prompt"] = json!("what is it?"),
            Self::Responses => body["input"] = turns,
            Self::Chat | Self::Messages => body["messages"] = turns,
        }
        if kind == Kind::Choices {
            body["n"] = json!(2);
        }
        body
    }

    /// An engine's answer.
    pub(super) fn answer(self, kind: Kind, stream: bool, text: &str) -> Answer {
        if stream { Answer::events(&self.stream(kind, text)) } else { Answer::json(self.plain(kind, text).to_string()) }
    }

    fn plain(self, kind: Kind, text: &str) -> Value {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8});
        match self {
            Self::Chat => {
                let message = match kind {
                    Kind::ToolCall => json!({"role": "assistant", "content": null, "tool_calls": [call(text)]}),
                    Kind::Reasoning => json!({"role": "assistant", "content": "fine", "reasoning_content": text}),
                    _ => json!({"role": "assistant", "content": text}),
                };
                let reason = if kind == Kind::ToolCall { "tool_calls" } else { "stop" };
                let good = json!({"role": "assistant", "content": "fine"});
                let mut choices = vec![json!({"index": 0, "message": message, "finish_reason": reason})];
                if kind == Kind::Choices {
                    choices[0]["index"] = json!(1);
                    choices.insert(0, json!({"index": 0, "message": good, "finish_reason": "stop"}));
                }
                json!({"id": "c", "object": "chat.completion", "created": 7, "model": "m", "choices": choices, "usage": usage})
            }
            Self::Completions => {
                let choice = |index: usize, text: &str| json!({"index": index, "text": text, "finish_reason": "stop"});
                let choices = if kind == Kind::Choices {
                    vec![choice(0, "fine"), choice(1, text)]
                } else {
                    vec![choice(0, text)]
                };
                json!({"id": "c", "object": "text_completion", "created": 7, "model": "m", "choices": choices, "usage": usage})
            }
            Self::Responses => response("completed", output(kind, text)),
            Self::Messages => {
                let (content, reason) = match kind {
                    Kind::ToolCall => {
                        (json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"to": text}}]), "tool_use")
                    }
                    Kind::Reasoning => (
                        json!([{"type": "thinking", "thinking": text, "signature": ""}, {"type": "text", "text": "fine"}]),
                        "end_turn",
                    ),
                    _ => (json!([{"type": "text", "text": text}]), "end_turn"),
                };
                json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content,
                    "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 5}})
            }
        }
    }

    fn stream(self, kind: Kind, text: &str) -> Vec<String> {
        match self {
            Self::Chat => chat_stream(kind, text),
            Self::Completions => {
                let chunk = |choice: Value| {
                    data(
                        &json!({"id": "c", "object": "text_completion", "created": 7, "model": "m", "choices": [choice]}),
                    )
                };
                let at = usize::from(kind == Kind::Choices);
                let mut events: Vec<String> = halves(text)
                    .iter()
                    .map(|half| chunk(json!({"index": at, "text": half, "finish_reason": null})))
                    .collect();
                if at == 1 {
                    events.push(chunk(json!({"index": 0, "text": "fine", "finish_reason": "stop"})));
                }
                events.push(chunk(json!({"index": at, "text": "", "finish_reason": "stop"})));
                events.push("data: [DONE]\n\n".to_owned());
                events
            }
            Self::Responses => {
                let whole = response("completed", output(kind, text));
                let items = output(kind, text);
                let mut events =
                    vec![named("response.created", json!({"response": response("in_progress", json!([]))}))];
                for (at, item) in items.as_array().unwrap().iter().enumerate() {
                    events.push(named("response.output_item.added", json!({"output_index": at, "item": item})));
                    events.push(named("response.output_item.done", json!({"output_index": at, "item": item})));
                }
                events.push(named("response.completed", json!({"response": whole})));
                events
            }
            Self::Messages => messages_stream(kind, text),
        }
    }
}

fn chat_stream(kind: Kind, text: &str) -> Vec<String> {
    let chunk = |index: usize, delta: Value, reason: Value| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": reason});
        data(&json!({"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice]}))
    };
    let at = usize::from(kind == Kind::Choices);
    let mut events = vec![chunk(at, json!({"role": "assistant", "content": ""}), Value::Null)];
    for half in halves(&if kind == Kind::ToolCall { arguments(text) } else { text.to_owned() }) {
        let delta = match kind {
            Kind::ToolCall => {
                json!({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": half}}]})
            }
            Kind::Reasoning => json!({"reasoning_content": half}),
            _ => json!({"content": half}),
        };
        events.push(chunk(at, delta, Value::Null));
    }
    if kind == Kind::Reasoning {
        events.push(chunk(0, json!({"content": "fine"}), Value::Null));
    }
    if at == 1 {
        events.push(chunk(0, json!({"content": "fine"}), json!("stop")));
    }
    events.push(chunk(at, json!({}), json!(if kind == Kind::ToolCall { "tool_calls" } else { "stop" })));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn messages_stream(kind: Kind, text: &str) -> Vec<String> {
    let start = json!({"message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "usage": {"input_tokens": 3, "output_tokens": 0}}});
    let (block, key, kind_of_delta, text) = match kind {
        Kind::ToolCall => (
            json!({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
            "partial_json",
            "input_json_delta",
            arguments(text),
        ),
        Kind::Reasoning => (json!({"type": "thinking", "thinking": ""}), "thinking", "thinking_delta", text.to_owned()),
        _ => (json!({"type": "text", "text": ""}), "text", "text_delta", text.to_owned()),
    };
    let mut events =
        vec![named("message_start", start), named("content_block_start", json!({"index": 0, "content_block": block}))];
    for half in halves(&text) {
        events.push(named("content_block_delta", json!({"index": 0, "delta": {"type": kind_of_delta, key: half}})));
    }
    events.push(named("content_block_stop", json!({"index": 0})));
    let reason = if kind == Kind::ToolCall { "tool_use" } else { "end_turn" };
    events.push(named("message_delta", json!({"delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}})));
    events.push(named("message_stop", json!({})));
    events
}

fn output(kind: Kind, text: &str) -> Value {
    let message = |text: &str| {
        json!({"id": "msg", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}]})
    };
    match kind {
        Kind::ToolCall => {
            json!([{"id": "fc", "type": "function_call", "status": "completed", "call_id": "t", "name": "f", "arguments": arguments(text)}])
        }
        Kind::Reasoning => {
            json!([{"id": "rs", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}, message("fine")])
        }
        _ => json!([message(text)]),
    }
}

fn response(status: &str, output: Value) -> Value {
    json!({"id": "r", "object": "response", "created_at": 7, "model": "m", "status": status, "output": output,
        "usage": {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}})
}

fn call(text: &str) -> Value {
    json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments(text)}})
}

fn arguments(text: &str) -> String {
    json!({"to": text}).to_string()
}

/// A text in two pieces, so that what is to be found stands across a border.
fn halves(text: &str) -> [&str; 2] {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    [first, second]
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn named(name: &str, mut value: Value) -> String {
    value["type"] = json!(name);
    format!("event: {name}\ndata: {value}\n\n")
}
