//! Plain and streamed answers give the same completion, in every shape; foreign bytes give no panic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sse::Reader;
use super::*;

/// A completion that one choice's shape can carry, and how its texts are cut in a stream.
pub(super) fn choices(max: usize) -> impl Strategy<Value = Vec<Choice>> {
    let text = "[a-zé\u{1F980}\"\\\\\n ]{0,12}";
    let call = ("[a-z]{1,4}", "[a-z]{1,4}", "[a-z]{1,6}").prop_map(|(id, name, value)| ToolCall {
        id,
        name,
        arguments: json!({ "k": value }).to_string(),
    });
    let calls = proptest::collection::vec(call, 0..3);
    let choice = (text, text, text, calls, "stop|length|tool_calls").prop_map(
        |(text, reasoning, refusal, tool_calls, finish_reason)| Choice {
            text,
            reasoning,
            refusal,
            tool_calls,
            finish_reason,
        },
    );
    proptest::collection::vec(choice, 1..=max)
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|chunk| chunk.iter().collect()).collect()
}

fn usage() -> Usage {
    Usage { prompt_tokens: 20, completion_tokens: 9, cached_tokens: 16, reasoning_tokens: 3 }
}

fn openai_usage() -> Value {
    json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16}, "completion_tokens_details": {"reasoning_tokens": 3}})
}

pub(super) fn chat_plain(choices: &[Choice]) -> Value {
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, c)| {
            let calls: Vec<Value> = c
                .tool_calls
                .iter()
                .map(
                    |t| json!({"id": t.id, "type": "function", "function": {"name": t.name, "arguments": t.arguments}}),
                )
                .collect();
            json!({"index": index, "logprobs": null, "finish_reason": c.finish_reason, "message": {"role": "assistant",
                "content": c.text, "reasoning_content": c.reasoning, "refusal": c.refusal, "tool_calls": calls}})
        })
        .collect();
    json!({"id": "x", "model": "m", "system_fingerprint": "fp", "choices": choices, "usage": openai_usage()})
}

pub(super) fn chat_events(choices: &[Choice], size: usize) -> Vec<Value> {
    let chunk = |index: usize, delta: Value, reason: Value| {
        json!({"model": "m", "system_fingerprint": "fp", "usage": null,
            "choices": [{"index": index, "delta": delta, "finish_reason": reason}]})
    };
    let mut streams: Vec<Vec<Value>> = Vec::new();
    for (index, c) in choices.iter().enumerate() {
        let mut events = vec![chunk(index, json!({"role": "assistant", "content": ""}), Value::Null)];
        for (key, text) in [("reasoning_content", &c.reasoning), ("content", &c.text), ("refusal", &c.refusal)] {
            events.extend(pieces(text, size).into_iter().map(|p| chunk(index, json!({ key: p }), Value::Null)));
        }
        for (number, call) in c.tool_calls.iter().enumerate() {
            let begin = json!({"index": number, "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": ""}});
            events.push(chunk(index, json!({"tool_calls": [begin]}), Value::Null));
            for piece in pieces(&call.arguments, size) {
                let more = json!({"index": number, "function": {"arguments": piece}});
                events.push(chunk(index, json!({"tool_calls": [more]}), Value::Null));
            }
        }
        events.push(chunk(index, json!({}), json!(c.finish_reason)));
        streams.push(events);
    }
    let mut events = interleave(streams);
    events.push(json!({"model": "m", "choices": [], "usage": openai_usage()}));
    events
}

fn interleave(streams: Vec<Vec<Value>>) -> Vec<Value> {
    let longest = streams.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|n| streams.iter().filter_map(move |s| s.get(n)).cloned().collect::<Vec<_>>()).collect()
}

pub(super) fn stream(events: &[Value], named: bool, done: bool) -> String {
    let mut body = String::from(": hello\n\n");
    for event in events {
        if named && let Some(name) = event["type"].as_str() {
            body.push_str(&format!("event: {name}\n"));
        }
        body.push_str(&format!("data: {event}\n\n"));
    }
    if done {
        body.push_str("data: [DONE]\n\n");
    }
    body
}

