//! Each shape, and bytes that are of none.

use proptest::prelude::*;

use super::*;

fn text(role: &str, said: &str) -> Message {
    Message { role: role.into(), parts: vec![Part::Text(said.into())] }
}

fn call(name: &str, arguments: &str) -> Part {
    Part::ToolCall { name: name.into(), arguments: arguments.into() }
}

fn said(role: &str, parts: Vec<Part>) -> Message {
    Message { role: role.into(), parts }
}

fn assert_reads(api: Api, body: &str, messages: Vec<Message>, tools: &[&str]) {
    let conversation = read(api, body.as_bytes()).unwrap_or_else(|| panic!("{api:?} {body}"));
    assert_eq!(conversation.messages, messages, "{body}");
    assert_eq!(conversation.tools, tools, "{body}");
}

#[test]
fn chat_content_may_be_text_null_or_parts() {
    let body = r#"{"model":"m","messages":[
        {"role":"system","content":"be brief"},
        {"role":"user","content":[{"type":"text","text":"what is"},{"type":"image_url","image_url":{"url":"data:,x"}}]},
        {"role":"assistant","content":null,"reasoning_content":"look","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"see","arguments":"{\"a\": 1}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"a cat"},
        {"role":"tool","content":[{"type":"text","text":"two"},{"type":"text","text":"lines"}]},
        {"role":"assistant","function_call":{"name":"old","arguments":"{}"}},
        {"role":"user"}],
        "tools":[{"type":"function","function":{"name":"see","parameters":{}}}],"functions":[{"name":"old"}]}"#;
    let expected = vec![
        text("system", "be brief"),
        said("user", vec![Part::Text("what is".into()), Part::Other("image_url".into())]),
        said("assistant", vec![Part::Reasoning("look".into()), call("see", "{\"a\": 1}")]),
        said("tool", vec![Part::ToolResult("a cat".into())]),
        said("tool", vec![Part::ToolResult("two\nlines".into())]),
        said("assistant", vec![call("old", "{}")]),
        said("user", vec![]),
    ];
    assert_reads(Api::Chat, body, expected, &["see", "old"]);
}

#[test]
fn prompts_may_be_text_texts_or_token_ids() {
    let tokens = || said("user", vec![Part::Other("token_ids".into())]);
    let table = [
        (Api::Completions, r#"{"prompt":"a"}"#, vec![text("user", "a")]),
        (Api::Completions, r#"{"prompt":["a","b"]}"#, vec![text("user", "a"), text("user", "b")]),
        (Api::Completions, r#"{"prompt":[1,2,3]}"#, vec![tokens()]),
        (Api::Completions, r#"{"prompt":[[1,2],[3]]}"#, vec![tokens(), tokens()]),
        (Api::Completions, r#"{"prompt":[]}"#, vec![]),
        (Api::Embeddings, r#"{"input":"a"}"#, vec![text("user", "a")]),
        (Api::Embeddings, r#"{"input":["a","b"],"model":"e"}"#, vec![text("user", "a"), text("user", "b")]),
        (Api::Embeddings, r#"{"input":[[5]]}"#, vec![tokens()]),
        (Api::Embeddings, r#"{"messages":[{"role":"user","content":"a"}]}"#, vec![text("user", "a")]),
        (Api::Opaque, r#"{"prompt":{"prompt_string":"a","multimodal_data":["x"]}}"#, vec![text("user", "a")]),
        (Api::Opaque, r#"{"inputs":"a","parameters":{}}"#, vec![text("user", "a")]),
        (Api::Opaque, r#"{"text":["a"],"sampling_params":{}}"#, vec![text("user", "a")]),
    ];
    for (api, body, messages) in table {
        assert_reads(api, body, messages, &[]);
    }
}

#[test]
fn responses_input_may_be_text_or_items() {
    assert_reads(
        Api::Responses,
        r#"{"instructions":"be brief","input":"hi"}"#,
        vec![text("system", "be brief"), text("user", "hi")],
        &[],
    );
    let body = r#"{"instructions":null,"input":[
        {"role":"user","content":"hi"},
        {"type":"message","role":"user","content":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"u"}]},
        {"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"short"}],"content":null},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"42"},
        {"type":"item_reference","id":"x"}],
        "tools":[{"type":"function","name":"f","parameters":{}},{"type":"web_search"}]}"#;
    let expected = vec![
        text("user", "hi"),
        said("user", vec![Part::Text("see".into()), Part::Other("input_image".into())]),
        said("assistant", vec![Part::Reasoning("short".into())]),
        said("assistant", vec![call("f", "{}")]),
        said("tool", vec![Part::ToolResult("42".into())]),
        said("", vec![Part::Other("item_reference".into())]),
    ];
    assert_reads(Api::Responses, body, expected, &["f", "web_search"]);
}

#[test]
fn messages_have_a_system_field_and_blocks() {
    let body = r#"{"system":[{"type":"text","text":"be brief"}],"max_tokens":9,"messages":[
        {"role":"user","content":"hi"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"ok"},
            {"type":"tool_use","id":"t","name":"f","input":{"a":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"42"},
            {"type":"image","source":{}}]},{"type":"image","source":{}}]}],
        "tools":[{"name":"f","input_schema":{}}]}"#;
    let expected = vec![
        text("system", "be brief"),
        text("user", "hi"),
        said("assistant", vec![Part::Reasoning("hm".into()), Part::Text("ok".into()), call("f", "{\"a\":1}")]),
        said("user", vec![Part::ToolResult("42\n[image]".into()), Part::Other("image".into())]),
    ];
    assert_reads(Api::Messages, body, expected, &["f"]);
}

#[test]
fn a_body_of_another_shape_is_no_conversation() {
    let table = [
        (Api::Chat, r#"{"prompt":"a"}"#),
        (Api::Chat, r#"{"messages":"a"}"#),
        (Api::Completions, r#"{"messages":[]}"#),
        (Api::Responses, r#"{}"#),
        (Api::Models, r#"{"messages":[]}"#),
        (Api::Opaque, r#"{"a":1}"#),
        (Api::Chat, "[]"),
        (Api::Chat, ""),
        (Api::Chat, "{"),
    ];
    for (api, body) in table {
        assert_eq!(read(api, body.as_bytes()), None, "{api:?} {body}");
    }
}

proptest! {
    #[test]
    fn any_json_is_read_without_a_panic(
        key in "messages|input|prompt|system|instructions|tools",
        inner in r#"(\[|\]|\{|\}|"role":|"content":|"type":|"text"|"tool_use"|null|1|,){0,24}"#,
        api in prop::sample::select(&Api::ALL[..]),
    ) {
        let _ = read(api, format!("{{\"messages\":[],\"{key}\":{inner}}}").as_bytes());
        let _ = read(api, inner.as_bytes());
    }
}
