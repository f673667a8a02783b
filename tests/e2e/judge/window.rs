//! Streams that are judged in windows while they flow.

use std::time::Duration;

use harness::Answer;

use super::shapes::{Api, Kind};
use super::{BAD, GOOD};
use crate::scene::{DONE, STOP, Scene};

const WINDOW: &str =
    "[routes.judge]\nstream = \"window\"\n[routes.judge.limits]\nwindow_chars = 60\noverlap_chars = 30";

async fn scene() -> Scene {
    scene_of("", "").await
}

/// The route's other keys stand before its critics'.
async fn scene_of(member: &str, keys: &str) -> Scene {
    let before = format!("{WINDOW}\n{keys}\n[[routes.judge.critics]]");
    let text = super::route(member).replace("[[routes.judge.critics]]", &before);
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

#[tokio::test]
async fn the_end_waits_for_those_who_judge_the_whole() {
    let text = super::route("").replace("personal_data", "empty");
    let text = text.replace("[[routes.judge.critics]]", &format!("{WINDOW}\n[[routes.judge.critics]]"));
    let scene = Scene::with(1, crate::scene::Text { rest: &text, ..crate::scene::Text::default() }).await;
    let role =
        b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    scene.engine().answer(Answer::events(&[role.to_vec(), STOP.to_vec(), DONE.to_vec()]));
    let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
    assert!(text.contains("answer_rejected"), "{text}");
    assert!(!text.contains("[DONE]") && !text.contains("\"finish_reason\":\"stop\""), "{text}");
    let labels = ["decision=\"escalate\"", "handling=\"refuse\""];
    scene.until_metric("weir_judge_decisions_total", &labels, 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_text_is_held_until_its_own_window_is_judged_whatever_the_others_say() {
    let scene = scene().await;
    let of = |index: usize, text: &str| {
        let delta = serde_json::json!({"id": "c", "choices": [{"index": index, "delta": {"content": text}}]});
        format!("data: {delta}\n\n").into_bytes()
    };
    let mut events = vec![of(0, "ask ann.smith@")];
    events.extend((0..40).map(|_| of(1, "some other words ")));
    events.extend([of(0, "example.org now"), STOP.to_vec(), DONE.to_vec()]);
    scene.engine().answer(Answer::events(&events));
    let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Choices, true)).await.text();
    assert!(!text.contains("ann") && text.contains("answer_rejected"), "{text}");
    scene.settle().await;
}

#[tokio::test]
async fn a_summary_of_reasoning_is_judged_before_it_goes_out() {
    let scene = scene().await;
    let event = |kind: &str, rest: serde_json::Value| {
        let mut event = rest;
        event["type"] = format!("response.{kind}").into();
        format!("event: response.{kind}\ndata: {event}\n\n").into_bytes()
    };
    let delta =
        |text: &str| event("reasoning_summary_text.delta", serde_json::json!({"output_index": 0, "delta": text}));
    let mut events = vec![delta("ask ann.smith@"), delta("example.org ")];
    events.extend((0..40).map(|_| delta("and some more ")));
    let output = serde_json::json!([{"type": "message", "content": [{"type": "output_text", "text": "fine"}]}]);
    let response = serde_json::json!({"object": "response", "status": "completed", "output": output});
    events.push(event("completed", serde_json::json!({"response": response})));
    scene.engine().answer(Answer::events(&events));
    let text = scene.say(Api::Responses.path(), &Api::Responses.request(Kind::Text, true)).await.text();
    assert!(!text.contains("ann") && text.contains("error"), "{text}");
    scene.settle().await;
}

#[tokio::test]
async fn an_event_that_is_cut_waits_for_its_end() {
    let scene = scene().await;
    let event = token(&format!("{BAD} {}", "and more words ".repeat(25_000)));
    let (first, second) = event.split_at(300 << 10);
    let answer = Answer::begin_stream().piece(first).pause(Duration::from_millis(50)).piece(second);
    scene.engine().answer(answer.piece(STOP).piece(DONE).end_chunks());
    let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
    assert!(!text.contains("ann") && text.contains("answer_rejected"), "{}", &text[..text.len().min(500)]);
    scene.settle().await;
}

#[tokio::test]
async fn a_stream_too_large_to_be_judged_is_skipped_and_the_critic_s_setting_decides() {
    for (on_skip, passes) in [("open", true), ("closed", false)] {
        let keys = WINDOW.to_owned() + "\nheld_bytes = \"2KiB\"";
        let text = super::route(&format!("on_skip = \"{on_skip}\""))
            .replace("[[routes.judge.critics]]", &format!("{keys}\n[[routes.judge.critics]]"));
        let scene = Scene::with(1, crate::scene::Text { rest: &text, ..crate::scene::Text::default() }).await;
        let mut events = words(&"all is well here ".repeat(400));
        events.extend([STOP.to_vec(), DONE.to_vec()]);
        scene.engine().answer(Answer::events(&events));
        let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
        assert_eq!((text.ends_with("data: [DONE]\n\n"), text.contains("answer_rejected")), (passes, !passes), "{text}");
        assert_eq!(text.contains(": x-weir-verdict: skipped; skipped=pii\n\n"), passes, "{text}");
        if passes {
            assert_eq!(spoken(&text), "all is well here ".repeat(400));
        }
        let labels = ["critic=\"pii\"", "outcome=\"skipped\"", "reason=\"unreadable\""];
        scene.until_metric("weir_critic_verdicts_total", &labels, 1.0).await;
        scene.settle().await;
    }
}

#[tokio::test]
async fn the_kind_of_work_is_that_of_the_answer_so_far() {
    for (tasks, stops) in [("code", true), ("prose", false)] {
        let scene = scene_of(&format!("tasks = [\"{tasks}\"]"), "").await;
        let text = format!("So:\n```\n{}{BAD} {}", "some code ".repeat(20), "some more ".repeat(40));
        let mut events = words(&text);
        events.extend([STOP.to_vec(), DONE.to_vec()]);
        scene.engine().answer(Answer::events(&events));
        let said = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
        assert_eq!((said.contains("answer_rejected"), said.contains("ann.smith")), (stops, !stops), "{said}");
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_connection_to_the_engine_is_used_again() {
    let scene = scene().await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, true, GOOD));
    let mut connections = Vec::new();
    for _ in 0..6 {
        scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await;
        scene.settle().await;
        connections.push(scene.engine().connections());
    }
    // Probes of a new engine open some of the first; the two threads of the path one each.
    assert!(connections[5] - connections[2] < 3, "{connections:?}");
}

#[tokio::test]
async fn other_ways_to_combine_hold_the_stream_whole() {
    let scene = scene_of("", "[routes.judge.retry]\nmax_answers = 2").await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, true, BAD));
    scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await;
    assert_eq!(scene.reached(), 1, "a stream in windows is not asked for again");
    scene.settle().await;
    let text = super::route("").replace(
        "[[routes.judge.critics]]",
        "[routes.judge]\nstream = \"window\"\ncombine = \"all\"\n[routes.judge.retry]\nmax_answers = 2\n[[routes.judge.critics]]",
    );
    let scene = Scene::with(1, crate::scene::Text { rest: &text, ..crate::scene::Text::default() }).await;
    scene.engine().answer_next(Api::Chat.answer(Kind::Text, true, BAD));
    scene.engine().answer(Api::Chat.answer(Kind::Text, true, GOOD));
    let text = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await.text();
    assert!(text.contains(": x-weir-verdict: pass") && scene.reached() == 2, "{text}");
    scene.settle().await;
}

#[test]
fn an_overlap_of_nothing_is_a_fault() {
    let text = super::route("").replace("[[routes.judge.critics]]", &format!("{WINDOW}\n[[routes.judge.critics]]"));
    let text = text.replace("overlap_chars = 30", "overlap_chars = 0");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, format!("{text}[engines.default]\nreplicas = [\"http://127.0.0.1:9\"]\n")).unwrap();
    let output =
        std::process::Command::new(harness::weir::program()).arg("check").arg("--config").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("routes[0].judge.limits.overlap_chars"), "{text}");
}

/// The text that the events of a chat's stream add up to.
fn spoken(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    events.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}
