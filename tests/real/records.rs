//! Every exchange is a row in ClickHouse that says what the client saw.
//!
//! Weir writes to its embedded engine; when it has stopped, the test starts that engine on
//! the same folder and asks it in SQL.

use std::time::Duration;

use clickhouse::{Client as ClickHouse, Compression};
use harness::client::{Response, request};
use harness::llama::Places;
use harness::wait::{self, PATIENCE};
use harness::{Client, Weir, weir};
use serde_json::{Value, json};
use weir_clickhouse_engine::{Engine, Options, Running};

use crate::scene::{alone, question, streamed};

/// An exchange as its client knows it.
struct Known {
    id: String,
    usage: Value,
    api: &'static str,
    stream: bool,
    finish: &'static str,
}

#[tokio::test]
async fn rows_say_what_the_clients_saw() {
    let alone = alone().await;
    let mut weir = Weir::before(&alone.llama.url).await;
    identified(&weir).await;
    let mut known = Vec::new();
    for (api, target, finish, body) in exchanges() {
        let stream = body["stream"] == true;
        let response = ask(&weir, target, &body).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        let id = response.header("x-weir-exchange").expect("every answer names its exchange").to_owned();
        known.push(Known { id, usage: usage(&response, stream), api, stream, finish });
    }
    let refused = ask(&weir, "/v1/chat/completions", &json!({"messages": "no list"})).await;
    let refused = refused.header("x-weir-exchange").unwrap().to_owned();
    wait::until_asked("the last record is stored", PATIENCE, async || {
        (weir.ask_console(&format!("/api/exchange/{refused}")).await.status() == 200).then_some(())
    })
    .await;
    assert!(weir.terminate().await.success(), "{}", weir.said());
    let (running, store) = open(&weir).await;
    for known in &known {
        agrees(&store, known).await;
    }
    let count = one(&store, "SELECT count() AS n FROM exchanges").await;
    assert_eq!(number(&count["n"]), known.len() as u64 + 1, "one row per exchange");
    let row = one(&store, &format!("SELECT status, outcome FROM exchanges WHERE exchange_id = '{refused}'")).await;
    assert_eq!((&row["status"], &row["outcome"]), (&json!(400), &json!("engine_error")));
    let found = "SELECT count() AS n FROM exchange_contents WHERE hasAllTokens(prompt_text, 'waterfall')";
    assert_eq!(number(&one(&store, found).await["n"]), 2, "prompts are found by a word");
    fingerprint(&store).await;
    running.stop(Duration::from_secs(10)).await;
}

fn exchanges() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let prompt = json!({"prompt": "A weir is", "max_tokens": 5, "temperature": 0});
    let messages = json!({"max_tokens": 5, "messages": [{"role": "user", "content": "What is rain?"}]});
    let ends = json!({
        "messages": [{"role": "user", "content": "Rome?"}], "max_tokens": 60, "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "yes", "schema": {"const": "yes"}}},
    });
    vec![
        ("chat", "/v1/chat/completions", "length", question("What is a waterfall?", 5)),
        ("chat", "/v1/chat/completions", "length", streamed("Name a waterfall!", 5)),
        ("chat", "/v1/chat/completions", "stop", ends),
        ("completions", "/v1/completions", "length", prompt.clone()),
        ("completions", "/v1/completions", "length", with_stream(prompt)),
        ("messages", "/v1/messages", "max_tokens", messages.clone()),
        ("messages", "/v1/messages", "max_tokens", with_stream(messages)),
        ("responses", "/v1/responses", "", json!({"input": "Say hi", "max_output_tokens": 5})),
        ("responses", "/v1/responses", "", with_stream(json!({"input": "Say hi", "max_output_tokens": 5}))),
        ("embeddings", "/v1/embeddings", "", json!({"input": "water"})),
    ]
}

