//! What goes back to the engine, how often, and what is kept of it.

use std::time::Duration;

use harness::Answer;
use harness::client::Client;
use serde_json::{Value, json};

use super::shapes::{Api, Kind};
use super::{BAD, GOOD, verdict};
use crate::scene::Scene;

#[tokio::test]
async fn the_critique_goes_back_with_the_failed_answer_and_nothing_else_changes() {
    let scene = Scene::judged("[routes.judge.retry]\nmax_answers = 3\ntemperature = 0.7").await;
    scene.engine().answer_next(Api::Chat.answer(Kind::Text, false, BAD));
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD));
    let mut asked = Api::Chat.request(Kind::Text, false);
    asked["future"] = json!({"kept": [1, 2]});
    let response = scene.say(Api::Chat.path(), &asked).await;
    assert_eq!((verdict(&response), response.header("x-weir-attempts")), ("pass", Some("2")));
    let sent: Vec<Value> =
        scene.engine().requests().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect();
    assert_eq!(sent[0], asked);
    let turns = sent[1]["messages"].as_array().unwrap();
    assert_eq!((turns.len(), &turns[0]), (3, &asked["messages"][0]));
    assert_eq!((&turns[1]["role"], &turns[1]["content"]), (&json!("assistant"), &json!(BAD)));
    let critique = turns[2]["content"].as_str().unwrap();
    assert!(critique.contains("personal data") && critique.contains("attempt 1"), "{critique}");
    assert_eq!((&sent[1]["future"], &sent[1]["temperature"]), (&asked["future"], &json!(0.7)));
    scene.until_metric("weir_judge_retries_total", &["result=\"repaired\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn tries_end_at_their_number_and_at_the_token_budget() {
    for (limits, answers) in [("max_answers = 3", 3), ("max_answers = 9\nmax_tokens = 10", 2), ("max_answers = 1", 1)] {
        let scene = Scene::judged(&format!("[routes.judge.retry]\n{limits}")).await;
        scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
        let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, false)).await;
        assert_eq!((response.status(), scene.reached()), (422, answers), "{limits}");
        assert_eq!(response.json()["error"]["code"], "answer_rejected");
        scene.settle().await;
    }
}

#[tokio::test]
async fn an_engine_that_fails_on_the_second_try_leaves_the_first_answer_to_decide_about() {
    let scene =
        Scene::judged("[routes.judge.retry]\nmax_answers = 2\n[routes.judge.escalate]\nhandling = \"deliver\"").await;
    scene.engine().answer_next(Api::Chat.answer(Kind::Text, false, BAD));
    scene.engine().answer(Answer::status(500, "{}"));
    let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "fail"));
    assert!(response.text().contains(BAD));
    scene.settle().await;
}

#[tokio::test]
async fn an_engines_own_error_is_not_judged() {
    let scene = Scene::judged("").await;
    scene.engine().answer(Answer::status(400, json!({"error": {"message": BAD}}).to_string()));
    let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (400, "none"));
    scene.settle().await;
}

#[tokio::test]
async fn comments_keep_a_held_stream_alive_and_a_retry_is_still_possible_behind_them() {
    let scene = Scene::with(
        1,
        crate::scene::Text {
            rest: &super::route("[routes.judge.retry]\nmax_answers = 2")
                .replace("engines = [\"default\"]", "engines = [\"default\"]\nsse_keep_alive = \"40ms\""),
            ..crate::scene::Text::default()
        },
    )
    .await;
    let slow = |text| Api::Chat.answer(Kind::Text, true, text).after(Duration::from_millis(150));
    scene.engine().answer_next(slow(BAD));
    scene.engine().answer(slow(GOOD));
    let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, true)).await;
    let text = response.text();
    assert!(text.starts_with(": keep-alive\n\n") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(text.contains(": x-weir-verdict: pass") && !text.contains("example.org"), "{text}");
    assert_eq!(scene.reached(), 2);
    scene.settle().await;
}

