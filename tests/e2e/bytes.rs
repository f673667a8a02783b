//! What the client gets is what the engine sent, and what the engine gets is what the client
//! sent. Each row is asked twice, of the engine itself and through Weir, and compared.

use harness::client::{Ending, Response, request};
use harness::engine::Seen;
use harness::wire::{Framing, Head, chunk, gzip};
use harness::{Answer, Client};

use crate::fixture::{self, Message};
use crate::scene::{CHAT, DONE, PLAIN, STREAM, Scene, TOKEN, Text};

/// Belong to one connection, or are written anew for each.
const OF_A_CONNECTION: [&str; 5] = ["connection", "keep-alive", "transfer-encoding", "content-length", "host"];
/// What Weir adds.
const ADDED: [&str; 5] = ["date", "traceparent", "x-weir-exchange", "x-weir-attempts", "cache-status"];

/// Names in lower case and values, sorted; duplicates stay.
fn lasting(head: &Head) -> Vec<(String, String)> {
    let named = head.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut kept: Vec<_> = named.filter(|(name, _)| !OF_A_CONNECTION.contains(&name.as_str())).collect();
    kept.retain(|(name, _)| !ADDED.contains(&name.as_str()));
    kept.sort();
    kept
}

async fn compare(scene: &Scene, row: &str, bytes: &[u8], answer: Answer) {
    let engine = scene.engine();
    let path = Head::read(bytes).unwrap().start.split([' ', '?']).nth(1).unwrap().to_owned();
    engine.answer_at(&path, answer);
    let direct = Client::exchange(engine.address(), bytes).await;
    let through = scene.ask(bytes).await;
    same_answer(row, &direct, &through);
    let seen: Vec<Seen> =
        engine.all_requests().into_iter().filter(|seen| seen.head.header("x-row") == Some(row)).collect();
    let [.., sent, got] = &seen[..] else { panic!("{row}: the engine got {} requests", seen.len()) };
    assert_eq!((sent.method(), sent.target()), (got.method(), got.target()), "{row}");
    assert!(sent.body == got.body, "{row}: the engine got another body");
    assert_eq!(lasting(&sent.head), lasting(&got.head), "{row}");
}

fn same_answer(row: &str, direct: &Response, through: &Response) {
    assert_eq!((direct.status(), Ending::Whole), (through.status(), through.ending), "{row}");
    let text = (String::from_utf8_lossy(&direct.body), String::from_utf8_lossy(&through.body));
    assert!(direct.body == through.body, "{row}:\n{}\nbecame\n{}", text.0, text.1);
    assert_eq!(lasting(&direct.head), lasting(&through.head), "{row}");
    assert!(through.header("x-weir-exchange").is_some(), "{row}");
    let (before, after) = (direct.head.response_framing(), through.head.response_framing());
    let stays = matches!(before, Framing::Length(_)) && !is_stream(&direct.head);
    assert!(!stays || before == after, "{row}: {before:?} became {after:?}");
}

