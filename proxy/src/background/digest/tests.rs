//! Tests of the digest: from a raw record to the row that is kept.

use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::exchange::cached::{About, Hit};
use crate::exchange::completion::{Choice, ToolCall, Usage};
use crate::exchange::conversation::{Message, Part};
use crate::exchange::stored::Stored;
use crate::exchange::{
    Attempt, Cached, Caching, Capture, EngineKind, Error, ExchangeId, Facts, Kind, Name, Outcome, Request, Timings,
    TraceContext,
};

/// A redactor that takes the letter "é" for a secret.
pub(super) struct Plain;

impl Redact for Plain {
    fn text<'a>(&self, text: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        let finds = text.matches('é').count() as u32;
        (if finds == 0 { text } else { Cow::Owned(text.replace('é', "#")) }, finds)
    }

    fn body<'a>(&self, _: &str, body: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        self.text(body)
    }

    fn headers(&self, _: &HeaderMap) -> (Vec<(String, String)>, u32) {
        (vec![("x-kept".to_owned(), "1".to_owned())], 1)
    }
}

/// Expects as many tokens as it is told to.
pub(super) struct Expects(Expected, Vec<(usize, u32)>);

impl Expect for Expects {
    fn prompt(&mut self, prompt: &Prompt<'_>) -> Expected {
        self.1.push((prompt.texts.len(), prompt.counted));
        self.0
    }
}

pub(super) const INCLUSION: Inclusion = Inclusion { probability: 0.25, reason: "uniform" };

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn record(request_body: &'static [u8], response_body: &[u8]) -> Record {
    let replica: Arc<str> = "127.0.0.1:8000".into();
    let fingerprint = Arc::new(Fingerprint { model: "m".to_owned(), ..Fingerprint::default() });
    let mut headers = HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    headers.insert("user-agent", http::HeaderValue::from_static("agent/1"));
    Record {
        request: Request {
            id: ExchangeId(Uuid::from_u128(7)),
            received_at: UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_123),
            arrived: std::time::Instant::now(),
            api: Api::Chat,
            method: http::Method::POST,
            target: http::uri::PathAndQuery::from_static("/v1/chat/completions?key=secret"),
            headers,
            body: Bytes::from_static(request_body),
            facts: Facts { model: Some("asked".into()), stream: true, choices: 1, ..Facts::default() },
            again: None,
            deadline: None,
        },
        tenant: name("tenant"),
        route: name("route"),
        trace: TraceContext { trace_id: [0xAB; 16], parent_id: [0; 8], span_id: [1; 8], sampled: true },
        engine: Some(Answerer {
            engine: name("primary"),
            kind: EngineKind::Vllm,
            replica: replica.clone(),
            fingerprint,
        }),
        attempts: vec![Attempt {
            engine: name("primary"),
            replica,
            started: Duration::from_micros(5),
            took: Duration::from_millis(2),
            status: 200,
            error: None,
        }],
        outcome: Outcome::Complete,
        error: None,
        status: 200,
        response: Capture {
            content_type: "text/event-stream".to_owned(),
            content_encoding: String::new(),
            body: BytesMut::from(response_body),
            total_bytes: response_body.len() as u64,
            events: 12,
        },
        timings: Timings {
            identified: Some(Duration::ZERO),
            finished: Some(Duration::from_millis(3)),
            ..Timings::default()
        },
        cache: Cached::default(),
        judged: Default::default(),
    }
}

pub(super) fn choice(text: &str, finish_reason: &str) -> Choice {
    Choice { text: text.to_owned(), finish_reason: finish_reason.to_owned(), ..Choice::default() }
}

fn asked(parts: Vec<Part>) -> Conversation {
    Conversation { messages: vec![Message { role: "user".to_owned(), parts }], tools: Vec::new() }
}

pub(super) fn digest(record: &Record, read: &Read, expect: &mut Expects) -> (StoredExchange, Option<StoredEvent>) {
    Digester::new(&Config::default(), "here").assemble(record, read, INCLUSION, &Plain, expect)
}

pub(super) fn nothing() -> Expects {
    Expects(Expected::default(), Vec::new())
}

