//! Tests of the redaction, in every shape of answer and across pieces of a stream.

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const MAIL: &str = "anna.k@example.org";

fn redactor() -> Redactor {
    Redactor::new(&Config::default()).unwrap()
}

fn body(content_type: &str, body: &str) -> (String, u32) {
    let (text, finds) = redactor().redact_body(content_type, Cow::Borrowed(body));
    (text.into_owned(), finds)
}

#[test]
fn finds_in_json_go_and_the_json_stays_json() {
    let table = [
        (r#"{"a":"to anna.k@example.org"}"#, r#"{"a":"to [email]"}"#, 1),
        (r#"{"a":"anna.k\u0040example.org"}"#, r#"{"a":"[email]"}"#, 1),
        (r#"{"a":"\u0061\u006ena\u0040example.org"}"#, r#"{"a":"[email]"}"#, 1),
        (r#"{"a":"x\nanna@example.org\ny"}"#, r#"{"a":"x\n[email]\ny"}"#, 1),
        (r#"{"a":"4111 1111 1111 1111","b":[1,"é"]}"#, r#"{"a":"[card]","b":[1,"é"]}"#, 1),
        (r#"{"a":4111111111111111,"b":12345678}"#, r#"{"a":"[card]","b":12345678}"#, 1),
        (r#"{"anna@example.org":1}"#, r#"{"[email]":1}"#, 1),
        (r#"{"password":"x y"}"#, r#"{"password":"[secret]"}"#, 1),
        (r#"{"properties":{"password":{"type":"string"}}}"#, r#"{"properties":{"password":{"type":"string"}}}"#, 0),
        (r#"{"a":"postgres:\/\/app:s3cr3t@db\/x"}"#, r#"{"a":"postgres:\/\/app:[secret]@db\/x"}"#, 1),
        (r#"{"arguments":"{\"to\":\"anna\\u0040example.org\"}"}"#, r#"{"arguments":"{\"to\":\"[email]\"}"}"#, 1),
        (r#"{"arguments":"{\"to\":\"a\\nanna@example.org\"}"}"#, r#"{"arguments":"{\"to\":\"a[email]\"}"}"#, 1),
        (r#"{"a":"cut off anna@example.org and"#, r#"{"a":"cut off [email] and"#, 1),
        (r#"{"a":"nothing","created":1732282362}"#, r#"{"a":"nothing","created":1732282362}"#, 0),
    ];
    for (before, after, finds) in table {
        assert_eq!(body("application/json", before), (after.to_owned(), finds), "{before}");
        let nested = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        assert_eq!(nested(before), nested(after));
    }
}

#[test]
fn log_probabilities_and_token_ids_do_not_spell_a_find_again() {
    let answer = json!({"choices": [{"message": {"content": MAIL}, "token_ids": [1, 2],
        "logprobs": {"content": [{"token": "anna", "bytes": [97], "logprob": -0.1}]}}]});
    let (text, finds) = body("application/json", &answer.to_string());
    let kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(finds, 1);
    assert_eq!(kept["choices"][0], json!({"message": {"content": "[email]"}, "token_ids": null, "logprobs": null}));
    let clean = json!({"choices": [{"message": {"content": "hi"}, "logprobs": {"content": [{"token": "hi"}]}}]});
    assert_eq!(body("application/json", &clean.to_string()).0, clean.to_string());
}

/// The event of a stream that carries a piece of text.
type Delta = fn(&str) -> Value;

const DELTAS: [(&str, Delta); 6] = [
    ("chat content", |t| json!({"id": "c-1", "choices": [{"delta": {"content": t}, "index": 0}]})),
    ("chat reasoning", |t| json!({"choices": [{"index": 0, "delta": {"reasoning_content": t}}]})),
    (
        "tool arguments",
        |t| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, "function": {"arguments": t}}]}}]}),
    ),
    ("completions", |t| json!({"choices": [{"text": t, "index": 0, "logprobs": {"tokens": [t]}}]})),
    ("responses", |t| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": t})),
    ("messages", |t| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}})),
];

fn stream(delta: Delta, pieces: &[&str]) -> String {
    pieces.iter().map(|piece| format!("data: {}\n\n", delta(piece))).collect::<String>() + "data: [DONE]\n\n"
}

/// All strings of a stream's events, glued in order.
fn spoken(stream: &str) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => out.push_str(text),
            Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            Value::Object(fields) => {
                fields.iter().filter(|(key, _)| !["type", "id"].contains(&key.as_str())).for_each(|(_, v)| walk(v, out))
            }
            _ => {}
        }
    }
    let mut out = String::new();
    for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
        walk(&serde_json::from_str(line).unwrap(), &mut out);
    }
    out
}

#[test]
fn a_find_split_over_deltas_goes_whole_in_every_shape() {
    for (name, delta) in DELTAS {
        let stream = stream(delta, &["Write to ", "an", "na.k", "@", "exam", "ple.org", " today, or", " not"]);
        let (kept, finds) = body("text/event-stream; charset=utf-8", &stream);
        assert_eq!(finds, 1, "{name}");
        let said = spoken(&kept);
        assert!(said.contains("Write to [email] today, or not"), "{name}: {said}");
        for part in ["anna", "na.k", "exam", "ple.org"] {
            assert!(!kept.contains(part), "{name}: {part} in {kept}");
        }
        assert!(kept.ends_with("data: [DONE]\n\n") && kept.lines().count() == stream.lines().count());
    }
}

#[test]
fn texts_that_interleave_are_not_mixed_up() {
    let event = |choice: u32, text: &str| {
        format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}, "index": choice}]}))
    };
    let stream =
        [event(0, "mail an"), event(1, "version 1."), event(0, "na@exa"), event(1, "2.3"), event(0, "mple.org")];
    let (kept, finds) = body("text/event-stream", &stream.concat());
    assert_eq!((finds, spoken(&kept).as_str()), (1, "mail [email]version 1.2.3"));
}

