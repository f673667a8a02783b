//! Time and room: events arrive when they were sent, and a reader that does not read costs
//! nobody else.

use std::net::SocketAddr;
use std::time::Duration;

use harness::client::request;
use harness::{Answer, Client};

use crate::scene::{CHAT, DONE, PLAIN, STREAM, Scene, TOKEN, Text, timed};

/// Waits between events, as the client sees them, sorted.
async fn waits(address: SocketAddr, rounds: usize) -> Vec<Duration> {
    let mut client = Client::connect(address).await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..rounds {
        client.send(&request("POST", CHAT, &[], STREAM)).await.unwrap();
        let response = client.response().await.unwrap();
        assert!(response.reads.len() >= 8, "each event comes by itself: {} reads", response.reads.len());
        waits.extend(response.reads.windows(2).map(|two| two[1].at - two[0].at));
    }
    waits.sort();
    waits
}

#[tokio::test]
async fn events_arrive_when_they_are_sent() {
    let scene = Scene::plain().await;
    let pause = Duration::from_millis(12);
    let events = [&[TOKEN; 10][..], &[DONE]].concat();
    scene.engine().answer(Answer::paced_events(&events, pause));
    let direct = waits(scene.engine().address(), 4).await;
    scene.asking(4);
    let through = waits(scene.weir.data, 4).await;
    let at = |waits: &[Duration], share: usize| waits[(waits.len() - 1) * share / 100];
    let told = |waits: &[Duration]| format!("half {:?}, most {:?}", at(waits, 50), at(waits, 90));
    println!("direct: {}; through Weir: {}", told(&direct), told(&through));
    // Nagle with delayed acknowledgements would make it 40 ms and more.
    assert!(at(&through, 50) < at(&direct, 50) + Duration::from_millis(8), "{}", told(&through));
    assert!(at(&through, 90) < at(&direct, 90) + Duration::from_millis(20), "{}", told(&through));
    scene.settle().await;
}

/// Resident memory of a process in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number of KiB") << 10
}

#[tokio::test]
async fn readers_that_do_not_read_hold_little_and_hinder_nobody() {
    let rest = "[[routes]]\nname = \"r\"\nengines = [\"default\"]\ncapture_bytes = \"64KiB\"";
    let scene = Scene::with(1, Text { rest, ..Text::default() }).await;
    let before = resident(scene.weir.id());
    let event =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(16_000));
    // 24 answers of 8 MB that nobody reads.
    let flood = (0..500).fold(Answer::begin_stream(), |answer, _| answer.piece(event.as_bytes()));
    scene.engine().answer(flood.piece(DONE).end_chunks());
    let mut slow = Vec::new();
    for _ in 0..24 {
        let client = scene.begin_chat(STREAM).await;
        client.shrink_receive_buffer().unwrap();
        slow.push(client);
    }
    for client in &mut slow {
        assert_eq!(client.head().await.unwrap().status(), 200);
    }
    scene.engine().answer(Answer::json("{}"));
    for _ in 0..20 {
        let (response, took) = timed(scene.chat(PLAIN)).await;
        assert_eq!(response.status(), 200);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    let grown = resident(scene.weir.id()).saturating_sub(before);
    println!("24 stalled answers of 8 MB: {} KiB more", grown >> 10);
    assert!(grown < 96 << 20, "{grown} bytes more");
    slow.truncate(1);
    let mut last = slow.pop().unwrap();
    let mut got = 0;
    while got < 256 << 10 {
        got += last.read().await.unwrap().expect("the slow one is still served").bytes.len();
    }
    last.hang_up();
    scene.settle().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_for_too_long_is_cut_and_frees_its_place() {
    let scene = Scene::with(1, Text { rest: "[server]\nstall_timeout = \"500ms\"", ..Text::default() }).await;
    let event = format!("data: {}\n\n", "x".repeat(16_000));
    let flood = (0..1000).fold(Answer::begin_stream(), |answer, _| answer.piece(event.as_bytes()));
    scene.engine().answer(flood.stall());
    let client = scene.begin_chat(STREAM).await;
    client.shrink_receive_buffer().unwrap();
    scene.engine().client_left(0).await;
    scene.until_metric("weir_exchanges_total", &["outcome=\"client_left\""], 1.0).await;
    scene.settle().await;
    drop(client);
}