#[test]
fn a_record_becomes_a_row_with_everything_in_its_place() {
    let record = record(b"{\"q\":\"caf\xc3\xa9\"}", b"data: {}\n\n");
    let read = Read {
        conversation: Some(asked(vec![Part::Text("first é".to_owned()), Part::Text("second".to_owned())])),
        completion: Some(Completion {
            model: "answered".to_owned(),
            choices: vec![choice("hello é", "stop")],
            usage: Some(Usage { prompt_tokens: 10, completion_tokens: 4, cached_tokens: 2, reasoning_tokens: 1 }),
            ended: true,
            ..Completion::default()
        }),
    };
    let (row, event) = digest(&record, &read, &mut nothing());
    assert_eq!(event, None);
    assert_eq!((row.exchange_id, row.started_at), (Uuid::from_u128(7), 1_700_000_000_000_123));
    assert_eq!((row.api.as_str(), row.path.as_str(), row.stream), ("chat", "/v1/chat/completions", true));
    assert_eq!((row.model_requested.as_str(), row.model_answered.as_str()), ("asked", "answered"));
    assert_eq!(
        (row.engine.as_str(), row.engine_kind.as_str(), row.replica.as_str()),
        ("primary", "vllm", "127.0.0.1:8000")
    );
    assert_eq!((row.fingerprint.len(), row.fingerprint_json.contains("\"model\":\"m\"")), (16, true));
    assert_eq!((row.identified_us, row.admitted_us, row.total_us), (1, 0, 3000));
    assert_eq!((row.attempts.len(), row.attempts[0].took_us, row.outcome.as_str()), (1, 2000, "complete"));
    assert_eq!((row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.reasoning_tokens), (10, 4, 2, 1));
    assert_eq!((row.usage_source.as_str(), row.wasted_tokens), ("engine", 0));
    assert_eq!((row.prompt_text.as_str(), row.completion_text.as_str()), ("first #\nsecond", "hello #"));
    assert_eq!(row.request_body, "{\"q\":\"caf#\"}");
    assert_eq!((row.redactions, row.finish_reasons.as_slice()), (4, &["stop".to_owned()][..]));
    assert_eq!((row.inclusion_probability, row.sample_reason.as_str()), (0.25, "uniform"));
    assert_eq!((row.trace_id.as_str(), row.span_id.as_str()), (&*"ab".repeat(16), "0101010101010101"));
    assert_eq!((row.user_agent.as_str(), row.instance.as_str(), row.content_truncated), ("agent/1", "here", false));
}

#[test]
fn tokens_that_nobody_counted_are_estimated_and_said_to_be() {
    let long = "word ".repeat(100);
    let calls =
        Choice { tool_calls: vec![ToolCall { arguments: "x".repeat(50), ..ToolCall::default() }], ..Choice::default() };
    let table = [
        // Twelve events: one opens the choice, one closes it, one ends the stream.
        (vec![choice("a few words", "stop")], true, 9),
        (vec![choice("a few words", "")], false, 11),
        (vec![choice(&long, "stop")], true, 100),
        (vec![calls], false, 11),
        (vec![choice("", "stop")], true, 0),
        (vec![], false, 0),
    ];
    for (choices, ended, tokens) in table {
        let mut record = record(b"{}", b"");
        record.outcome = Outcome::ClientLeft;
        let completion = Completion { choices, ended, ..Completion::default() };
        let (row, _) = digest(&record, &Read { conversation: None, completion: Some(completion) }, &mut nothing());
        assert_eq!((row.completion_tokens, row.wasted_tokens), (tokens, tokens));
        assert_eq!(row.usage_source, if tokens > 0 { "estimated" } else { "" });
    }
}

#[test]
fn a_cut_prompt_is_marked_and_is_an_event() {
    let record = record(b"{}", b"");
    let usage = Some(Usage { prompt_tokens: 16_000, ..Usage::default() });
    let completion = Some(Completion { usage, ..Completion::default() });
    let text =
        vec![Part::Text("é secret".to_owned()), Part::ToolCall { name: "f".to_owned(), arguments: "{}".to_owned() }];
    let read = Read { conversation: Some(asked(text)), completion };
    let mut expect = Expects(Expected { tokens: 160_000, truncated: true }, Vec::new());
    let (row, event) = digest(&record, &read, &mut expect);
    assert_eq!((row.prompt_truncated, row.expected_prompt_tokens), (true, 160_000));
    assert_eq!(expect.1, [(3, 16_000)]);
    let event = event.unwrap();
    assert_eq!(
        (event.kind.as_str(), event.exchange_id, event.engine.as_str()),
        ("prompt_truncated", row.exchange_id, "primary")
    );
    assert!(event.detail.contains("\"counted_tokens\":16000") && !event.detail.contains("secret"));
    let again = digest(&record, &read, &mut expect).1;
    assert_eq!(again, Some(event), "digested again, the event is the same");
}

#[test]
fn prompts_that_cannot_be_judged_are_not() {
    let usage = Some(Usage { prompt_tokens: 5, ..Usage::default() });
    let whole = || Some(Completion { usage, ..Completion::default() });
    let image = vec![Part::Text("what is this".to_owned()), Part::Other("image_url".to_owned())];
    let text = || asked(vec![Part::Text("a".to_owned())]);
    let table = [
        (Read { conversation: Some(asked(image)), completion: whole() }, "an image"),
        (Read { conversation: None, completion: whole() }, "no conversation"),
        (Read { conversation: Some(text()), completion: Some(Completion::default()) }, "no count"),
    ];
    for (read, why) in table {
        let mut expect = nothing();
        digest(&record(b"{}", b""), &read, &mut expect);
        assert_eq!(expect.1, [], "{why}");
    }
    let mut unanswered = record(b"{}", b"");
    unanswered.engine = None;
    let mut expect = nothing();
    digest(&unanswered, &Read { conversation: Some(text()), completion: whole() }, &mut expect);
    assert_eq!(expect.1, []);
}

