//! Responses: `output` items against `response.*` events.
//!
//! A stream's last event holds the whole answer, so only the way from plain is work: the
//! events are those that the API documents for messages, reasoning, and calls of functions
//! and custom tools. Items of hosted tools have events of their own, which a finished item
//! does not tell: such answers are not rendered.

use serde_json::{Value, json};

use super::super::MAX_PARTS;
use super::merge::{Members, object, take_list, take_text, text};

/// Longest id of an item: it stands in every event about a part of it, and there may be many.
const ID_BYTES: usize = 256;

/// A stream that says what the plain answer says.
pub(super) fn to_stream(plain: Value) -> Option<Vec<Value>> {
    let ending = ending(&plain)?;
    let mut begun = object(plain.clone())?;
    let output = take_list(&mut begun, "output")?;
    if output.len() > MAX_PARTS {
        return None;
    }
    begun.insert("status".to_owned(), "in_progress".into());
    begun.insert("output".to_owned(), json!([]));
    for key in ["usage", "incomplete_details", "completed_at"] {
        begun.get_mut(key).map(Value::take);
    }
    let mut events = Events::default();
    events.push("response.created", json!({ "response": begun }));
    events.push("response.in_progress", json!({ "response": begun }));
    for (number, item) in output.into_iter().enumerate() {
        events.item(number, item)?;
    }
    events.push(ending, json!({ "response": plain }));
    Some(events.said)
}

/// The plain answer that the stream ends with.
pub(super) fn to_plain(events: Vec<Value>) -> Option<Value> {
    let mut last = None;
    for event in events {
        if last.is_some() || !text(&event, "type").starts_with("response.") {
            return None;
        }
        if matches!(text(&event, "type"), "response.completed" | "response.incomplete") {
            last = Some(event);
        }
    }
    let mut last = object(last?)?;
    let plain = last.remove("response")?;
    let is_its_end = last.get("type")? == ending(&plain)?;
    (is_its_end && plain.get("usage")?.is_object()).then_some(plain)
}

/// The last event of a stream of this answer; none where it failed or goes on.
fn ending(plain: &Value) -> Option<&'static str> {
    if !plain.get("error").is_none_or(Value::is_null) {
        return None;
    }
    match text(plain, "status") {
        "completed" => Some("response.completed"),
        "incomplete" => Some("response.incomplete"),
        _ => None,
    }
}

/// The events so far.
#[derive(Default)]
struct Events {
    said: Vec<Value>,
}

/// Where an event belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    item_id: &'a str,
    output_index: usize,
    /// Number within the item and the name of that number, where the event is about a part.
    part: Option<(&'static str, usize)>,
}

impl Events {
    fn push(&mut self, kind: &str, mut members: Value) {
        members["type"] = kind.into();
        members["sequence_number"] = self.said.len().into();
        self.said.push(members);
    }

    /// An event about an item or a part, with one member of its own.
    fn say(&mut self, kind: &str, place: Place<'_>, key: &str, value: Value) {
        let mut members = json!({ "item_id": place.item_id, "output_index": place.output_index });
        if let Some((name, number)) = place.part {
            members[name] = number.into();
        }
        members[key] = value;
        self.push(kind, members);
    }

    /// A text as one delta, where there is any, and once more as a whole.
    fn text(&mut self, kind: &str, place: Place<'_>, key: &str, text: &str) {
        if !text.is_empty() {
            self.say(&format!("{kind}.delta"), place, "delta", text.into());
        }
        self.say(&format!("{kind}.done"), place, key, text.into());
    }

