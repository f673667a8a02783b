//! A client that leaves: its engine learns of it at once, whatever was going on, and nothing
//! stays held.

use std::time::{Duration, Instant};

use harness::client::request;
use harness::{Answer, Client};

use crate::scene::{CHAT, PLAIN, STREAM, Scene, TOKEN, Text, begun, stream};

/// Ten milliseconds are meant; a loaded machine gets room.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Leaves and says how long the engine took to see it.
async fn leave(scene: &Scene, client: Client, number: usize) -> Duration {
    let left = Instant::now();
    client.hang_up();
    scene.engine().client_left(number).await - left
}

#[tokio::test]
async fn the_engine_sees_a_client_leave_at_every_stage_of_an_answer() {
    let scene = Scene::with(1, Text { engine: "probe_interval = \"60s\"", ..Text::default() }).await;
    let plain = Answer::begin_chunked("application/json").piece(b"{\"choices\":[").stall();
    let announced = &b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"a\""[..];
    let table = [
        ("before the head", Answer::silence(), STREAM, None),
        ("before the first token", Answer::begin_stream().stall(), STREAM, None),
        ("within a stream", begun().piece(TOKEN).stall(), STREAM, Some("content")),
        ("within an event", begun().piece(&TOKEN[..9]).stall(), STREAM, Some("content")),
        ("before a plain answer", Answer::silence(), PLAIN, None),
        ("within a plain answer", plain, PLAIN, Some("choices")),
        ("within an announced answer", Answer::raw(announced).stall(), PLAIN, Some("a")),
    ];
    let rows = table.len();
    let mut slowest = Duration::ZERO;
    for (number, (row, answer, body, seen)) in table.into_iter().enumerate() {
        scene.engine().answer(answer);
        let mut client = scene.begin_chat(body).await;
        scene.engine().request(number).await;
        if let Some(text) = seen {
            client.until(text).await.unwrap();
        }
        let took = leave(&scene, client, number).await;
        println!("{row}: the engine sees it after {took:?}");
        slowest = slowest.max(took);
    }
    assert!(slowest < AT_ONCE, "{slowest:?}");
    scene.until_metric("weir_exchanges_total", &["outcome=\"client_left\""], rows as f64).await;
    scene.until_metric("weir_errors_total", &["kind=\"client_left\""], rows as f64).await;
    let wasted = scene.weir.metric("weir_tokens_total", &["kind=\"wasted\""]).await;
    assert!(wasted >= Some(2.0), "tokens of two streams went to nobody: {wasted:?}");
    assert_eq!(scene.weir.metric("weir_engine_breaker", &[]).await, Some(0.0), "that is no fault of the engine");
    scene.settle().await;
}

#[tokio::test]
async fn a_client_that_is_killed_is_seen_too() {
    let scene = Scene::plain().await;
    scene.engine().answer(begun().stall());
    let mut client = scene.begin_chat(STREAM).await;
    client.until("content").await.unwrap();
    let left = Instant::now();
    client.reset();
    let took = scene.engine().client_left(0).await - left;
    assert!(took < AT_ONCE, "{took:?}");
    scene.settle().await;
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_frees_its_place_in_it() {
    let rest = "[limits]\nmax_in_flight = 1\nmax_queue = 1";
    let scene = Scene::with(1, Text { rest, ..Text::default() }).await;
    scene.engine().answer_next(Answer::silence());
    let first = scene.begin_chat(STREAM).await;
    scene.engine().request(0).await;
    let second = scene.begin_chat(STREAM).await;
    scene.until_metric("weir_queue_depth", &[], 1.0).await;
    second.hang_up();
    scene.until_metric("weir_queue_depth", &[], 0.0).await;
    let third = scene.begin_chat(PLAIN).await;
    scene.until_metric("weir_queue_depth", &[], 1.0).await;
    assert_eq!(scene.reached(), 1, "the one that left was never sent");
    first.hang_up();
    let mut third = third;
    assert_eq!(third.response().await.unwrap().status(), 200);
    scene.until_metric("weir_exchanges_total", &["outcome=\"client_left\""], 2.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_client_that_leaves_during_comments_is_seen() {
    let rest = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\nsse_keep_alive = \"50ms\"\n";
    let scene = Scene::with(1, Text { rest, ..Text::default() }).await;
    scene.engine().answer(Answer::silence());
    let mut client = scene.begin_chat(STREAM).await;
    client.until(": keep-alive").await.unwrap();
    let took = leave(&scene, client, 0).await;
    assert!(took < AT_ONCE, "{took:?}");
    scene.until_metric("weir_exchanges_total", &["outcome=\"client_left\""], 1.0).await;
    scene.until_metric("weir_attempts_total", &["outcome=\"client_left\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn an_answer_that_was_whole_is_no_loss_when_the_client_leaves_then() {
    let scene = Scene::plain().await;
    scene.engine().answer(stream());
    for _ in 0..10 {
        scene.asking(1);
        let mut client = scene.client().await;
        client.send(&request("POST", CHAT, &[], STREAM)).await.unwrap();
        client.until("[DONE]").await.unwrap();
        client.reset();
    }
    scene.until_metric("weir_exchanges_total", &["outcome=\"complete\""], 10.0).await;
    scene.settle().await;
}
