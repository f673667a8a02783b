//! Chat and legacy completions: `choices[].message` or `choices[].text` against chunks.
//!
//! From plain, each choice becomes a chunk with its role and all that is not known here, one
//! each for reasoning, content, refusal and every tool call, and one with the finish reason;
//! a legacy choice is its own chunk. The other way the chunks' members are merged, each by the
//! rule of its name: texts and lists of log-probabilities are put one after the other, and
//! what says two things is not rendered.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::{MAX_CHOICES, MAX_PARTS};
use super::merge::{Members, Rule, index, member, members, nested, object, take_list, take_text, text};
use crate::exchange::Api;

/// What every chunk repeats.
const ENVELOPE: [&str; 5] = ["id", "created", "model", "system_fingerprint", "service_tier"];

/// Most that every chunk may repeat: an answer of many short pieces must not grow without bound.
const ENVELOPE_BYTES: usize = 1024;

/// A stream that says what the plain answer says.
pub(super) fn to_stream(api: Api, plain: Value, include_usage: bool) -> Option<Vec<Value>> {
    let mut rest = object(plain)?;
    let choices = take_list(&mut rest, "choices")?;
    let usage = rest.remove("usage").filter(Value::is_object);
    if !is_numbered(&choices) || include_usage && usage.is_none() {
        return None;
    }
    let timings = rest.remove("timings");
    let mut envelope = Members::new();
    for key in ENVELOPE {
        envelope.extend(rest.remove(key).map(|value| (key.to_owned(), value)));
    }
    envelope.insert("object".to_owned(), object_name(api, true).into());
    rest.remove("object");
    if serde_json::to_vec(&envelope).ok()?.len() > ENVELOPE_BYTES {
        return None;
    }
    if include_usage {
        envelope.insert("usage".to_owned(), Value::Null);
    }
    let chunk = |choices: Vec<Value>| {
        let mut chunk = envelope.clone();
        chunk.insert("choices".to_owned(), choices.into());
        chunk
    };
    let mut chunks = Vec::new();
    for (position, choice) in choices.into_iter().enumerate() {
        for part in choice_parts(api, position, object(choice)?)? {
            chunks.push(chunk(vec![part.into()]));
        }
    }
    chunks.first_mut()?.extend(rest);
    if include_usage {
        let mut last = chunk(Vec::new());
        last.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        chunks.push(last);
    }
    // llama.cpp puts its timings on whatever comes last.
    chunks.last_mut()?.extend(timings.map(|timings| ("timings".to_owned(), timings)));
    Some(chunks.into_iter().map(Value::Object).collect())
}

/// Whether every number from 0 stands for one choice, and there are not too many.
fn is_numbered(choices: &[Value]) -> bool {
    let mut numbers: Vec<usize> =
        choices.iter().enumerate().map(|(position, choice)| index(choice, "index").unwrap_or(position)).collect();
    numbers.sort_unstable();
    numbers.len() <= MAX_CHOICES && numbers.into_iter().eq(0..choices.len())
}

fn object_name(api: Api, is_chunk: bool) -> &'static str {
    match (api, is_chunk) {
        (Api::Completions, _) => "text_completion",
        (_, true) => "chat.completion.chunk",
        (_, false) => "chat.completion",
    }
}

/// The pieces of one choice, as they stand in `choices` of the chunks.
fn choice_parts(api: Api, position: usize, mut choice: Members) -> Option<Vec<Members>> {
    if !has_finished(&choice) {
        return None;
    }
    let number = choice.entry("index").or_insert(position.into()).as_u64()?;
    if api == Api::Completions {
        choice.get("text")?.as_str()?;
        return Some(vec![choice]);
    }
    let (said, deltas) = deltas(object(choice.remove("message")?)?)?;
    let logprobs = choice.get_mut("logprobs").map(Value::take);
    let mut parts: Vec<Members> = Vec::new();
    for delta in deltas {
        let mut part = Members::new();
        part.insert("index".to_owned(), number.into());
        part.insert("delta".to_owned(), delta);
        part.extend(logprobs.as_ref().map(|_| ("logprobs".to_owned(), Value::Null)));
        part.insert("finish_reason".to_owned(), Value::Null);
        parts.push(part);
    }
    parts.get_mut(said)?.extend(logprobs.map(|logprobs| ("logprobs".to_owned(), logprobs)));
    choice.insert("delta".to_owned(), json!({}));
    parts.push(choice);
    Some(parts)
}

