//! Spans as a collector gets them, and what no log and no metric ever says.

use std::sync::{Arc, Mutex};

use harness::client::request;
use harness::weir::Setup;
use harness::{Answer, Engine, wait};

use crate::scene::{CHAT, Scene, begun, stream, without_store};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits")).collect()
}

/// Everything that was sent to a collector: its bodies one after the other.
fn sent_to(collector: &Engine) -> Vec<u8> {
    collector.requests().into_iter().filter(|seen| seen.target() == "/v1/traces").flat_map(|seen| seen.body).collect()
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}

#[tokio::test]
async fn spans_carry_the_callers_trace_and_nothing_anywhere_carries_text() {
    let (engine, collector) = (Engine::start(stream()).await, Engine::start(Answer::with(200, &[], b"")).await);
    let text = format!(
        "[engines.default]\nreplicas = [{:?}]\n[telemetry.traces]\nendpoint = {:?}\nflush_every = \"50ms\"\n\
         [telemetry.logs]\nlevel = \"trace\"\naccess = true",
        engine.url(),
        collector.url()
    );
    let scene = Scene::from(vec![engine], without_store(Setup::config(text))).await;
    let body = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"marker-of-the-prompt"}]}"#;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let bytes = request("POST", &format!("{CHAT}?q=marker-of-the-query"), &[("Traceparent", &traceparent)], body);
    let reply = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"marker-of-the-answer\"}}]}\n\n";
    let broken = Answer::begin_stream().piece(reply).close();
    let answers = [stream(), broken, begun().reset(), Answer::status(500, "{\"error\":\"marker-of-the-error\"}")];
    let asked = answers.len() + 1;
    for answer in answers {
        scene.engine().answer(answer);
        scene.ask(&bytes).await;
    }
    scene.ask(&request("POST", CHAT, &[], b"{\"marker-of-the-bad\": tru}")).await;
    scene.settle().await;
    let span =
        |seen: &harness::engine::Seen| bytes_of(seen.head.header("traceparent").unwrap().split('-').nth(2).unwrap());
    let ids: Vec<Vec<u8>> = scene.engine().requests().iter().map(span).collect();
    let all = Arc::new(Mutex::new(Vec::new()));
    wait::until("every exchange's spans are exported", || {
        let bytes = sent_to(&collector);
        let whole = ids.iter().all(|id| count(&bytes, id) >= 2);
        *all.lock().unwrap() = bytes;
        whole.then_some(())
    })
    .await;
    let exported = all.lock().unwrap().clone();
    assert_eq!(count(&exported, &bytes_of(TRACE)), 2 * ids.len(), "two spans of each exchange, in the caller's trace");
    assert_eq!(count(&exported, &bytes_of(PARENT)), ids.len(), "the exchange's span is the caller's child");
    scene.until_metric("weir_trace_spans_total", &["outcome=\"exported\""], (2 * ids.len() + 1) as f64).await;
    scene.until_metric("weir_exchanges_total", &[], asked as f64).await;
    let places = [
        ("spans", String::from_utf8_lossy(&exported).into_owned()),
        ("logs", scene.weir.said()),
        ("metrics", scene.weir.metrics().await),
    ];
    for (place, said) in places {
        let found =
            said.find("marker-of-the").map(|at| said[at.saturating_sub(200)..].chars().take(300).collect::<String>());
        assert_eq!(found, None, "in {place}");
    }
}