#[test]
fn plain_events_and_lines_of_json_are_streams_too() {
    let (kept, finds) =
        body("text/event-stream", "data: mail anna@exa\n\ndata: mple.org now\n\n: anna@example.org\n\n");
    assert_eq!((kept.as_str(), finds), ("data: mail [email]\n\ndata:  now\n\n: [email]\n\n", 2));
    let lines = "{\"response\":\"anna@exa\"}\n{\"response\":\"mple.org\"}\n";
    let (kept, finds) = body("application/x-ndjson", lines);
    assert_eq!((kept.as_str(), finds), ("{\"response\":\"[email]\"}\n{\"response\":\"\"}\n", 1));
}

#[test]
fn what_differs_from_the_event_before_in_more_than_one_piece_is_looked_at_whole() {
    let event =
        |id: &str, text: &str| format!("{{\"id\":\"{id}\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}");
    let table = [
        // The piece alone, the id, an escape, and a second line of the same event.
        (vec![event("a", "x"), event("a", MAIL)], 1),
        (vec![event("a", "x"), event(MAIL, "y"), event(MAIL, "z")], 2),
        (vec![event("a", "x"), event("a", "anna.k\\u0040example.org"), event("a", "y")], 1),
        (vec![event("a", "x"), event("a", "\",\"password\":\"s3cr3t"), event("a", "y")], 1),
        (vec![event("a", "x"), format!("{}\ndata: {{\"b\":\"{MAIL}\"}}", event("a", "y")), event("a", "z")], 1),
        (vec![event("a", "x"), format!("{}\nevent: {MAIL}", event("a", "y"))], 1),
    ];
    for (events, finds) in table {
        for end in ["\n", "\r", "\r\n"] {
            let stream: String = events.iter().map(|event| format!("data: {event}\n\n").replace('\n', end)).collect();
            let (kept, found) = body("text/event-stream", &stream);
            assert_eq!(found, finds, "{stream}");
            assert!(!kept.contains("anna") && !kept.contains("s3cr3t"), "{kept}");
        }
    }
}