/// The deltas that a message falls into, and which of them holds what log-probabilities are about.
fn deltas(mut message: Members) -> Option<(usize, Vec<Value>)> {
    message.get("role")?.as_str()?;
    message.entry("content").or_insert(Value::Null);
    let mut reasoning = Members::new();
    // Where both names are used they say the same, so they come together.
    for key in ["reasoning_content", "reasoning"] {
        reasoning.extend(take_text(&mut message, key, Value::Null)?.map(|text| (key.to_owned(), text.into())));
    }
    let content = take_text(&mut message, "content", "".into())?;
    let refusal = take_text(&mut message, "refusal", Value::Null)?;
    let calls = match message.get("tool_calls") {
        Some(Value::Array(calls)) if !calls.is_empty() => take_list(&mut message, "tool_calls")?,
        None | Some(Value::Null | Value::Array(_)) => Vec::new(),
        Some(_) => return None,
    };
    if calls.len() > MAX_PARTS {
        return None;
    }
    let mut deltas = vec![message.into()];
    if !reasoning.is_empty() {
        deltas.push(reasoning.into());
    }
    let before = deltas.len();
    deltas.extend(content.map(|text| json!({ "content": text })));
    deltas.extend(refusal.map(|text| json!({ "refusal": text })));
    for (place, call) in calls.into_iter().enumerate() {
        let mut call = object(call)?;
        call.insert("index".to_owned(), place.into());
        if !is_whole_call(&call) {
            return None;
        }
        deltas.push(json!({ "tool_calls": [call] }));
    }
    Some((before.min(deltas.len() - 1), deltas))
}

/// The plain answer that the chunks add up to.
pub(super) fn to_plain(api: Api, chunks: Vec<Value>) -> Option<Value> {
    let mut plain = Members::new();
    let mut choices = BTreeMap::new();
    for chunk in chunks {
        let mut chunk = object(chunk)?;
        for (position, item) in take_list(&mut chunk, "choices")?.into_iter().enumerate() {
            take_choice(api, &mut choices, position, object(item)?)?;
        }
        chunk.remove("object");
        // Random padding of each chunk.
        chunk.remove("obfuscation");
        members(&mut plain, chunk, |key, _| match key {
            "created" => Rule::First,
            "usage" | "timings" => Rule::Last,
            _ => Rule::Same,
        })?;
    }
    if choices.is_empty() || !choices.keys().copied().eq(0..choices.len()) || !plain.get("usage")?.is_object() {
        return None;
    }
    let choices: Option<Vec<Value>> = choices.into_values().map(|choice| finished(api, choice)).collect();
    plain.insert("choices".to_owned(), choices?.into());
    plain.insert("object".to_owned(), object_name(api, false).into());
    Some(plain.into())
}

fn take_choice(api: Api, choices: &mut BTreeMap<usize, Members>, position: usize, mut item: Members) -> Option<()> {
    let number = match item.remove("index") {
        Some(number) => usize::try_from(number.as_u64()?).ok()?,
        None => position,
    };
    if number >= MAX_CHOICES {
        return None;
    }
    let choice = choices.entry(number).or_default();
    choice.insert("index".to_owned(), number.into());
    if api == Api::Chat {
        let delta = object(item.remove("delta")?)?;
        let message = choice.entry("message").or_insert_with(|| json!({}));
        take_delta(message.as_object_mut()?, delta)?;
    }
    // Lists beside each other, under names that differ between the shapes.
    nested(choice, &mut item, "logprobs", |_, value| if value.is_array() { Rule::List } else { Rule::Same })?;
    members(choice, item, |key, _| match key {
        "text" | "reasoning" if api == Api::Completions => Rule::Text,
        "token_ids" => Rule::List,
        "avg_decoded_tokens_per_iter" => Rule::Last,
        _ => Rule::Same,
    })
}

