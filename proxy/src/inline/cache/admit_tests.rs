//! Which answers are good, in every shape, read as the background reads them.

use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::exchange::completion::{self, Completion};
use crate::exchange::{Capture, ExchangeId, Facts, Name, Request, Timings, TraceContext};

fn record(api: Api, content_type: &str, body: &str) -> Record {
    let request = Request {
        id: ExchangeId(Uuid::from_u128(7)),
        received_at: UNIX_EPOCH,
        arrived: Instant::now(),
        api,
        method: http::Method::POST,
        target: http::uri::PathAndQuery::from_static("/"),
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
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
            body: BytesMut::from(body),
            total_bytes: body.len() as u64,
            events: 0,
        },
        timings: Timings {
            sent: Some(Duration::from_millis(10)),
            last_byte: Some(Duration::from_millis(760)),
            ..Timings::default()
        },
        ..Record::begin(request, Name::new("t").unwrap(), TraceContext::default())
    }
}

fn read(record: &Record) -> Option<Completion> {
    let response = &record.response;
    completion::read(record.request.api, record.request.target.path(), response.is_stream(), &response.body)
}

fn judge(record: &Record, policy: &RoutePolicy) -> Result<About, Rejected> {
    let completion = read(record);
    let read = Reading { completion: completion.as_ref(), prompt: "", prompt_tokens: 3, completion_tokens: 4 };
    admissible(record, &read, policy)
}

fn plain(api: Api, body: &Value) -> Result<About, Rejected> {
    judge(&record(api, "application/json", &body.to_string()), &RoutePolicy::default())
}

fn streamed(api: Api, events: &[&str]) -> Result<About, Rejected> {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    judge(&record(api, "text/event-stream; charset=utf-8", &body), &RoutePolicy::default())
}

fn chat(message: Value, reason: Value) -> Value {
    json!({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}]})
}

