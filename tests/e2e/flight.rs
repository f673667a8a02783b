//! Equal requests at one time share one generation: live, and for as long as somebody stays.

use std::time::Duration;

use harness::client::{Response, request};
use harness::{Answer, Client, Weir};

use crate::scene::{CHAT, DONE, STOP, Scene, TOKEN, begun, chunks, timed};

const PLAIN: &[u8] = br#"{"model":"m","messages":[],"temperature":0}"#;
const STREAM: &[u8] = br#"{"model":"m","messages":[],"temperature":0,"stream":true}"#;
const GOOD: &str = r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

/// Waits until so many exchanges were told that they share.
async fn joined(scene: &Scene, participants: f64) {
    scene.until_metric("weir_cache_participants", &[], participants).await;
}

async fn ask_at_once(weir: &Weir, count: usize, body: &'static [u8]) -> Vec<Response> {
    let address = weir.data;
    let asks: Vec<_> = (0..count)
        .map(|_| tokio::spawn(async move { Client::exchange(address, &request("POST", CHAT, &[], body)).await }))
        .collect();
    let mut responses = Vec::new();
    for ask in asks {
        responses.push(ask.await.unwrap());
    }
    responses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_equal_requests_cost_one_call_of_the_engine() {
    let paced = || Answer::paced_events(&[TOKEN, TOKEN, TOKEN, STOP, DONE], Duration::from_millis(300));
    for (body, answer) in [(STREAM, paced()), (PLAIN, Answer::json(GOOD).after(Duration::from_millis(1500)))] {
        let scene = Scene::keeping("", answer).await;
        scene.asking(1000);
        let responses = ask_at_once(&scene.weir, 1000, body).await;
        assert_eq!(scene.reached(), 1);
        let first = responses[0].text();
        for response in &responses {
            assert_eq!((response.status(), response.text()), (200, first.clone()));
        }
        let missed = responses.iter().filter(|r| r.header("cache-status") == Some("weir; fwd=miss")).count();
        assert_eq!(missed, 1);
        scene.until_metric("weir_cache_requests_total", &["outcome=\"miss\""], 1.0).await;
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_follower_gets_what_has_come_and_then_goes_along() {
    let scene =
        Scene::keeping("", begun().pause(Duration::from_millis(400)).piece(STOP).piece(DONE).end_chunks()).await;
    let mut leader = scene.begin_chat(STREAM).await;
    leader.until("hi").await.unwrap();
    let mut follower = scene.begin_chat(STREAM).await;
    follower.until("hi").await.unwrap();
    assert!(!leader.unread().contains("DONE"), "the follower has the first token while the engine still works");
    let (leader, follower) = (leader.response().await.unwrap(), follower.response().await.unwrap());
    assert_eq!(leader.text(), follower.text());
    assert_eq!(follower.header("cache-status"), Some("weir; fwd=miss; collapsed"));
    assert_eq!(scene.reached(), 1);
    scene.settle().await;
}

#[tokio::test]
async fn the_generation_goes_on_without_its_leader() {
    let slow = Duration::from_millis(400);
    let table = [
        ("before the head", Answer::events(&[TOKEN, STOP, DONE]).after(slow), None),
        ("within the stream", begun().pause(slow).piece(STOP).piece(DONE).end_chunks(), Some("hi")),
    ];
    for (stage, answer, seen) in table {
        let scene = Scene::keeping("", answer).await;
        let mut leader = scene.begin_chat(STREAM).await;
        scene.engine().request(0).await;
        let mut follower = scene.begin_chat(STREAM).await;
        joined(&scene, 2.0).await;
        if let Some(text) = seen {
            leader.until(text).await.unwrap();
        }
        leader.hang_up();
        let response = follower.response().await.unwrap();
        assert!(response.text().ends_with("data: [DONE]\n\n"), "{stage}: {}", response.text());
        assert_eq!(scene.reached(), 1, "{stage}");
        scene.until_metric("weir_cache_entries", &[], 1.0).await;
        assert_eq!(scene.weir.metric("weir_tokens_total", &["kind=\"wasted\""]).await.unwrap_or(0.0), 0.0, "{stage}");
        let made = scene.weir.metric("weir_tokens_total", &["kind=\"completion\""]).await;
        assert!(made >= Some(1.0), "{stage}: somebody answers for what the engine made: {made:?}");
        scene.settle().await;
    }
}

#[tokio::test]
async fn the_engine_is_let_go_when_nobody_is_left() {
    for answer in [Answer::silence(), begun().stall()] {
        let scene = Scene::keeping("", answer).await;
        let (first, second) = (scene.begin_chat(STREAM).await, scene.begin_chat(STREAM).await);
        joined(&scene, 2.0).await;
        first.hang_up();
        joined(&scene, 1.0).await;
        second.hang_up();
        scene.engine().client_left(0).await;
        assert_eq!(scene.reached(), 1);
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_follower_that_waits_less_leaves_alone() {
    let scene = Scene::keeping("", Answer::json(GOOD).after(Duration::from_millis(1200))).await;
    let mut leader = scene.begin_chat(PLAIN).await;
    scene.engine().request(0).await;
    let hurried = request("POST", CHAT, &[("x-weir-timeout", "0.2")], PLAIN);
    let (late, took) = timed(scene.ask(&hurried)).await;
    assert_eq!((late.status(), late.json()["error"]["code"].as_str()), (504, Some("total_timeout")));
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert_eq!(leader.response().await.unwrap().text(), GOOD);
    scene.settle().await;
}

#[tokio::test]
async fn a_leader_that_waits_less_does_not_end_it_for_others() {
    let scene = Scene::keeping("", Answer::json(GOOD).after(Duration::from_millis(1200))).await;
    scene.asking(1);
    let mut leader = scene.client().await;
    leader.send(&request("POST", CHAT, &[("x-weir-timeout", "0.5")], PLAIN)).await.unwrap();
    scene.engine().request(0).await;
    let mut follower = scene.begin_chat(PLAIN).await;
    assert_eq!(leader.response().await.unwrap().status(), 504);
    assert_eq!(follower.response().await.unwrap().text(), GOOD);
    assert_eq!(scene.reached(), 1);
    scene.settle().await;
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_and_by_nobody_later() {
    let scene = Scene::keeping("", Answer::status(500, r#"{"error":"x"}"#).after(Duration::from_millis(400))).await;
    let mut leader = scene.begin_chat(PLAIN).await;
    scene.engine().request(0).await;
    let mut follower = scene.begin_chat(PLAIN).await;
    joined(&scene, 2.0).await;
    assert_eq!(leader.response().await.unwrap().status(), 500);
    assert_eq!(follower.response().await.unwrap().status(), 500);
    scene.engine().answer(Answer::json(GOOD));
    assert_eq!(scene.chat(PLAIN).await.text(), GOOD);
    scene.settle().await;
}

#[tokio::test]
async fn a_reader_that_stands_still_slows_nobody_and_costs_little() {
    let rest = "[cache]\nmax_entry_bytes = \"64KiB\"";
    let scene = Scene::keeping(rest, Answer::silence()).await;
    let word = "x".repeat(64 << 10);
    let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n");
    let answer = begun().pause(Duration::from_millis(400));
    let answer = (0..400).fold(answer, |answer, _| answer.piece(event.as_bytes()));
    scene.engine().answer(answer.piece(STOP).piece(DONE).end_chunks());
    let mut reader = scene.begin_chat(STREAM).await;
    reader.until("hi").await.unwrap();
    let still = scene.client().await;
    still.shrink_receive_buffer().unwrap();
    let mut still = still;
    scene.asking(1);
    still.send(&request("POST", CHAT, &[], STREAM)).await.unwrap();
    joined(&scene, 2.0).await;
    let whole = reader.response().await.unwrap();
    assert!(whole.text().ends_with("data: [DONE]\n\n"), "the other has it all");
    assert_eq!(whole.text().matches("data: ").count(), 403);
    let held = scene.weir.metric("weir_held_bytes", &[]).await.unwrap_or(0.0);
    assert!(held < 8e6, "{held} bytes are held for the one that stands still");
    still.hang_up();
    scene.settle().await;
    assert_eq!(scene.reached(), 1);
}

#[tokio::test]
async fn an_answer_too_large_to_be_held_is_not_shared() {
    let scene = Scene::keeping("[cache]\nmax_entry_bytes = \"64KiB\"", Answer::silence()).await;
    let large = GOOD.replace("hello", &"x".repeat(100 << 10));
    scene.engine().answer(Answer::json(&large).after(Duration::from_millis(400)));
    let mut leader = scene.begin_chat(PLAIN).await;
    scene.engine().request(0).await;
    let follower = scene.chat(PLAIN).await;
    assert_eq!(leader.response().await.unwrap().text(), large);
    assert_eq!((follower.text(), follower.header("cache-status")), (large, Some("weir; fwd=miss; detail=form")));
    assert_eq!(scene.reached(), 2);
    scene.until_metric("weir_cache_rejected_total", &["reason=\"too_large\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_plain_client_may_follow_a_stream_that_tells_its_usage() {
    let scene = Scene::keeping("", Answer::silence()).await;
    let slow = Duration::from_millis(300);
    let [first, stop, usage, done] = chunks();
    let answer = Answer::begin_stream().piece(&first).pause(slow).piece(&stop).piece(&usage).piece(&done);
    scene.engine().answer(answer.end_chunks());
    let stream =
        br#"{"model":"m","messages":[],"temperature":0,"stream":true,"stream_options":{"include_usage":true}}"#;
    let mut leader = scene.begin_chat(stream).await;
    leader.until("hi").await.unwrap();
    let whole = scene.chat(PLAIN).await;
    assert_eq!(whole.header("cache-status"), Some("weir; fwd=miss; collapsed"));
    assert_eq!(whole.json()["choices"][0]["message"]["content"], "hi");
    assert!(leader.response().await.unwrap().text().ends_with("data: [DONE]\n\n"));
    assert_eq!(scene.reached(), 1);
    scene.settle().await;
}

#[tokio::test]
async fn a_generation_is_never_shared_with_another_tenant() {
    let hash = |key: &str| blake3::hash(key.as_bytes()).to_string();
    let rest =
        format!("[tenants.a]\nkey_hashes = [\"{}\"]\n[tenants.b]\nkey_hashes = [\"{}\"]", hash("ka"), hash("kb"));
    let scene = Scene::keeping(&rest, begun().stall()).await;
    let mut clients = Vec::new();
    for (number, key) in ["ka", "kb"].into_iter().enumerate() {
        let mut client = scene.client().await;
        scene.asking(1);
        let bearer = format!("Bearer {key}");
        client.send(&request("POST", CHAT, &[("Authorization", &bearer)], STREAM)).await.unwrap();
        scene.engine().request(number).await;
        assert_eq!(client.head().await.unwrap().header("cache-status"), Some("weir; fwd=miss"), "{key}");
        clients.push(client);
    }
    clients.into_iter().for_each(Client::hang_up);
    scene.settle().await;
}

#[tokio::test]
async fn what_was_made_for_one_client_alone_is_not_shared() {
    let saying = |name: &str, value: &str| {
        let headers = [("Content-Type", "application/json"), (name, value)];
        Answer::with(200, &headers, GOOD.as_bytes())
    };
    let table = [
        ("a private one", saying("Cache-Control", "private")),
        ("one that varies", saying("Vary", "X-User")),
        ("an encoded one", Answer::gzip(GOOD)),
    ];
    for (what, answer) in table {
        let scene = Scene::keeping("", answer.after(Duration::from_millis(600))).await;
        let mut leader = scene.begin_chat(PLAIN).await;
        let mut other = scene.begin_chat(PLAIN).await;
        joined(&scene, 2.0).await;
        let (leader, other) = (leader.response().await.unwrap(), other.response().await.unwrap());
        assert_eq!((leader.status(), other.status()), (200, 200), "{what}");
        assert_eq!(scene.reached(), 2, "{what}");
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_deadline_beyond_every_clock_is_none() {
    let scene = Scene::keeping("", Answer::json(GOOD)).await;
    for seconds in ["1e18", "1.8e19"] {
        let patient = scene.ask(&request("POST", CHAT, &[("x-weir-timeout", seconds)], PLAIN)).await;
        assert_eq!(patient.status(), 200, "{seconds}");
    }
    scene.settle().await;
}