pub(super) fn messages_plain(c: &Choice) -> Value {
    json!({"type": "message", "model": "m", "content": messages_blocks(c), "stop_reason": c.finish_reason,
        "usage": {"input_tokens": 4, "cache_read_input_tokens": 16, "output_tokens": 9}})
}

fn messages_blocks(c: &Choice) -> Vec<Value> {
    let mut blocks =
        vec![json!({"type": "thinking", "thinking": c.reasoning}), json!({"type": "text", "text": c.text})];
    blocks.extend(c.tool_calls.iter().map(|t| {
        let input: Value = serde_json::from_str(&t.arguments).unwrap();
        json!({"type": "tool_use", "id": t.id, "name": t.name, "input": input})
    }));
    blocks
}

pub(super) fn messages_events(c: &Choice, size: usize) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"type": "message", "model": "m", "content": [],
            "stop_reason": null, "usage": {"input_tokens": 4, "cache_read_input_tokens": 16, "output_tokens": 1}}}),
        json!({"type": "ping"}),
    ];
    for (index, block) in messages_blocks(c).into_iter().enumerate() {
        let (field, kind, text) = match block["type"].as_str().unwrap() {
            "text" => ("text", "text_delta", c.text.clone()),
            "thinking" => ("thinking", "thinking_delta", c.reasoning.clone()),
            _ => ("partial_json", "input_json_delta", block["input"].to_string()),
        };
        let mut start = block.clone();
        for key in ["text", "thinking"] {
            start[key] = json!("");
        }
        start["input"] = json!({});
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        for piece in pieces(&text, size) {
            let delta = json!({"type": kind, field: piece});
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": c.finish_reason},
        "usage": {"output_tokens": 9}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn responses_output(c: &Choice) -> Vec<Value> {
    let mut items = vec![
        json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": c.reasoning}]}),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": c.text},
            {"type": "refusal", "refusal": c.refusal}]}),
    ];
    items.extend(
        c.tool_calls
            .iter()
            .map(|t| json!({"type": "function_call", "call_id": t.id, "name": t.name, "arguments": t.arguments})),
    );
    items
}

pub(super) fn responses_plain(c: &Choice) -> Value {
    json!({"object": "response", "model": "m", "status": "incomplete", "output": responses_output(c),
        "incomplete_details": {"reason": c.finish_reason}, "error": null,
        "usage": {"input_tokens": 20, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 16},
            "output_tokens_details": {"reasoning_tokens": 3}}})
}

fn responses_events(c: &Choice, size: usize) -> Vec<Value> {
    let mut events = vec![json!({"type": "response.created", "response": {"object": "response", "model": "m",
        "status": "in_progress", "output": []}})];
    let mut say = |number: usize, kind: &str, text: &str| {
        let deltas = pieces(text, size);
        events.extend(deltas.into_iter().map(|d| json!({"type": kind, "output_index": number, "delta": d})));
    };
    say(0, "response.reasoning_text.delta", &c.reasoning);
    say(1, "response.output_text.delta", &c.text);
    say(1, "response.refusal.delta", &c.refusal);
    for (number, call) in c.tool_calls.iter().enumerate() {
        let item = json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": ""});
        events.push(json!({"type": "response.output_item.added", "output_index": number + 2, "item": item}));
        for piece in pieces(&call.arguments, size) {
            events.push(json!({"type": "response.function_call_arguments.delta", "output_index": number + 2,
                "delta": piece}));
        }
    }
    let mut last = responses_plain(c);
    last["output"] = json!([]);
    events.push(json!({"type": "response.incomplete", "response": last}));
    events
}

