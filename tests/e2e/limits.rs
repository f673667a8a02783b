//! What is refused, how it is said, and that a refusal holds nothing.

use harness::Answer;
use harness::client::{Response, request};
use harness::wire::chunk;
use serde_json::Value;

use crate::scene::{CHAT, PLAIN, Scene, Text};

const SMALL: &str = r#"
[server]
max_body_bytes = "64KiB"
max_header_bytes = "4KiB"
max_held_bytes = "96KiB"
body_timeout = "300ms"
"#;

/// Status, and the code that the error body tells.
fn told(response: &Response) -> (u16, String) {
    let body: Value = response.json();
    let code = body["error"]["code"].as_str().or(body["error"]["type"].as_str()).unwrap_or_default();
    assert!(body["error"]["message"].is_string(), "{body}");
    (response.status(), code.to_owned())
}

#[tokio::test]
async fn each_refusal_has_its_status_and_the_shape_of_the_clients_api() {
    let scene = Scene::with(1, Text { rest: SMALL, ..Text::default() }).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(70 << 10));
    let long = "h".repeat(6 << 10);
    let post = |path: &str, body: &[u8]| request("POST", path, &[], body);
    let chunked = |body: &[u8]| {
        let head = format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        [head.into_bytes(), chunk(body), b"0\r\n\r\n".to_vec()].concat()
    };
    let table = [
        (post(CHAT, large.as_bytes()), 413, "body_too_large"),
        (chunked(large.as_bytes()), 413, "body_too_large"),
        (post("/v1/messages", large.as_bytes()), 413, "request_too_large"),
        (request("POST", CHAT, &[("X-Long", &long)], PLAIN), 431, "headers_too_large"),
        (post(CHAT, b"[1]"), 400, "invalid_request"),
        (post(CHAT, b""), 400, "invalid_request"),
        (post("/v1/responses", b"{\"a\":}"), 400, "invalid_request"),
        (post("/v1/messages", b"{\"a\":}"), 400, "invalid_request_error"),
    ];
    for (number, (bytes, status, code)) in table.into_iter().enumerate() {
        let response = scene.ask(&bytes).await;
        assert_eq!(told(&response), (status, code.to_owned()), "row {number}: {}", response.text());
        assert_eq!(response.header("content-type"), Some("application/json"), "row {number}");
        assert!(response.header("x-weir-exchange").is_some(), "row {number}");
    }
    assert_eq!(scene.reached(), 0);
    scene.until_metric("weir_exchanges_total", &["outcome=\"refused\""], 8.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn malformed_json_is_told_with_its_line_and_column_and_never_quoted() {
    let scene = Scene::plain().await;
    let refused = scene.chat(b"{\"model\": \"a\",\n  \"secret-marker\": tru}").await;
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(refused.status() == 400 && message.contains("line 2 column"), "{message}");
    assert!(!message.contains("secret-marker"), "{message}");
    let anthropic = scene.ask(&request("POST", "/v1/messages", &[], b"{")).await.json();
    assert_eq!(anthropic["type"], "error", "{anthropic}");
    scene.settle().await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let scene = Scene::with(1, Text { rest: SMALL, ..Text::default() }).await;
    scene.asking(2);
    let mut slow = scene.client().await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{\"a\"");
    slow.send(head.as_bytes()).await.unwrap();
    assert_eq!(told(&slow.response().await.unwrap()), (408, "request_timeout".to_owned()));
    let mut gone = scene.client().await;
    gone.send(head.as_bytes()).await.unwrap();
    gone.hang_up();
    scene.until_metric("weir_exchanges_total", &["outcome=\"client_left\""], 1.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn bytes_held_by_all_have_one_limit_and_are_given_back() {
    let scene = Scene::with(1, Text { rest: SMALL, ..Text::default() }).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(60 << 10));
    scene.engine().answer(Answer::silence());
    let first = scene.begin_chat(large.as_bytes()).await;
    scene.engine().request(0).await;
    scene.engine().answer(Answer::json("{}"));
    let refused = scene.chat(large.as_bytes()).await;
    assert_eq!(told(&refused), (429, "overloaded".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(scene.chat(PLAIN).await.status(), 200, "a small one has room");
    first.hang_up();
    scene.until_metric("weir_in_flight", &[], 0.0).await;
    assert_eq!(scene.chat(large.as_bytes()).await.status(), 200);
    scene.settle().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_place_that_is_free_is_taken() {
    let rest = "[limits]\nmax_in_flight = 1\nmax_queue = 1\nqueue_timeout = \"20s\"";
    let scene = Scene::with(1, Text { rest, ..Text::default() }).await;
    scene.engine().answer_next(Answer::silence());
    let first = scene.begin_chat(PLAIN).await;
    scene.engine().request(0).await;
    let mut second = scene.begin_chat(PLAIN).await;
    scene.until_metric("weir_queue_depth", &[], 1.0).await;
    let refused = scene.chat(PLAIN).await;
    assert_eq!(told(&refused), (429, "overloaded".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(scene.reached(), 1);
    first.hang_up();
    assert_eq!(second.response().await.unwrap().status(), 200);
    scene.settle().await;
}

#[tokio::test]
async fn waiting_for_a_place_has_an_end() {
    let rest = "[limits]\nmax_in_flight = 1\nmax_queue = 9\nqueue_timeout = \"100ms\"";
    let scene = Scene::with(1, Text { rest, ..Text::default() }).await;
    scene.engine().answer_next(Answer::silence());
    let first = scene.begin_chat(PLAIN).await;
    scene.engine().request(0).await;
    let refused = scene.chat(PLAIN).await;
    assert_eq!(told(&refused), (429, "overloaded".to_owned()));
    first.hang_up();
    scene.settle().await;
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_answered_though_it_is_not_read() {
    let scene = Scene::with(1, Text { rest: SMALL, ..Text::default() }).await;
    scene.asking(1);
    let mut client = scene.client().await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 32 << 20);
    client.send(head.as_bytes()).await.unwrap();
    // The client goes on sending for a while, as most do that look only afterwards.
    for _ in 0..64 {
        if client.send(&[b'x'; 64 << 10]).await.is_err() {
            break;
        }
    }
    let response = client.response().await.unwrap();
    assert_eq!(told(&response), (413, "body_too_large".to_owned()));
    scene.settle().await;
}
