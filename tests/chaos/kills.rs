//! Weir itself is killed, or asked to end, under load.

use std::time::{Duration, Instant};

use harness::client::request;
use harness::{Answer, Client, Engine, Weir};

use crate::books::{Books, drained, statuses};
use crate::load::{Answered, Load, STEADY, fast_answer};
use crate::{alone, processes};

/// A record is on disk once the recorder has woken (5 ms) and written; an answer older than
/// this at the moment of the kill must be in the store, however loaded the machine is.
const SURELY_ON_DISK: Duration = Duration::from_millis(250);
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_disk_survives_kills_of_weir_and_is_stored_once() {
    let _alone = alone().await;
    let engine = Engine::start(fast_answer()).await;
    let mut weir = Weir::before(&engine.url()).await;
    let (mut must, mut may): (Vec<Answered>, Vec<Answered>) = Default::default();
    for kill in 0..KILLS {
        let store = processes::store_child(weir.id(), None).await;
        let load = Load::start(weir.data, STEADY);
        // A different phase of batches and their deliveries at each kill.
        load.more(400 + 170 * kill as u64).await;
        let killed = Instant::now();
        weir.kill().await;
        let answered = load.stop().await;
        let (early, late) = answered.into_iter().partition(|answer| answer.at + SURELY_ON_DISK < killed);
        must.append(&mut { early });
        may.append(&mut { late });
        processes::gone(store).await;
        let gone_after = killed.elapsed();
        let began = Instant::now();
        weir = weir.start_again().await;
        println!("kill {kill}: its store was gone after {gone_after:.2?}, ready again in {:.2?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(10), "a restart takes seconds");
    }
    drained(&weir).await;
    assert!(weir.terminate().await.success());
    let books = Books::of_stopped(&weir).await;
    let ids = books.hold_all(&must).await;
    let kept = may.iter().filter(|answer| ids.contains(&answer.id)).count();
    let lost = books.number("SELECT sum(lost) FROM gaps FINAL").await;
    println!(
        "{} answers well before a kill, all stored; {kept} of {} at a kill; {} rows; {lost} lost by the gaps",
        must.len(),
        may.len(),
        ids.len()
    );
    books.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_nothing_and_lets_streams_end() {
    let _alone = alone().await;
    let events = ["data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"; 20];
    let events = events.into_iter().chain(["data: [DONE]\n\n"]).collect::<Vec<_>>();
    let engine = Engine::start(fast_answer()).await;
    engine.answer_at("/v1/completions", Answer::paced_events(&events, Duration::from_millis(50)));
    let mut weir = Weir::before(&engine.url()).await;
    let load = Load::start(weir.data, STEADY);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(weir.data).await.unwrap();
        client.send(&request("POST", "/v1/completions", &[], br#"{"prompt":"a","stream":true}"#)).await.unwrap();
        client.until("\"a\"").await.unwrap();
        streams.push(client);
    }
    load.more(500).await;
    let began = Instant::now();
    assert!(weir.terminate().await.success());
    let took = began.elapsed();
    let mut answered = load.stop().await;
    for stream in &mut streams {
        let response = stream.response().await.unwrap();
        assert!(response.text().ends_with("data: [DONE]\n\n"), "{}", response.text());
        let id = response.header("x-weir-exchange").unwrap().to_owned();
        answered.push(Answered { id, status: response.status(), at: began, took });
    }
    weir = weir.start_again().await;
    drained(&weir).await;
    assert!(weir.terminate().await.success());
    let books = Books::of_stopped(&weir).await;
    let ids = books.hold_all(&answered).await;
    println!("{:?} answered, {} stored, stop took {took:.2?}", statuses(&answered), ids.len());
    assert_eq!(books.number("SELECT count() FROM gaps").await, 0);
    books.close().await;
}
