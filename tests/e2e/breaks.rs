//! Answers that an engine breaks: a stream ends in an error event of its API and never in a
//! proper end; a plain answer is cut, never ended.

use harness::Answer;
use harness::client::{Ending, request};

use crate::scene::{CHAT, PLAIN, STREAM, Scene, TOKEN, Text};

const MESSAGE: &[u8] =
    b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
const ITEM: &[u8] =
    b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n";
const TEXT: &[u8] = b"data: {\"choices\":[{\"index\":0,\"text\":\"hi\"}]}\n\n";

/// Breakers that never open: this is about one answer at a time.
const PATIENT: &str = "probe_interval = \"60s\"\n[engines.default.breaker]\nfailures = 1000";

/// All ways to break off after some bytes.
fn ways(content: &[u8]) -> [(&'static str, Answer); 4] {
    let begun = || Answer::begin_stream().piece(content);
    [
        ("closed", begun().close()),
        ("cut", begun().reset()),
        ("inside an event", begun().piece(b"data: {\"id\":\"held-ba").close()),
        ("ended without its end", begun().end_chunks()),
    ]
}

#[tokio::test]
async fn a_broken_stream_ends_in_the_error_event_of_its_api() {
    let scene = Scene::with(1, Text { engine: PATIENT, ..Text::default() }).await;
    let table: [(&str, &[u8], &str); 4] = [
        (CHAT, TOKEN, "data: {\"error\":{"),
        ("/v1/completions", TEXT, "data: {\"error\":{"),
        ("/v1/messages", MESSAGE, "event: error\ndata: {\"error\":{"),
        ("/v1/responses", ITEM, "event: error\ndata: {\"code\":\"engine_broke\""),
    ];
    for (path, content, event) in table {
        for (way, answer) in ways(content) {
            scene.engine().answer(answer);
            let response = scene.ask(&request("POST", path, &[], STREAM)).await;
            let text = response.text();
            let rest = text.strip_prefix(&*String::from_utf8_lossy(content));
            let rest = rest.unwrap_or_else(|| panic!("{path} {way}: what came before the break stays: {text}"));
            assert!(rest.starts_with(event) && rest.ends_with("\n\n"), "{path} {way}: {rest}");
            assert!(!rest.contains("held-ba") && !rest.contains("[DONE]") && !rest.contains("message_stop"), "{rest}");
            assert_eq!((response.status(), response.ending), (200, Ending::Whole), "{path} {way}");
        }
    }
    scene.until_metric("weir_exchanges_total", &["outcome=\"broken\""], 16.0).await;
    scene.until_metric("weir_errors_total", &["kind=\"engine_broke\"", "source=\"engine\""], 16.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_broken_native_stream_is_told_where_the_connection_broke() {
    let scene = Scene::with(1, Text { engine: PATIENT, ..Text::default() }).await;
    let token = b"data: {\"content\":\"hi\",\"stop\":false}\n\n";
    for answer in [Answer::begin_stream().piece(token).reset(), Answer::begin_stream().piece(token).close()] {
        scene.engine().answer(answer);
        let response = scene.ask(&request("POST", "/completion", &[], b"{\"prompt\":\"a\",\"stream\":true}")).await;
        assert!(response.text().contains("engine_broke"), "{}", response.text());
    }
    scene.until_metric("weir_exchanges_total", &["outcome=\"broken\""], 2.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_stream_is_known_by_its_type_however_it_is_written() {
    let scene = Scene::with(1, Text { engine: PATIENT, ..Text::default() }).await;
    for content_type in ["TEXT/Event-Stream", "text/event-stream; charset=utf-8", "text/event-stream;x=1"] {
        scene.engine().answer(Answer::begin_chunked(content_type).piece(TOKEN).close());
        let response = scene.chat(STREAM).await;
        assert!(response.text().contains("engine_broke"), "{content_type}: {}", response.text());
    }
    scene.settle().await;
}

#[tokio::test]
async fn a_broken_plain_answer_is_cut_and_never_ends_well() {
    let scene = Scene::with(1, Text { engine: PATIENT, ..Text::default() }).await;
    let half = "{\"choices\":[{\"message\":{\"con";
    let announced = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{half}");
    let table = [
        ("length, closed", Answer::raw(announced.clone().into_bytes()).close()),
        ("length, cut", Answer::raw(announced.into_bytes()).reset()),
        ("chunks, closed", Answer::begin_chunked("application/json").piece(half.as_bytes()).close()),
        ("chunks, cut", Answer::begin_chunked("application/json").piece(half.as_bytes()).reset()),
        ("old, cut", Answer::raw(format!("HTTP/1.0 200 OK\r\n\r\n{half}").into_bytes()).reset()),
        ("until close, cut", Answer::raw(format!("HTTP/1.1 200 OK\r\n\r\n{half}").into_bytes()).reset()),
    ];
    for (row, answer) in table {
        let answer = Answer { steps: with_pause(answer) };
        scene.engine().answer(answer);
        scene.asking(1);
        let mut client = scene.client().await;
        client.send(&request("POST", CHAT, &[], PLAIN)).await.unwrap();
        let response = client.response().await.unwrap();
        assert_ne!(response.ending, Ending::Whole, "{row}");
        assert!(half.starts_with(&response.text()), "{row}: {}", response.text());
    }
    scene.until_metric("weir_exchanges_total", &["outcome=\"broken\""], 6.0).await;
    scene.settle().await;
}

/// The break comes a moment after the bytes, so that it is a break within the answer.
fn with_pause(answer: Answer) -> Vec<harness::script::Step> {
    let mut steps = answer.steps;
    let end = steps.pop().expect("the answer ends in a break");
    steps.extend([harness::script::Step::Pause(std::time::Duration::from_millis(50)), end]);
    steps
}
