//! Connections to the engine: used again, replaced when stale, and many on one of a client's.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::Answer;
use harness::client::request;

use crate::scene::{CHAT, PLAIN, STREAM, Scene, Text, stream};

const STILL: &str = "probe_interval = \"60s\"\nidle_timeout = \"60s\"";

/// Numbers of the connections over which exchanges came.
fn used(scene: &Scene) -> BTreeSet<usize> {
    scene.engine().requests().iter().map(|seen| seen.connection).collect()
}

#[tokio::test]
async fn one_connection_serves_one_exchange_after_another() {
    let scene = Scene::with(1, Text { engine: STILL, ..Text::default() }).await;
    let mut client = scene.client().await;
    for answer in [Answer::json("{}"), stream(), Answer::status(404, "{}"), Answer::chunked("text/plain", &[b"a"])] {
        scene.engine().answer(answer);
        for _ in 0..5 {
            client.post(CHAT, STREAM).await.unwrap();
        }
    }
    assert_eq!((used(&scene).len(), scene.reached()), (1, 20));
    scene.engine().answer(Answer::until_close("{}"));
    client.post(CHAT, PLAIN).await.unwrap();
    client.post(CHAT, PLAIN).await.unwrap();
    assert_eq!(used(&scene).len(), 2, "a connection that the engine ended is not used again");
    scene.asking(22);
    scene.settle().await;
}

#[tokio::test]
async fn exchanges_at_one_time_have_connections_of_their_own_which_serve_again() {
    let scene = Scene::with(1, Text { engine: STILL, ..Text::default() }).await;
    scene.engine().answer(Answer::json("{}").after(Duration::from_millis(100)));
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(scene.client().await);
    }
    for _ in 0..3 {
        scene.asking(clients.len());
        for client in &mut clients {
            client.send(&request("POST", CHAT, &[], PLAIN)).await.unwrap();
        }
        for client in &mut clients {
            assert_eq!(client.response().await.unwrap().status(), 200);
        }
    }
    assert!((6..=8).contains(&used(&scene).len()), "{:?}", used(&scene));
    scene.settle().await;
}

#[tokio::test]
async fn a_connection_that_the_engine_closes_in_the_moment_of_use_is_replaced_in_silence() {
    let engine = format!("{STILL}\n[engines.default.breaker]\nfailures = 1");
    let scene = Scene::with(1, Text { engine: &engine, ..Text::default() }).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20));
    for (row, body) in [("closed", PLAIN), ("cut, for the request is not read to its end", large.as_bytes())] {
        // One connection of the client's: it stays on one core, where connections are kept.
        let mut client = scene.client().await;
        scene.asking(10);
        for _ in 0..5 {
            scene.engine().answer_next(Answer::json("{}").close_on_next_request());
            assert_eq!(client.post(CHAT, PLAIN).await.unwrap().status(), 200, "{row}");
            let response = client.post(CHAT, body).await.unwrap();
            assert_eq!((response.status(), response.header("x-weir-attempts")), (200, Some("1")), "{row}");
        }
    }
    assert_eq!(scene.weir.metric("weir_engine_breaker", &[]).await, Some(0.0), "no fault of the engine");
    scene.settle().await;
}

#[tokio::test]
async fn a_connection_that_was_closed_or_spoiled_while_it_lay_idle_is_not_used() {
    let scene = Scene::with(1, Text { engine: STILL, ..Text::default() }).await;
    let mut client = scene.client().await;
    let answers = [Answer::json("{}").close(), Answer::json("{}").send(&b"HTTP/1.1 200 OK\r\n\r\nunasked"[..])];
    scene.asking(10);
    for answer in answers.iter().cycle().take(10) {
        scene.engine().answer_next(answer.clone());
        let response = client.post(CHAT, PLAIN).await.unwrap();
        assert_eq!((response.text().as_str(), response.header("x-weir-attempts")), ("{}", Some("1")));
    }
    assert_eq!(used(&scene).len(), 10);
    scene.settle().await;
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order_also_when_sent_ahead() {
    let scene = Scene::plain().await;
    let mut client = scene.client().await;
    let mut bytes = Vec::new();
    for number in 0..50 {
        scene.engine().answer_next(match number % 3 {
            0 => stream(),
            1 => Answer::json(format!("{{\"n\":{number}}}")),
            _ => Answer::json(format!("{{\"n\":{number}}}")).after(Duration::from_millis(3)),
        });
        bytes.extend(request("POST", CHAT, &[], if number % 3 == 0 { STREAM } else { PLAIN }));
    }
    scene.asking(50);
    client.send(&bytes).await.unwrap();
    let mut exchanges = BTreeSet::new();
    for number in 0..50 {
        let response = client.response().await.unwrap();
        exchanges.insert(response.header("x-weir-exchange").unwrap().to_owned());
        let expected = if number % 3 == 0 { "[DONE]".to_owned() } else { format!("{{\"n\":{number}}}") };
        assert!(response.text().contains(&expected), "{number}: {}", response.text());
    }
    assert_eq!(exchanges.len(), 50);
    scene.settle().await;
}