fn call(name: &str, arguments: &str) -> Value {
    json!({"tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn a_chat_answer_must_be_whole_and_say_something() {
    let text = || json!({"content": "hi"});
    let table = [
        (chat(text(), json!("stop")), None),
        (chat(text(), json!("eos_token")), None),
        (chat(text(), json!("stop_sequence")), None),
        (chat(text(), json!("length")), Some(Rejected::Cut)),
        (chat(text(), json!(null)), Some(Rejected::Cut)),
        (chat(text(), json!("novel")), Some(Rejected::Cut)),
        (chat(text(), json!("content_filter")), Some(Rejected::Refused)),
        (chat(text(), json!("abort")), Some(Rejected::Unfinished)),
        (chat(json!({"content": "", "refusal": "no"}), json!("stop")), Some(Rejected::Refused)),
        (chat(json!({"content": " \n"}), json!("stop")), Some(Rejected::Empty)),
        (chat(json!({"content": null, "reasoning_content": "hm"}), json!("stop")), Some(Rejected::Empty)),
        (json!({"choices": []}), Some(Rejected::Empty)),
        (chat(call("f", "{\"a\": [1]}"), json!("tool_calls")), None),
        (chat(call("f", "{}"), json!("stop")), None),
        (chat(call("f", "{\"a\": "), json!("tool_calls")), Some(Rejected::ToolCall)),
        (chat(call("f", "[1]"), json!("tool_calls")), Some(Rejected::ToolCall)),
        (chat(call("f", ""), json!("tool_calls")), Some(Rejected::ToolCall)),
        (chat(call("", "{}"), json!("tool_calls")), Some(Rejected::ToolCall)),
        (chat(json!({"function_call": {"name": "f", "arguments": "{}"}}), json!("function_call")), None),
        (json!({"error": {"message": "out of memory"}}), Some(Rejected::Refused)),
        (json!({"else": 1}), Some(Rejected::Unreadable)),
    ];
    for (body, expected) in table {
        assert_eq!(plain(Api::Chat, &body).err(), expected, "{body}");
    }
    let two = json!({"choices": [{"index": 0, "text": "a", "finish_reason": "stop"},
        {"index": 1, "text": "", "finish_reason": "length"}]});
    assert_eq!(plain(Api::Completions, &two).unwrap_err(), Rejected::Cut);
}

#[test]
fn other_shapes_are_judged_alike() {
    let response = |status: &str, details: Value, text: &str| {
        json!({"object": "response", "model": "m", "status": status, "incomplete_details": details,
            "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]})
    };
    let message = |reason: &str, block: Value| json!({"type": "message", "content": [block], "stop_reason": reason});
    let text = || json!({"type": "text", "text": "hi"});
    let table = [
        (Api::Responses, response("completed", json!(null), "hi"), None),
        (Api::Responses, response("completed", json!(null), ""), Some(Rejected::Empty)),
        (Api::Responses, response("incomplete", json!({"reason": "max_output_tokens"}), "hi"), Some(Rejected::Cut)),
        (Api::Responses, response("incomplete", json!({"reason": "content_filter"}), "hi"), Some(Rejected::Refused)),
        (Api::Responses, response("incomplete", json!(null), "hi"), Some(Rejected::Cut)),
        (Api::Responses, response("in_progress", json!(null), "hi"), Some(Rejected::Unfinished)),
        (Api::Messages, message("end_turn", text()), None),
        (Api::Messages, message("max_tokens", text()), Some(Rejected::Cut)),
        (Api::Messages, message("refusal", text()), Some(Rejected::Refused)),
        (Api::Messages, message("pause_turn", text()), Some(Rejected::Unfinished)),
        (Api::Messages, message("tool_use", json!({"type": "tool_use", "name": "f", "input": {"a": 1}})), None),
        (Api::Messages, message("tool_use", json!({"type": "tool_use", "name": "f", "input": {}})), None),
        (Api::Embeddings, json!({"data": [{"embedding": [0.5]}], "model": "e"}), None),
        (Api::Embeddings, json!({"error": {"message": "no"}}), Some(Rejected::Refused)),
    ];
    for (api, body, expected) in table {
        assert_eq!(plain(api, &body).err(), expected, "{body}");
    }
}

#[test]
fn a_stream_must_have_come_to_its_end() {
    let delta = r#"{"choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f","input":{}}}"#;
    let stop = r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;
    let table: [(Api, &[&str], Option<Rejected>); 6] = [
        (Api::Chat, &[delta, end, "[DONE]"], None),
        (Api::Chat, &[delta, end], Some(Rejected::Unfinished)),
        (Api::Chat, &[delta, "[DONE]"], Some(Rejected::Cut)),
        (Api::Chat, &[delta, r#"{"error":{"message":"died"}}"#, "[DONE]"], Some(Rejected::Refused)),
        (Api::Messages, &[start, stop, r#"{"type":"message_stop"}"#], None),
        (Api::Messages, &[start, stop], Some(Rejected::Unfinished)),
    ];
    for (api, events, expected) in table {
        assert_eq!(streamed(api, events).err(), expected, "{events:?}");
    }
}

#[test]
fn how_the_exchange_ended_comes_before_what_was_said() {
    let good = chat(json!({"content": "hi"}), json!("stop")).to_string();
    type Change = fn(&mut Record);
    let changes: [(Change, Rejected); 8] = [
        (|r| r.status = 201, Rejected::Status),
        (|r| (r.outcome, r.status) = (Outcome::EngineError, 500), Rejected::Status),
        (|r| r.outcome = Outcome::Broken, Rejected::Unfinished),
        (|r| r.outcome = Outcome::ClientLeft, Rejected::Unfinished),
        (|r| r.outcome = Outcome::Failed, Rejected::Unfinished),
        (|r| r.outcome = Outcome::Refused, Rejected::Unfinished),
        (|r| r.response.content_encoding = "gzip".into(), Rejected::Unreadable),
        (|r| r.response.total_bytes += 1, Rejected::TooLarge),
    ];
    for (i, (change, expected)) in changes.into_iter().enumerate() {
        let mut record = record(Api::Chat, "application/json", &good);
        change(&mut record);
        assert_eq!(judge(&record, &RoutePolicy::default()).unwrap_err(), expected, "change {i}");
    }
}

#[test]
fn a_policy_may_keep_what_was_cut_at_its_limit_and_nothing_else() {
    let policy = RoutePolicy { keep_cut: true, ..RoutePolicy::default() };
    let table = [
        (chat(json!({"content": "hi"}), json!("length")), None),
        (chat(json!({"content": "hi"}), json!(null)), Some(Rejected::Cut)),
        (chat(json!({"content": ""}), json!("length")), Some(Rejected::Empty)),
        (chat(call("f", "{\"a\": 1"), json!("length")), Some(Rejected::ToolCall)),
    ];
    for (body, expected) in table {
        let record = record(Api::Chat, "application/json", &body.to_string());
        assert_eq!(judge(&record, &policy).err(), expected, "{body}");
    }
}

#[test]
fn what_is_known_of_it_is_taken_from_the_record() {
    let record = record(Api::Chat, "application/json", &chat(json!({"content": "hi"}), json!("stop")).to_string());
    let completion = read(&record);
    let prompt = "é".repeat(200);
    let read = Reading { completion: completion.as_ref(), prompt: &prompt, prompt_tokens: 3, completion_tokens: 4 };
    let about = admissible(&record, &read, &RoutePolicy::default()).unwrap();
    assert_eq!((about.source, about.model.as_str()), (record.request.id, "m"));
    assert_eq!((about.prompt_tokens, about.completion_tokens), (3, 4));
    assert_eq!(about.finish_reasons, ["stop"]);
    assert_eq!(about.engine_time, Duration::from_millis(750));
    assert_eq!(about.prompt, "é".repeat(160));
}
