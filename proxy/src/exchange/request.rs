//! A request as the client sent it, and the few facts that are read from its body.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Api, Error, ExchangeId, Kind};

/// What the client sent. The body is the client's bytes, and so is what the engine gets.
#[derive(Clone, Debug)]
pub struct Request {
    /// Identity of the exchange.
    pub id: ExchangeId,
    /// Wall clock at arrival of the request head.
    pub received_at: SystemTime,
    /// Monotonic clock at arrival of the request head; every timing counts from here.
    pub arrived: Instant,
    /// Shape by path.
    pub api: Api,
    /// HTTP method.
    pub method: Method,
    /// Path and query as sent.
    pub target: PathAndQuery,
    /// Headers as sent, hop-by-hop ones included.
    pub headers: HeaderMap,
    /// Body as sent.
    pub body: Bytes,
    /// What an engine gets instead of it, where a critique went back; none otherwise.
    pub again: Option<Bytes>,
    /// What Weir read in the body.
    pub facts: Facts,
    /// How long after arrival the client stops waiting, where it said so.
    pub deadline: Option<Duration>,
}

/// The few fields of a JSON body that the request path needs. Everything else stays
/// untouched bytes. Defaults hold for bodies that are not looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `model`.
    pub model: Option<Box<str>>,
    /// `stream`.
    pub stream: bool,
    /// `max_completion_tokens`, `max_output_tokens`, `max_tokens` or `n_predict`, whichever is there.
    pub max_tokens: Option<u32>,
    /// `n`, the number of choices asked for; 1 where absent.
    pub choices: u32,
    /// Whether `temperature` is 0.
    pub greedy: bool,
    /// Whether there is a `seed`, other than those by which engines mean "by lot".
    pub seeded: bool,
    /// Whether it goes on from, or leaves behind, state that the engine keeps: `previous_response_id`,
    /// `conversation`, `background`, or a `store` of true.
    pub stateful: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// Whether it says which form the answer is to have: `response_format`, `output_format`, `text`
    /// (Responses), `guided_json` (vLLM) or `json_schema` (llama.cpp).
    pub formatted: bool,
}

/// Fields are taken as raw JSON first: a value of an odd type is the engine's to judge.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    n_predict: Option<&'a RawValue>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    seed: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow)]
    background: Option<&'a RawValue>,
    #[serde(borrow)]
    store: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    output_format: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    guided_json: Option<&'a RawValue>,
    #[serde(borrow)]
    json_schema: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

impl Facts {
    /// Reads the facts of a JSON body.
    ///
    /// Checks the whole body for well-formed JSON in one pass without building a tree.
    /// Errors are [`Kind::InvalidRequest`] and name the place as line and column.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Error::new(Kind::InvalidRequest, "the request body must be a JSON object"));
        }
        let parsed: Body<'_> = serde_json::from_slice(body).map_err(|fault| {
            Error::new(Kind::InvalidRequest, format!("the request body is not valid JSON: {fault}"))
        })?;
        let is_true = |raw: Option<&RawValue>| raw.is_some_and(|raw| is_true(raw.get()));
        let options = parsed.stream_options.and_then(|raw| serde_json::from_str::<StreamOptions>(raw.get()).ok());
        let formats =
            [parsed.response_format, parsed.output_format, parsed.text, parsed.guided_json, parsed.json_schema];
        let limits = [parsed.max_completion_tokens, parsed.max_output_tokens, parsed.max_tokens, parsed.n_predict];
        Ok(Self {
            model: parsed.model.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            stream: is_true(parsed.stream),
            max_tokens: limits.into_iter().flatten().find_map(|raw| raw.get().parse().ok()),
            choices: parsed.n.and_then(number).unwrap_or(1),
            greedy: parsed.temperature.is_some_and(|raw| raw.get().parse() == Ok(0.0)),
            seeded: parsed.seed.is_some_and(|raw| !is_random(raw.get())),
            stateful: parsed.previous_response_id.is_some()
                || parsed.conversation.is_some()
                || is_true(parsed.background)
                || is_true(parsed.store),
            include_usage: options.unwrap_or_default().include_usage,
            formatted: formats.iter().any(Option::is_some),
        })
    }
}

