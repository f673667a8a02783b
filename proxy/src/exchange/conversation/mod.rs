//! The conversation in a request body, read from any API shape into one readable form.
//!
//! Pure. Foreign bytes: nothing here panics, whatever comes in; a field of the wrong type
//! is a field that is not there. Images, audio and files are named, never copied.

mod items;
pub mod resend;
#[cfg(test)]
mod tests;

use super::Api;
use super::tree::Value;

/// What the client asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Messages in order; a `system` or `instructions` field comes first.
    pub messages: Vec<Message>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool` ... as written.
    pub role: String,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// Reasoning that was sent back.
    Reasoning(String),
    /// A tool call by the assistant: name and arguments as JSON text.
    ToolCall {
        /// Name of the tool.
        name: String,
        /// Arguments as written.
        arguments: String,
    },
    /// The result of a tool.
    ToolResult(String),
    /// Anything that is no text: `image_url`, `input_audio`, `file` ... by its type.
    Other(String),
}

/// Reads the conversation of a request body; none where the body is not of that shape.
/// Native requests of engines are read best effort (`prompt`, `inputs`, `text`, `messages`).
pub fn read(api: Api, body: &[u8]) -> Option<Conversation> {
    of_value(api, &serde_json::from_slice(body).ok()?)
}

/// [`read`], of a body that was parsed already.
pub fn of_value(api: Api, value: &Value) -> Option<Conversation> {
    let mut conversation = match api {
        Api::Chat => chat(value)?,
        Api::Completions => of(prompts(value.get("prompt")?)),
        Api::Responses => responses(value)?,
        Api::Messages => messages(value)?,
        Api::Embeddings => match value.get("input") {
            Some(input) => of(prompts(input)),
            None => chat(value)?,
        },
        Api::Models => return None,
        Api::Opaque => native(value)?,
    };
    conversation.tools = tools(value);
    Some(conversation)
}

fn of(messages: Vec<Message>) -> Conversation {
    Conversation { messages, tools: Vec::new() }
}

fn native(value: &Value) -> Option<Conversation> {
    if value.get("messages").is_some() {
        return chat(value);
    }
    ["prompt", "inputs", "text", "input_ids"].iter().find_map(|key| value.get(key)).map(|v| of(prompts(v)))
}

fn chat(value: &Value) -> Option<Conversation> {
    let list = value.get("messages")?.as_array()?;
    Some(of(list.iter().map(items::chat_message).collect()))
}

fn messages(value: &Value) -> Option<Conversation> {
    let list = value.get("messages")?.as_array()?;
    let system = value.get("system").filter(|system| !system.is_null());
    let system = system.map(|system| items::message("system", items::parts(system)));
    Some(of(system.into_iter().chain(list.iter().map(items::chat_message)).collect()))
}

fn responses(value: &Value) -> Option<Conversation> {
    let instructions = value.get("instructions").filter(|text| !text.is_null());
    let system = instructions.map(|text| items::message("system", items::parts(text)));
    let input: Vec<Message> = match value.get("input")? {
        Value::Array(list) => list.iter().map(items::response_item).collect(),
        input => vec![items::message("user", items::parts(input))],
    };
    Some(of(system.into_iter().chain(input).collect()))
}

/// A prompt: text, texts, token ids, or lists of those; one message each, as each gets its own answer.
fn prompts(value: &Value) -> Vec<Message> {
    let is_tokens = |list: &[Value]| !list.is_empty() && list.iter().all(Value::is_number);
    match value {
        Value::Array(list) if !is_tokens(list) => list.iter().map(prompt).collect(),
        one => vec![prompt(one)],
    }
}

fn prompt(value: &Value) -> Message {
    let part = match value {
        Value::String(text) => Part::Text(text.to_string()),
        Value::Array(_) => Part::Other("token_ids".to_owned()),
        Value::Object(_) => match value.get("prompt_string").or_else(|| value.get("text")).and_then(Value::as_str) {
            Some(text) => Part::Text(text.to_owned()),
            None => return items::message("user", items::parts(value.get("content").unwrap_or(&Value::Null))),
        },
        _ => Part::Other("unknown".to_owned()),
    };
    items::message("user", vec![part])
}

/// Names of the tools offered, in each shape: `function.name`, `name`, or the type of a built-in one.
fn tools(value: &Value) -> Vec<String> {
    let list = |key: &str| value.get(key).and_then(Value::as_array).unwrap_or_default();
    let name = |tool: &Value| {
        let nested = tool.get("function").or_else(|| tool.get("custom")).and_then(|f| f.get("name"));
        let name = nested.or_else(|| tool.get("name")).or_else(|| tool.get("type"));
        name.and_then(Value::as_str).map(str::to_owned)
    };
    list("tools").iter().chain(list("functions")).filter_map(name).collect()
}
