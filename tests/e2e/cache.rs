//! The cache: an answer that was found good is given again; any other never is.

use harness::client::{Response, request};
use harness::{Answer, wait};
use serde_json::{Value, json};

use crate::scene::{CHAT, DONE, STOP, Scene, TOKEN, Text, chunks};

/// A chat whose answer is certain.
const CERTAIN: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}"#;
const CERTAIN_STREAM: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0,"stream":true}"#;
const GOOD: &str = r#"{"id":"c","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

fn with(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request("POST", CHAT, headers, body)
}

fn status(response: &Response) -> &str {
    response.header("cache-status").unwrap_or("none")
}

#[track_caller]
fn assert_hit(response: &Response) {
    assert!(status(response).starts_with("weir; hit"), "{} {}", status(response), response.text());
}

impl Scene {
    /// The cache has decided about everything that was answered.
    async fn holds(&self, entries: usize) {
        self.until_metric("weir_cache_entries", &[], entries as f64).await;
    }

    async fn certain(answer: Answer) -> Self {
        Self::keeping("", answer).await
    }
}

#[tokio::test]
async fn a_good_answer_is_given_again_byte_for_byte_with_its_age() {
    let scene = Scene::certain(Answer::json(GOOD)).await;
    let first = scene.chat(CERTAIN).await;
    assert_eq!((first.status(), status(&first)), (200, "weir; fwd=miss"));
    scene.holds(1).await;
    let again = scene.chat(CERTAIN).await;
    assert!(status(&again).starts_with("weir; hit; ttl=35"), "{}", status(&again));
    assert_eq!((again.text(), again.header("age")), (first.text(), Some("0")));
    assert_eq!(again.header("content-type"), Some("application/json"));
    assert_eq!(again.header("x-weir-attempts"), None, "no engine was asked");
    assert_ne!(again.header("x-weir-exchange"), first.header("x-weir-exchange"));
    assert_eq!(scene.reached(), 1);
    scene.until_metric("weir_cache_requests_total", &["outcome=\"hit\""], 1.0).await;
    scene.until_metric("weir_cache_saved_tokens_total", &["kind=\"completion\""], 2.0).await;
    scene.until_metric("weir_tokens_total", &["kind=\"completion\""], 2.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn spelling_does_not_matter_and_meaning_does() {
    let scene = Scene::certain(Answer::json(GOOD)).await;
    let two = |first: &str, second: &str| {
        json!({"model": "m", "temperature": 0, "messages": [{"role": "user", "content": first}, {"role": "user", "content": second}]})
            .to_string()
    };
    scene.chat(two("a", "b").as_bytes()).await;
    scene.holds(1).await;
    let same = r#" {"temperature": 0.0, "messages":[{"content":"\u0061","role":"user"},{"role":"user","content":"b"}] , "model":"m"}"#;
    assert_hit(&scene.chat(same.as_bytes()).await);
    let others = [
        two("b", "a"),
        two("a", "b ").replace("\"m\"", "\"m2\""),
        two("a", "b").replace("\"temperature\":0", "\"temperature\":0,\"future\":null"),
        two("a", "b").replace("\"temperature\":0", "\"temperature\":0,\"max_tokens\":9"),
    ];
    for other in others {
        let response = scene.chat(other.as_bytes()).await;
        assert_eq!(status(&response), "weir; fwd=miss", "{other}");
    }
    scene.settle().await;
}

#[tokio::test]
async fn what_is_not_certain_is_not_kept_and_the_answer_says_why() {
    let scene = Scene::certain(Answer::json(GOOD)).await;
    let table = [
        (r#"{"model":"m","messages":[]}"#, "sampled"),
        (r#"{"model":"m","messages":[],"temperature":0.7}"#, "sampled"),
        (r#"{"model":"m","messages":[],"temperature":0,"n":2}"#, "choices"),
        (r#"{"model":"m","messages":[],"temperature":0,"store":true}"#, "stateful"),
        (r#"{"model":"m","messages":[],"temperature":0,"seed":123456789012345678901234567890}"#, "unclear"),
    ];
    for (body, cause) in table {
        for _ in 0..2 {
            let response = scene.chat(body.as_bytes()).await;
            assert_eq!(status(&response), format!("weir; fwd=bypass; detail={cause}"), "{body}");
        }
    }
    let models = scene.ask(&request("GET", "/v1/models", &[], b"")).await;
    assert_eq!(status(&models), "weir; fwd=bypass; detail=api");
    for (cause, exchanges) in [("sampled", 4.0), ("choices", 2.0), ("stateful", 2.0), ("unclear", 2.0), ("api", 1.0)] {
        scene.until_metric("weir_cache_requests_total", &[&format!("reason=\"{cause}\"")], exchanges).await;
    }
    scene.holds(0).await;
    scene.settle().await;
}

#[tokio::test]
async fn what_is_not_good_does_not_enter() {
    let choice = |message: Value, finish: &str| {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
        let choices = json!([{"index": 0, "message": message, "finish_reason": finish}]);
        Answer::json(json!({"model": "m", "choices": choices, "usage": usage}).to_string())
    };
    let said = |text: &str| json!({"role": "assistant", "content": text});
    let call = json!({"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"a\":"}}]});
    let forbidden = [("Content-Type", "application/json"), ("Cache-Control", "no-store")];
    let table = [
        ("cut", choice(said("half of it"), "length"), CERTAIN),
        ("refused", choice(said("I"), "content_filter"), CERTAIN),
        ("refused", choice(json!({"role": "assistant", "refusal": "no"}), "stop"), CERTAIN),
        ("empty", choice(said(""), "stop"), CERTAIN),
        ("tool_call", choice(call, "tool_calls"), CERTAIN),
        ("status", Answer::status(400, r#"{"error":{"message":"no"}}"#), CERTAIN),
        ("forbidden", Answer::with(200, &forbidden, GOOD.as_bytes()), CERTAIN),
        ("unreadable", Answer::gzip(GOOD), CERTAIN),
        ("unreadable", Answer::json("{}"), CERTAIN),
        ("unfinished", Answer::events(&[TOKEN]), CERTAIN_STREAM),
        ("unfinished", Answer::begin_stream().piece(TOKEN).reset(), CERTAIN_STREAM),
    ];
    for (cause, answer, body) in table {
        let scene = Scene::certain(answer.clone()).await;
        for asked in 1..3 {
            let response = scene.chat(body).await;
            assert_eq!(status(&response), "weir; fwd=miss", "{cause} {answer:?}");
            scene.until_metric("weir_cache_rejected_total", &[&format!("reason=\"{cause}\"")], f64::from(asked)).await;
        }
        assert_eq!(scene.reached(), 2, "{cause}");
        scene.holds(0).await;
        scene.settle().await;
    }
}

#[tokio::test]
async fn clients_decide_with_cache_control() {
    let scene = Scene::certain(Answer::json(GOOD)).await;
    let ask = async |value: &str| scene.ask(&with(&[("Cache-Control", value)], CERTAIN)).await;
    let missing = ask("only-if-cached").await;
    assert_eq!((missing.status(), &missing.json()["error"]["code"]), (504, &json!("not_cached")));
    assert_eq!(status(&ask("no-store").await), "weir; fwd=request; detail=no_store");
    scene.holds(0).await;
    assert_eq!(status(&ask("max-age=60").await), "weir; fwd=miss");
    scene.holds(1).await;
    for (value, expected) in [
        ("only-if-cached", "weir; hit"),
        ("max-age=60", "weir; hit"),
        ("no-cache", "weir; fwd=request; detail=no_cache"),
        ("max-age=0", "weir; fwd=request; detail=no_cache"),
        ("min-fresh=7200", "weir; fwd=stale"),
        ("NO-STORE", "weir; fwd=request; detail=no_store"),
    ] {
        assert!(status(&ask(value).await).starts_with(expected), "{value}");
    }
    assert_eq!(ask("min-fresh=7200, only-if-cached").await.status(), 504);
    assert_eq!(scene.reached(), 6);
    scene.settle().await;
}

#[tokio::test]
async fn an_entry_is_too_old_in_time() {
    let rest = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\n[routes.cache]\nttl = \"1s\"";
    let scene = Scene::keeping(rest, Answer::json(GOOD)).await;
    scene.chat(CERTAIN).await;
    scene.holds(1).await;
    assert_hit(&scene.chat(CERTAIN).await);
    wait::until_asked("the entry is too old", wait::PATIENCE, async || {
        let status = status(&scene.chat(CERTAIN).await).to_owned();
        (!status.contains("hit") && !status.contains("collapsed")).then_some(())
    })
    .await;
    scene.settle().await;
}

#[tokio::test]
async fn what_is_too_old_goes_though_nobody_asks() {
    let rest = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\n[routes.cache]\nttl = \"1s\"";
    let scene = Scene::keeping(rest, Answer::json(GOOD)).await;
    scene.chat(CERTAIN).await;
    scene.holds(1).await;
    scene.holds(0).await;
    scene.until_metric("weir_cache_evicted_total", &["reason=\"expired\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_tenant_never_gets_what_was_made_for_another() {
    let key = |key: &str| blake3_of(key);
    let rest = format!("[tenants.a]\nkey_hashes = [\"{}\"]\n[tenants.b]\nkey_hashes = [\"{}\"]", key("ka"), key("kb"));
    let scene = Scene::keeping(&rest, Answer::json(GOOD)).await;
    let ask = async |key: &str| scene.ask(&with(&[("Authorization", &format!("Bearer {key}"))], CERTAIN)).await;
    assert_eq!(status(&ask("ka").await), "weir; fwd=miss");
    scene.holds(1).await;
    assert_eq!(status(&ask("kb").await), "weir; fwd=miss", "b may not even learn that a asked");
    scene.holds(2).await;
    assert_hit(&ask("ka").await);
    assert_hit(&ask("kb").await);
    scene.settle().await;
}

fn blake3_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_string()
}

#[tokio::test]
async fn clients_whose_keys_are_the_engines_are_told_apart() {
    let scene = Scene::certain(Answer::json(GOOD)).await;
    for (key, expected) in [("k1", 1), ("k2", 2)] {
        let response = scene.ask(&with(&[("Authorization", &format!("Bearer {key}"))], CERTAIN)).await;
        assert_eq!(status(&response), "weir; fwd=miss");
        scene.holds(expected).await;
    }
    scene.settle().await;
}

#[tokio::test]
async fn a_browser_may_read_a_hit_as_it_may_read_a_miss() {
    let headers = [("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "https://a"), ("X-Once", "1")];
    let scene = Scene::certain(Answer::with(200, &headers, GOOD.as_bytes())).await;
    let ask = async || scene.ask(&with(&[("Origin", "https://a")], CERTAIN)).await;
    ask().await;
    scene.holds(1).await;
    let again = ask().await;
    assert_hit(&again);
    assert_eq!((again.header("access-control-allow-origin"), again.header("x-once")), (Some("https://a"), None));
    let other = scene.ask(&with(&[("Origin", "https://b")], CERTAIN)).await;
    assert_eq!(status(&other), "weir; fwd=miss");
    scene.settle().await;
}

#[tokio::test]
async fn a_stream_is_given_again_as_it_was_and_as_a_whole() {
    let asks = |extra: &str| format!(r#"{{"model":"m","messages":[],"temperature":0{extra}}}"#).into_bytes();
    let scene = Scene::certain(Answer::events(&chunks())).await;
    let stream = asks(r#","stream":true,"stream_options":{"include_usage":true}"#);
    let first = scene.chat(&stream).await;
    scene.holds(1).await;
    let again = scene.chat(&stream).await;
    assert_hit(&again);
    assert_eq!((again.text(), again.header("content-type")), (first.text(), Some("text/event-stream")));
    let whole = scene.chat(&asks("")).await;
    assert_hit(&whole);
    let whole = whole.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "hi");
    assert_eq!((&whole["object"], &whole["usage"]["total_tokens"]), (&json!("chat.completion"), &json!(4)));
    let bare = scene.chat(&asks(r#","stream":true"#)).await;
    assert!(status(&bare).contains("hit") && !bare.text().contains("usage"), "{}", bare.text());
    assert!(bare.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(scene.reached(), 1);
    scene.settle().await;
}

#[tokio::test]
async fn a_whole_answer_is_given_again_as_a_stream() {
    let scene = Scene::certain(Answer::json(GOOD)).await;
    scene.chat(CERTAIN).await;
    scene.holds(1).await;
    let stream = scene.chat(CERTAIN_STREAM).await;
    assert_hit(&stream);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let text = stream.text();
    assert!(text.contains("\"role\":\"assistant\"") && text.contains("hello"), "{text}");
    assert!(text.contains("\"finish_reason\":\"stop\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
    scene.settle().await;
}

#[tokio::test]
async fn a_stream_that_told_no_usage_is_not_made_into_a_whole_answer() {
    let scene = Scene::certain(Answer::events(&[TOKEN, STOP, DONE])).await;
    scene.chat(CERTAIN_STREAM).await;
    scene.holds(1).await;
    scene.engine().answer(Answer::json(GOOD));
    let whole = scene.chat(CERTAIN).await;
    assert_eq!((status(&whole), whole.text().as_str()), ("weir; fwd=miss; detail=form", GOOD));
    scene.until_metric("weir_cache_evicted_total", &["reason=\"replaced\""], 1.0).await;
    assert!(status(&scene.chat(CERTAIN_STREAM).await).contains("hit"), "the richer answer serves both");
    scene.settle().await;
}

#[tokio::test]
async fn a_hit_needs_no_engine_and_no_place() {
    let rest = "[limits]\nmax_in_flight = 1\nmax_queue = 0";
    let scene = Scene::keeping(rest, Answer::json(GOOD)).await;
    scene.chat(CERTAIN).await;
    scene.holds(1).await;
    scene.engine().answer(Answer::silence());
    let busy = scene.begin_chat(br#"{"model":"m","messages":[]}"#).await;
    scene.engine().request(1).await;
    assert_eq!(scene.chat(br#"{"model":"m","messages":[],"n":1}"#).await.status(), 429);
    assert_hit(&scene.chat(CERTAIN).await);
    busy.hang_up();
    scene.settle().await;
}

#[tokio::test]
async fn an_engine_that_became_another_has_nothing_kept() {
    let text = Text { engine: "kind = \"vllm\"\nprobe_interval = \"50ms\"", ..Text::default() };
    let mut scene = Scene::with(1, text).await;
    let version = |version: &str| Answer::json(json!({"version": version}).to_string());
    scene.engine().answer(Answer::json(GOOD));
    for now in ["1", "2"] {
        scene.engine().answer_at("/version", version(now));
        if now == "2" {
            scene.engines[0].stop().await;
            scene.until_metric("weir_engine_up", &[], 0.0).await;
            scene.engines[0].start_again().await;
            scene.until_metric("weir_engine_up", &[], 1.0).await;
            wait::until_true("the change is noticed", || scene.weir.said().contains("engine_changed")).await;
            assert_eq!(status(&scene.chat(CERTAIN).await), "weir; fwd=miss");
        }
        wait::until_asked("the answer is kept", wait::PATIENCE, async || {
            status(&scene.chat(CERTAIN).await).starts_with("weir; hit").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn sampled_answers_are_kept_in_variants_where_the_route_says_so() {
    let rest = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\n[routes.cache]\nmode = \"all\"\nvariants = 3";
    let scene = Scene::keeping(rest, Answer::json(GOOD)).await;
    for _ in 0..40 {
        scene.chat(br#"{"model":"m","messages":[],"temperature":1}"#).await;
    }
    scene.holds(3).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_route_without_cache_says_nothing_of_it() {
    let rest = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\n[routes.cache]\nmode = \"off\"";
    let scene = Scene::keeping(rest, Answer::json(GOOD)).await;
    for _ in 0..2 {
        assert_eq!(scene.chat(CERTAIN).await.header("cache-status"), None);
    }
    assert_eq!(scene.reached(), 2);
    scene.settle().await;
}
