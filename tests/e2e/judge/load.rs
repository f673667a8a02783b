//! Critics under load: user traffic goes first, and what there is no time for is skipped, aloud.

use std::time::{Duration, Instant};

use harness::weir::Setup;
use harness::{Answer, Engine};
use serde_json::json;

use super::shapes::{Api, Kind};
use super::{GOOD, verdict};
use crate::scene::{CHAT, PLAIN, Scene, Text};

/// A judge's reply to a question by criteria.
pub(super) fn reply(meets: &str) -> Answer {
    let said = json!({"meets": meets, "reason": "so it is"}).to_string();
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34});
    Answer::json(
        json!({"id": "j", "object": "chat.completion", "model": "judge", "choices": [choice], "usage": usage})
            .to_string(),
    )
}

pub(super) const RUBRIC: &str = "[critics.polite]\nkind = \"rubric\"\n\
    criteria = [{ name = \"polite\", text = \"The answer is polite.\" }]\n";

async fn with_judge(mode: &str, rest: &str, replies: Answer) -> (Scene, Engine) {
    let judge = Engine::start(replies).await;
    let engine = Engine::start(Api::Chat.answer(Kind::Text, false, GOOD)).await;
    let text = format!(
        "{RUBRIC}[judging]\nengine = \"judge\"\nmodel = \"judge-1\"\n{rest}\n\
         [engines.judge]\nreplicas = [\"{}\"]\n\
         [[routes]]\nname = \"main\"\nengines = [\"default\"]\n\
         [[routes.judge.critics]]\ncritic = \"polite\"\nmode = \"{mode}\"\n\
         [engines.default]\nreplicas = [\"{}\"]\n",
        judge.url(),
        engine.url(),
    );
    let setup = crate::scene::without_store(Setup::config(text));
    (Scene::from(vec![engine], setup).await, judge)
}

#[tokio::test]
async fn a_judge_is_asked_at_its_own_engine_and_its_word_counts() {
    for (meets, status, word) in [("yes", 200, "pass"), ("no", 422, "fail"), ("perhaps", 200, "skipped")] {
        let (scene, judge) = with_judge("enforce", "", reply(meets)).await;
        let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
        assert_eq!((response.status(), verdict(&response)), (status, word), "{}", response.text());
        let asked: serde_json::Value = serde_json::from_slice(&judge.requests()[0].body).unwrap();
        assert_eq!(asked["model"], "judge-1");
        assert!(asked.to_string().contains("all is well"), "the answer is shown to the judge");
        let labels = ["critic=\"polite\"", "kind=\"prompt\""];
        scene.until_metric("weir_critic_tokens_total", &labels, 30.0 * judge.requests().len() as f64).await;
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_judge_that_is_down_or_late_is_skipped_and_said_so() {
    let (scene, mut judge) =
        with_judge("enforce\"\nbudget = \"200ms", "", reply("yes").after(Duration::from_secs(30))).await;
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "skipped"));
    scene.until_metric("weir_critic_verdicts_total", &["critic=\"polite\"", "reason=\"timed_out\""], 1.0).await;
    judge.stop().await;
    let response = scene.say(CHAT, &Api::Chat.request(Kind::Text, false)).await;
    assert_eq!((response.status(), verdict(&response)), (200, "skipped"));
    scene.until_metric("weir_critic_verdicts_total", &["critic=\"polite\"", "reason=\"failed\""], 1.0).await;
}

#[tokio::test]
async fn questions_that_nobody_waits_for_give_way_to_users_in_the_queue() {
    let (scene, judge) = with_judge("audit", "[limits]\nmax_in_flight = 1", reply("yes")).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD).after(Duration::from_millis(300)));
    let mut clients = Vec::new();
    for number in 0..3 {
        clients.push(scene.begin_chat(PLAIN).await);
        // The first has the place, the others stand in the queue before it is done.
        scene.until_metric("weir_queue_depth", &[], f64::from(number)).await;
    }
    for client in &mut clients {
        assert_eq!(client.response().await.unwrap().status(), 200);
    }
    let last_user = scene.engine().request(2).await;
    let first_question = judge.request(0).await;
    assert!(first_question.at >= last_user.at, "the audit of the first answer did not wait for the queue");
    judge.request(2).await;
    scene.settle().await;
}

