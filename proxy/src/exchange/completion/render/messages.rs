//! Messages (Anthropic): `content` blocks against `content_block_*` events.
//!
//! Blocks are text with its citations, thinking with its signature, redacted thinking, and
//! uses of tools, whose input is an object in the one form and pieces of JSON text in the
//! other. The usage of the end is a running total: it overwrites that of the start member by member.

use serde_json::{Value, json};

use super::super::MAX_PARTS;
use super::merge::{Members, Rule, member, members, nested, object, take_list, take_text};

/// What only the end of a stream knows.
const ENDING: [&str; 4] = ["stop_reason", "stop_sequence", "stop_details", "container"];

/// A stream that says what the plain answer says.
pub(super) fn to_stream(plain: Value) -> Option<Vec<Value>> {
    let mut message = object(plain)?;
    if message.get("type")? != "message" || !has_ended(&message) {
        return None;
    }
    let blocks = take_list(&mut message, "content")?;
    let usage = message.get("usage")?.as_object()?.clone();
    let mut ending = Members::new();
    for key in ENDING {
        ending.extend(message.get_mut(key).map(|value| (key.to_owned(), value.take())));
    }
    message.insert("content".to_owned(), json!([]));
    // Nothing has been generated when a message starts.
    message.get_mut("usage")?.as_object_mut()?.insert("output_tokens".to_owned(), 0.into());
    let mut events = vec![json!({"type": "message_start", "message": message})];
    if blocks.len() > MAX_PARTS {
        return None;
    }
    for (number, block) in blocks.into_iter().enumerate() {
        let (start, deltas) = block_parts(object(block)?)?;
        events.push(json!({"type": "content_block_start", "index": number, "content_block": start}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": number, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": number}));
    }
    events.push(json!({"type": "message_delta", "delta": ending, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    Some(events)
}

/// Whether a message says why it ended and what it cost.
fn has_ended(message: &Members) -> bool {
    let told = message.get("usage").and_then(|usage| usage.get("output_tokens")).is_some_and(Value::is_u64);
    told && message.get("stop_reason").and_then(Value::as_str).is_some_and(|reason| !reason.is_empty())
}

/// How a block starts, and what its deltas say.
fn block_parts(mut block: Members) -> Option<(Value, Vec<Value>)> {
    let mut deltas = Vec::new();
    match block.get("type")?.as_str()? {
        "text" => {
            let text = take_text(&mut block, "text", "".into())?;
            deltas.extend(text.map(|text| json!({"type": "text_delta", "text": text})));
            if block.get("citations").is_some_and(Value::is_array) {
                let citations = take_list(&mut block, "citations")?;
                block.insert("citations".to_owned(), json!([]));
                deltas.extend(citations.into_iter().map(|one| json!({"type": "citations_delta", "citation": one})));
            }
        }
        "thinking" => {
            let thinking = take_text(&mut block, "thinking", "".into())?;
            deltas.extend(thinking.map(|text| json!({"type": "thinking_delta", "thinking": text})));
            let signature = take_text(&mut block, "signature", "".into())?;
            deltas.extend(signature.map(|text| json!({"type": "signature_delta", "signature": text})));
        }
        "tool_use" | "server_tool_use" => {
            let input = block.insert("input".to_owned(), json!({})).filter(Value::is_object)?;
            deltas.push(json!({"type": "input_json_delta", "partial_json": input.to_string()}));
        }
        "redacted_thinking" => {}
        _ => return None,
    }
    Some((block.into(), deltas))
}

/// A block that a stream has begun.
#[derive(Default)]
struct Block {
    members: Members,
    /// The pieces of a tool's input so far.
    input: String,
    is_over: bool,
}

/// The plain answer that the events add up to.
pub(super) fn to_plain(events: Vec<Value>) -> Option<Value> {
    let mut events = events.into_iter();
    let mut message = start(events.next()?)?;
    let mut blocks: Vec<Block> = Vec::new();
    let mut stopped = false;
    for event in events {
        if stopped {
            return None;
        }
        let mut event = object(event)?;
        match event.get("type")?.as_str()? {
            "ping" => {}
            "content_block_start" => {
                if index_of(&event)? != blocks.len() || blocks.len() >= MAX_PARTS {
                    return None;
                }
                blocks.push(Block { members: object(event.remove("content_block")?)?, ..Block::default() });
            }
            "content_block_delta" => {
                let block = blocks.get_mut(index_of(&event)?).filter(|block| !block.is_over)?;
                block.take(object(event.remove("delta")?)?)?;
            }
            "content_block_stop" => blocks.get_mut(index_of(&event)?)?.stop()?,
            "message_delta" => ending(&mut message, event)?,
            "message_stop" => stopped = true,
            _ => return None,
        }
    }
    if !stopped || !has_ended(&message) || !blocks.iter().all(|block| block.is_over) {
        return None;
    }
    let blocks: Vec<Value> = blocks.into_iter().map(|block| block.members.into()).collect();
    message.insert("content".to_owned(), blocks.into());
    Some(message.into())
}

fn start(event: Value) -> Option<Members> {
    let mut event = object(event)?;
    let message = object(event.remove("message")?)?;
    let is_empty = message.get("content")?.as_array()?.is_empty();
    (event.get("type")? == "message_start" && is_empty).then_some(message)
}

fn index_of(event: &Members) -> Option<usize> {
    usize::try_from(event.get("index")?.as_u64()?).ok()
}

/// The last of the message: why it stopped, and the counts.
fn ending(message: &mut Members, mut event: Members) -> Option<()> {
    event.remove("type");
    nested(message, &mut event, "usage", |_, _| Rule::Last)?;
    members(message, object(event.remove("delta")?)?, |_, _| Rule::Last)?;
    members(message, event, |_, _| Rule::Same)
}

impl Block {
    fn take(&mut self, mut delta: Members) -> Option<()> {
        let kind = delta.remove("type")?;
        let (key, rule) = match kind.as_str()? {
            "text_delta" => ("text", Rule::Text),
            "thinking_delta" => ("thinking", Rule::Text),
            "signature_delta" => ("signature", Rule::Text),
            "input_json_delta" => {
                self.input.push_str(delta.get("partial_json")?.as_str()?);
                return Some(());
            }
            "citations_delta" => {
                let citation = Value::Array(vec![delta.remove("citation")?]);
                return member(&mut self.members, "citations".to_owned(), citation, Rule::List);
            }
            _ => return None,
        };
        member(&mut self.members, key.to_owned(), delta.remove(key)?, rule)
    }

    fn stop(&mut self) -> Option<()> {
        self.is_over = true;
        if !self.input.is_empty() {
            let input: Value = serde_json::from_str(&self.input).ok().filter(Value::is_object)?;
            self.members.insert("input".to_owned(), input);
        }
        let is_call = matches!(self.members.get("type")?.as_str()?, "tool_use" | "server_tool_use");
        if is_call && !self.members.get("input")?.is_object() {
            return None;
        }
        Some(())
    }
}
