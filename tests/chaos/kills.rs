//! Weir itself is killed, or asked to end, under load.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use harness::client::request;
use harness::{Answer, Client, Engine, Weir};

use crate::books::{Books, drained, statuses};
use crate::load::{Answered, Load, STEADY, fast_answer};
use crate::{alone, processes};

/// Records reach the disk in the order in which they are offered, which is about the order in
/// which clients have their answers. An answer older by this than one that was stored was
/// therefore acknowledged by the spool, however slow the disk was at that moment.
const OUT_OF_ORDER: Duration = Duration::from_millis(100);
/// The recorder wakes every 5 ms; a disk shared with compilers may keep it for longer.
const LONGEST_IN_MEMORY: Duration = Duration::from_secs(2);
const KILLS: usize = 4;

/// One life of Weir: when it was killed, and what clients were told before.
struct Life {
    killed: Instant,
    answered: Vec<Answered>,
}

impl Life {
    /// Checks that what was on disk is among the stored; gives how many are not, and the age of
    /// the newest that is.
    fn check(&self, stored: &HashSet<String>) -> (usize, Duration) {
        let (kept, missing): (Vec<_>, Vec<_>) = self.answered.iter().partition(|answer| stored.contains(&answer.id));
        let newest = kept.iter().map(|answer| answer.at).max().expect("something was stored");
        let lost: Vec<Duration> = missing.iter().map(|answer| self.killed - answer.at).collect();
        let acknowledged = missing.iter().filter(|answer| answer.at + OUT_OF_ORDER < newest).count();
        let age = self.killed.saturating_duration_since(newest);
        assert_eq!(acknowledged, 0, "of {}; ages {lost:.1?} at the kill, newest {age:.1?}", self.answered.len());
        assert!(age < LONGEST_IN_MEMORY, "nothing of the last {age:.1?} was on disk");
        (missing.len(), age)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_disk_survives_kills_of_weir_and_is_stored_once() {
    let _alone = alone().await;
    let engine = Engine::start(fast_answer()).await;
    let mut weir = Weir::before(&engine.url()).await;
    let mut lives = Vec::new();
    for kill in 0..KILLS {
        let store = processes::store_child(weir.id(), None).await;
        let load = Load::start(weir.data, STEADY);
        // A different phase of batches and their deliveries at each kill.
        load.more(400 + 170 * kill as u64).await;
        weir.kill().await;
        let killed = Instant::now();
        lives.push(Life { killed, answered: load.stop().await });
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
    let ids = books.ids().await;
    let answered: usize = lives.iter().map(|life| life.answered.len()).sum();
    let missing: Vec<_> = lives.iter().map(|life| life.check(&ids)).collect();
    let lost = books.number("SELECT sum(lost) FROM gaps FINAL").await;
    println!(
        "{answered} answers, {} stored; missing, and age of the newest stored, at each kill: {missing:.1?}",
        ids.len()
    );
    println!("{lost} lost by the gaps (records whose writing was cut off)");
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
