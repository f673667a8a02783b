//! Critics that nobody waits for: they take nothing from those who wait, and lose no record.

use std::time::Duration;

use harness::client::request;
use harness::weir::Setup;
use harness::{Engine, wait};

use super::load::{RUBRIC, reply};
use super::shapes::{Api, Kind};
use super::{GOOD, verdict};
use crate::records::holds;
use crate::scene::{CHAT, Scene, Text, without_store};

/// Longer than any test: what is answered after it is not answered.
const NEVER: Duration = Duration::from_secs(600);

/// A chat for the route whose critics nobody waits for.
const AUDITED: &[u8] = br#"{"model":"audited","messages":[{"role":"user","content":"hi"}]}"#;

/// Two routes with the same critic, one of them for audits.
fn two_routes(critic: &str) -> String {
    let route = |name: &str, models: &str, mode: &str| {
        format!(
            "[[routes]]\nname = \"{name}\"\n{models}\nengines = [\"default\"]\n\
             [[routes.judge.critics]]\ncritic = \"{critic}\"\nmode = \"{mode}\"\nbudget = \"60s\"\n"
        )
    };
    [route("audited", "models = [\"audited\"]", "audit"), route("main", "", "enforce")].concat()
}

/// A judge that never answers, before an engine whose answers it is asked about.
async fn with_judge(rest: &str) -> (Scene, Engine) {
    let judge = Engine::start(reply("yes").after(NEVER)).await;
    let engine = Engine::start(Api::Chat.answer(Kind::Text, false, GOOD)).await;
    let text = format!(
        "{RUBRIC}[judging]\nengine = \"judge\"\n[engines.judge]\nreplicas = [\"{}\"]\n{rest}\n\
         [engines.default]\nreplicas = [\"{}\"]\n",
        judge.url(),
        engine.url(),
    );
    (Scene::from(vec![engine], without_store(Setup::config(text))).await, judge)
}

#[tokio::test]
async fn a_question_that_a_client_waits_for_passes_all_audits() {
    let (scene, judge) = with_judge(&two_routes("polite")).await;
    for _ in 0..6 {
        scene.chat(AUDITED).await;
    }
    scene.until_metric("weir_exchanges_total", &[], 6.0).await;
    judge.request(0).await;
    judge.answer(reply("yes"));
    // Were all places taken by audits, this would be skipped as too late.
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "pass"));
    assert_eq!(judge.requests().len(), 2, "one audit, and the question of the request");
}

#[tokio::test]
async fn a_judgement_that_a_client_waits_for_passes_all_audits() {
    let text = format!(
        "[critics.slow]\nkind = \"command\"\nargv = [\"/bin/sh\", \"-c\", \"{}\"]\ntimeout_milliseconds = 60000\n\
         [judging]\nslow_threads = 2\nqueue = 4\n{}",
        // What it is told has the text of the answer in it.
        "if grep -q linger; then sleep 30; fi; echo '{\\\"outcome\\\":\\\"pass\\\"}'",
        two_routes("slow"),
    );
    let scene = Scene::with(1, Text { rest: &text, ..Text::default() }).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, "linger"));
    for _ in 0..8 {
        scene.chat(AUDITED).await;
    }
    // One runs, four stand in their queue.
    scene.until_metric("weir_critic_verdicts_total", &["mode=\"audit\"", "reason=\"shed\""], 3.0).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD));
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "pass"), "{}", scene.weir.said());
    scene.until_metric("weir_critic_verdicts_total", &["mode=\"audit\""], 3.0).await;
}

#[tokio::test]
async fn a_stop_loses_no_record_that_is_being_judged() {
    let (mut scene, judge) = with_judge(&two_routes("polite")).await;
    for number in 0..12 {
        let body =
            format!("{{\"model\":\"audited\",\"messages\":[{{\"role\":\"user\",\"content\":\"kept-{number}.\"}}]}}");
        let response = scene.ask(&request("POST", CHAT, &[], body.as_bytes())).await;
        assert_eq!(response.status(), 200);
    }
    judge.request(0).await;
    let folder = scene.weir.data_folder();
    assert!(!holds(&folder, "kept-0."), "it is still away");
    assert!(scene.weir.terminate().await.success(), "{}", scene.weir.said());
    for number in 0..12 {
        assert!(holds(&folder, &format!("kept-{number}.")), "{number}: {}", scene.weir.said());
    }
    assert!(holds(&folder, "shed"), "what its critic did not say is said");
    scene.weir = scene.weir.start_again().await;
    let said = scene.weir.said();
    let waiting = said.lines().find(|line| line.contains("spool opened")).unwrap_or_default();
    assert!(waiting.contains("waiting=12"), "{waiting}");
}