fn take_delta(message: &mut Members, mut delta: Members) -> Option<()> {
    if let Some(calls) = delta.remove("tool_calls") {
        take_calls(message, calls)?;
    }
    nested(message, &mut delta, "function_call", of_function)?;
    members(message, delta, |key, _| match key {
        "content" | "reasoning" | "reasoning_content" | "refusal" => Rule::Text,
        "role" => Rule::Same,
        _ => Rule::Once,
    })
}

fn take_calls(message: &mut Members, calls: Value) -> Option<()> {
    let held = message.entry("tool_calls").or_insert(Value::Null);
    let calls = match calls {
        Value::Null => return Some(()),
        Value::Array(calls) => calls,
        _ => return None,
    };
    if held.is_null() {
        *held = json!([]);
    }
    let held = held.as_array_mut()?;
    for call in calls {
        let place = match index(&call, "index") {
            Some(place) => place,
            None => held.len() - usize::from(goes_on(held, &call)),
        };
        if place >= MAX_PARTS || place > held.len() {
            return None;
        }
        if place == held.len() {
            held.push(json!({}));
        }
        take_call(held.get_mut(place)?.as_object_mut()?, object(call)?)?;
    }
    Some(())
}

/// Without index, a call goes on with the last one unless it names a new id.
fn goes_on(held: &[Value], call: &Value) -> bool {
    let id = text(call, "id");
    held.last().is_some_and(|last| id.is_empty() || text(last, "id") == id)
}

fn take_call(held: &mut Members, mut call: Members) -> Option<()> {
    call.remove("index");
    for key in ["function", "custom"] {
        nested(held, &mut call, key, of_function)?;
    }
    members(held, call, |_, _| Rule::Same)
}

fn of_function(key: &str, _: &Value) -> Rule {
    if matches!(key, "arguments" | "input") { Rule::Text } else { Rule::Same }
}

/// The choice, where it is one that a plain answer can hold.
fn finished(api: Api, mut choice: Members) -> Option<Value> {
    if !has_finished(&choice) {
        return None;
    }
    if api == Api::Completions {
        choice.get("text")?.as_str()?;
        return Some(choice.into());
    }
    let message = choice.get_mut("message")?.as_object_mut()?;
    message.get("role")?.as_str()?;
    message.entry("content").or_insert(Value::Null);
    if let Some(Value::Array(calls)) = message.get("tool_calls")
        && !calls.iter().all(|call| call.as_object().is_some_and(is_whole_call))
    {
        return None;
    }
    Some(choice.into())
}

fn has_finished(choice: &Members) -> bool {
    choice.get("finish_reason").and_then(Value::as_str).is_some_and(|reason| !reason.is_empty())
}

/// Whether a call has all that a client needs to make it, as text: some engines write
/// arguments as JSON in plain answers, which no chunk can hold.
fn is_whole_call(call: &Members) -> bool {
    let has = |key: &str, field: &str| call.get(key).and_then(|part| part.get(field)).is_some_and(Value::is_string);
    let id = call.get("id").is_some_and(Value::is_string);
    id && (has("function", "name") && has("function", "arguments") || has("custom", "name") && has("custom", "input"))
}

/// Whether a chunk of its own tells the usage.
pub(super) fn tells_usage(chunks: &[Value]) -> bool {
    chunks.iter().any(|chunk| is_usage(chunk.get("choices"), chunk.get("usage")))
}

/// The chunks for a client that did not ask for the usage: what else its chunk told goes onto
/// the one before, where engines put it when there is no such chunk.
pub(super) fn without_usage(chunks: Vec<Value>) -> Option<Vec<Value>> {
    let mut kept: Vec<Value> = Vec::new();
    for chunk in chunks {
        let mut chunk = object(chunk)?;
        let usage = chunk.remove("usage");
        match kept.last_mut() {
            Some(last) if is_usage(chunk.get("choices"), usage.as_ref()) => {
                chunk.remove("choices");
                for (key, value) in chunk {
                    member(last.as_object_mut()?, key, value, Rule::Last)?;
                }
            }
            _ => kept.push(chunk.into()),
        }
    }
    Some(kept)
}

fn is_usage(choices: Option<&Value>, usage: Option<&Value>) -> bool {
    choices.and_then(Value::as_array).is_some_and(Vec::is_empty) && usage.is_some_and(Value::is_object)
}
