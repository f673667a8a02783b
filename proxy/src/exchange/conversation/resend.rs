//! A request again, with the answer that was not good enough and what was wrong with it.
//!
//! Pure. Everything else in the body stays the bytes that the client sent, in their order.

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::exchange::Api;

/// What goes back to the engine.
#[derive(Clone, Copy, Debug)]
pub struct Critique<'a> {
    /// The answer that failed, as text.
    pub failed: &'a str,
    /// What was wrong with it, said to the LLM.
    pub critique: &'a str,
    /// `temperature` of this attempt; the client's where none.
    pub temperature: Option<f64>,
}

/// The body of the next attempt; none where the shape has no place for a critique.
pub fn with_critique(api: Api, body: &[u8], said: &Critique<'_>) -> Option<Bytes> {
    let mut members: Members<'_> = serde_json::from_slice(body).ok()?;
    let turns =
        [json!({"role": "assistant", "content": said.failed}), json!({"role": "user", "content": said.critique})];
    match api {
        Api::Chat | Api::Messages => members.append("messages", &turns)?,
        Api::Responses => members.append("input", &turns)?,
        Api::Completions => members.lengthen("prompt", &format!("{}\n\n{}\n\n", said.failed, said.critique))?,
        Api::Embeddings | Api::Models | Api::Opaque => return None,
    }
    if let Some(temperature) = said.temperature {
        members.set("temperature", to_raw_value(&temperature).ok()?);
    }
    serde_json::to_vec(&members).ok().map(Bytes::from)
}

/// Members of an object in their order, values as they came.
struct Members<'a>(Vec<(String, Held<'a>)>);

enum Held<'a> {
    Theirs(&'a RawValue),
    Ours(Box<RawValue>),
}

impl Held<'_> {
    fn get(&self) -> &str {
        match self {
            Self::Theirs(raw) => raw.get(),
            Self::Ours(raw) => raw.get(),
        }
    }
}

impl Members<'_> {
    /// Of equal keys the last one counts.
    fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().rposition(|(name, _)| name == key)
    }

    fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.position(key) {
            Some(at) => self.0[at].1 = Held::Ours(value),
            None => self.0.push((key.to_owned(), Held::Ours(value))),
        }
    }

    /// Puts messages at the end of a list; a text is the list of one user message.
    fn append(&mut self, key: &str, turns: &[Value]) -> Option<()> {
        let at = self.position(key)?;
        let raw = self.0[at].1.get().trim();
        let turns: Vec<String> = turns.iter().map(Value::to_string).collect();
        let turns = turns.join(",");
        let list = match raw.strip_suffix(']') {
            Some(open) if open.trim_end() == "[" => format!("[{turns}]"),
            Some(open) => format!("{open},{turns}]"),
            None if raw.starts_with('"') => format!(r#"[{{"role":"user","content":{raw}}},{turns}]"#),
            None => return None,
        };
        self.0[at].1 = Held::Ours(RawValue::from_string(list).ok()?);
        Some(())
    }

    /// Puts text at the end of a text.
    fn lengthen(&mut self, key: &str, more: &str) -> Option<()> {
        let at = self.position(key)?;
        let text: String = serde_json::from_str(self.0[at].1.get()).ok()?;
        self.0[at].1 = Held::Ours(to_raw_value(&(text + more)).ok()?);
        Some(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            members.push((key, Held::Theirs(value)));
        }
        Ok(Members(members))
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match value {
                Held::Theirs(raw) => map.serialize_entry(key, raw)?,
                Held::Ours(raw) => map.serialize_entry(key, raw)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Critique<'static> = Critique { failed: "no \"x\"", critique: "say y", temperature: None };

    #[test]
    fn answer_and_critique_follow_what_the_client_sent_and_nothing_else_changes() {
        let turns = r#"{"content":"no \"x\"","role":"assistant"},{"content":"say y","role":"user"}"#;
        let table = [
            (
                Api::Chat,
                r#"{"z":1.50,"messages":[{"role":"user","content":"q"}],"a":{"b":[1, 2]}}"#,
                r#"{"z":1.50,"messages":[{"role":"user","content":"q"},T],"a":{"b":[1, 2]}}"#,
            ),
            (Api::Chat, r#"{"messages":[ ]}"#, r#"{"messages":[T]}"#),
            (Api::Messages, r#"{"system":"s","messages":[1]}"#, r#"{"system":"s","messages":[1,T]}"#),
            (Api::Responses, r#"{"input":"q"}"#, r#"{"input":[{"role":"user","content":"q"},T]}"#),
            (Api::Responses, r#"{"input":[{"type":"x"}]}"#, r#"{"input":[{"type":"x"},T]}"#),
            (Api::Completions, r#"{"prompt":"p "}"#, r#"{"prompt":"p no \"x\"\n\nsay y\n\n"}"#),
        ];
        for (api, body, expected) in table {
            let again = with_critique(api, body.as_bytes(), &SAID).unwrap();
            assert_eq!(std::str::from_utf8(&again).unwrap(), expected.replace('T', turns), "{body}");
        }
    }

    #[test]
    fn a_body_without_a_place_for_it_is_not_sent_again() {
        let bodies = [r#"{}"#, r#"{"messages":{}}"#, "[]"];
        assert!(bodies.iter().all(|body| with_critique(Api::Chat, body.as_bytes(), &SAID).is_none()));
        assert!(with_critique(Api::Completions, br#"{"prompt":["a","b"]}"#, &SAID).is_none());
        assert!(with_critique(Api::Embeddings, br#"{"input":"a"}"#, &SAID).is_none());
    }

    #[test]
    fn another_temperature_takes_the_place_of_the_clients() {
        let said = Critique { temperature: Some(0.5), ..SAID };
        let again = with_critique(Api::Completions, br#"{"temperature":1,"prompt":"p"}"#, &said).unwrap();
        assert!(again.starts_with(br#"{"temperature":0.5,"#));
        assert!(
            with_critique(Api::Completions, br#"{"prompt":"p"}"#, &said).unwrap().ends_with(br#""temperature":0.5}"#)
        );
    }
}