#[test]
fn bodies_are_cut_at_their_limit_after_redaction_and_said_to_be() {
    let config = Config { request_bytes: ByteSize(4), response_bytes: ByteSize(100), text_bytes: ByteSize(3) };
    let mut record = record("ab é é".as_bytes(), b"whole");
    let read = Read {
        completion: Some(Completion { choices: vec![choice("héllo", "")], ..Completion::default() }),
        ..Read::default()
    };
    let cut =
        |record: &Record| Digester::new(&config, "i").assemble(record, &read, INCLUSION, &Plain, &mut nothing()).0;
    let row = cut(&record);
    assert_eq!((row.request_body.as_str(), row.response_body.as_str(), row.content_truncated), ("ab #", "whole", true));
    assert_eq!(row.completion_text, "h#l");
    record.request.body = Bytes::from_static(b"ab");
    assert!(!cut(&record).content_truncated);
    record.response.total_bytes += 1;
    assert!(cut(&record).content_truncated, "captured in part");
    record.response.total_bytes -= 1;
    record.response.content_encoding = "gzip".to_owned();
    let row = cut(&record);
    assert_eq!((row.response_body.as_str(), row.content_truncated), ("", true), "packed bytes cannot be redacted");
}

#[test]
fn a_new_fingerprint_is_written_anew() {
    let mut digester = Digester::new(&Config::default(), "i");
    let mut record = record(b"", b"");
    let mut digest_of = |record: &Record| digester.digest(record, INCLUSION, &Plain, &mut nothing()).row.fingerprint;
    let before = digest_of(&record);
    assert_eq!(digest_of(&record), before);
    if let Some(answerer) = &mut record.engine {
        answerer.fingerprint = Arc::new(Fingerprint { model: "other".to_owned(), ..Fingerprint::default() });
    }
    assert_ne!(digest_of(&record), before);
}

#[test]
fn a_hit_points_at_the_text_of_its_source_and_keeps_none() {
    let mut record = record(br#"{"messages":[{"role":"user","content":"secret"}]}"#, b"");
    let source = ExchangeId(Uuid::from_u128(7));
    let about = About {
        source,
        model: "m".to_owned(),
        finish_reasons: vec!["stop".to_owned()],
        prompt_tokens: 5,
        completion_tokens: 9,
        engine_time: Duration::from_millis(2),
        prompt: String::new(),
    };
    let hit = Hit { about: Arc::new(about), age: Duration::from_secs(1) };
    record.cache = Cached { caching: Caching::Hit, hit: Some(hit), ..Cached::default() };
    let row = Digester::new(&Config::default(), "i").digest(&record, INCLUSION, &Plain, &mut nothing()).row;
    assert_eq!((row.cache.as_str(), row.cache_source, row.cache_age_us), ("hit", source.0, 1_000_000));
    assert_eq!((row.saved_prompt_tokens, row.saved_completion_tokens, row.saved_engine_us), (5, 9, 2000));
    assert_eq!((row.prompt_tokens, row.completion_tokens, row.usage_source.as_str()), (0, 0, ""), "no engine worked");
    assert_eq!((row.request_body.as_str(), row.prompt_text.as_str(), row.request_headers.len()), ("", "", 0));
    assert_eq!((row.model_answered.as_str(), row.finish_reasons), ("m", vec!["stop".to_owned()]));
}

#[test]
fn what_failed_before_any_engine_still_makes_a_row() {
    let mut record = record(b"\xff\xfe", b"");
    record.engine = None;
    record.outcome = Outcome::Refused;
    record.error = Some(Error::new(Kind::InvalidRequest, "bad é").detail("for the log"));
    let (row, _) = digest(&record, &Read::default(), &mut nothing());
    assert_eq!(
        (row.outcome.as_str(), row.error_kind.as_str(), row.error_message.as_str()),
        ("refused", "invalid_request", "bad #")
    );
    assert_eq!((row.engine.as_str(), row.request_body.as_str()), ("", "\u{fffd}\u{fffd}"));
}

proptest! {
    #[test]
    fn any_bytes_make_a_row_that_survives_encoding(
        body in prop::collection::vec(any::<u8>(), 0..200), api in 0usize..Api::ALL.len(), stream: bool
    ) {
        let mut record = record(b"", &body);
        record.request.body = body.into();
        record.request.api = Api::ALL[api];
        record.response.content_type = if stream { "text/event-stream" } else { "application/json" }.to_owned();
        let row = Digester::new(&Config::default(), "i").digest(&record, INCLUSION, &Plain, &mut nothing()).row;
        let row = Stored::Exchange(Box::new(row));
        let bytes = rmp_serde::to_vec_named(&row).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Stored>(&bytes).unwrap(), row);
    }
}
