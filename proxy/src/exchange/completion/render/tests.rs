//! Every rendering says what was kept; what cannot be rendered is left to the engine.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{Choice, Usage, read, tests as shapes};
use super::*;

mod foreign;

const PLAIN: Form = Form::Plain;
const STREAM: Form = Form::Stream { include_usage: false };
const USAGE: Form = Form::Stream { include_usage: true };
const FORMS: [Form; 3] = [PLAIN, STREAM, USAGE];

/// A captured exchange.
struct Fixture {
    api: Api,
    form: Form,
    body: Bytes,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/wire")
}

fn fixture(name: &str) -> Fixture {
    let part = |kind: &str| {
        let text = std::fs::read_to_string(folder().join(format!("{name}.{kind}"))).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap();
        (head.to_owned(), Bytes::from(body.to_owned()))
    };
    let ((request, asked), (response, body)) = (part("request"), part("response"));
    let path = request.split(' ').nth(1).unwrap();
    let asked: Value = serde_json::from_slice(&asked).unwrap_or_default();
    let include_usage = asked["stream_options"]["include_usage"] == true;
    let form = if response.contains("text/event-stream") { Form::Stream { include_usage } } else { Form::Plain };
    Fixture { api: Api::of(&http::Method::POST, path), form, body }
}