fn with_stream(mut body: Value) -> Value {
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// Rows name the engine's kind and fingerprint only once it has been asked for them.
async fn identified(weir: &Weir) {
    wait::until_asked("the engine is known", PATIENCE, async || {
        weir.ask_console("/api/overview").await.text().contains("Q4_1").then_some(())
    })
    .await;
}

async fn ask(weir: &Weir, target: &str, body: &Value) -> Response {
    let headers = [("Content-Type", "application/json")];
    Client::exchange(weir.data, &request("POST", target, &headers, body.to_string().as_bytes())).await
}

/// The usage that the client was told, by the names of the rows.
fn usage(response: &Response, stream: bool) -> Value {
    let text = response.text();
    let events: Vec<Value> = match stream {
        false => vec![response.json()],
        true => text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect(),
    };
    // Anthropic tells the prompt's tokens at the start of a stream and the rest at its end.
    let mut told = serde_json::Map::new();
    for event in &events {
        for holder in [event, &event["message"], &event["response"]] {
            told.extend(holder["usage"].as_object().cloned().unwrap_or_default());
        }
    }
    let count = |names: [&str; 2]| names.iter().find_map(|name| told.get(*name)?.as_u64()).unwrap_or(0);
    // Anthropic counts cached tokens apart from the others.
    let cached = told.get("cache_read_input_tokens").and_then(Value::as_u64).unwrap_or(0);
    json!({
        "prompt_tokens": count(["prompt_tokens", "input_tokens"]) + cached,
        "completion_tokens": count(["completion_tokens", "output_tokens"]),
    })
}

async fn agrees(store: &ClickHouse, known: &Known) {
    let row = one(store, &format!("SELECT * FROM exchanges WHERE exchange_id = '{}'", known.id)).await;
    let told = json!({"prompt_tokens": row["prompt_tokens"], "completion_tokens": row["completion_tokens"]});
    assert_eq!(told, known.usage, "{row:#}");
    let facts = [&row["api"], &row["stream"], &row["status"], &row["outcome"], &row["engine_kind"]];
    assert_eq!(
        facts.map(Value::clone),
        [json!(known.api), json!(known.stream), json!(200), json!("complete"), json!("llama-cpp")],
        "{row:#}"
    );
    if !known.finish.is_empty() {
        assert_eq!(row["finish_reasons"], json!([known.finish]), "{row:#}");
    }
    let first_token: u64 = number(&row["first_token_us"]);
    assert_eq!(first_token > 0, known.stream, "{row:#}");
    assert_eq!(row["usage_source"], "engine", "{row:#}");
    let text = one(store, &format!("SELECT * FROM exchange_contents WHERE exchange_id = '{}'", known.id)).await;
    assert_ne!(text["prompt_text"], "", "{text:#}");
    assert_eq!(text["completion_text"] == "", known.api == "embeddings", "{text:#}");
}

async fn fingerprint(store: &ClickHouse) {
    let asked = "SELECT fingerprint_json FROM fingerprints FINAL WHERE digest IN (SELECT fingerprint FROM exchanges)";
    let row = one(store, asked).await;
    let told: Value = serde_json::from_str(row["fingerprint_json"].as_str().unwrap()).unwrap();
    assert_eq!(told["model"], "smollm2", "{told}");
    assert_eq!(told["context_tokens"], 2048, "{told}");
    assert!(told["quantisation"].as_str().is_some_and(|kind| kind.contains("Q4_1")), "{told}");
    assert_eq!(told["template_hash"].as_str().map(str::len), Some(16), "{told}");
}

async fn open(weir: &Weir) -> (Running, ClickHouse) {
    let library = std::env::var_os("WEIR_CHDB").map_or_else(|| Places::get().store_library.clone(), Into::into);
    let options = Options {
        program: Some(weir::program()),
        library: Some(library),
        ..Options::new(weir.data_folder().join("store"))
    };
    let running = Engine::spawn(options).await.unwrap_or_else(|fault| panic!("{fault}"));
    let store =
        ClickHouse::default().with_url(running.url()).with_user(running.user()).with_password(running.password());
    (running, store.with_compression(Compression::None).with_database("weir"))
}

/// ClickHouse quotes 64-bit numbers or not, as it is set.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("no number: {value}"))
}

/// The one row of an answer.
async fn one(store: &ClickHouse, query: &str) -> Value {
    let mut cursor = store.query_raw(query).fetch_bytes("JSONEachRow").unwrap();
    let bytes = cursor.collect().await.unwrap_or_else(|fault| panic!("{query}: {fault}"));
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|fault| panic!("{query}: {fault}: {}", String::from_utf8_lossy(&bytes)))
}
