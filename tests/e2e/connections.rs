//! Connections of clients: their number, their patience, and what is no request at all.

use std::time::Duration;

use harness::client::{Ending, request};
use harness::{Answer, wait};

use crate::scene::{CHAT, PLAIN, Scene, Text, stream};

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let scene = Scene::with(1, Text { rest: "[server]\nmax_connections = 2", ..Text::default() }).await;
    let mut first = scene.client().await;
    let mut second = scene.client().await;
    scene.asking(3);
    for client in [&mut first, &mut second] {
        assert_eq!(client.post(CHAT, PLAIN).await.unwrap().status(), 200);
    }
    let mut third = scene.client().await;
    third.send(&request("POST", CHAT, &[], PLAIN)).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), third.head()).await;
    assert!(early.is_err(), "it waits in the kernel's queue");
    first.hang_up();
    assert_eq!(third.response().await.unwrap().status(), 200);
    scene.settle().await;
}

#[tokio::test]
async fn heads_that_do_not_arrive_and_bytes_that_are_no_http_end_the_connection() {
    let scene = Scene::with(1, Text { rest: "[server]\nheader_timeout = \"300ms\"", ..Text::default() }).await;
    for bytes in ["POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-", "P", ""] {
        let mut client = scene.client().await;
        client.send(bytes.as_bytes()).await.unwrap();
        while client.read().await.is_ok_and(|read| read.is_some()) {}
    }
    for bytes in
        ["hello\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\n\r\n"]
    {
        let mut client = scene.client().await;
        client.send(bytes.as_bytes()).await.unwrap();
        let said = client.head().await.map(|head| head.status());
        assert!(!matches!(said, Ok(200..400)), "{bytes:?}: {said:?}");
    }
    assert_eq!(scene.chat(PLAIN).await.status(), 200);
    assert_eq!(scene.reached(), 1);
    scene.until_metric("weir_connections", &[], 0.0).await;
    scene.settle().await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_its_answer_without_chunks() {
    let scene = Scene::plain().await;
    for (answer, expected) in [(Answer::chunked("text/plain", &[b"ab", b"c"]), "abc"), (Answer::json("{}"), "{}")] {
        scene.engine().answer(answer);
        let bytes = format!("POST {CHAT} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", PLAIN.len());
        let response = scene.ask(&[bytes.as_bytes(), PLAIN].concat()).await;
        assert_eq!((response.status(), response.ending, response.text().as_str()), (200, Ending::Whole, expected));
        assert_eq!(response.header("transfer-encoding"), None);
    }
    scene.settle().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever_and_forgets_no_record() {
    let rest = "[server]\ndrain_timeout = \"300ms\"";
    let mut scene = Scene::with(1, Text { rest, ..Text::default() }).await;
    scene.engine().answer(crate::scene::begun().stall());
    let body = br#"{"stream":true,"messages":[{"role":"user","content":"asked-before-the-stop"}]}"#;
    let mut client = scene.begin_chat(body).await;
    client.until("content").await.unwrap();
    scene.weir.signal(libc::SIGTERM);
    let ended = scene.weir.ended().await;
    assert!(ended.success(), "{ended}: {}", scene.weir.said());
    let response = client.response().await.unwrap();
    assert!(!response.text().contains("[DONE]"), "{}", response.text());
    let folder = scene.weir.data_folder();
    assert!(crate::records::holds(&folder, "asked-before-the-stop"), "the record of the exchange that was cut");
    scene.engine().client_left(0).await;
}

#[tokio::test]
async fn many_clients_at_one_time_are_all_answered() {
    let scene = Scene::plain().await;
    scene.engine().answer(stream());
    let mut clients = tokio::task::JoinSet::new();
    let (address, rounds) = (scene.weir.data, 5);
    scene.asking(64 * rounds);
    for _ in 0..64 {
        clients.spawn(async move {
            let mut client = harness::Client::connect(address).await.unwrap();
            for _ in 0..rounds {
                let response = client.post(CHAT, crate::scene::STREAM).await.unwrap();
                assert!(response.status() == 200 && response.text().ends_with("data: [DONE]\n\n"));
            }
        });
    }
    wait::until_asked("all are answered", Duration::from_secs(60), async || {
        while let Some(done) = clients.join_next().await {
            done.unwrap();
        }
        Some(())
    })
    .await;
    scene.settle().await;
}
