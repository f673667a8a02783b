//! JSON and tool calls that fit what was asked for, and that do not.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Outcome, Tool};

fn asked(format: Format, text: &str) -> Judgement {
    let answers = vec![Answer { text: text.to_owned(), ..Answer::default() }];
    Json::new(Config::default()).judge(&Case { answers, format, ..Case::default() })
}

fn called(name: &str, arguments: &str) -> Judgement {
    let schema = json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
    let tools = vec![
        Tool { name: "weather".to_owned(), parameters: Some(Arc::new(schema)) },
        Tool { name: "time".to_owned(), parameters: None },
    ];
    let call = ToolCall { name: name.to_owned(), arguments: arguments.to_owned() };
    let answers = vec![Answer { tool_calls: vec![call], ..Answer::default() }];
    Json::new(Config::default()).judge(&Case { answers, tools, ..Case::default() })
}

fn codes(judged: &Judgement) -> Vec<&str> {
    judged.findings.iter().map(|finding| finding.code.as_ref()).collect()
}

#[test]
fn json_that_was_asked_for_must_be_json_and_nothing_else() {
    let table = [
        (r#"{"a": 1}"#, &[][..]),
        (" \n{}\n", &[]),
        (r#"{"a": 1"#, &["invalid_json"]),
        (r#"{"a": 1,}"#, &["invalid_json"]),
        ("{'a': 1}", &["invalid_json"]),
        (r#"Here you are: {"a": 1}"#, &["invalid_json"]),
        ("```json\n{}\n```", &["invalid_json"]),
        ("", &["invalid_json"]),
        ("[1]", &["not_an_object"]),
        (r#"{"город": "Москва"}"#, &[]),
    ];
    for (text, expected) in table {
        assert_eq!(codes(&asked(Format::Json, text)), expected, "{text}");
    }
    assert_eq!(asked(Format::Text, "no JSON").outcome, Outcome::Skipped(Skip::NotApplicable));
}

#[test]
fn a_value_must_fit_the_schema_that_was_given() {
    let schema = json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}});
    let judge = |text: &str| asked(Format::Schema(Arc::new(schema.clone())), text);
    assert_eq!(judge(r#"{"age": 7}"#).outcome, Outcome::Pass);
    let judged = judge(r#"{"age": -7}"#);
    assert_eq!(codes(&judged), ["schema"]);
    assert!(judged.findings[0].message.contains("`/age`"), "{judged:?}");
}

#[test]
fn a_schema_that_is_none_is_no_fault_of_the_answer() {
    let judged = asked(Format::Schema(Arc::new(json!({"type": 7}))), "{}");
    assert_eq!(judged.outcome, Outcome::Skipped(Skip::Abstained));
    let judged = asked(Format::Schema(Arc::new(json!({"type": 7}))), "{");
    assert_eq!(codes(&judged), ["invalid_json"], "what is no JSON fits no schema");
}

#[test]
fn a_schema_that_only_names_itself_does_not_bring_the_critic_down() {
    for schema in [json!({"$ref": "#"}), json!({"allOf": [{"$ref": "#"}]}), json!({"not": {"$ref": "#"}})] {
        let _any = asked(Format::Schema(Arc::new(schema)), "{}");
    }
}

#[test]
fn calls_must_name_a_tool_and_fit_it() {
    let table = [
        ("weather", r#"{"city": "Омск"}"#, &[][..]),
        ("weather", "{}", &["schema"]),
        ("weather", r#"{"city": "#, &["invalid_json"]),
        ("weather", r#""Omsk""#, &["not_an_object"]),
        ("wether", r#"{"city": "Omsk"}"#, &["unknown_tool"]),
        ("time", "", &[]),
    ];
    for (name, arguments, expected) in table {
        assert_eq!(codes(&called(name, arguments)), expected, "{name}({arguments})");
    }
}

proptest! {
    #[test]
    fn a_cut_value_is_never_passed(words in prop::collection::vec("[a-zа-я\"\\\\]{0,6}", 1..6), at in 0usize..200) {
        let text = json!({"words": words}).to_string();
        let at = (0..=at % text.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let judged = asked(Format::Json, &text[..at]);
        prop_assert_eq!(codes(&judged), vec!["invalid_json"]);
        let span = judged.findings[0].span.clone().unwrap();
        prop_assert!(span.end == at && text.is_char_boundary(span.start));
    }
}