#[tokio::test]
async fn an_answer_that_several_share_is_judged_once() {
    let judge = Engine::start(reply("yes")).await;
    let rest = format!(
        "{RUBRIC}[judging]\nengine = \"judge\"\n[engines.judge]\nreplicas = [\"{}\"]\n{}",
        judge.url(),
        two_routes("polite"),
    );
    let answer = |text| Api::Chat.answer(Kind::Text, false, text).after(Duration::from_millis(600));
    let scene = Scene::keeping(&rest, answer(GOOD)).await;
    for (model, questions, mode) in [("audited", 1, "audit"), ("m", 2, "enforce")] {
        let body = format!(
            "{{\"model\":\"{model}\",\"temperature\":0,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
        );
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(scene.begin_chat(body.as_bytes()).await);
        }
        scene.until_metric("weir_cache_participants", &[], 4.0).await;
        for client in &mut clients {
            assert_eq!(client.response().await.unwrap().status(), 200);
        }
        scene.settle().await;
        let labels = [format!("mode=\"{mode}\"")];
        scene.until_metric("weir_critic_verdicts_total", &[&labels[0]], 1.0).await;
        scene.until_metric("weir_critic_tokens_total", &["kind=\"prompt\""], 30.0 * f64::from(questions)).await;
        // The one that it was judged for has it kept.
        scene.until_metric("weir_cache_entries", &[], f64::from(questions)).await;
    }
    assert_eq!((judge.requests().len(), scene.reached()), (2, 2));
}

#[tokio::test]
async fn the_leader_of_a_shared_answer_may_leave_and_it_is_judged_still() {
    let judge = Engine::start(reply("yes")).await;
    let rest = format!(
        "{RUBRIC}[judging]\nengine = \"judge\"\n[engines.judge]\nreplicas = [\"{}\"]\n{}",
        judge.url(),
        two_routes("polite"),
    );
    let answer = Api::Chat.answer(Kind::Text, false, GOOD).after(Duration::from_millis(600));
    let scene = Scene::keeping(&rest, answer).await;
    let body = br#"{"model":"audited","temperature":0,"messages":[{"role":"user","content":"hi"}]}"#;
    let leader = scene.begin_chat(body).await;
    scene.engine().request(0).await;
    let mut followers = vec![scene.begin_chat(body).await, scene.begin_chat(body).await];
    scene.until_metric("weir_cache_participants", &[], 3.0).await;
    leader.hang_up();
    for follower in &mut followers {
        assert_eq!(follower.response().await.unwrap().status(), 200);
    }
    scene.settle().await;
    scene.until_metric("weir_critic_verdicts_total", &[], 1.0).await;
    scene.until_metric("weir_cache_entries", &[], 1.0).await;
    assert_eq!(judge.requests().len(), 1);
}

#[tokio::test]
async fn the_access_line_of_a_windowed_stream_has_its_verdict() {
    let text = format!("[telemetry.logs]\naccess = true\n{}", super::route(""))
        .replace("[[routes.judge.critics]]", "[routes.judge]\nstream = \"window\"\n[[routes.judge.critics]]");
    let scene = Scene::with(1, Text { rest: &text, ..Text::default() }).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, true, GOOD));
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, true)).await;
    let id = response.header("x-weir-exchange").expect("every answer names its exchange").to_owned();
    let line = wait::until_asked("the exchange is in the log", wait::PATIENCE, async || {
        scene.weir.said().lines().find(|line| line.contains(&id) && line.contains("outcome")).map(str::to_owned)
    })
    .await;
    assert!(line.contains("verdict=\"pass\"") && line.contains("decision=\"pass\""), "{line}");
    scene.settle().await;
}