/// What an answer says, however it is sent.
fn said(api: Api, form: Form, body: &[u8]) -> (Vec<Choice>, String, Option<Usage>) {
    let mut completion = read(api, "", form != PLAIN, body).unwrap();
    assert!(completion.ended && completion.error.is_none());
    for call in completion.choices.iter_mut().flat_map(|choice| &mut choice.tool_calls) {
        // Where a stream of Messages says nothing, the input is the empty object it began with.
        let input = serde_json::from_str::<Value>(if call.arguments.is_empty() { "{}" } else { &call.arguments });
        call.arguments = if api == Api::Messages { input.unwrap().to_string() } else { call.arguments.clone() };
    }
    (completion.choices, completion.model, completion.usage)
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn data_of(body: &Bytes) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    lines.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// Renderings into all forms, where there are any; each one checked.
fn all_forms(api: Api, body: &Bytes, form: Form) -> [Option<Bytes>; 3] {
    let kept = said(api, form, body);
    FORMS.map(|to| {
        let rendered = render(api, body, form, to)?;
        let mut now = said(api, to, &rendered);
        if counts_on_wish(api) && to == STREAM {
            assert!(form == STREAM || data_of(&rendered).iter().all(|chunk| chunk.get("usage").is_none()));
            now.2 = kept.2;
        }
        assert_eq!(now, kept, "{to:?}: {}", String::from_utf8_lossy(&rendered));
        Some(rendered)
    })
}

#[test]
fn captured_answers_of_every_engine_are_rendered_and_say_the_same() {
    let table = [
        ("llama_cpp/chat", "plain stream usage"),
        ("llama_cpp/chat_stream", "stream"),
        ("llama_cpp/messages_stream", "plain stream usage"),
        ("llama_cpp/responses_stream", "plain stream usage"),
        ("openai/chat", "plain stream usage"),
        ("openai/chat_stream", "plain stream usage"),
        ("openai/responses", "plain stream usage"),
        ("openai/responses_stream", "plain stream usage"),
        ("sglang/chat", "plain stream usage"),
        ("sglang/chat_stream", "plain stream usage"),
        ("tensorrt_llm/chat", "plain stream usage"),
        ("tensorrt_llm/chat_stream", "plain stream usage"),
        ("tensorrt_llm/completions", "plain stream usage"),
        ("tgi/chat", "plain stream usage"),
        ("tgi/chat_stream", "plain stream usage"),
        ("vllm/chat", "plain stream usage"),
        ("vllm/chat_stream", "plain stream usage"),
        ("vllm/chat_tools_stream", "stream"),
        ("vllm/completions_stream", "plain stream usage"),
        ("vllm/messages", "plain stream usage"),
        ("vllm/messages_stream", "plain stream usage"),
        ("vllm/responses", "plain stream usage"),
        ("vllm/responses_stream", "plain stream usage"),
        ("vllm/embeddings", "plain"),
    ];
    for (name, expected) in table {
        let Fixture { api, form, body } = fixture(name);
        if api == Api::Embeddings {
            assert_eq!(FORMS.map(|to| render(api, &body, form, to)), [Some(body), None, None], "{expected}");
            continue;
        }
        let forms = all_forms(api, &body, form);
        let names = ["plain", "stream", "usage"].into_iter().zip(&forms).filter(|(_, form)| form.is_some());
        assert_eq!(names.map(|(name, _)| name).collect::<Vec<_>>().join(" "), expected, "{name}");
        assert_eq!(render(api, &body, form, form), Some(body), "{name}");
        // Once more there and back changes nothing.
        if let [Some(plain), _, Some(stream)] = forms {
            let plain = if form == PLAIN { render(api, &stream, USAGE, PLAIN).unwrap() } else { plain };
            let again = render(api, &plain, PLAIN, USAGE).unwrap();
            let back = render(api, &again, USAGE, PLAIN).unwrap();
            assert_eq!(
                (json_of(&back), said(api, USAGE, &again)),
                (json_of(&plain), said(api, PLAIN, &plain)),
                "{name}"
            );
        }
    }
}

#[test]
fn what_a_plain_answer_of_an_engine_holds_survives_both_ways() {
    for name in ["vllm/chat", "sglang/chat", "llama_cpp/chat", "openai/chat", "tgi/chat", "tensorrt_llm/completions"] {
        let Fixture { api, body, .. } = fixture(name);
        let stream = render(api, &body, PLAIN, USAGE).unwrap();
        assert_eq!(json_of(&render(api, &stream, USAGE, PLAIN).unwrap()), json_of(&body), "{name}");
    }
    for name in ["vllm/responses", "openai/responses", "vllm/messages"] {
        let Fixture { api, body, .. } = fixture(name);
        let stream = render(api, &body, PLAIN, STREAM).unwrap();
        assert_eq!(json_of(&render(api, &stream, STREAM, PLAIN).unwrap()), json_of(&body), "{name}");
    }
}

#[test]
fn a_chat_answer_becomes_the_chunks_that_an_engine_would_send() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let logprobs = json!({"content": [{"token": "Hi", "logprob": -0.5, "top_logprobs": []}], "refusal": null});
    let plain = json!({"id": "x", "object": "chat.completion", "created": 7, "model": "m", "weights": 3,
        "choices": [{"index": 0, "logprobs": logprobs, "finish_reason": "tool_calls", "stop_reason": 9,
            "message": {"role": "assistant", "content": "Hi", "reasoning": "Hm", "audio": null, "tool_calls": [call]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}});
    let body = Bytes::from(plain.to_string());
    let chunk = |choices: Value| json!({"id": "x", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices, "usage": null});
    let delta = |delta: Value, logprobs: &Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": null}]))
    };
    let mut call = call;
    call["index"] = 0.into();
    let mut expected = vec![
        delta(json!({"role": "assistant", "content": "", "reasoning": null, "audio": null}), &Value::Null),
        delta(json!({"reasoning": "Hm"}), &Value::Null),
        delta(json!({"content": "Hi"}), &logprobs),
        delta(json!({"tool_calls": [call]}), &Value::Null),
        chunk(json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "tool_calls", "stop_reason": 9}])),
        chunk(json!([])),
    ];
    expected[0]["weights"] = 3.into();
    expected[5]["usage"] = plain["usage"].clone();
    let streamed = render(Api::Chat, &body, PLAIN, USAGE).unwrap();
    assert_eq!(data_of(&streamed), expected);
    assert!(streamed.ends_with(b"data: [DONE]\n\n"));
    expected.pop();
    expected.iter_mut().for_each(|chunk| drop(chunk.as_object_mut().unwrap().remove("usage")));
    assert_eq!(data_of(&render(Api::Chat, &body, PLAIN, STREAM).unwrap()), expected);
    assert_eq!(data_of(&render(Api::Chat, &streamed, USAGE, STREAM).unwrap()), expected);
}

