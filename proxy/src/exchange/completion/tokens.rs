//! Tokens of an answer with their log-probabilities, where the engine told them.
//!
//! Chat tells them as `logprobs.content[]` of a choice, legacy completions as parallel lists;
//! in a stream each chunk tells its own. Foreign bytes: what is of another type is not there.

use weir_critic::Token;

use super::json::index;
use super::sse::Reader;
use super::{MAX_CHOICES, Shape};
use crate::exchange::Api;
use crate::exchange::tree::Value;

/// Tokens kept of one choice.
const MAX_TOKENS: usize = 65_536;

/// Likeliest tokens kept of each place: what engines give at most.
const MAX_TOP: usize = 20;

/// Most bytes of events with log-probabilities that are read of one stream as it flows: an
/// answer with more has none.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Tokens of a stream, read as it flows.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    choices: Vec<Vec<Token>>,
    bytes: usize,
}

impl Tokens {
    /// Takes the data of an event, and says how much of it is kept.
    pub(super) fn event(&mut self, data: &[u8]) -> usize {
        if self.bytes > MAX_EVENT_BYTES || !tells(data) {
            return 0;
        }
        self.bytes += data.len();
        if self.bytes > MAX_EVENT_BYTES {
            self.choices = Vec::new();
        } else if let Ok(value) = serde_json::from_slice::<Value>(data) {
            chunk(&mut self.choices, &value);
            return data.len();
        }
        0
    }

    /// Tokens of each choice, by index.
    pub(super) fn take(&mut self) -> Vec<Vec<Token>> {
        std::mem::take(&mut self.choices)
    }
}

impl Shape {
    /// Whether answers of it can tell log-probabilities.
    pub(super) fn tells_tokens(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

fn tells(body: &[u8]) -> bool {
    [&b"logprob\""[..], b"\"token_logprobs\""].iter().any(|key| memchr::memmem::find(body, key).is_some())
}

/// Tokens of each choice, by index; empty where none are told.
pub fn tokens(api: Api, path: &str, stream: bool, body: &[u8]) -> Vec<Vec<Token>> {
    let mut choices = Vec::new();
    if !(tells(body) && Shape::of(api, path).is_some_and(Shape::tells_tokens)) {
        return choices;
    }
    let mut take = |data: &[u8]| {
        if let Ok(value) = serde_json::from_slice::<Value>(data) {
            chunk(&mut choices, &value);
        }
    };
    if stream {
        Reader::default().push(body, |event| take(event.data));
    } else {
        take(body);
    }
    choices
}

fn chunk(choices: &mut Vec<Vec<Token>>, value: &Value) {
    for (position, choice) in array(value, "choices").iter().enumerate() {
        let at = index(choice, "index").unwrap_or(position);
        let Some(told) = choice.get("logprobs").filter(|told| told.is_object()) else { continue };
        if at >= MAX_CHOICES {
            continue;
        }
        if choices.len() <= at {
            choices.resize_with(at + 1, Vec::new);
        }
        let room = MAX_TOKENS.saturating_sub(choices[at].len());
        let chat = array(told, "content").iter().filter_map(token);
        choices[at].extend(chat.chain(legacy(told)).take(room));
    }
}

fn token(value: &Value) -> Option<Token> {
    let pair = |value: &Value| {
        let text = value.get("token").and_then(Value::as_str)?.to_owned();
        Some((text, value.get("logprob").and_then(Value::as_f64)? as f32))
    };
    let (text, logprob) = pair(value)?;
    let top = array(value, "top_logprobs").iter().filter_map(pair).take(MAX_TOP).collect();
    Some(Token { text, logprob, top })
}

/// `tokens`, `token_logprobs` and `top_logprobs`, one item a token. The first of a prompt that
/// is echoed has no probability.
fn legacy(told: &Value) -> impl Iterator<Item = Token> {
    let (texts, logprobs, tops) = (array(told, "tokens"), array(told, "token_logprobs"), array(told, "top_logprobs"));
    texts.iter().zip(logprobs).enumerate().filter_map(|(at, (text, logprob))| {
        let mut top: Vec<(String, f32)> = match tops.get(at) {
            Some(Value::Object(members)) => {
                let pair = |(text, p): &(_, Value)| Some((AsRef::<str>::as_ref(text).to_owned(), p.as_f64()? as f32));
                members.iter().filter_map(pair).take(MAX_TOP).collect()
            }
            _ => Vec::new(),
        };
        top.sort_by(|a, b| b.1.total_cmp(&a.1));
        Some(Token { text: text.as_str()?.to_owned(), logprob: logprob.as_f64()? as f32, top })
    })
}

fn array<'v, 'a>(value: &'v Value<'a>, key: &str) -> &'v [Value<'a>] {
    value.get(key).and_then(Value::as_array).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_plain_answers_streams_and_legacy_lists() {
        let content = r#"{"content":[{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"a","logprob":-0.5},{"token":"b","logprob":-2}]}]}"#;
        let plain = format!(r#"{{"choices":[{{"index":1,"logprobs":{content}}}]}}"#);
        let a = Token { text: "a".into(), logprob: -0.5, top: vec![("a".into(), -0.5), ("b".into(), -2.0)] };
        assert_eq!(tokens(Api::Chat, "", false, plain.as_bytes()), [vec![], vec![a.clone()]]);
        let stream = format!("data: {plain}\n\ndata: {plain}\n\ndata: [DONE]\n\n");
        assert_eq!(tokens(Api::Chat, "", true, stream.as_bytes()), [vec![], vec![a.clone(), a]]);
        let legacy = r#"{"choices":[{"logprobs":{"tokens":["p","x"],"token_logprobs":[null,-1.0],
            "top_logprobs":[null,{"y":-3.0,"x":-1.0}]}}]}"#;
        let x = Token { text: "x".into(), logprob: -1.0, top: vec![("x".into(), -1.0), ("y".into(), -3.0)] };
        assert_eq!(tokens(Api::Completions, "", false, legacy.as_bytes()), [vec![x]]);
    }

    #[test]
    fn answers_that_tell_none_give_none() {
        for body in
            [r#"{"choices":[{"logprobs":null}]}"#, r#"{"choices":[{"logprobs":{"content":null},"x":"logprob\""}]}"#]
        {
            assert!(tokens(Api::Chat, "", false, body.as_bytes()).iter().all(Vec::is_empty), "{body}");
        }
        assert!(tokens(Api::Messages, "", false, br#"{"logprobs":{"content":[]}}"#).is_empty());
    }
}
