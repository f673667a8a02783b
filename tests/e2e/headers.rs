//! Headers: which go on, which end here, and how a trace goes on.

use harness::client::request;
use harness::engine::Seen;
use harness::{Answer, Client};

use crate::scene::{CHAT, PLAIN, Scene};

fn count(seen: &Seen, name: &str) -> usize {
    seen.head.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count()
}

#[tokio::test]
async fn headers_of_the_connection_end_at_weir_and_others_go_on_once() {
    let scene = Scene::plain().await;
    let host = scene.engine().address().to_string();
    let sent = [
        ("Host", "example.org:99"),
        ("Connection", "keep-alive, X-Private"),
        ("Connection", "x-also"),
        ("X-Private", "1"),
        ("X-Also", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("Authorization", "Bearer of-the-engine"),
        ("X-Unknown", "stays"),
        ("Forwarded", "for=1.2.3.4"),
    ];
    let answer = [("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=1"), ("X-End", "1")];
    scene.engine().answer(Answer::with(200, &answer, b"{}"));
    let response = scene.ask(&request("POST", CHAT, &sent, PLAIN)).await;
    let seen = scene.engine().request(0).await;
    for gone in ["x-private", "x-also", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"] {
        assert_eq!(count(&seen, gone), 0, "{gone}: {:?}", seen.head.headers);
    }
    for once in ["host", "content-length", "traceparent", "authorization", "x-unknown", "forwarded"] {
        assert_eq!(count(&seen, once), 1, "{once}: {:?}", seen.head.headers);
    }
    assert_eq!(seen.head.header("host"), Some(host.as_str()));
    assert_eq!(
        seen.head.header("authorization"),
        Some("Bearer of-the-engine"),
        "with no tenants, keys are the engine's"
    );
    let answered = |name| response.header(name);
    assert_eq!((answered("x-hop"), answered("keep-alive"), answered("x-end")), (None, None, Some("1")));
    assert_eq!(answered("x-weir-attempts"), Some("1"));
    scene.settle().await;
}

#[tokio::test]
async fn a_trace_is_continued_or_begun() {
    let scene = Scene::plain().await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let table = [
        (Some(format!("00-{trace}-{parent}-01")), Some(trace), "01"),
        (Some(format!("00-{trace}-{parent}-00")), Some(trace), "00"),
        (Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned()), None, "01"),
        (Some("nonsense".to_owned()), None, "01"),
        (None, None, "01"),
    ];
    for (number, (sent, continued, flags)) in table.iter().enumerate() {
        let headers: Vec<_> = sent.iter().map(|value| ("Traceparent", value.as_str())).collect();
        let answered = scene.ask(&request("POST", CHAT, &headers, PLAIN)).await;
        let seen = scene.engine().request(number).await;
        let words: Vec<&str> = seen.head.header("traceparent").unwrap().split('-').collect();
        let exchange = answered.header("x-weir-exchange").unwrap().replace('-', "");
        assert_eq!((words.len(), words[0], words[3]), (4, "00", *flags), "{sent:?}");
        assert_eq!(words[1], continued.unwrap_or(&exchange), "{sent:?}");
        assert_ne!(words[2], parent, "the engine's parent is Weir's span");
        assert_eq!(words[2], &exchange[16..], "{sent:?}");
    }
    scene.settle().await;
}

#[tokio::test]
async fn what_two_readers_could_read_differently_never_reaches_the_engine_so() {
    let scene = Scene::plain().await;
    let smuggled =
        format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    let bytes = [smuggled.as_bytes(), b"39\r\n", &PLAIN[..57], b"\r\n0\r\n\r\n"].concat();
    assert_eq!(PLAIN.len(), 57);
    let mut client = scene.client().await;
    client.send(&bytes).await.unwrap();
    let answered = client.response().await.unwrap();
    if answered.status() == 200 {
        scene.asking(1);
        let seen = scene.engine().request(0).await;
        assert!(seen.body == PLAIN && count(&seen, "content-length") == 1, "{:?}", seen.head.headers);
    }
    let twice = format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ");
    let mut client = Client::connect(scene.weir.data).await.unwrap();
    client.send(twice.as_bytes()).await.unwrap();
    assert_eq!(client.response().await.unwrap().status(), 400);
    scene.settle().await;
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    let scene = Scene::plain().await;
    scene.asking(1);
    let mut client = scene.client().await;
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n", PLAIN.len());
    client.send(head.as_bytes()).await.unwrap();
    client.until("100 Continue").await.unwrap();
    client.send(PLAIN).await.unwrap();
    assert_eq!(client.response().await.unwrap().status(), 200);
    scene.settle().await;
}
