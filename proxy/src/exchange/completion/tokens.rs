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

/// Tokens of each choice, by index; empty where none are told.
pub fn tokens(api: Api, path: &str, stream: bool, body: &[u8]) -> Vec<Vec<Token>> {
    let mut choices = Vec::new();
    let told = memchr::memmem::find(body, b"logprob\"").or_else(|| memchr::memmem::find(body, b"\"token_logprobs\""));
    if told.is_none() || !matches!(Shape::of(api, path), Some(Shape::Chat | Shape::Completions)) {
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
