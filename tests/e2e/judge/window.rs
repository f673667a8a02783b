//! Streams that are judged in windows while they flow.

use std::time::Duration;

use harness::Answer;

use super::shapes::{Api, Kind};
use super::{BAD, GOOD};
use crate::scene::{DONE, STOP, Scene};

const WINDOW: &str =
    "[routes.judge]\nstream = \"window\"\n[routes.judge.limits]\nwindow_chars = 60\noverlap_chars = 30";

/// The same, where the route's other keys do not stand behind its critics'.
async fn scene() -> Scene {
    let text = super::route("").replace("[[routes.judge.critics]]", &format!("{WINDOW}\n[[routes.judge.critics]]"));
    Scene::with(1, crate::scene::Text { rest: &text, ..crate::scene::Text::default() }).await
}

fn token(text: &str) -> Vec<u8> {
    let delta = serde_json::json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]});
    format!("data: {delta}\n\n").into_bytes()
}

fn words(text: &str) -> Vec<Vec<u8>> {
    text.split_inclusive(' ').map(token).collect()
}

#[tokio::test]
async fn clean_text_goes_out_while_the_stream_runs_and_its_end_tells_the_verdict() {
    let scene = scene().await;
    let mut events = words(&"all is well here ".repeat(20));
    events.extend([STOP.to_vec(), DONE.to_vec()]);
    scene.engine().answer(Answer::paced_events(&events, Duration::from_millis(5)));
    scene.asking(1);
    let mut client = scene.client().await;
    let body = Api::Chat.request(Kind::Text, true).to_string();
    client.send(&harness::client::request("POST", Api::Chat.path(), &[], body.as_bytes())).await.unwrap();
    let first = client.until("well").await.unwrap();
    let last = client.until("[DONE]").await.unwrap();
    // 80 words 5 ms apart: the first window is through after a third of them.
    assert!(last.duration_since(first) > Duration::from_millis(150), "{:?}", last.duration_since(first));
    scene.settle().await;

    scene.engine().answer(Api::Chat.answer(Kind::Text, true, GOOD));
    let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
    assert!(text.ends_with(": x-weir-verdict: pass\n\ndata: [DONE]\n\n"), "{text}");
    scene.settle().await;
}

#[tokio::test]
async fn a_violation_ends_the_stream_with_an_error_and_nothing_of_it_goes_out() {
    let scene = scene().await;
    // Wherever it stands, also across the border of two windows.
    for before in [0, 5, 10, 12, 14, 16, 18, 20, 40] {
        let text = format!("{}{BAD} {}", "fine ".repeat(before), "and more words ".repeat(12));
        let mut events: Vec<Vec<u8>> =
            text.as_bytes().chunks(3).map(|part| token(std::str::from_utf8(part).unwrap())).collect();
        events.extend([STOP.to_vec(), DONE.to_vec()]);
        scene.engine().answer(Answer::events(&events));
        let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await;
        let said: String = spoken(&response.text());
        assert!(!said.contains("ann") && !said.contains("@"), "{before}: {said}");
        assert!(text.starts_with(&said), "{before}: {said}");
        assert!(response.text().contains("answer_rejected") && !response.text().contains("[DONE]"), "{before}");
    }
    scene.until_metric("weir_judge_stopped_total", &["cause=\"violation\""], 9.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_violation_in_any_shape_and_kind_is_stopped() {
    let scene = scene().await;
    for api in super::shapes::APIS {
        for kind in super::shapes::KINDS.into_iter().filter(|kind| api.knows(*kind)) {
            scene.engine().answer(api.answer(kind, true, BAD));
            let text = scene.say(api.path(), &api.request(kind, true)).await.text();
            assert!(!text.contains("mind") && text.contains("error"), "{api:?} {kind:?}: {text}");
            let ends = ["[DONE]", "message_stop", "response.completed"];
            assert!(!ends.iter().any(|end| text.contains(end)), "{api:?} {kind:?}: {text}");
        }
    }
    scene.settle().await;
}

/// The text that the events of a chat's stream add up to.
fn spoken(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    events.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}
