//! A raw body, as its tab shows it when it is opened.

use minijinja::value::Value;
use serde::Serialize;

use super::format::cut;
use super::{json_text, sse_text};

/// Characters of a raw body that its tab holds.
const MAX_RAW: usize = 200_000;

/// A raw body in one of its views.
#[derive(Debug, Default, Serialize)]
pub(super) struct Raw {
    bytes: usize,
    /// Which view this is: `laid` (events or JSON, read and laid out) or `plain`.
    mode: &'static str,
    /// What can be laid out: `events`, `json` or nothing.
    shape: &'static str,
    text: String,
    cut: bool,
    json: Option<Value>,
    events: Vec<sse_text::Event>,
    events_total: usize,
}

/// Whether a body of this type is a stream of events.
pub(super) fn is_stream(media_type: &str) -> bool {
    media_type.starts_with("text/event-stream")
}

impl Raw {
    /// The body read and laid out: events of a stream, or JSON; plain where it is neither.
    pub(super) fn laid(body: &str, streamed: bool) -> Self {
        let plain = Self::plain(body, streamed);
        match plain.shape {
            "events" => {
                let (events, events_total) = sse_text::events(body);
                Self { mode: "laid", text: String::new(), cut: false, events, events_total, ..plain }
            }
            "json" => match json_text::html(body).map(Value::from_safe_string) {
                Some(json) => Self { mode: "laid", text: String::new(), cut: false, json: Some(json), ..plain },
                None => Self { shape: "", ..plain },
            },
            _ => plain,
        }
    }

    /// The body as it is.
    pub(super) fn plain(body: &str, streamed: bool) -> Self {
        let (text, cut) = cut(body, MAX_RAW);
        let shape = match body.trim_start().as_bytes().first() {
            Some(_) if streamed => "events",
            Some(b'{' | b'[') => "json",
            _ => "",
        };
        Self { bytes: body.len(), mode: "plain", shape, text: text.to_owned(), cut, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_body_is_laid_out_by_what_it_is() {
        let table = [
            ("data: x\n\n", true, "events", "laid"),
            ("{\"a\":1}", false, "json", "laid"),
            ("{\"a\":", false, "", "plain"),
            ("no json", false, "", "plain"),
            ("", true, "", "plain"),
        ];
        for (body, streamed, shape, mode) in table {
            let raw = Raw::laid(body, streamed);
            assert_eq!((raw.shape, raw.mode), (shape, mode), "{body:?}");
        }
    }
}