#[tokio::test]
async fn what_is_too_large_to_be_held_is_skipped_and_the_critic_s_setting_decides() {
    for (on_skip, status, word) in [("open", 200, "skipped"), ("closed", 422, "fail")] {
        let scene =
            Scene::judged(&format!("on_skip = \"{on_skip}\"\n[routes.judge.limits]\nheld_bytes = \"1KiB\"")).await;
        let long = "word ".repeat(1000);
        scene.engine().answer(Api::Chat.answer(Kind::Text, false, &long));
        let response = scene.say(Api::Chat.path(), &Api::Chat.request(Kind::Text, false)).await;
        assert_eq!((response.status(), verdict(&response)), (status, word), "{}", response.text());
        assert_eq!(response.text().contains(&long), status == 200);
        let labels = ["critic=\"pii\"", "outcome=\"skipped\"", "reason=\"unreadable\""];
        scene.until_metric("weir_critic_verdicts_total", &labels, 1.0).await;
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_its_answer_is_judged_ends_the_generation() {
    let scene = Scene::judged("").await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD).after(Duration::from_secs(60)));
    scene.asking(1);
    let mut client = Client::connect(scene.weir.data).await.unwrap();
    let body = Api::Chat.request(Kind::Text, false).to_string();
    client.send(&harness::client::request("POST", Api::Chat.path(), &[], body.as_bytes())).await.unwrap();
    scene.engine().request(0).await;
    client.hang_up();
    scene.engine().client_left(0).await;
    scene.settle().await;
}

#[tokio::test]
async fn the_cache_keeps_what_passed_and_nothing_else() {
    let scene =
        Scene::keeping(&super::route("[routes.judge.escalate]\nhandling = \"deliver\""), Answer::json("{}")).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
    let mut asked = Api::Chat.request(Kind::Text, false);
    asked["temperature"] = json!(0);
    for number in 1..=2 {
        let response = scene.say(Api::Chat.path(), &asked).await;
        assert_eq!(verdict(&response), "fail");
        scene.until_metric("weir_cache_rejected_total", &["reason=\"verdict\""], f64::from(number)).await;
    }
    assert_eq!(scene.reached(), 2, "a bad answer is asked for anew");
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD));
    scene.say(Api::Chat.path(), &asked).await;
    scene.until_metric("weir_cache_entries", &[], 1.0).await;
    let again = scene.say(Api::Chat.path(), &asked).await;
    assert!(again.header("cache-status").unwrap().starts_with("weir; hit"));
    assert_eq!(scene.reached(), 3);
    scene.settle().await;
}

#[tokio::test]
async fn an_audit_judges_afterwards_changes_nothing_and_keeps_bad_answers_out_of_the_cache() {
    let audit = super::route("").replace("enforce", "audit");
    let scene = Scene::keeping(&audit, Answer::json("{}")).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, BAD));
    let mut asked = Api::Chat.request(Kind::Text, false);
    asked["temperature"] = json!(0);
    let response = scene.say(Api::Chat.path(), &asked).await;
    assert_eq!((response.status(), verdict(&response)), (200, "none"));
    assert!(response.text().contains(BAD));
    let labels = ["critic=\"pii\"", "mode=\"audit\"", "outcome=\"fail\""];
    scene.until_metric("weir_critic_verdicts_total", &labels, 1.0).await;
    scene.until_metric("weir_cache_rejected_total", &["reason=\"verdict\""], 1.0).await;
    scene.settle().await;
}

#[test]
fn a_configuration_with_a_critic_that_is_not_there_says_which_are() {
    let text = super::route("").replace("[critics.pii]", "[critics.other]");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, format!("{text}[engines.default]\nreplicas = [\"http://127.0.0.1:9\"]\n")).unwrap();
    let output =
        std::process::Command::new(harness::weir::program()).arg("check").arg("--config").arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("routes[0].judge.critics[0].critic") && text.contains("[other]"), "{text}");
}