    fn item(&mut self, output_index: usize, item: Value) -> Option<()> {
        let whole = item.clone();
        let mut item = object(item)?;
        // llama.cpp gives its calls no id of their own.
        let item_id = [text(&whole, "id"), text(&whole, "call_id")].into_iter().find(|id| !id.is_empty())?;
        if item_id.len() > ID_BYTES {
            return None;
        }
        let place = Place { item_id, output_index, part: None };
        let parts = parts_of(&mut item)?;
        if item.contains_key("status") {
            item.insert("status".to_owned(), "in_progress".into());
        }
        self.push("response.output_item.added", json!({ "output_index": output_index, "item": item }));
        match parts {
            Parts::Call { kind, key, text } => self.text(kind, place, key, &text),
            Parts::Lists { summary, content } => {
                for (number, part) in summary.into_iter().enumerate() {
                    self.summary(Place { part: Some(("summary_index", number)), ..place }, &part)?;
                }
                for (number, part) in content.into_iter().enumerate() {
                    self.content(Place { part: Some(("content_index", number)), ..place }, &part)?;
                }
            }
        }
        self.push("response.output_item.done", json!({ "output_index": output_index, "item": whole }));
        Some(())
    }

    fn summary(&mut self, place: Place<'_>, part: &Value) -> Option<()> {
        if text(part, "type") != "summary_text" {
            return None;
        }
        self.say("response.reasoning_summary_part.added", place, "part", emptied(part, "text")?);
        self.text("response.reasoning_summary_text", place, "text", text(part, "text"));
        self.say("response.reasoning_summary_part.done", place, "part", part.clone());
        Some(())
    }

    fn content(&mut self, place: Place<'_>, part: &Value) -> Option<()> {
        let (kind, key) = match text(part, "type") {
            "output_text" => ("response.output_text", "text"),
            "reasoning_text" => ("response.reasoning_text", "text"),
            "refusal" => ("response.refusal", "refusal"),
            _ => return None,
        };
        self.say("response.content_part.added", place, "part", emptied(part, key)?);
        let first = self.said.len();
        self.text(kind, place, key, text(part, key));
        if kind == "response.output_text" {
            let logprobs = part.get("logprobs").filter(|list| list.is_array()).cloned().unwrap_or(json!([]));
            for event in self.said.iter_mut().skip(first) {
                event["logprobs"] = logprobs.clone();
            }
            self.annotations(place, part);
        }
        self.say("response.content_part.done", place, "part", part.clone());
        Some(())
    }

    fn annotations(&mut self, place: Place<'_>, part: &Value) {
        let annotations = part.get("annotations").and_then(Value::as_array);
        for (number, annotation) in annotations.into_iter().flatten().enumerate() {
            self.say("response.output_text.annotation.added", place, "annotation", annotation.clone());
            if let Some(event) = self.said.last_mut() {
                event["annotation_index"] = number.into();
            }
        }
    }
}

/// What an item is made of.
enum Parts {
    /// Text of a call, with the name of its events and of its member.
    Call { kind: &'static str, key: &'static str, text: String },
    /// Parts of a message or of reasoning.
    Lists { summary: Vec<Value>, content: Vec<Value> },
}

/// Takes the parts out of an item, which stays as it was when it was begun.
fn parts_of(item: &mut Members) -> Option<Parts> {
    let (kind, key) = match item.get("type")?.as_str()? {
        "function_call" => ("response.function_call_arguments", "arguments"),
        "custom_tool_call" => ("response.custom_tool_call_input", "input"),
        "message" | "reasoning" => {
            return Some(Parts::Lists { summary: list_of(item, "summary")?, content: list_of(item, "content")? });
        }
        _ => return None,
    };
    let text = take_text(item, key, "".into())?.unwrap_or_default();
    Some(Parts::Call { kind, key, text })
}

/// The elements of a member that may be missing, left empty.
fn list_of(item: &mut Members, key: &str) -> Option<Vec<Value>> {
    match item.get_mut(key) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(parts)) => Some(std::mem::take(parts)),
        Some(_) => None,
    }
}

/// A part before its first delta.
fn emptied(part: &Value, key: &str) -> Option<Value> {
    let mut part = object(part.clone())?;
    take_text(&mut part, key, "".into())?;
    for list in ["annotations", "logprobs"] {
        if part.get(list).is_some_and(Value::is_array) {
            part.insert(list.to_owned(), json!([]));
        }
    }
    Some(part.into())
}
