//! Time that the recorder spends on one exchange: sample, digest with redaction, encode.
//!
//! Run with `cargo bench -p weir --bench keep`. Times are those of the fastest of many
//! short rounds, on one thread: what else runs on the machine only ever adds.

use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use serde_json::json;
use uuid::Uuid;
use weir::background::recorder::Keeper;
use weir::background::{Keep, Observer, digest, redact, sample};
use weir::exchange::stored::StoredExchange;
use weir::exchange::{
    Api, Capture, ExchangeId, Facts, Name, Outcome, Record, Request, TraceContext, completion, conversation,
};

const PROSE: &str = "The river rises in the hills above the town, turns the wheel of the old mill, and falls into \
the sea after forty miles; in spring it floods the meadows between 12 and 14 days. ";

/// Measures nothing of what the metrics cost.
struct Nobody;

impl Observer for Nobody {
    fn seen(&self, _: &Record) {}
    fn refused(&self, _: &Record) {}
    fn read(&self, _: &Record, _: &StoredExchange) {}
}

fn main() {
    finder();
    exchange("2 KB exchange, plain JSON", "application/json", answer(&PROSE.repeat(4)));
    exchange(
        "2 KB exchange, plain JSON, with finds",
        "application/json",
        answer(&format!("{}{}", PROSE.repeat(4), "a@b.org +79161234567")),
    );
    exchange("stream of 200 events (35 KB)", "text/event-stream", stream(200));
}

fn finder() {
    let text = PROSE.repeat(400);
    let took = fastest(|| {
        std::hint::black_box(weir_critic::personal_data::find(std::hint::black_box(&text)));
    });
    report("finder, prose", took, text.len());
    let code =
        "    for (index, value) in values.iter().enumerate() {\n        total += value * weights[index - 1];\n    }\n"
            .repeat(600);
    let took = fastest(|| {
        std::hint::black_box(weir_critic::personal_data::find(std::hint::black_box(&code)));
    });
    report("finder, code", took, code.len());
}

fn exchange(what: &str, content_type: &str, response: String) {
    let record = record(content_type, &response);
    let bytes = record.request.body.len() + response.len();
    let mut keep = Keep::new(
        &sample::Config::default(),
        &redact::Config::default(),
        &digest::Config::default(),
        "bench",
        std::sync::Arc::new(Nobody),
    )
    .expect("the default patterns compile");
    let (mut out, mut payload) = (Vec::new(), Vec::new());
    let took = fastest(|| {
        out.clear();
        payload.clear();
        keep.keep(std::hint::black_box(&record), &mut out);
        for stored in &out {
            rmp_serde::encode::write_named(&mut payload, stored).expect("rows encode");
        }
    });
    report(what, took, bytes);
    let parse = fastest(|| {
        std::hint::black_box(conversation::read(Api::Chat, &record.request.body));
        let stream = record.response.is_stream();
        std::hint::black_box(completion::read(Api::Chat, "/v1/chat/completions", stream, &record.response.body));
    });
    report("  of it reading both bodies", parse, bytes);
}

/// Time of a call in the fastest round.
fn fastest(mut call: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        (0..20).for_each(|_| call());
        start.elapsed() / 20
    };
    (0..400).map(round).min().unwrap_or_default()
}

fn report(what: &str, took: Duration, bytes: usize) {
    let micros = took.as_secs_f64() * 1e6;
    let per_kb = micros / (bytes as f64 / 1024.0);
    eprintln!("{what}: {micros:.2} µs for {bytes} bytes, {per_kb:.2} µs per KiB");
}

fn answer(text: &str) -> String {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 120, "completion_tokens": 150, "total_tokens": 270});
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_732_282_362, "model": "m", "choices": [choice], "usage": usage}).to_string()
}

fn stream(events: usize) -> String {
    let words: Vec<&str> = PROSE.split_inclusive(' ').collect();
    let event = |i: usize| {
        let choice =
            json!({"index": 0, "delta": {"content": words[i % words.len()]}, "logprobs": null, "finish_reason": null});
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_732_282_362, "model": "m", "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    (0..events).map(event).collect::<String>() + "data: [DONE]\n\n"
}

fn record(content_type: &str, response: &str) -> Record {
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROSE.repeat(4)}]);
    let body = json!({"model": "m", "messages": messages, "temperature": 0.7, "max_tokens": 200}).to_string();
    let mut headers = http::HeaderMap::new();
    for (name, value) in [("content-type", "application/json"), ("user-agent", "bench/1"), ("host", "localhost:8080")] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    let request = Request {
        id: ExchangeId(Uuid::from_u128(7)),
        received_at: UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Chat,
        method: http::Method::POST,
        target: http::uri::PathAndQuery::from_static("/v1/chat/completions"),
        headers,
        body: Bytes::from(body),
        facts: Facts::default(),
        again: None,
        deadline: None,
    };
    Record {
        outcome: Outcome::Complete,
        status: 200,
        response: Capture {
            content_type: content_type.to_owned(),
            content_encoding: String::new(),
            body: BytesMut::from(response),
            total_bytes: response.len() as u64,
            events: 0,
        },
        ..Record::begin(request, Name::new("tenant").expect("a good name"), TraceContext::default())
    }
}