#[test]
fn pieces_are_put_together_with_their_log_probabilities_and_unknown_members() {
    let chunks = [
        json!({"id": "x", "created": 1, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
        json!({"id": "x", "created": 2, "choices": [{"index": 0, "delta": {"content": "a"}, "token_ids": [1],
            "logprobs": {"content": [{"token": "a", "logprob": -93.31137037688033}]}}]}),
        json!({"id": "x", "created": 3, "choices": [{"index": 0, "delta": {"content": "b", "mood": "good"},
            "token_ids": [2], "logprobs": {"content": [{"token": "b", "logprob": -36.573994842753436}]}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "matched_stop": 5}], "weights": {"v": 1}}),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ];
    let body = Bytes::from(shapes::stream(&chunks, false, true));
    let expected = json!({"id": "x", "created": 1, "object": "chat.completion", "weights": {"v": 1},
        "choices": [{"index": 0, "finish_reason": "stop", "matched_stop": 5, "token_ids": [1, 2],
            "message": {"role": "assistant", "content": "ab", "mood": "good"},
            "logprobs": {"content": [{"token": "a", "logprob": -93.31137037688033}, {"token": "b", "logprob": -36.573994842753436}]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    assert_eq!(json_of(&render(Api::Chat, &body, USAGE, PLAIN).unwrap()), expected);
}

#[test]
fn what_the_usage_chunk_alone_tells_moves_to_the_one_before() {
    let chunks = [
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "timings": {"prompt_n": 1}}),
    ];
    let body = Bytes::from(shapes::stream(&chunks, false, true));
    let mut expected = chunks[0].clone();
    expected["timings"] = json!({"prompt_n": 1});
    assert_eq!(data_of(&render(Api::Chat, &body, USAGE, STREAM).unwrap()), [expected]);
    assert_eq!(render(Api::Chat, &body, STREAM, USAGE), Some(body), "an engine that tells it unasked");
}

#[test]
fn a_response_becomes_its_documented_events() {
    let Fixture { api, body, .. } = fixture("openai/responses");
    let events = data_of(&render(api, &body, PLAIN, STREAM).unwrap());
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap().trim_start_matches("response.")).collect();
    assert_eq!(
        kinds.join(" "),
        "created in_progress output_item.added reasoning_summary_part.added reasoning_summary_text.delta \
         reasoning_summary_text.done reasoning_summary_part.done output_item.done output_item.added \
         function_call_arguments.delta function_call_arguments.done output_item.done completed"
    );
    assert!(events.iter().enumerate().all(|(number, event)| event["sequence_number"] == number));
    let begun = &events[0]["response"];
    assert_eq!(
        (&begun["status"], &begun["output"], &begun["usage"]),
        (&json!("in_progress"), &json!([]), &Value::Null)
    );
    assert_eq!((&events[8]["item"]["arguments"], &events[8]["output_index"]), (&json!(""), &json!(1)));

    let Fixture { api, body, .. } = fixture("vllm/responses");
    let events = data_of(&render(api, &body, PLAIN, STREAM).unwrap());
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap().trim_start_matches("response.")).collect();
    assert_eq!(
        kinds[7..].join(" "),
        "output_item.done output_item.added content_part.added output_text.delta output_text.done content_part.done \
         output_item.done completed"
    );
    assert_eq!(
        events[10],
        json!({"type": "response.output_text.delta", "sequence_number": 10, "item_id": "msg_2", "output_index": 1,
            "content_index": 0, "delta": "Paris.", "logprobs": []})
    );
}

#[test]
fn a_message_becomes_its_documented_events() {
    let Fixture { api, body, .. } = fixture("vllm/messages");
    let rendered = render(api, &body, PLAIN, STREAM).unwrap();
    let event = |kind: &str, index: usize, key: &str, value: Value| json!({"type": kind, "index": index, key: value});
    let mut expected = vec![
        json!({"type": "message_start", "message": {"id": "chatcmpl-5", "type": "message", "role": "assistant",
            "content": [], "model": "qwen3-8b", "stop_reason": null, "usage": {"input_tokens": 180, "output_tokens": 0}}}),
    ];
    let blocks = [
        (
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": "I need the weather."}),
                json!({"type": "signature_delta", "signature": "5c1d"}),
            ],
        ),
        (json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": "Let me see."})]),
        (
            json!({"type": "tool_use", "id": "chatcmpl-tool-a1", "name": "get_weather", "input": {}}),
            vec![json!({"type": "input_json_delta", "partial_json": "{\"city\":\"Paris\"}"})],
        ),
    ];
    for (index, (start, deltas)) in blocks.into_iter().enumerate() {
        expected.push(event("content_block_start", index, "content_block", start));
        expected.extend(deltas.into_iter().map(|delta| event("content_block_delta", index, "delta", delta)));
        expected.push(json!({"type": "content_block_stop", "index": index}));
    }
    expected.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
        "usage": {"input_tokens": 180, "output_tokens": 31}}));
    expected.push(json!({"type": "message_stop"}));
    assert_eq!(data_of(&rendered), expected);
    assert!(rendered.starts_with(b"event: message_start\ndata: {"));
}
