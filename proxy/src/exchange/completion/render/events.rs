//! Streams of server-sent events, read whole into JSON and written from it.

use bytes::Bytes;
use serde_json::Value;

use super::super::Scanner;
use super::super::sse::{Event, Reader};
use super::merge::text;
use crate::exchange::Api;

/// The events of a stream that came to its proper end without an error; none otherwise, and
/// none where an event is not understood. Events of shapes that name them have a `type`.
pub(super) fn read(api: Api, body: &[u8]) -> Option<Vec<Value>> {
    let mut scanner = Scanner::new(api, "");
    scanner.push(body);
    if !scanner.ended() || scanner.failed() {
        return None;
    }
    let (mut events, mut done, mut odd) = (Vec::new(), false, false);
    // No event is larger than the body, so none is dropped for its size.
    Reader::new(body.len().saturating_add(1)).push(body, |event| {
        if event.data == b"[DONE]" && !done {
            done = true;
        } else if let Some(value) = value(api, event).filter(|_| !done) {
            events.push(value);
        } else {
            odd = true;
        }
    });
    (!odd).then_some(events)
}

fn value(api: Api, event: Event<'_>) -> Option<Value> {
    let name = std::str::from_utf8(event.name).ok()?;
    let mut value: Value = serde_json::from_slice(event.data).ok()?;
    if name == "error" {
        return None;
    }
    if !is_named(api) {
        return matches!(name, "" | "message").then_some(value);
    }
    let members = value.as_object_mut()?;
    if !name.is_empty() && !members.contains_key("type") {
        members.insert("type".to_owned(), name.into());
    }
    let agrees = name.is_empty() || name == text(&value, "type");
    agrees.then_some(value)
}

/// Writes a whole stream, with the end that its shape owes.
pub(super) fn write(api: Api, events: &[Value]) -> Option<Bytes> {
    let mut out = Vec::new();
    for event in events {
        if is_named(api) {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(text(event, "type").as_bytes());
            out.push(b'\n');
        }
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut out, event).ok()?;
        out.extend_from_slice(b"\n\n");
    }
    if !is_named(api) {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
    Some(out.into())
}

/// Whether events carry a name beside their `type`, and end by one rather than by `[DONE]`.
fn is_named(api: Api) -> bool {
    matches!(api, Api::Responses | Api::Messages)
}
