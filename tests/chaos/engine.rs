//! The language model's process is killed in the middle of an answer.

use std::time::{Duration, Instant};

use harness::client::{Response, request};
use harness::wait::{PATIENCE, until_asked};
use harness::weir::Setup;
use harness::{Client, Engine, Llama, Weir};
use serde_json::json;
use tokio::task::block_in_place;

use crate::alone;
use crate::books::{drained, gated_store};
use crate::load::fast_answer;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_ends_its_stream_in_an_error_and_comes_back_when_it_is_back() {
    let _alone = alone().await;
    let (mut gate, url, books) = gated_store();
    gate.open();
    let llama = block_in_place(|| Llama::start(0));
    let (llama_url, port) = (llama.url.clone(), llama.address.port());
    let mut second = Engine::start(fast_answer()).await;
    let breaker = "probe_interval = \"500ms\"\nbreaker = { failures = 2, open = \"300ms\", open_max = \"1s\" }";
    let config = format!("[engines.model]\nreplicas = [\"{llama_url}\", \"{}\"]\n{breaker}\n", second.url());
    let mut weir = Setup::config(config).variable("CLICKHOUSE_URL", &url).start().await;
    until_state(&weir, "weir_engine_up", port, 1.0).await;

    let (mut client, id) = begin_stream(&weir).await;
    llama.kill();
    let killed = Instant::now();
    let response = client.response().await.unwrap();
    let noticed = killed.elapsed();
    let text = response.text();
    assert!(text.contains("error") && !text.contains("[DONE]"), "{text}");
    assert_eq!(second.requests().len(), 0, "nothing is tried again once the client has bytes");

    // The other replica takes over at once; then, without it, the refusal is clear.
    for _ in 0..4 {
        assert_eq!(ask(&weir).await.status(), 200);
    }
    assert_eq!(second.requests().len(), 4);
    second.stop().await;
    let mut refusals = Vec::new();
    until_asked("the breaker of the killed replica opens", PATIENCE, async || {
        let refused = ask(&weir).await;
        assert!(matches!(refused.status(), 502 | 503), "{}", refused.text());
        assert!(refused.json()["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        refusals.push(refused.status());
        state(&weir, "weir_engine_breaker", port).await.filter(|state| *state == 1.0)
    })
    .await;

    let began = Instant::now();
    let _llama = block_in_place(|| Llama::start(port));
    let up = Instant::now();
    until_asked("the engine that is back is asked again", PATIENCE, async || {
        (ask(&weir).await.status() == 200).then_some(())
    })
    .await;
    let back = up.elapsed();
    until_state(&weir, "weir_engine_breaker", port, 0.0).await;
    drained(&weir).await;
    assert!(weir.terminate().await.success());
    let outcome = books.texts(&format!("SELECT outcome FROM exchanges WHERE exchange_id = '{id}'")).await;
    println!(
        "the client knew {noticed:.1?} after the kill; refusals {refusals:?}; the engine took {:.1?} to start, \
         and was asked {back:.1?} later; outcome {outcome:?}",
        up - began
    );
    assert_eq!(outcome, ["broken"]);
    assert!(noticed < Duration::from_secs(2), "a dead engine is noticed by its closed connection");
    assert!(back < Duration::from_secs(5), "the breaker lets a trial through within its limit");
}

/// A long stream of the real model whose first words have come, and its id.
async fn begin_stream(weir: &Weir) -> (Client, String) {
    let message = json!({ "role": "user", "content": "Count to one thousand." });
    let body =
        json!({ "model": "smollm2", "messages": [message], "stream": true, "max_tokens": 2000, "ignore_eos": true });
    let mut client = Client::connect(weir.data).await.unwrap();
    client.send(&request("POST", "/v1/chat/completions", &[], body.to_string().as_bytes())).await.unwrap();
    client.until("\"content\":\"").await.unwrap();
    let said = client.unread();
    let (_, id) = said.split_once("x-weir-exchange: ").expect("every answer names its exchange");
    (client, id[..36].to_owned())
}

async fn ask(weir: &Weir) -> Response {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 4 }).to_string();
    let headers = [("Content-Type", "application/json")];
    Client::exchange(weir.data, &request("POST", "/v1/chat/completions", &headers, body.as_bytes())).await
}

async fn state(weir: &Weir, metric: &str, port: u16) -> Option<f64> {
    weir.metric(metric, &[&format!(":{port}\"")]).await
}

async fn until_state(weir: &Weir, metric: &str, port: u16, wanted: f64) {
    until_asked(&format!("{metric} is {wanted}"), PATIENCE, async || {
        state(weir, metric, port).await.filter(|state| *state == wanted)
    })
    .await;
}