fn same(api: Api, plain: &Value, streamed: &str, chunk: usize) -> Result<(), TestCaseError> {
    let whole = read(api, "", false, plain.to_string().as_bytes()).unwrap();
    prop_assert_eq!(&read(api, "", true, streamed.as_bytes()).unwrap(), &whole);
    prop_assert!(whole.ended && whole.model == "m" && whole.error.is_none());
    let (mut scanner, mut first) = (Scanner::new(api, ""), 0);
    for chunk in streamed.as_bytes().chunks(chunk) {
        first += u32::from(scanner.push(chunk));
    }
    let has_token = whole.choices.iter().any(Choice::has_token);
    prop_assert_eq!((scanner.ended(), scanner.failed(), scanner.at_boundary()), (true, false, true));
    prop_assert_eq!(first, u32::from(has_token));
    let mut events = 0;
    Reader::default().push(streamed.as_bytes(), |_| events += 1);
    prop_assert_eq!(scanner.events(), events);
    Ok(())
}

proptest! {
    #[test]
    fn a_chat_answer_is_the_same_plain_and_streamed(choices in choices(3), size in 1usize..6, chunk in 1usize..300) {
        let plain = chat_plain(&choices);
        same(Api::Chat, &plain, &stream(&chat_events(&choices, size), false, true), chunk)?;
        let read = read(Api::Chat, "", false, plain.to_string().as_bytes()).unwrap();
        prop_assert_eq!((read.choices, read.usage, read.system_fingerprint.as_str()), (choices, Some(usage()), "fp"));
    }

    #[test]
    fn a_messages_answer_is_the_same_plain_and_streamed(choices in choices(1), size in 1usize..6, chunk in 1usize..300) {
        let choice = Choice { refusal: String::new(), ..choices[0].clone() };
        let plain = messages_plain(&choice);
        same(Api::Messages, &plain, &stream(&messages_events(&choice, size), true, false), chunk)?;
        let read = read(Api::Messages, "", false, plain.to_string().as_bytes()).unwrap();
        prop_assert_eq!((&read.choices[0], read.usage), (&choice, Some(Usage { reasoning_tokens: 0, ..usage() })));
    }

    #[test]
    fn a_responses_answer_is_the_same_plain_and_streamed(choices in choices(1), size in 1usize..6, chunk in 1usize..300) {
        let plain = responses_plain(&choices[0]);
        same(Api::Responses, &plain, &stream(&responses_events(&choices[0], size), true, false), chunk)?;
        let read = read(Api::Responses, "", false, plain.to_string().as_bytes()).unwrap();
        prop_assert_eq!((&read.choices[0], read.usage), (&choices[0], Some(usage())));
    }

    #[test]
    fn foreign_bytes_are_read_without_a_panic(
        body in proptest::collection::vec(any::<u8>(), 0..64),
        json in r#"(\[|\]|\{|\}|"choices":|"delta":|"output":|"content":|"tool_calls":|"index":|"usage":|"error":|"message"|null|-1|1e99|18446744073709551615|,|data: |\n){0,32}"#,
        api in prop::sample::select(&Api::ALL[..]),
        path in "/completion|/generate|/v1/chat/completions",
    ) {
        for bytes in [&body[..], json.as_bytes()] {
            for stream in [false, true] {
                let _ = read(api, &path, stream, bytes);
            }
            let mut scanner = Scanner::new(api, &path);
            for chunk in bytes.chunks(7) {
                scanner.push(chunk);
            }
            let _ = error_text(bytes);
        }
    }
}

#[test]
fn indexes_out_of_all_bounds_cost_no_memory() {
    let body = r#"data: {"choices":[{"index":4000000000,"delta":{"content":"x"}},{"index":0,"delta":{"tool_calls":[{"index":18446744073709551615,"id":"a"}]}}]}

"#;
    let read = read(Api::Chat, "", true, body.as_bytes()).unwrap();
    assert_eq!((read.choices.len(), read.choices[0].tool_calls.len()), (1, 0));
}

