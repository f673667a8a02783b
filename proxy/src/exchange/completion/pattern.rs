//! The event of a stream that most events repeat, but for the piece of text that each adds.
//!
//! Of an event that adds one piece to one text and would change nothing else if it came
//! again, the bytes around the piece are remembered. The next event with the same bytes
//! around a piece without escapes says the same of another piece: it need not be parsed.

use super::json::{index, items, text};
use super::{Choice, MAX_CHOICES, Shape};
use crate::exchange::tree::Value;

/// Most bytes around the piece that are remembered.
const MOST_BYTES: usize = 4096;

/// Which text of a choice a piece adds to.
#[derive(Clone, Copy, Debug, Default)]
enum Field {
    #[default]
    Text,
    Reasoning,
}

/// The last event, where the next may repeat it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pattern {
    before: Vec<u8>,
    after: Vec<u8>,
    pub(super) choice: usize,
    field: Field,
}

impl Pattern {
    /// Remembers an event, or forgets the last one where it is not of that kind.
    pub(super) fn learn(&mut self, shape: Shape, data: &[u8], event: &Value) {
        self.before.clear();
        let found = match (shape, items(event, "choices")) {
            (Shape::Chat, [choice]) => chat(choice).map(|found| (choice, found)),
            (Shape::Completions, [choice]) => completions(choice).map(|found| (choice, found)),
            _ => None,
        };
        let Some((choice, (piece, field))) = found else { return };
        let number = index(choice, "index").unwrap_or(0);
        // A piece without escapes is a part of the data itself; any other lies elsewhere.
        let start = (piece.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
        let Some(end) = start.checked_add(piece.len()).filter(|end| *end <= data.len()) else { return };
        if number < MAX_CHOICES && data.len() - piece.len() <= MOST_BYTES {
            self.before.extend_from_slice(&data[..start]);
            data[end..].clone_into(&mut self.after);
            (self.choice, self.field) = (number, field);
        }
    }

    /// The piece of an event that repeats the one remembered.
    pub(super) fn piece<'a>(&self, data: &'a [u8]) -> Option<&'a str> {
        if self.before.is_empty() {
            return None;
        }
        let piece = data.strip_prefix(&self.before[..])?.strip_suffix(&self.after[..])?;
        let plain = !piece.is_empty() && piece.iter().all(|byte| *byte >= b' ' && !matches!(byte, b'"' | b'\\'));
        std::str::from_utf8(piece).ok().filter(|_| plain)
    }

    /// Adds a piece where the remembered event added its own.
    pub(super) fn add(&self, piece: &str, choice: &mut Choice) {
        match self.field {
            Field::Text => choice.text.push_str(piece),
            Field::Reasoning => choice.reasoning.push_str(piece),
        }
    }
}

/// The one piece of a delta that has nothing else to add.
fn chat<'a>(choice: &'a Value) -> Option<(&'a str, Field)> {
    let message = choice.get("delta").or_else(|| choice.get("message"))?;
    let calls = !items(message, "tool_calls").is_empty() || message.get("function_call").is_some_and(Value::is_object);
    if calls || !text(message, "refusal").is_empty() {
        return None;
    }
    let fields = [("reasoning_content", Field::Reasoning), ("reasoning", Field::Reasoning), ("content", Field::Text)];
    let mut pieces = fields.into_iter().filter_map(|(key, field)| match message.get(key)? {
        Value::String(piece) if !piece.is_empty() => Some((&**piece, field)),
        // An array of parts may add anything.
        Value::Array(_) => Some(("", field)),
        _ => None,
    });
    pieces.next().filter(|(piece, _)| pieces.next().is_none() && !piece.is_empty())
}

fn completions<'a>(choice: &'a Value) -> Option<(&'a str, Field)> {
    let piece = text(choice, "text");
    (text(choice, "reasoning").is_empty() && !piece.is_empty()).then_some((piece, Field::Text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::exchange::Api;
    use crate::exchange::completion::sse::Event;
    use crate::exchange::completion::{Assembler, Part};
    use crate::exchange::tree::Value;

    fn chat(id: &str, choice: usize, field: &str, piece: &str) -> String {
        format!(r#"{{"id":"{id}","model":"m","choices":[{{"index":{choice},"delta":{{"{field}":"{piece}"}}}}]}}"#)
    }

    #[test]
    fn an_event_is_known_again_only_where_nothing_but_its_piece_differs() {
        let first = chat("a", 0, "content", "x");
        let table = [
            (chat("a", 0, "content", " weir é"), Some(" weir é")),
            (chat("b", 0, "content", "y"), None),
            (chat("a", 1, "content", "y"), None),
            (chat("a", 0, "content", ""), None),
            (chat("a", 0, "content", r"\n"), None),
            (chat("a", 0, "content", "\n"), None),
            (chat("a", 0, "content", r#"y","refusal":"no"#), None),
            (chat("a", 0, "reasoning", "y"), None),
        ];
        let mut pattern = super::Pattern::default();
        for (next, piece) in table {
            pattern.learn(super::Shape::Chat, first.as_bytes(), &serde_json::from_str(&first).unwrap());
            assert_eq!(pattern.piece(next.as_bytes()), piece, "{next}");
        }
    }

    #[test]
    fn an_event_with_more_to_add_than_one_piece_is_no_pattern() {
        for delta in [
            r#""content":"x","refusal":"y""#,
            r#""content":"x","reasoning":"y""#,
            r#""content":"x","tool_calls":[{"index":0,"function":{"arguments":"y"}}]"#,
            r#""content":"x","function_call":{"arguments":"y"}"#,
            r#""content":["x"],"reasoning":"y""#,
            r#""role":"assistant""#,
        ] {
            let event = format!(r#"{{"choices":[{{"index":0,"delta":{{{delta}}}}}]}}"#);
            let mut pattern = super::Pattern::default();
            pattern.learn(super::Shape::Chat, event.as_bytes(), &serde_json::from_str(&event).unwrap());
            assert_eq!(pattern.piece(event.as_bytes()), None, "{event}");
        }
    }

    proptest! {
        /// Events are put together as if each had been parsed.
        #[test]
        fn knowing_events_again_changes_nothing(
            events in proptest::collection::vec(
                (0usize..3, "(a|b)", 0usize..3, prop_oneof!["[a-z é]{0,4}", Just(r"\u0041\n".to_owned()), Just("\u{1}".to_owned())]), 0..24),
        ) {
            let fields = ["content", "reasoning_content", "refusal"];
            let mut known = Assembler::new(Api::Chat, "/v1/chat/completions").unwrap();
            let mut parsed = Assembler::new(Api::Chat, "/v1/chat/completions").unwrap();
            for (choice, id, field, piece) in events {
                let event = chat(&id, choice, fields[field], &piece);
                known.event(Event { name: b"", data: event.as_bytes(), id: b"" });
                match serde_json::from_str::<Value<'_>>(&event) {
                    Ok(value) => parsed.take(Part::Delta, b"", &value),
                    Err(_) => parsed.completion.partial = true,
                }
            }
            prop_assert_eq!(known.has_token(), parsed.has_token());
            prop_assert_eq!(known.finish(), parsed.finish());
        }
    }
}