/// The seeds that stand for "by lot": -1 for vLLM and llama.cpp, which also has the largest of 32 bits.
fn is_random(seed: &str) -> bool {
    seed.parse().is_ok_and(|seed: f64| seed == -1.0 || seed == f64::from(u32::MAX))
}

/// A count as pydantic reads it: `2`, `2.0` and `"2"` are the same.
fn number(raw: &RawValue) -> Option<u32> {
    let number: f64 = raw.get().trim_matches('"').parse().ok()?;
    (number >= 0.0).then_some(number as u32)
}

/// What pydantic, which most engines are built on, takes for true.
fn is_true(raw: &str) -> bool {
    matches!(raw, "true" | "1" | "\"true\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_and_the_rest_is_ignored() {
        let body =
            br#"{"model":"m\u0041","stream":true,"n":2,"max_tokens":7,"messages":[{"x":null}],"future":{"a":[1]}}"#;
        let facts = Facts::read(body).unwrap();
        let expected =
            Facts { model: Some("mA".into()), stream: true, max_tokens: Some(7), choices: 2, ..Facts::default() };
        assert_eq!(facts, expected);
    }

    #[test]
    fn odd_types_are_left_to_the_engine() {
        let facts =
            Facts::read(br#"{"model":5,"stream":null,"n":"2","max_tokens":null,"max_output_tokens":9}"#).unwrap();
        assert_eq!(facts, Facts { max_tokens: Some(9), choices: 2, ..Facts::default() });
    }

    #[test]
    fn what_decides_about_caching_is_read() {
        let facts = |body: &str| Facts::read(body.as_bytes()).unwrap();
        for (body, greedy, seeded) in [
            (r#"{"temperature":0}"#, true, false),
            (r#"{"temperature":0.0,"seed":5}"#, true, true),
            (r#"{"temperature":-0e3}"#, true, false),
            (r#"{"temperature":0.1,"seed":null}"#, false, false),
            (r#"{"temperature":"0"}"#, false, false),
            (r#"{"seed":0}"#, false, true),
            (r#"{"seed":-1}"#, false, false),
            (r#"{"seed":4294967295}"#, false, false),
            (r#"{"temperature":null}"#, false, false),
        ] {
            assert_eq!((facts(body).greedy, facts(body).seeded), (greedy, seeded), "{body}");
        }
        for (body, stateful) in [
            (r#"{"previous_response_id":"r"}"#, true),
            (r#"{"conversation":{"id":"c"}}"#, true),
            (r#"{"background":true}"#, true),
            (r#"{"store":true}"#, true),
            (r#"{"store":false,"background":false,"conversation":null}"#, false),
        ] {
            assert_eq!(facts(body).stateful, stateful, "{body}");
        }
        assert!(facts(r#"{"text":{"format":{"type":"json_object"}}}"#).formatted);
        assert!(!facts(r#"{"response_format":null,"messages":[{"content":"response_format"}]}"#).formatted);
        assert!(facts(r#"{"stream_options":{"include_usage":true,"x":1}}"#).include_usage);
        assert!(!facts(r#"{"stream_options":{"include_usage":"yes"}}"#).include_usage);
        assert!(!facts(r#"{"stream_options":null}"#).include_usage);
    }

    #[test]
    fn a_malformed_body_is_refused_with_its_place() {
        let table = [
            (&b"{\"model\": \"a\",\n \"stream\": tru}"[..], "line 2 column"),
            (b"[]", "must be a JSON object"),
            (b"", "must be a JSON object"),
            (b"{} x", "trailing characters at line 1"),
        ];
        for (body, part) in table {
            let error = Facts::read(body).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidRequest);
            assert!(error.message.contains(part), "{}", error.message);
        }
    }
}
