//! Generated answers go both ways unharmed; broken and odd ones give nothing, and no panic.

use proptest::prelude::*;
use serde_json::json;

use super::super::super::tests as shapes;
use super::*;

fn stream(events: &[Value]) -> Bytes {
    shapes::stream(events, true, true).into()
}

/// Chunks of one choice: these deltas, then its end and the usage.
fn chunks(deltas: Value) -> Bytes {
    let mut chunks: Vec<Value> = Vec::new();
    for delta in deltas.as_array().unwrap() {
        chunks.push(json!({"choices": [{"index": 0, "delta": delta}]}));
    }
    chunks.push(json!({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": "stop"}]}));
    chunks.push(json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}));
    stream(&chunks)
}

#[test]
fn what_is_broken_or_not_understood_is_left_to_the_engine() {
    let call = |call: Value| chunks(json!([{ "tool_calls": [call] }]));
    let chat: [(&str, Form, Form, Bytes, bool); 22] = [
        ("a text", USAGE, PLAIN, chunks(json!([{"content": "a"}, {"content": "b"}])), true),
        ("an unknown member", USAGE, PLAIN, chunks(json!([{"content": "a", "mood": "x"}])), true),
        ("pieces of an unknown member", USAGE, PLAIN, chunks(json!([{"mood": "x"}, {"mood": "x"}])), false),
        ("a content that is no text", USAGE, PLAIN, chunks(json!([{"content": 5}])), false),
        ("two roles", USAGE, PLAIN, chunks(json!([{"role": "user"}])), false),
        (
            "a whole call",
            USAGE,
            PLAIN,
            call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}})),
            true,
        ),
        (
            "a call without id",
            USAGE,
            PLAIN,
            call(json!({"index": 0, "function": {"name": "f", "arguments": ""}})),
            false,
        ),
        (
            "a call without name",
            USAGE,
            PLAIN,
            call(json!({"index": 0, "id": "a", "function": {"arguments": ""}})),
            false,
        ),
        (
            "a second call without a first",
            USAGE,
            PLAIN,
            call(json!({"index": 1, "id": "a", "function": {"name": "f", "arguments": ""}})),
            false,
        ),
        ("a call past all bounds", USAGE, PLAIN, call(json!({"index": u64::MAX, "id": "a"})), false),
        (
            "arguments as JSON",
            USAGE,
            PLAIN,
            call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": {}}})),
            false,
        ),
        (
            "a choice past all bounds",
            USAGE,
            PLAIN,
            stream(&[json!({"choices": [{"index": 4_000_000_000u64, "delta": {}}]})]),
            false,
        ),
        ("no choice", USAGE, PLAIN, stream(&[json!({"choices": [], "usage": {"prompt_tokens": 1}})]), false),
        ("no JSON", USAGE, STREAM, "data: x\n\ndata: [DONE]\n\n".into(), false),
        ("an error", USAGE, STREAM, stream(&[json!({"choices": []}), json!({"error": {"message": "no"}})]), false),
        ("more after the end", USAGE, STREAM, [chunks(json!([])), chunks(json!([]))].concat().into(), false),
        ("no JSON in plain", PLAIN, USAGE, "x".into(), false),
        ("no object", PLAIN, USAGE, "[]".into(), false),
        (
            "an error in plain",
            PLAIN,
            STREAM,
            json!({"error": {"message": "no"}, "choices": []}).to_string().into(),
            false,
        ),
        (
            "no end in plain",
            PLAIN,
            STREAM,
            json!({"choices": [{"message": {"role": "assistant", "content": "a"}}]}).to_string().into(),
            false,
        ),
        (
            "no usage, not asked",
            PLAIN,
            STREAM,
            json!({"choices": [{"message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]})
                .to_string()
                .into(),
            true,
        ),
        (
            "no usage, but asked",
            PLAIN,
            USAGE,
            json!({"choices": [{"message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]})
                .to_string()
                .into(),
            false,
        ),
    ];
    for (name, from, to, body, is_rendered) in chat {
        assert_eq!(render(Api::Chat, &body, from, to).is_some(), is_rendered, "{name}");
    }
    for name in [
        "sglang/chat_stream_error",
        "vllm/chat_stream_error",
        "llama_cpp/chat_stream_error",
        "openai/responses_stream_failed",
    ] {
        let Fixture { api, form, body } = fixture(name);
        assert_eq!(render(api, &body, form, PLAIN), None, "{name}");
    }
    for (api, from, to) in [(Api::Opaque, PLAIN, STREAM), (Api::Opaque, STREAM, STREAM), (Api::Models, STREAM, PLAIN)] {
        assert_eq!(render(api, &chunks(json!([])), from, to), None);
    }
}

#[test]
fn blocks_and_items_that_are_not_understood_are_left_to_the_engine() {
    let message = |block: Value| {
        json!({"type": "message", "role": "assistant", "content": [block],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}})
    };
    let response = |item: Value, status: &str| json!({"object": "response", "status": status, "output": [item]});
    let said = json!({"id": "m", "type": "message", "content": [{"type": "output_text", "text": "a"}]});
    let table = [
        ("text", Api::Messages, message(json!({"type": "text", "text": "a"})), true),
        ("cited text", Api::Messages, message(json!({"type": "text", "text": "a", "citations": [{"n": 1}]})), true),
        ("hidden thinking", Api::Messages, message(json!({"type": "redacted_thinking", "data": "x"})), true),
        ("an unknown block", Api::Messages, message(json!({"type": "image", "source": {}})), false),
        (
            "an input that is no object",
            Api::Messages,
            message(json!({"type": "tool_use", "id": "a", "input": "x"})),
            false,
        ),
        (
            "no count of what was said",
            Api::Messages,
            json!({"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn", "usage": {"input_tokens": 1}}),
            false,
        ),
        ("a message item", Api::Responses, response(said.clone(), "completed"), true),
        ("an answer cut short", Api::Responses, response(said.clone(), "incomplete"), true),
        ("an answer that goes on", Api::Responses, response(said.clone(), "in_progress"), false),
        ("an answer that failed", Api::Responses, response(said, "failed"), false),
        ("a hosted tool", Api::Responses, response(json!({"id": "w", "type": "web_search_call"}), "completed"), false),
        ("an item without id", Api::Responses, response(json!({"type": "message", "content": []}), "completed"), false),
    ];
    for (name, api, plain, is_rendered) in table {
        let body = Bytes::from(plain.to_string());
        let streamed = render(api, &body, PLAIN, STREAM);
        assert_eq!(streamed.is_some(), is_rendered, "{name}");
        let told = !plain["usage"].is_null();
        if let Some(streamed) = streamed.filter(|_| told) {
            assert_eq!(json_of(&render(api, &streamed, STREAM, PLAIN).unwrap()), plain, "{name}");
        }
    }
}

#[test]
fn what_every_event_would_repeat_is_bounded() {
    let chat = |length: usize| {
        json!({"id": "x".repeat(length), "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "a"}}]})
    };
    let response = |length: usize| {
        json!({"object": "response", "status": "completed", "output": [{"type": "message",
        "id": "x".repeat(length), "content": [{"type": "output_text", "text": "a"}]}]})
    };
    for (api, length, is_rendered, plain) in [
        (Api::Chat, 900, true, chat(900)),
        (Api::Chat, 1100, false, chat(1100)),
        (Api::Responses, 256, true, response(256)),
        (Api::Responses, 257, false, response(257)),
    ] {
        let rendered = render(api, &plain.to_string().into(), PLAIN, STREAM);
        assert_eq!(rendered.is_some(), is_rendered, "{api:?} {length}");
    }
}

#[test]
fn a_stream_cut_anywhere_before_its_end_is_not_rendered() {
    for name in ["vllm/chat_stream", "vllm/completions_stream", "llama_cpp/messages_stream", "openai/responses_stream"]
    {
        let Fixture { api, form, body } = fixture(name);
        assert!(render(api, &body, form, PLAIN).is_some());
        for end in 0..body.len() {
            assert_eq!(render(api, &body.slice(..end), form, PLAIN), None, "{name} cut at {end}");
        }
    }
}

#[test]
fn a_text_of_our_own_is_an_answer_in_every_shape() {
    for text in ["Please wait for a person. é\u{1F980}\n", ""] {
        for api in [Api::Chat, Api::Completions, Api::Responses, Api::Messages] {
            for form in FORMS {
                let answer = Text { model: "m", id: "x1", created: 5, text };
                let body = of_text(api, &answer, form).unwrap();
                let (choices, model, usage) = said(api, form, &body);
                assert_eq!(
                    (choices.len(), choices[0].text.as_str(), model.as_str()),
                    (1, text, "m"),
                    "{api:?} {form:?}"
                );
                assert!(["stop", "completed", "end_turn"].contains(&choices[0].finish_reason.as_str()));
                assert_eq!(usage, (form != STREAM || !counts_on_wish(api)).then(Usage::default), "{api:?} {form:?}");
            }
        }
    }
    assert_eq!(of_text(Api::Embeddings, &Text { model: "m", id: "x", created: 5, text: "a" }, PLAIN), None);
}

proptest! {
    #[test]
    fn a_generated_chat_answer_is_unharmed_by_going_both_ways(choices in shapes::choices(3), size in 1usize..6) {
        let mut plain = shapes::chat_plain(&choices);
        plain["object"] = "chat.completion".into();
        let body = Bytes::from(plain.to_string());
        let [_, stream, usage] = all_forms(Api::Chat, &body, PLAIN);
        prop_assert_eq!(render(Api::Chat, &stream.unwrap(), STREAM, PLAIN), None, "an answer owes its usage");
        let back = render(Api::Chat, &usage.unwrap(), USAGE, PLAIN).unwrap();
        prop_assert_eq!(json_of(&back), plain.clone());
        plain.as_object_mut().unwrap().remove("usage");
        let [_, stream, usage] = all_forms(Api::Chat, &plain.to_string().into(), PLAIN);
        prop_assert_eq!((stream.is_some(), usage.is_some()), (true, false));

        // The same answer in the engine's own pieces; it names no role of choices without one.
        let pieces = Bytes::from(shapes::stream(&shapes::chat_events(&choices, size), false, true));
        let [plain, stream, _] = all_forms(Api::Chat, &pieces, USAGE);
        prop_assert!(stream.is_some());
        let again = render(Api::Chat, &plain.clone().unwrap(), PLAIN, USAGE).unwrap();
        prop_assert_eq!(json_of(&render(Api::Chat, &again, USAGE, PLAIN).unwrap()), json_of(&plain.unwrap()));
    }

    #[test]
    fn a_generated_message_is_unharmed_by_going_both_ways(choices in shapes::choices(1), size in 1usize..6) {
        let plain = shapes::messages_plain(&choices[0]);
        let [_, stream, _] = all_forms(Api::Messages, &plain.to_string().into(), PLAIN);
        prop_assert_eq!(json_of(&render(Api::Messages, &stream.unwrap(), STREAM, PLAIN).unwrap()), plain);
        let pieces = shapes::stream(&shapes::messages_events(&choices[0], size), true, false).into();
        prop_assert!(all_forms(Api::Messages, &pieces, STREAM)[0].is_some());
    }

    #[test]
    fn a_generated_response_is_unharmed_by_going_both_ways(choices in shapes::choices(1)) {
        let mut plain = shapes::responses_plain(&choices[0]);
        for (number, item) in plain["output"].as_array_mut().unwrap().iter_mut().enumerate() {
            item["id"] = format!("item_{number}").into();
        }
        let [_, stream, _] = all_forms(Api::Responses, &plain.to_string().into(), PLAIN);
        prop_assert_eq!(json_of(&render(Api::Responses, &stream.unwrap(), STREAM, PLAIN).unwrap()), plain);
    }

    #[test]
    fn foreign_bytes_are_rendered_without_a_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..64),
        json in r#"(\[|\]|\{|\}|"choices":|"delta":|"message":|"output":|"content":|"tool_calls":|"index":|"usage":|"type":|"text"|null|-1|1e99|18446744073709551615|,|data: |\[DONE\]|\n){0,40}"#,
        api in prop::sample::select(&Api::ALL[..]),
    ) {
        for body in [Bytes::from(noise), Bytes::from(json)] {
            for (from, to) in FORMS.into_iter().flat_map(|from| FORMS.map(|to| (from, to))) {
                let _ = render(api, &body, from, to);
            }
        }
    }

    #[test]
    fn captured_answers_with_bytes_changed_are_rendered_rightly_or_not_at_all(
        name in prop::sample::select(&["vllm/chat_stream", "vllm/chat", "tgi/chat_stream", "vllm/messages_stream",
            "vllm/messages", "openai/responses", "llama_cpp/responses_stream", "vllm/completions_stream"][..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), r#"[\[\]{}",:0-9a-z\n]"#, 0usize..30), 1..4),
    ) {
        let Fixture { api, form, body } = fixture(name);
        let mut text = String::from_utf8(body.to_vec()).unwrap();
        for (place, put, cut) in changes {
            let start = text.floor_char_boundary(place.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + cut).min(text.len()));
            text.replace_range(start..end, &put);
        }
        let body = Bytes::from(text);
        for to in FORMS.into_iter().filter(|to| (*to == PLAIN) != (form == PLAIN)) {
            let Some(rendered) = render(api, &body, form, to) else { continue };
            all_forms(api, &body, form);
            // What loses its usage on the way does not get it back.
            let back = render(api, &rendered, to, form);
            if let Some(again) = back.and_then(|back| render(api, &back, form, to)) {
                prop_assert_eq!(again, rendered, "there and back is stable");
            }
        }
    }
}
