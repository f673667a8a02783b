//! Engines that fail before their first piece: another is asked and the client sees nothing.

use harness::client::request;
use harness::{Answer, wait};

use crate::scene::{CHAT, PLAIN, STREAM, Scene, Text, begun, stream};

/// No probes to speak of, so that what the breakers see is what the test does.
const STILL: &str = "probe_interval = \"60s\"\n";

#[tokio::test]
async fn a_replica_that_fails_early_is_replaced_unseen() {
    let head = &b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    let table = [
        ("closes at once", Answer::default().close()),
        ("cuts at once", Answer::default().reset()),
        ("half a head", Answer::raw(&b"HTTP/1.1 200 OK\r\nContent-"[..]).close()),
        ("no http", Answer::raw(&b"SSH-2.0-x\r\n"[..]).close()),
        ("a head and no piece", Answer::raw(head).close()),
        ("a head, then cut", Answer::raw(head).reset()),
        ("500", Answer::status(500, "{}")),
        ("503 with a long body", Answer::status(503, "x".repeat(200_000))),
    ];
    let engine = format!("{STILL}[engines.default.breaker]\nfailures = 1000");
    let scene = Scene::with(2, Text { engine: &engine, ..Text::default() }).await;
    for (row, bad) in table {
        // Whichever is asked first fails; the other answers.
        let failed = scene.reached();
        scene.engines[0].answer(bad);
        scene.engines[1].answer(stream());
        let response = scene.chat(STREAM).await;
        assert_eq!((response.status(), response.text()), (200, whole()), "{row}");
        assert_eq!(response.header("x-weir-attempts"), Some("2"), "{row}");
        assert_eq!(scene.reached(), failed + 2, "{row}");
    }
    scene.until_metric("weir_exchanges_total", &["outcome=\"complete\""], 8.0).await;
    scene.until_metric("weir_attempts_total", &["outcome=\"ok\""], 8.0).await;
    scene.settle().await;
}

fn whole() -> String {
    [crate::scene::TOKEN, crate::scene::STOP, crate::scene::DONE].map(String::from_utf8_lossy).concat()
}

#[tokio::test]
async fn a_replica_that_refuses_is_replaced_and_without_another_it_is_said() {
    let mut scene = Scene::with(2, Text { engine: STILL, ..Text::default() }).await;
    scene.engines[0].stop().await;
    let response = scene.chat(PLAIN).await;
    assert_eq!((response.status(), response.text().as_str()), (200, "{}"));
    scene.engines[1].stop().await;
    let response = scene.chat(PLAIN).await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.json()["error"]["code"], "unreachable");
    let response = scene.ask(&request("POST", "/v1/messages", &[], PLAIN)).await;
    assert_eq!(response.json()["error"]["type"], "api_error");
    scene.until_metric("weir_exchanges_total", &["outcome=\"failed\""], 2.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn the_last_replicas_5xx_is_the_answer() {
    let scene = Scene::with(2, Text { engine: STILL, ..Text::default() }).await;
    let told = "{\"error\": {\"message\":\"out of memory\"}}";
    scene.engines.iter().for_each(|engine| engine.answer(Answer::status(507, told)));
    let response = scene.chat(PLAIN).await;
    assert_eq!((response.status(), response.text().as_str()), (507, told));
    assert_eq!(response.header("x-weir-attempts"), Some("2"));
    scene.until_metric("weir_exchanges_total", &["outcome=\"engine_error\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn the_next_engine_of_a_route_is_asked_when_the_first_fails() {
    let first = harness::Engine::start(Answer::status(500, "{}")).await;
    let second = harness::Engine::start(stream()).await;
    let text = format!(
        "[engines.a]\nreplicas = [{:?}]\n[engines.b]\nreplicas = [{:?}]\n[[routes]]\nname = \"r\"\nengines = [\"a\", \"b\"]",
        first.url(),
        second.url()
    );
    let setup = crate::scene::without_store(harness::weir::Setup::config(text));
    let scene = Scene::from(vec![first, second], setup).await;
    assert_eq!(scene.chat(STREAM).await.text(), whole());
    let labels = ["engine=\"b\"", "outcome=\"ok\""];
    scene.until_metric("weir_attempts_total", &labels, 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_clients_mistakes_never_open_the_breaker_and_five_faults_do() {
    let engine = format!("{STILL}[engines.default.breaker]\nfailures = 5\nopen = \"1500ms\"\nopen_max = \"3s\"");
    let scene = Scene::with(1, Text { engine: &engine, ..Text::default() }).await;
    scene.engine().answer(Answer::status(400, "{\"error\":{}}"));
    let mut client = scene.client().await;
    scene.asking(1000);
    for _ in 0..1000 {
        assert_eq!(client.post(CHAT, PLAIN).await.unwrap().status(), 400);
    }
    assert_eq!(scene.weir.metric("weir_engine_breaker", &[]).await, Some(0.0));
    scene.engine().answer(Answer::status(500, "{}"));
    for _ in 0..5 {
        assert_eq!(scene.chat(PLAIN).await.status(), 500);
    }
    let refused = scene.chat(PLAIN).await;
    assert_eq!((refused.status(), refused.json()["error"]["code"].as_str()), (503, Some("breaker_open")));
    assert_eq!(refused.header("retry-after"), Some("2"), "1.5 s, rounded up");
    assert_eq!(scene.reached(), 1005, "an engine whose breaker is open is left alone");
    assert_eq!(scene.weir.metric("weir_engine_breaker", &[]).await, Some(1.0));
    scene.engine().answer(Answer::json("{}"));
    wait::until_asked("the engine is tried again", wait::PATIENCE, async || {
        (scene.chat(PLAIN).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(scene.weir.metric("weir_engine_breaker", &[]).await, Some(0.0));
    scene.settle().await;
}

#[tokio::test]
async fn nobody_else_is_asked_after_the_first_piece() {
    let scene = Scene::with(2, Text { engine: STILL, ..Text::default() }).await;
    scene.engines.iter().for_each(|engine| engine.answer(begun().reset()));
    let response = scene.chat(STREAM).await;
    assert_eq!(scene.reached(), 1);
    assert!(response.text().contains("engine_broke") && !response.text().contains("[DONE]"), "{}", response.text());
    scene.settle().await;
}
