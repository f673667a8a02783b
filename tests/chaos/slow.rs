//! Clients that ask for much and read nothing.

use std::time::Instant;

use bytes::Bytes;
use harness::client::request;
use harness::wait::until;
use harness::{Answer, Client, Engine, Weir, wire};

use crate::load::{Load, STEADY, fast_answer, latency};
use crate::{alone, processes};

const SLOW: usize = 50;
/// More than all buffers of the kernel between engine and client hold.
const FLOOD_EVENTS: usize = 2048;
const EVENT_BYTES: usize = 16 << 10;
/// What one of them may cost in Weir's memory: the beginning that is kept for its record
/// (`capture_bytes`, 1 MiB, in a buffer that has doubled), and a few pieces under way.
const EACH_BYTES: u64 = 5 << 19;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_cost_little_and_slow_nobody() {
    let _alone = alone().await;
    let engine = Engine::start(fast_answer()).await;
    engine.answer_at("/v1/completions", flood());
    let weir = Weir::before(&engine.url()).await;
    let load = Load::start(weir.data, STEADY);
    load.more(300).await;
    let began = Instant::now();
    load.more(600).await;
    let quiet = (began, Instant::now());
    let before = processes::resident_bytes(weir.id());

    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut client = Client::connect(weir.data).await.unwrap();
        client.shrink_receive_buffer().unwrap();
        client.send(&request("POST", "/v1/completions", &[], br#"{"prompt":"x","stream":true}"#)).await.unwrap();
        client.head().await.unwrap();
        slow.push(client);
    }
    let began = Instant::now();
    load.more(900).await;
    let beside = (began, Instant::now());
    let grown = processes::resident_bytes(weir.id()).saturating_sub(before);
    let floods = || engine.requests().into_iter().filter(|seen| seen.target() == "/v1/completions").collect::<Vec<_>>();
    assert_eq!(floods().iter().filter(|seen| seen.left_at.is_none()).count(), SLOW, "they are all still served");

    let left = Instant::now();
    slow.into_iter().for_each(Client::hang_up);
    until("the engine sees them all leave", || floods().iter().all(|seen| seen.left_at.is_some()).then_some(())).await;
    let last = floods().iter().filter_map(|seen| seen.left_at).max().unwrap();
    let answered = load.stop().await;
    println!(
        "{SLOW} slow readers: {} KiB more memory, the last engine connection closed {:.1?} after they left",
        grown >> 10,
        last.saturating_duration_since(left)
    );
    assert!(grown < SLOW as u64 * EACH_BYTES, "{SLOW} slow readers took {grown} bytes");
    latency(&answered, &[beside]).assert_unmoved(latency(&answered, &[quiet]), "beside slow readers");
}

fn flood() -> Answer {
    let event = format!("data: {{\"choices\":[{{\"index\":0,\"text\":\"{}\"}}]}}\n\n", "x".repeat(EVENT_BYTES));
    let chunk = Bytes::from(wire::chunk(event.as_bytes()));
    (0..FLOOD_EVENTS).fold(Answer::begin_stream(), |answer, _| answer.send(chunk.clone())).end_chunks()
}
