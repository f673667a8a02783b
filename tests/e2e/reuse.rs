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
    for answer in [Answer::json("{}"), stream(), Answer::status(404, "{}"), Answer::chunked("text/plain", &[b"a"])] {
        scene.engine().answer(answer);
        for _ in 0..5 {
            scene.chat(STREAM).await;
        }
    }
    assert_eq!((used(&scene).len(), scene.reached()), (1, 20));
    scene.engine().answer(Answer::until_close("{}"));
    scene.chat(PLAIN).await;
    scene.chat(PLAIN).await;
    assert_eq!(used(&scene).len(), 2, "a connection that the engine ended is not used again");
    scene.settle().await;
}

#[tokio::test]
async fn exchanges_at_one_time_have_connections_of_their_own_which_serve_again() {
    let scene = Scene::with(1, Text { engine: STILL, ..Text::default() }).await;
    scene.engine().answer(Answer::json("{}").after(Duration::from_millis(100)));
    for _ in 0..3 {
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(scene.begin_chat(PLAIN).await);
        }
        for mut client in clients {
            assert_eq!(client.response().await.unwrap().status(), 200);
        }
    }
    assert!((8..=12).contains(&used(&scene).len()), "{:?}", used(&scene));
    scene.settle().await;
}

#[tokio::test]
async fn a_connection_that_the_engine_closes_in_the_moment_of_use_is_replaced_in_silence() {
    let engine = format!("{STILL}\n[engines.default.breaker]\nfailures = 1");
    let scene = Scene::with(1, Text { engine: &engine, ..Text::default() }).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20));
    for (row, body) in [("closed", PLAIN), ("cut, for the request is not read to its end", large.as_bytes())] {
        for _ in 0..5 {
            scene.engine().answer_next(Answer::json("{}").close_on_next_request());
            assert_eq!(scene.chat(PLAIN).await.status(), 200, "{row}");
            let response = scene.chat(body).await;
            assert_eq!((response.status(), response.header("x-weir-attempts")), (200, Some("1")), "{row}");
        }
    }
    assert_eq!(scene.weir.metric("weir_engine_breaker", &[]).await, Some(0.0), "no fault of the engine");
    scene.settle().await;
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_lay_idle_is_not_used() {
    let scene = Scene::with(1, Text { engine: STILL, ..Text::default() }).await;
    for _ in 0..5 {
        scene.engine().answer_next(Answer::json("{}").close());
        let response = scene.chat(PLAIN).await;
        assert_eq!((response.status(), response.header("x-weir-attempts")), (200, Some("1")));
    }
    assert_eq!(used(&scene).len(), 5);
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
