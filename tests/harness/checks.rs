//! The harness checked against itself: a scripted engine and the plain client, no proxy between.

use std::time::Duration;

use crate::client::{Ending, request};
use crate::wire::{Framing, gzip};
use crate::{Answer, Client, Engine};

const EVENTS: [&str; 3] = ["data: {\"a\":1}\n\n", "data: {\"a\":2}\n\n", "data: [DONE]\n\n"];

#[tokio::test]
async fn each_kind_of_body_arrives_as_it_was_scripted() {
    let table: [(Answer, &[u8], Framing); 5] = [
        (Answer::json("{}"), b"{}", Framing::Length(2)),
        (Answer::chunked("text/plain", &[b"ab", b"c"]), b"abc", Framing::Chunked),
        (Answer::until_close("{}"), b"{}", Framing::UntilClose),
        (Answer::gzip("{}"), &gzip(b"{}"), Framing::Length(gzip(b"{}").len())),
        (Answer::status(429, "{}"), b"{}", Framing::Length(2)),
    ];
    let engine = Engine::start(Answer::default()).await;
    for (answer, body, framing) in table {
        engine.answer(answer.clone());
        let response = Client::exchange(engine.address(), &request("POST", "/v1/chat/completions", &[], b"{}")).await;
        assert_eq!((&response.body[..], response.ending), (body, Ending::Whole), "{answer:?}");
        assert_eq!(response.head.response_framing(), framing, "{answer:?}");
    }
    assert_eq!(engine.requests().len(), 5);
}

#[tokio::test]
async fn a_request_is_remembered_byte_for_byte() {
    let engine = Engine::start(Answer::json("{}")).await;
    let headers = [("X-Odd", " a "), ("x-odd", "b"), ("Transfer-Encoding", "chunked")];
    let mut sent = b"POST /v1/x?y=1 HTTP/1.1\r\n".to_vec();
    headers.iter().for_each(|(name, value)| sent.extend_from_slice(format!("{name}: {value}\r\n").as_bytes()));
    sent.extend_from_slice(b"\r\n3\r\nabc\r\n0\r\n\r\n");
    let mut client = Client::connect(engine.address()).await.unwrap();
    client.send_slowly(&sent, 7, Duration::from_millis(1)).await.unwrap();
    client.response().await.unwrap();
    let seen = engine.request(0).await;
    assert_eq!((seen.method(), seen.target(), &seen.body[..]), ("POST", "/v1/x?y=1", &b"abc"[..]));
    assert_eq!(seen.head.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), headers.map(|h| h.0));
}

#[tokio::test]
async fn a_stream_comes_in_its_pieces_and_in_its_time() {
    let pause = Duration::from_millis(30);
    let engine = Engine::start(Answer::paced_events(&EVENTS, pause)).await;
    let response = Client::exchange(engine.address(), &request("POST", "/v1/chat/completions", &[], b"{}")).await;
    assert_eq!(response.pieces, EVENTS.map(|event| event.as_bytes().to_vec()));
    let (first, last) = (response.reads.first().unwrap(), response.reads.last().unwrap());
    assert!(last.at - first.at >= 3 * pause, "{:?}", last.at - first.at);
}

#[tokio::test]
async fn every_way_to_break_an_answer_is_seen_as_that() {
    let half = &EVENTS[1].as_bytes()[..5];
    let begun = || Answer::begin_stream().piece(EVENTS[0].as_bytes()).piece(half);
    let table = [(begun().close(), Ending::Closed), (begun().reset(), Ending::Reset)];
    let engine = Engine::start(Answer::default()).await;
    for (answer, ending) in table {
        engine.answer(answer);
        let response = Client::exchange(engine.address(), &request("POST", "/v1/chat/completions", &[], b"{}")).await;
        assert_eq!((response.ending, response.body), (ending, [EVENTS[0].as_bytes(), half].concat()));
    }
    for answer in [Answer::default().close(), Answer::default().reset()] {
        engine.answer(answer.clone());
        let mut client = Client::connect(engine.address()).await.unwrap();
        assert!(client.post("/v1/chat/completions", b"{}").await.is_err(), "{answer:?}");
    }
    engine.answer(Answer::json("{}").close_on_next_request());
    let mut client = Client::connect(engine.address()).await.unwrap();
    assert!(client.post("/v1/chat/completions", b"{}").await.is_ok());
    assert!(client.post("/v1/chat/completions", b"{}").await.is_err(), "the connection is stale");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_before_and_within_an_answer() {
    let stalls = [Answer::silence(), Answer::begin_stream().piece(EVENTS[0].as_bytes()).stall()];
    let engine = Engine::start(Answer::default()).await;
    for (number, answer) in stalls.into_iter().enumerate() {
        engine.answer(answer);
        let mut client = Client::connect(engine.address()).await.unwrap();
        client.send(&request("POST", "/v1/chat/completions", &[], b"{}")).await.unwrap();
        let seen = engine.request(number).await;
        assert_eq!(seen.left_at, None);
        if number == 0 {
            client.hang_up()
        } else {
            client.reset()
        }
        assert!(engine.client_left(number).await >= seen.at);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_still_seen_to_leave() {
    let flood = vec![b'x'; 32 << 20];
    let engine = Engine::start(Answer::with(200, &[], &flood)).await;
    let mut client = Client::connect(engine.address()).await.unwrap();
    client.send(&request("POST", "/v1/chat/completions", &[], b"{}")).await.unwrap();
    client.read_at_most(10).await.unwrap();
    client.reset();
    engine.client_left(0).await;
}

#[tokio::test]
async fn probes_are_answered_and_kept_apart_from_requests() {
    let engine = Engine::start(Answer::json("{}")).await;
    let mut client = Client::connect(engine.address()).await.unwrap();
    for (path, status) in [("/health", 200), ("/v1/models", 200), ("/metrics", 200), ("/version", 404)] {
        assert_eq!(client.get(path).await.unwrap().status(), status, "{path}");
    }
    engine.answer_at("/health", Answer::status(503, "{}"));
    assert_eq!(client.get("/health").await.unwrap().status(), 503);
    assert_eq!((engine.requests().len(), engine.all_requests().len(), engine.connections()), (0, 5, 1));
}

#[tokio::test]
async fn an_engine_can_be_slow_to_accept_and_can_die_and_come_back() {
    let mut engine = Engine::start(Answer::json("{}")).await;
    engine.hold_accepts();
    let mut client = Client::connect(engine.address()).await.unwrap();
    client.send(&request("POST", "/v1/chat/completions", &[], b"{}")).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), client.head()).await.is_err());
    engine.resume_accepts();
    assert_eq!(client.response().await.unwrap().status(), 200);
    engine.stop().await;
    assert!(Client::connect(engine.address()).await.is_err());
    engine.start_again().await;
    let response = Client::exchange(engine.address(), &request("POST", "/v1/x", &[], b"{}")).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let engine = Engine::start(Answer::json("{}")).await;
    engine.answer_next(Answer::json("1").after(Duration::from_millis(5)));
    engine.answer_next(Answer::json("2"));
    let one = request("POST", "/v1/x", &[], b"{}");
    let mut client = Client::connect(engine.address()).await.unwrap();
    client.send(&one.repeat(2)).await.unwrap();
    assert_eq!(client.response().await.unwrap().text(), "1");
    assert_eq!(client.response().await.unwrap().text(), "2");
}