/// Asks as those who are judged by nobody, beside critics that have all they can do.
async fn plain_traffic_is_quick(scene: &Scene, beside: &str) {
    let mut client = scene.client().await;
    let mut times = Vec::new();
    for _ in 0..200 {
        scene.asking(1);
        let began = Instant::now();
        assert_eq!(client.post(CHAT, PLAIN).await.unwrap().status(), 200);
        times.push(began.elapsed());
    }
    times.sort();
    // A stalled thread would show as the time of a critic, a second or more: this is far from it.
    assert!(times[197] < Duration::from_millis(250), "{:?}", times[197]);
    println!("plain traffic beside saturated {beside}: median {:?}, 99th {:?}", times[100], times[197]);
}

#[tokio::test]
async fn plain_traffic_does_not_feel_critics_that_are_saturated() {
    let text = "[critics.slow]\nkind = \"command\"\nargv = [\"/bin/sleep\", \"2\"]\n\
        [judging]\nslow_threads = 2\nqueue = 4\n\
        [[routes]]\nname = \"judged\"\nmodels = [\"judged\"]\nengines = [\"default\"]\n\
        [[routes.judge.critics]]\ncritic = \"slow\"\nmode = \"enforce\"\nbudget = \"1s\"\n\
        [[routes]]\nname = \"plain\"\nengines = [\"default\"]\n";
    let scene = Scene::with(1, Text { rest: text, ..Text::default() }).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD));
    let judged = br#"{"model":"judged","messages":[{"role":"user","content":"hi"}]}"#;
    let mut waiting = Vec::new();
    for _ in 0..24 {
        waiting.push(scene.begin_chat(judged).await);
    }
    scene.until_metric("weir_critic_verdicts_total", &["reason=\"shed\""], 18.0).await;
    plain_traffic_is_quick(&scene, "commands").await;
    for client in &mut waiting {
        let response = client.response().await.unwrap();
        assert_eq!((response.status(), verdict(&response)), (200, "skipped"));
    }
    scene.settle().await;
}

#[tokio::test]
async fn plain_traffic_does_not_feel_models_that_are_saturated() {
    let text = "[critics.toxic]\nkind = \"toxicity\"\n[critics.pii]\nkind = \"personal_data\"\n\
        [[routes]]\nname = \"judged\"\nmodels = [\"judged\"]\nengines = [\"default\"]\n\
        [routes.judge.limits]\nbudget = \"60s\"\n\
        [[routes.judge.critics]]\ncritic = \"toxic\"\nmode = \"enforce\"\nbudget = \"60s\"\n\
        [[routes.judge.critics]]\ncritic = \"pii\"\nmode = \"enforce\"\nbudget = \"60s\"\n\
        [[routes]]\nname = \"plain\"\nengines = [\"default\"]\n";
    let scene = Scene::with(1, Text { rest: text, ..Text::default() }).await;
    let long = "ask at the front desk, all is well there. ".repeat(6_000);
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, &long));
    let judged = br#"{"model":"judged","messages":[{"role":"user","content":"hi"}]}"#;
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(scene.begin_chat(judged).await);
    }
    scene.engine().request(39).await;
    scene.engine().answer(Api::Chat.answer(Kind::Text, false, GOOD));
    plain_traffic_is_quick(&scene, "models").await;
    let done = scene.weir.metric("weir_critic_verdicts_total", &["critic=\"toxic\""]).await.unwrap_or(0.0);
    println!("verdicts of models by then: {done} of 40");
    assert!(done < 40.0, "the models were not saturated to the end");
    for client in &mut waiting {
        let response = client.response().await.unwrap();
        assert_eq!((response.status(), verdict(&response)), (200, "pass"));
    }
    scene.settle().await;
}
