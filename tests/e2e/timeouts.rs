//! The four limits of an engine's time, and the comments that keep a silent stream alive.

use std::time::Duration;

use harness::client::Ending;
use harness::{Answer, Engine};

use crate::scene::{DONE, PLAIN, STOP, STREAM, Scene, TOKEN, Text, begun, timed};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn each_limit_of_an_engines_time_ends_the_wait() {
    let table = [
        ("first_token_timeout", Answer::silence(), STREAM, 504, "first_token_timeout"),
        ("first_token_timeout", Answer::begin_stream().stall(), STREAM, 504, "first_token_timeout"),
        ("inter_token_timeout", begun().stall(), STREAM, 200, "inter_token_timeout"),
        ("total_timeout", Answer::silence(), PLAIN, 504, "total_timeout"),
        ("total_timeout", begun().stall(), STREAM, 200, "total_timeout"),
    ];
    for (key, answer, body, status, code) in table {
        let engine = format!("{key} = \"300ms\"\nprobe_interval = \"60s\"");
        let scene = Scene::with(1, Text { engine: &engine, ..Text::default() }).await;
        scene.engine().answer(answer);
        let (response, took) = timed(scene.chat(body)).await;
        assert_eq!((response.status(), response.ending), (status, Ending::Whole), "{key}");
        assert!(response.text().contains(code) && !response.text().contains("[DONE]"), "{key}: {}", response.text());
        assert!(took >= SHORT, "{key}: {took:?}");
        scene.engine().client_left(0).await;
        scene.until_metric("weir_errors_total", &[&format!("kind=\"{code}\"")], 1.0).await;
        scene.settle().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_not_accepted_is_given_up() {
    // A listener whose queue is full takes no more; loopback then leaves connects unanswered.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        held.push(stream);
    }
    let well = Engine::start(Answer::json("{}")).await;
    let text = format!(
        "[engines.stuck]\nreplicas = [\"http://{address}\"]\nconnect_timeout = \"200ms\"\n[engines.well]\nreplicas = [{:?}]\n\
         [[routes]]\nname = \"one\"\nmodels = [\"m\"]\nengines = [\"stuck\"]\n[[routes]]\nname = \"two\"\nengines = [\"stuck\", \"well\"]",
        well.url()
    );
    let setup = crate::scene::without_store(harness::weir::Setup::config(text));
    let scene = Scene::from(vec![well], setup).await;
    let response = scene.chat(PLAIN).await;
    assert_eq!((response.status(), response.json()["error"]["code"].as_str()), (504, Some("connect_timeout")));
    assert_eq!(scene.chat(b"{\"model\":\"x\"}").await.status(), 200, "the second engine answers");
    scene.settle().await;
}

#[tokio::test]
async fn an_exchange_out_of_time_blames_no_replica_that_was_not_asked() {
    let engine = "total_timeout = \"200ms\"\nprobe_interval = \"60s\"\n[engines.default.breaker]\nfailures = 1";
    let scene = Scene::with(2, Text { engine, ..Text::default() }).await;
    scene.engines.iter().for_each(|engine| engine.answer(Answer::silence()));
    let response = scene.chat(PLAIN).await;
    assert_eq!((response.status(), response.header("x-weir-attempts")), (504, Some("1")));
    scene.until_metric("weir_engine_breaker", &[], 1.0).await;
    scene.engines.iter().for_each(|engine| engine.answer(Answer::json("{}")));
    assert_eq!(scene.chat(PLAIN).await.status(), 200, "the other replica is still trusted");
    scene.settle().await;
}

const ROUTE: &str = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\nsse_keep_alive = \"150ms\"\n";

#[tokio::test]
async fn a_long_prefill_is_bridged_with_comments() {
    let scene = Scene::with(1, Text { rest: ROUTE, ..Text::default() }).await;
    scene.engine().answer(Answer::events(&[TOKEN, STOP, DONE]).after(4 * SHORT));
    let response = scene.chat(STREAM).await;
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let comments = response.text().matches(": keep-alive\n\n").count();
    assert!(comments >= 3, "{comments} comments in {:?}", 4 * SHORT);
    let answer = response.text().replace(": keep-alive\n\n", "");
    assert_eq!(answer, [TOKEN, STOP, DONE].map(String::from_utf8_lossy).concat());
    let (head, first) = (response.reads[0].at, String::from_utf8_lossy(&response.reads[0].bytes).into_owned());
    let comment = response.reads.iter().find(|read| String::from_utf8_lossy(&read.bytes).contains(": keep-alive"));
    let late = comment.unwrap().at - head;
    assert!(late < Duration::from_millis(100), "the first comment comes with the head, not {late:?} after: {first}");
    scene.settle().await;
}

#[tokio::test]
async fn a_comment_is_the_commit_point() {
    let scene = Scene::with(2, Text { rest: ROUTE, ..Text::default() }).await;
    scene.engines.iter().for_each(|engine| engine.answer(Answer::default().close().after(2 * SHORT)));
    let response = scene.chat(STREAM).await;
    assert_eq!((response.status(), scene.reached()), (200, 1));
    assert!(response.text().starts_with(": keep-alive\n\n"), "{}", response.text());
    assert!(response.text().contains("engine_broke") && !response.text().contains("[DONE]"), "{}", response.text());
    scene.engines.iter().for_each(|engine| engine.answer(Answer::status(400, "{}").after(2 * SHORT)));
    let response = scene.chat(STREAM).await;
    assert!(response.text().contains("engine_status"), "{}", response.text());
    scene.settle().await;
}

#[tokio::test]
async fn comments_never_stand_inside_an_event() {
    let scene = Scene::with(1, Text { rest: ROUTE, ..Text::default() }).await;
    let half = TOKEN.len() / 2;
    let slow = Answer::begin_stream().piece(TOKEN).piece(&TOKEN[..half]).pause(2 * SHORT).piece(&TOKEN[half..]);
    scene.engine().answer(slow.pause(2 * SHORT).piece(STOP).piece(DONE).end_chunks());
    let text = scene.chat(STREAM).await.text();
    assert!(text.contains(": keep-alive\n\n"), "{text}");
    let answer = text.replace(": keep-alive\n\n", "");
    assert_eq!(answer, [TOKEN, TOKEN, STOP, DONE].map(String::from_utf8_lossy).concat());
    scene.settle().await;
}

#[tokio::test]
async fn comments_and_error_events_fit_also_where_the_engine_announced_a_length() {
    let scene = Scene::with(1, Text { rest: ROUTE, ..Text::default() }).await;
    let body = [TOKEN, STOP, DONE].concat();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n", body.len());
    let begun = Answer::raw([head.as_bytes(), TOKEN].concat());
    scene.engine().answer(begun.clone().pause(2 * SHORT).send([STOP, DONE].concat()));
    let text = scene.chat(STREAM).await.text();
    assert!(text.contains(": keep-alive\n\n"), "{text}");
    assert_eq!(text.replace(": keep-alive\n\n", "").as_bytes(), body);
    scene.engine().answer(begun.close());
    let response = scene.chat(STREAM).await;
    assert!(response.text().contains("engine_broke"), "{}", response.text());
    assert_eq!(response.ending, Ending::Whole);
    scene.settle().await;
}
