//! Cases made of requests and answers in every shape.

use super::*;

fn of(api: Api, request: &str, response: &str) -> Case {
    let completion = completion::read(api, "", false, response.as_bytes()).unwrap();
    case(api, request.as_bytes(), &completion, &Context::default())
}

const CHAT: &str = r#"{"choices":[{"index":0,"message":{"content":"4"},"finish_reason":"stop"}]}"#;

#[test]
fn results_of_tools_and_tagged_text_are_the_context() {
    let case = of(
        Api::Chat,
        r#"{"messages":[{"role":"system","content":"Answer from <context id=\"1\">a > b</context> only."},
            {"role":"user","content":[{"type":"text","text":"so <documents>x <document>y</document></documents>?"},
                {"type":"image_url","image_url":{"url":"data:"}}]},
            {"role":"tool","content":[{"type":"text","text":"found"}]}]}"#,
        CHAT,
    );
    let texts: Vec<_> = case.context.iter().map(|p| (p.source.as_str(), p.text.as_str())).collect();
    assert_eq!(texts, [("tool", "found"), ("system", "a > b"), ("user", "x <document>y</document>")]);
    assert_eq!(case.conversation[2], Turn { role: Role::Tool, text: "found".to_owned() });
    let case = of(
        Api::Messages,
        r#"{"system":"s","messages":[{"role":"user","content":[{"type":"tool_result","content":"t"}]}]}"#,
        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"4"}],"stop_reason":"end_turn"}"#,
    );
    assert_eq!(case.context, [Passage { source: "tool".to_owned(), text: "t".to_owned() }]);
}

#[test]
fn the_form_and_the_tools_are_read_in_every_shape() {
    let schema = r#"{"type":"object"}"#;
    for (api, extra) in [
        (Api::Chat, r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":S}}"#),
        (Api::Chat, r#""guided_json":S"#),
        (Api::Responses, r#""text":{"format":{"type":"json_schema","name":"n","schema":S}}"#),
        (Api::Messages, r#""output_format":{"type":"json_schema","schema":S}"#),
    ] {
        let request = format!(r#"{{"messages":[],"input":[],{}}}"#, extra.replace('S', schema));
        let completion = Completion::default();
        let case = case(api, request.as_bytes(), &completion, &Context::default());
        assert_eq!(case.format, Format::Schema(Arc::new(serde_json::json!({"type": "object"}))), "{extra}");
        assert_eq!(case.task, Task::Json);
    }
    for tool in [
        r#"{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}"#,
        r#"{"type":"function","name":"f","parameters":{"type":"object"}}"#,
        r#"{"name":"f","input_schema":{"type":"object"}}"#,
    ] {
        let case = of(Api::Chat, &format!(r#"{{"messages":[],"tools":[{tool}]}}"#), CHAT);
        assert_eq!(case.tools.len(), 1);
        assert!(case.tools[0].name == "f" && case.tools[0].parameters.is_some(), "{tool}");
    }
}

#[test]
fn the_kind_of_an_answer_is_the_same_however_its_text_is_cut() {
    let texts =
        ["Here:\n```py\nprint('wide')\n```\nand so on and on, for a while", "~~~\n```\ncode\n~~~", "```\nend", "x"];
    for (text, code) in texts.into_iter().zip([14, 9, 3, 0]) {
        for cut in 1..=text.len() {
            let mut growing = Growing::default();
            text.as_bytes().chunks(cut).for_each(|part| growing.text(1, std::str::from_utf8(part).unwrap()));
            assert_eq!((growing.texts[1].code(), growing.texts[1].all), (code, text.len()), "{text} {cut}");
        }
    }
}

#[test]
fn an_answer_that_is_mostly_fenced_is_code_and_one_of_calls_is_tools() {
    let code = r#"{"choices":[{"message":{"content":"Here:\n```py\nprint('hello, wide world')\n```\n"}}]}"#;
    assert_eq!(of(Api::Chat, r#"{"messages":[]}"#, code).task, Task::Code);
    let calls = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"1","type":"function",
        "function":{"name":"f","arguments":"{}"}}]}}]}"#;
    assert_eq!(of(Api::Chat, r#"{"messages":[]}"#, calls).task, Task::Tools);
    assert_eq!(of(Api::Chat, r#"{"messages":[]}"#, CHAT).task, Task::Prose);
}