#[test]
fn own_rules_work_beside_the_built_in_ones() {
    let rule = |name: &str, pattern: &str, replacement: Option<&str>| Rule {
        name: Name::new(name).unwrap(),
        pattern: pattern.to_owned(),
        replacement: replacement.map(str::to_owned),
    };
    let rules = vec![rule("contract", r"K-\d{4}", None), rule("quote", "say", Some("\"q\""))];
    let redactor = Redactor::new(&Config { rules, kinds: vec![Find::Email], ..Config::default() }).unwrap();
    let (text, finds) = redactor.redact_body("application/json", r#"{"a":"say K-1234 a@b.co +79161234567"}"#.into());
    assert_eq!((text.as_ref(), finds), (r#"{"a":"\"q\" [contract] [email] +79161234567"}"#, 3));
}

#[test]
fn a_bad_pattern_is_a_fault_with_its_place() {
    let table =
        [("(", "does not compile"), ("(?=x)", "does not compile"), ("a*", "empty text"), (r"\w{5000}{900}", "compile")];
    for (pattern, part) in table {
        let rules = vec![Rule { name: Name::new("r").unwrap(), pattern: pattern.to_owned(), replacement: None }];
        let config = Config { rules, drop_headers: vec!["a b".to_owned()], ..Config::default() };
        let faults = config.faults("redact");
        assert_eq!(faults.len(), 2, "{pattern}");
        assert_eq!(faults[0].path, "redact.rules[0].pattern");
        assert!(faults[0].problem.contains(part), "{}", faults[0]);
        assert!(Redactor::new(&config).is_err());
    }
    assert_eq!(Config::default().faults("redact"), []);
}

#[test]
fn headers_that_hold_credentials_are_never_kept() {
    let names = ["Authorization", "X-Api-Key", "Cookie", "Proxy-Authorization", "X-My-Token", "User-Agent", "X-From"];
    let mut headers = HeaderMap::new();
    for name in names {
        headers.insert(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_static("me a@b.co"));
    }
    let kept = |config: Config| Redactor::new(&config).unwrap().headers(&headers).0;
    let all = kept(Config::default());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(all, [pair("user-agent", "me [email]"), pair("x-from", "me [email]")]);
    let asked = vec!["authorization".to_owned(), "X-From".to_owned()];
    assert_eq!(
        kept(Config { keep_headers: asked, enabled: false, ..Config::default() }),
        [pair("x-from", "me a@b.co")]
    );
    let dropped = vec!["X-From".to_owned()];
    assert_eq!(kept(Config { drop_headers: dropped, ..Config::default() }), [pair("user-agent", "me [email]")]);
}

#[test]
fn off_means_untouched() {
    let redactor = Redactor::new(&Config { enabled: false, ..Config::default() }).unwrap();
    assert_eq!(redactor.redact(MAIL.into()), (MAIL.into(), 0));
    assert_eq!(redactor.redact_body("", MAIL.into()), (MAIL.into(), 0));
}

proptest! {
    /// However a stream cuts the text and whatever stands around, the address is gone, every
    /// event is still JSON, and the rest of the text is untouched.
    #[test]
    fn no_split_lets_an_address_through(
        before in "[a-z \\\\\"\n]{0,12}", after in "[a-z \\\\\"\n]{0,12}",
        cuts in prop::collection::vec(0usize..64, 0..8), shape in 0usize..DELTAS.len(),
    ) {
        let text = format!("{before} <{MAIL}> {after}");
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % text.len()).chain([0, text.len()]).collect();
        ends.sort_unstable();
        let pieces: Vec<&str> = ends.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let (kept, finds) = body("text/event-stream", &stream(DELTAS[shape].1, &pieces));
        let said = spoken(&kept);
        prop_assert_eq!(finds, 1);
        let expected = format!("{before} <[email]> {after}");
        prop_assert_eq!(said, expected);
    }

    #[test]
    fn nothing_panics_and_json_stays_json(raw in "\\PC{0,80}", kind in 0usize..3) {
        let kind = ["application/json", "text/event-stream", "application/x-ndjson"][kind];
        body(kind, &raw);
        body(kind, &format!("data: {{\"{raw}"));
        let whole = json!({"a": raw, "password": raw, "b": [format!("{raw}{MAIL}"), {"c": raw.to_string()}]}).to_string();
        let (kept, _) = body("application/json", &whole);
        prop_assert!(serde_json::from_str::<Value>(&kept).is_ok(), "{whole} became {kept}");
        let twice = json!({"arguments": whole}).to_string();
        let (kept, _) = body("application/json", &twice);
        let outer = serde_json::from_str::<Value>(&kept).unwrap();
        let inner = outer["arguments"].as_str().unwrap();
        prop_assert!(serde_json::from_str::<Value>(inner).is_ok(), "{twice} became {kept}");
    }
}
