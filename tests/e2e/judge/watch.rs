//! Streams whose generation goes wrong beyond repair, where they are held, judged in windows, or
//! go through.

use harness::Answer;

use super::GOOD;
use super::shapes::{Api, Kind};
use crate::scene::{DONE, STOP, Scene, Text};

const ABORT: &str = "[routes.judge.watch]\nact = \"abort\"";

async fn scene(keys: &str) -> Scene {
    let text = super::route("").replace("[[routes.judge.critics]]", &format!("{keys}\n[[routes.judge.critics]]"));
    Scene::with(1, Text { rest: &text, ..Text::default() }).await
}

/// Runs in circles, and would for long.
fn circles() -> Answer {
    let piece = serde_json::json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "and so it goes on, "}}]});
    let piece = format!("data: {piece}\n\n").into_bytes();
    let mut events = vec![piece; 400];
    events.extend([STOP.to_vec(), DONE.to_vec()]);
    Answer::events(&events)
}

#[tokio::test]
async fn a_held_stream_that_runs_in_circles_is_stopped_and_asked_for_again() {
    let scene = scene(&format!("[routes.judge.retry]\nmax_answers = 2\n{ABORT}")).await;
    scene.engine().answer_next(circles());
    scene.engine().answer(Api::Chat.answer(Kind::Text, true, GOOD));
    let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
    assert!(text.contains(": x-weir-verdict: pass") && !text.contains("so it goes"), "{text}");
    assert_eq!(scene.reached(), 2);
    let again = String::from_utf8(scene.engine().requests()[1].body.clone()).unwrap();
    assert!(again.contains("times over"), "{again}");
    scene.until_metric("weir_judge_stopped_total", &["cause=\"degenerate\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_held_stream_that_runs_in_circles_is_refused_where_it_is_not_asked_for_again() {
    let scene = scene(ABORT).await;
    scene.engine().answer(circles());
    let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await;
    assert_eq!((response.status(), scene.reached()), (422, 1), "{}", response.text());
    scene.settle().await;
}

#[tokio::test]
async fn a_stream_that_runs_in_circles_is_stopped_in_windows_and_on_its_way_through() {
    for mode in ["window", "audit"] {
        let scene = scene(&format!("[routes.judge]\nstream = \"{mode}\"\n{ABORT}")).await;
        scene.engine().answer(circles());
        let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
        assert!(!text.contains("[DONE]") && text.contains("error"), "{mode}: {text}");
        scene.until_metric("weir_judge_stopped_total", &["cause=\"degenerate\""], 1.0).await;
        scene.settle().await;
    }
}