#[test]
fn response_items_without_an_index_are_told_apart_by_id() {
    let events = [
        json!({"type": "response.output_item.added", "item": {"type": "message", "id": "msg_1", "content": []}}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "delta": "a"}),
        json!({"type": "response.output_item.added",
            "item": {"type": "function_call", "call_id": "fc_1", "name": "f", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": "{}"}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "delta": "b"}),
    ];
    let read = read(Api::Responses, "", true, stream(&events, true, false).as_bytes()).unwrap();
    assert_eq!((read.choices[0].text.as_str(), read.ended), ("ab", false));
    assert_eq!(
        (read.choices[0].tool_calls[0].id.as_str(), read.choices[0].tool_calls[0].arguments.as_str()),
        ("fc_1", "{}")
    );
}

#[test]
fn tool_calls_without_an_index_are_told_apart_by_id() {
    let body = r#"data: {"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"}"}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"id":"b","function":{"name":"g","arguments":{"x":1}}}]}}]}

"#;
    let read = read(Api::Chat, "", true, body.as_bytes()).unwrap();
    let calls: Vec<_> = read.choices[0].tool_calls.iter().map(|c| (c.name.as_str(), c.arguments.as_str())).collect();
    assert_eq!(calls, [("f", "{}"), ("g", "{\"x\":1}")]);
    assert!(!read.ended);
}

#[test]
fn errors_of_every_dialect_are_read_into_text() {
    let table = [
        (r#"{"error":{"message":"no","type":"x","code":400}}"#, Some("no")),
        (r#"{"error":"unhealthy","error_type":"healthcheck"}"#, Some("unhealthy")),
        (r#"{"object":"error","message":"no","type":"BadRequestError","code":400}"#, Some("no")),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#, Some("busy")),
        (r#"{"error":{"type":"overloaded_error","message":""}}"#, Some("overloaded_error")),
        (r#"{"detail":"Not Found"}"#, Some("Not Found")),
        (r#"{"detail":[{"loc":["body","n",0],"msg":"too many"}]}"#, Some("body.n.0: too many")),
        (r#"{"message":"no"}"#, Some("no")),
        ("LLM is unavailable\n", Some("LLM is unavailable")),
        ("\"text\"", Some("text")),
        ("", None),
        ("{}", None),
    ];
    for (body, text) in table {
        assert_eq!(error_text(body.as_bytes()).as_deref(), text, "{body}");
    }
}

#[test]
fn an_error_within_a_stream_is_told_by_both_readers_and_is_no_end() {
    let table = [
        (Api::Chat, "data: {\"error\": {\"message\": \"out of memory\", \"code\": 500}}\n\n"),
        (Api::Chat, "data: {\"object\": \"error\", \"message\": \"out of memory\"}\n\n"),
        (Api::Chat, "event: error\ndata: {\"message\": \"out of memory\"}\n\n"),
        (Api::Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"out of memory\"}}\n\n"),
        (Api::Responses, "data: {\"type\":\"error\",\"message\":\"out of memory\"}\n\n"),
    ];
    for (api, event) in table {
        let completion = read(api, "", true, event.as_bytes()).unwrap();
        assert_eq!((completion.error.as_deref(), completion.ended), (Some("out of memory"), false), "{event}");
        let mut scanner = Scanner::new(api, "");
        event.as_bytes().chunks(3).for_each(|chunk| assert!(!scanner.push(chunk)));
        assert_eq!((scanner.failed(), scanner.ended(), scanner.owes_end()), (true, false, true), "{event}");
    }
    let null = "data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let mut scanner = Scanner::new(Api::Chat, "");
    assert!(scanner.push(null.as_bytes()) && !scanner.failed());
}

#[test]
fn a_stream_cut_within_its_end_marker_has_not_ended_and_is_at_no_boundary() {
    let whole = "data: {\"choices\":[]}\r\n\r\ndata: [DONE]\r\n\r\n";
    let mut scanner = Scanner::new(Api::Chat, "");
    assert!(scanner.at_boundary());
    for (at, byte) in whole.as_bytes().iter().enumerate() {
        scanner.push(std::slice::from_ref(byte));
        assert_eq!(scanner.at_boundary(), at == 23 || at + 1 == whole.len(), "{at}");
        assert_eq!(scanner.ended(), at + 2 >= whole.len(), "{at}");
    }
    assert_eq!(scanner.events(), 2);
}