fn is_stream(head: &Head) -> bool {
    head.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// The same body with a length, until the close, and in odd chunks.
fn ways(status: u16, content_type: &str, body: &[u8]) -> [Answer; 3] {
    let start = format!("HTTP/1.1 {status} Word\r\nContent-Type: {content_type}\r\n");
    let head = |framing: &str| Answer::raw(format!("{start}{framing}\r\n").into_bytes());
    let chunks = body.chunks(body.len() / 40 + 7).fold(head("Transfer-Encoding: chunked\r\n"), |a, c| a.piece(c));
    let body_bytes = bytes::Bytes::copy_from_slice(body);
    [
        head(&format!("Content-Length: {}\r\n", body.len())).send(body_bytes.clone()),
        head("Connection: close\r\n").send(body_bytes).close(),
        chunks.end_chunks(),
    ]
}

fn as_sent(message: &Message, row: &str) -> Vec<u8> {
    let headers = [("Content-Type", "application/json"), ("X-Row", row)];
    request(message.method().as_str(), message.path(), &headers, &message.body)
}

#[tokio::test]
async fn every_recorded_exchange_passes_in_every_framing() {
    let scene = Scene::with(1, Text { rest: "[cache]\nmax_bytes = 0", ..Text::default() }).await;
    for id in fixture::all() {
        let (sent, answered) = fixture::load(&id);
        let content_type = if answered.is_stream() { "text/event-stream" } else { "application/json" };
        for (number, answer) in ways(answered.status(), content_type, &answered.body).into_iter().enumerate() {
            let row = format!("{id}-{number}");
            compare(&scene, &row, &as_sent(&sent, &row), answer).await;
        }
    }
    scene.settle().await;
}

#[tokio::test]
async fn odd_streams_pass_as_they_are() {
    let scene = Scene::plain().await;
    let end = "data: [DONE]\r\n\r\n";
    let table: [(&str, String); 9] = [
        ("crlf", format!("data: {{\"a\":\"é\"}}\r\n\r\n{end}")),
        ("cr", "data: {\"a\":1}\r\rdata: [DONE]\r\r".to_owned()),
        ("mark", format!("\u{feff}data: {{\"a\":1}}\n\n{end}")),
        ("comments", format!(": one\n\n:\n\ndata: {{}}\n\n: two\n: three\n\n{end}")),
        ("fields", format!("id: 1\nretry: 5\nevent: x\ndata: {{\ndata: }}\n\nodd\n\n{end}")),
        ("spaces", format!("data:{{}}\n\n\n\n\ndata:   {{}} \n\n{end}")),
        ("letters", format!("data: \"日本語 👩‍🚀 é\"\n\n{end}\n\n")),
        ("large", format!("data: \"{}\"\n\n{end}", "x".repeat(600_000))),
        ("after the end", format!("{end}data: {{\"usage\":1}}\n\n: bye")),
    ];
    for (row, body) in table {
        let bytes = request("POST", CHAT, &[("X-Row", row)], STREAM);
        for answer in ways(200, "text/event-stream; charset=utf-8", body.as_bytes()) {
            compare(&scene, row, &bytes, answer).await;
        }
    }
    let letters = "data: {\"a\":\"日本語\"}\n\ndata: [DONE]\n\n".as_bytes();
    let single = letters.chunks(1).fold(Answer::begin_stream(), |answer, byte| answer.piece(byte));
    compare(&scene, "bytes", &request("POST", CHAT, &[("X-Row", "bytes")], STREAM), single.end_chunks()).await;
    scene.settle().await;
}

#[tokio::test]
async fn odd_answers_pass_as_they_are() {
    let scene = Scene::plain().await;
    let large = "x".repeat(100 << 10);
    let zipped = gzip(&[TOKEN, DONE].concat());
    let zipped_stream = [("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")];
    let cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Empty", ""), ("Date", "yesterday")];
    let table = [
        ("empty", Answer::json("")),
        ("no content", Answer::raw(&b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"[..])),
        ("not modified", Answer::raw(&b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"[..])),
        ("empty chunks", Answer::chunked("text/plain", &[])),
        ("large", Answer::json(&large)),
        ("large chunks", Answer::chunked("text/plain", &[large.as_bytes(), b"", large.as_bytes()])),
        ("zip", Answer::gzip(&large)),
        ("zipped stream", Answer::with(200, &zipped_stream, &zipped)),
        ("headers", Answer::with(200, &cookies, b"x")),
        ("redirect", Answer::with(307, &[("Location", "http://elsewhere/?a=%20")], b"")),
        ("rate", Answer::with(429, &[("Retry-After", "7")], b"{\"error\":{}}")),
        ("single 500", Answer::status(500, b"{\"odd\": \xff}")),
        ("single 503", Answer::with(503, &[("Retry-After", "9")], b"loading")),
        ("zeros", Answer::json(vec![0; 70_000])),
        (
            "hints",
            Answer::raw(&b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"[..])
                .send(&b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"[..]),
        ),
        ("old", Answer::raw(&b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold"[..]).close()),
    ];
    for (row, answer) in table {
        compare(&scene, row, &request("POST", CHAT, &[("X-Row", row)], PLAIN), answer).await;
    }
    scene.settle().await;
}

#[tokio::test]
async fn odd_requests_reach_the_engine_as_they_are() {
    let scene = Scene::plain().await;
    let large = format!("{{\"model\":\"m\",\"prompt\":\"{}\"}}", "y".repeat(100 << 10));
    let table: [(&str, &str, &str, &[u8]); 12] = [
        ("query", "POST", "/v1/chat/completions?a=%2F&b=+%20c&&d=?#", b" {\"a\" : 1.50e+10, \"a\":2}\n"),
        ("empty query", "POST", "/v1/embeddings?", b"{}"),
        ("escapes", "GET", "/v1/models/a%2Fb%c3%A9", b""),
        ("dots", "GET", "/a/../b//c/./%2e%2E;p=1", b""),
        ("unknown", "PUT", "/some/where", b"\x00\xff not json"),
        ("delete", "DELETE", "/v1/files/x", b""),
        ("get with body", "GET", "/odd", b"body"),
        ("own method", "PURGE", "/cache", b""),
        ("empty body", "POST", "/tokenize", b""),
        ("native", "POST", "/completion", b"{\"prompt\":\"\\ud83d\\ude00 \xf0\x9f\x98\x80\",\"n_predict\":-1}"),
        ("large", "POST", "/v1/completions", large.as_bytes()),
        ("fields", "POST", CHAT, b"{\"future\":{\"a\":[1,null]},\"model\":5,\"stream\":null}"),
    ];
    for (row, method, target, body) in table {
        let target = target.trim_end_matches('#');
        let headers = [("X-Row", row), ("Accept-Encoding", "br, gzip"), ("Cookie", "a=1; b=2"), ("X-Twice", "1")];
        let headers = [&headers[..], &[("X-Twice", "2"), ("User-Agent", "odd/1"), ("X-Empty", "")]].concat();
        compare(&scene, row, &request(method, target, &headers, body), Answer::json("{}")).await;
    }
    scene.settle().await;
}

#[tokio::test]
async fn a_chunked_request_reaches_the_engine_whole() {
    let scene = Scene::plain().await;
    let body = format!("{{\"prompt\":\"{}é\"}}", "z".repeat(70_000));
    let mut bytes = format!("POST {CHAT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    body.as_bytes().chunks(997).for_each(|piece| bytes.extend(chunk(piece)));
    bytes.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
    assert_eq!(scene.ask(&bytes).await.status(), 200);
    let seen = scene.engine().request(0).await;
    assert!(seen.body == body.as_bytes());
    assert_eq!(seen.head.header("content-length"), Some(body.len().to_string().as_str()));
    scene.settle().await;
}

#[tokio::test]
async fn an_answer_to_head_has_its_headers_and_no_body() {
    let scene = Scene::plain().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 123\r\nX-A: b\r\n\r\n";
    scene.engine().answer(Answer::raw(head.as_bytes()));
    scene.asking(3);
    let mut client = scene.client().await;
    for _ in 0..3 {
        client.send(&request("HEAD", "/v1/anything", &[], b"")).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!((head.status(), head.header("content-length"), head.header("x-a")), (200, Some("123"), Some("b")));
    }
    assert_eq!(scene.engine().request(2).await.method(), "HEAD");
    scene.settle().await;
}
