//! Ways around the critics that are none: what cannot be judged is skipped, aloud, and never
//! passed off as good.

use harness::client::request;
use harness::{Answer, Client};
use serde_json::json;

use super::shapes::{Api, Kind};
use super::{BAD, GOOD, route, verdict};
use crate::scene::{CHAT, Scene, Text};

async fn closed() -> Scene {
    Scene::judged("on_skip = \"closed\"").await
}

#[tokio::test]
async fn a_path_spelled_otherwise_and_an_engines_own_path_are_judged_too() {
    let scene = Scene::judged("").await;
    for path in ["/v1/%63hat/completions", "//v1/chat//completions", "/chat/completions", "/v1/chat/completions?x=1"] {
        scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
        let response = scene.say(path, &Api::Chat.request(Kind::Text, false)).await;
        assert_eq!((response.status(), verdict(&response)), (422, "fail"), "{path} {}", response.text());
    }
    scene.engine().answer(Answer::json(json!({"content": BAD, "stop": true, "tokens_predicted": 9}).to_string()));
    let response = scene.say("/completion", &json!({"prompt": "who?"})).await;
    assert_eq!((response.status(), verdict(&response)), (422, "fail"), "{}", response.text());
    scene.settle().await;
}

#[tokio::test]
async fn an_answer_of_no_known_shape_is_skipped_or_refused_and_what_writes_no_text_passes() {
    for (on_skip, status, word) in [("open", 200, "skipped"), ("closed", 422, "fail")] {
        let scene = Scene::judged(&format!("on_skip = \"{on_skip}\"")).await;
        scene.engine().answer(Answer::json(json!({"strange": BAD}).to_string()));
        let response = scene.say("/v2/make", &json!({"prompt": "who?"})).await;
        assert_eq!((response.status(), verdict(&response)), (status, word), "{}", response.text());
        let response = scene.say("/tokenize", &json!({"content": "who?"})).await;
        assert_eq!((response.status(), verdict(&response)), (200, "none"));
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_request_that_is_hard_to_read_does_not_switch_its_critics_off() {
    let scene = Scene::judged("").await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
    let deep = format!("{}1{}", "[".repeat(140), "]".repeat(140));
    for extra in [format!("\"x\":{deep}"), r#""user":"\ud800""#.to_owned(), "\"x\":1e999".to_owned()] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"who?"}}],{extra}}}"#);
        let response = scene.chat(body.as_bytes()).await;
        assert!(response.status() == 422 || response.status() == 400, "{extra} {}", response.text());
        assert!(!response.text().contains("never mind"), "{extra}");
    }
    scene.settle().await;
}

#[tokio::test]
async fn more_choices_than_are_read_are_no_pass() {
    let scene = closed().await;
    let choice = |index: usize, text: &str| json!({"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    let mut choices: Vec<_> = (0..128).map(|index| choice(index, "fine")).collect();
    choices.push(choice(128, BAD));
    scene
        .engine()
        .answer(Answer::json(json!({"id": "c", "object": "chat.completion", "choices": choices}).to_string()));
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (422, "fail"));
    scene.settle().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_and_an_item_of_an_unknown_kind_are_no_pass() {
    let scene = closed().await;
    let odd = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fine\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ask ann.smith@example.org\"},\"logprob\":NaN}]}\n\n",
        "data: [DONE]\n\n",
    ];
    scene.engine().answer(Answer::events(&odd));
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, true)).await;
    assert_eq!(response.status(), 422, "{}", response.text());
    let item = json!({"type": "code_interpreter_call", "id": "x", "code": BAD});
    let answer = json!({"id": "r", "object": "response", "status": "completed", "output": [item]});
    scene.engine().answer(Answer::json(answer.to_string()));
    let response = scene.say("/v1/responses", &Api::Responses.request(Kind::Text, false)).await;
    assert_eq!(response.status(), 422, "{}", response.text());
    scene.settle().await;
}

#[tokio::test]
async fn a_final_text_other_than_what_was_streamed_is_no_pass() {
    let scene = closed().await;
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "delta": BAD});
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": GOOD}]});
    let done = json!({"type": "response.completed", "response": {"object": "response", "status": "completed", "output": [message]}});
    scene.engine().answer(Answer::events(&[format!("data: {delta}\n\n"), format!("data: {done}\n\n")]));
    let response = scene.say("/v1/responses", &Api::Responses.request(Kind::Text, true)).await;
    assert_eq!(response.status(), 422, "{}", response.text());
    scene.settle().await;
}

