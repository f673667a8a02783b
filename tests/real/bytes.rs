//! Byte for byte against the live engine: the answer through Weir is the answer without it.

use harness::Client;
use harness::client::{Ending, Response, request};
use harness::weir::Setup;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::net::SocketAddr;

use crate::scene::{alone, nothing_kept, question, streamed};

/// Made anew by the engine for each answer.
const NATURAL: [&str; 7] = ["id", "created", "created_at", "completed_at", "item_id", "timings", "response_id"];

#[tokio::test]
async fn every_answer_is_the_engines_to_the_byte() {
    let alone = alone().await;
    let weir = Setup::config(nothing_kept(alone.llama)).start().await;
    for (target, body) in requests() {
        // These paths drop `cache_prompt`: asked before, both count the same tokens as cached.
        if ["/v1/messages", "/v1/responses"].contains(&target) {
            ask(alone.llama.address, target, &body).await;
        }
        let plain = ask(alone.llama.address, target, &body).await;
        let passed = ask(weir.data, target, &body).await;
        let what = format!("{target} {body}");
        assert_eq!((passed.status(), passed.ending), (plain.status(), Ending::Whole), "{what}\n{}", passed.text());
        assert_eq!(scrubbed(&passed.text()), scrubbed(&plain.text()), "{what}");
        for header in ["content-type", "server", "access-control-allow-origin"] {
            assert_eq!(passed.header(header), plain.header(header), "{header} of {what}");
        }
        if plain.header("content-length").is_none() {
            assert_eq!(events(&passed), events(&plain), "{what}");
        }
    }
}

fn requests() -> Vec<(&'static str, Value)> {
    let logprobs = |mut body: Value| {
        body["logprobs"] = true.into();
        body["top_logprobs"] = 2.into();
        body
    };
    let messages = json!({
        "model": "smollm2", "max_tokens": 6, "temperature": 0, "messages": [{"role": "user", "content": "What is rain?"}],
    });
    let stream = |mut body: Value| {
        body["stream"] = true.into();
        body
    };
    let native = json!({"prompt": "A weir is", "n_predict": 6, "temperature": 0, "cache_prompt": false});
    let response = json!({"model": "smollm2", "input": "Say hi", "max_output_tokens": 6, "temperature": 0});
    vec![
        ("/v1/chat/completions", question("What is a weir?", 6)),
        ("/v1/chat/completions", streamed("What is a weir?", 6)),
        ("/v1/chat/completions", logprobs(question("What is a dam?", 4))),
        ("/v1/chat/completions", logprobs(streamed("What is a dam?", 4))),
        ("/v1/chat/completions", question("Ünïcödé, 水 and \"quotes\"\n\t?", 6)),
        ("/v1/completions", json!({"prompt": "A weir is", "max_tokens": 6, "temperature": 0, "cache_prompt": false})),
        ("/v1/embeddings", json!({"input": "water over stone", "model": "smollm2"})),
        ("/completion", native.clone()),
        ("/completion", stream(native)),
        ("/tokenize", json!({"content": "water over stone"})),
        ("/v1/messages", messages.clone()),
        ("/v1/messages", stream(messages)),
        ("/v1/responses", response.clone()),
        ("/v1/responses", stream(response)),
        ("/v1/chat/completions", json!({"messages": "no list"})),
        ("/v1/completions", json!({"max_tokens": 3})),
        ("/v1/nothing", json!({})),
    ]
}

async fn ask(address: SocketAddr, target: &str, body: &Value) -> Response {
    let headers = [("Content-Type", "application/json"), ("Connection", "close")];
    Client::exchange(address, &request("POST", target, &headers, body.to_string().as_bytes())).await
}

/// Number of events of each kind, in order: one line begins each.
fn events(response: &Response) -> Vec<String> {
    let text = response.text();
    let kind = |line: &str| line.split(['{', '[']).next().unwrap_or_default().trim().to_owned();
    text.split("\n\n").filter(|event| !event.is_empty()).map(kind).collect()
}

/// The text with the values of the natural keys taken out, wherever they stand, and nothing else changed.
fn scrubbed(text: &str) -> String {
    let mut text = text.to_owned();
    for key in NATURAL {
        let name = format!("\"{key}\":");
        let mut at = 0;
        while let Some(found) = text[at..].find(&name) {
            at += found + name.len();
            let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<IgnoredAny>();
            if let Some(Ok(_)) = values.next() {
                let length = values.byte_offset();
                text.replace_range(at..at + length, "");
            }
        }
    }
    text
}

#[test]
fn scrubbing_takes_out_values_and_nothing_else() {
    let text = r#"data: {"id":"a","x":{"timings":{"a":[1,2]},"created":12,"y":"id"}}"#;
    assert_eq!(scrubbed(text), r#"data: {"id":,"x":{"timings":,"created":,"y":"id"}}"#);
}