/// A route that lets its streams flow.
fn flowing(stream: &str) -> String {
    route("").replace(
        "[[routes.judge.critics]]",
        &format!("[routes.judge]\nstream = \"{stream}\"\n[[routes.judge.critics]]"),
    )
}

#[tokio::test]
async fn a_plain_answer_to_a_stream_request_is_held_also_where_streams_flow() {
    for stream in ["window", "audit"] {
        let scene = Scene::with(1, Text { rest: &flowing(stream), ..Text::default() }).await;
        scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
        let response = scene.chat(br#"{"model":"m","stream":1,"messages":[{"role":"user","content":"who?"}]}"#).await;
        assert_eq!((response.status(), verdict(&response)), (422, "fail"), "{stream} {}", response.text());
        scene.settle().await;
    }
}

#[tokio::test]
async fn critics_ask_for_an_answer_that_they_can_read() {
    let scene = Scene::judged("").await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD));
    let body = Api::Chat.request(Kind::Text, false).to_string();
    scene.ask(&request("POST", CHAT, &[("Accept-Encoding", "gzip")], body.as_bytes())).await;
    assert_eq!(scene.engine().requests()[0].head.header("accept-encoding"), None);
    // An engine that compresses all the same is skipped.
    scene.engine().answer(Answer::gzip(BAD));
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "skipped"));
    scene.settle().await;
}

#[tokio::test]
async fn what_a_stream_let_through_is_not_given_to_a_plain_request() {
    let scene = Scene::keeping(&flowing("audit"), Answer::json("{}")).await;
    let asked = |stream: bool| {
        let mut body = Api::Chat.request(Kind::Text, stream);
        body["temperature"] = json!(0);
        body
    };
    scene.engine().answer(Api::Chat.answer(Kind::Text, true, GOOD));
    scene.say(CHAT, &asked(true)).await;
    scene.until_metric("weir_cache_entries", &[], 1.0).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
    let response = scene.say(CHAT, &asked(false)).await;
    assert_eq!((response.status(), scene.reached()), (422, 2));
    scene.settle().await;
}

#[tokio::test]
async fn a_client_in_a_hurry_does_not_wait_for_critics_nor_for_a_second_answer() {
    let scene = Scene::judged("[routes.judge.retry]\nmax_answers = 3").await;
    let slow = std::time::Duration::from_millis(400);
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD).after(slow));
    let body = Api::Chat.request(Kind::Text, false).to_string();
    let asked = request("POST", CHAT, &[("x-weir-timeout", "0.7")], body.as_bytes());
    scene.asking(1);
    let response = Client::exchange(scene.weir.data, &asked).await;
    assert_eq!((response.status(), scene.reached()), (422, 1), "no time for a second answer");
    scene.settle().await;
}

#[tokio::test]
async fn an_answer_too_large_for_its_critics_is_delivered_whole_and_flagged_where_that_is_asked_for() {
    let judge = "on_skip = \"closed\"\n[routes.judge.limits]\nheld_bytes = \"1KiB\"\n[routes.judge.escalate]\nhandling = \"deliver\"";
    let scene = Scene::judged(judge).await;
    let long = "word ".repeat(1000);
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, &long));
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "fail"));
    assert!(response.text().contains(&long));
    scene.settle().await;
}
