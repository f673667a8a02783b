//! ClickHouse is killed, or away, or cut off in the middle of an insert.

use std::time::{Duration, Instant};

use harness::wait::{PATIENCE, until_asked};
use harness::weir::Setup;
use harness::{Engine, Weir};

use crate::books::{Books, drained, gated_store};
use crate::load::{Load, STEADY, fast_answer, latency};
use crate::{alone, processes};

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_store_lose_and_double_nothing_and_nobody_waits_longer() {
    let _alone = alone().await;
    let engine = Engine::start(fast_answer()).await;
    // Small batches in quick succession, so that kills find an insert under way.
    let config = format!("sink.flush_interval = \"20ms\"\n[engines.scripted]\nreplicas = [\"{}\"]\n", engine.url());
    let mut weir = Setup::config(config).start().await;
    until_stored(&weir, 0.0).await;
    let load = Load::start(weir.data, STEADY);
    let (mut quiet, mut outages) = (Vec::new(), Vec::new());
    let mut child = processes::store_child(weir.id(), None).await;
    for _ in 0..5 {
        let began = Instant::now();
        load.more(300).await;
        quiet.push((began, Instant::now()));
        let stored = weir.metric("weir_sink_rows_total", &["table=\"exchanges\""]).await.unwrap();
        let killed = Instant::now();
        processes::kill(child);
        child = processes::store_child(weir.id(), Some(child)).await;
        until_stored(&weir, stored).await;
        outages.push((killed, Instant::now()));
    }
    load.more(100).await;
    let answered = load.stop().await;
    let away: Vec<Duration> = outages.iter().map(|(from, to)| *to - *from).collect();
    println!("from kill to the next stored row: {away:.1?}");
    assert_eq!(weir.metric("weir_recorder_lost_total", &[]).await, Some(0.0));
    drained(&weir).await;
    assert!(weir.terminate().await.success());
    let books = Books::of_stopped(&weir).await;
    let ids = books.hold_all(&answered).await;
    println!("{} answered, {} stored, in 5 kills of the store", answered.len(), ids.len());
    assert_eq!(ids.len(), answered.len());
    latency(&answered, &outages).assert_unmoved(latency(&answered, &quiet), "kills of the store");
    books.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_late_and_is_cut_off_again_and_again_gets_everything_once() {
    let _alone = alone().await;
    let (mut gate, url, books) = gated_store();
    let engine = Engine::start(fast_answer()).await;
    let mut weir = Setup::engine(&engine.url()).variable("CLICKHOUSE_URL", &url).start().await;
    let load = Load::start(weir.data, STEADY);
    let began = Instant::now();
    // Nothing listens there: the records wait, and the lag tells for how long.
    let lag = until_asked("the lag grows", PATIENCE, async || {
        weir.metric("weir_sink_lag_seconds", &[]).await.filter(|lag| *lag > 3.0)
    })
    .await;
    let absent = (began, Instant::now());
    println!("after {:.1?} without a store the lag is {lag:.1} s", began.elapsed());
    assert!(lag <= began.elapsed().as_secs_f64() + 1.0, "the lag is no older than the load");
    assert_eq!(weir.metric("weir_store_ready", &[]).await, Some(0.0));
    assert!(weir.metric("weir_spool_records", &[]).await.unwrap() > 100.0);
    gate.open();
    until_stored(&weir, 0.0).await;
    let mut cuts = 0;
    for round in 0..12_u64 {
        let stored = weir.metric("weir_sink_rows_total", &["table=\"exchanges\""]).await.unwrap();
        gate.close().await;
        load.more(40 + 13 * round).await;
        gate.open();
        until_stored(&weir, stored).await;
        cuts += 1;
    }
    let calm = Instant::now();
    load.more(600).await;
    let calm = (calm, Instant::now());
    let answered = load.stop().await;
    drained(&weir).await;
    until_asked("the lag is over", PATIENCE, async || {
        weir.metric("weir_sink_lag_seconds", &[]).await.filter(|lag| *lag == 0.0)
    })
    .await;
    assert_eq!(weir.metric("weir_recorder_lost_total", &[]).await, Some(0.0));
    assert!(weir.terminate().await.success());
    let ids = books.hold_all(&answered).await;
    println!("{} answered, {} stored, through {cuts} cuts", answered.len(), ids.len());
    assert_eq!(ids.len(), answered.len());
    latency(&answered, &[absent]).assert_unmoved(latency(&answered, &[calm]), "without a store");
}

/// Waits until more than so many rows were stored by this process.
async fn until_stored(weir: &Weir, rows: f64) {
    until_asked("the store is ready and rows arrive", 3 * PATIENCE, async || {
        let metrics = weir.metrics().await;
        let stored = harness::weir::sum_of(&metrics, "weir_sink_rows_total", &["table=\"exchanges\""]);
        let ready = harness::weir::sum_of(&metrics, "weir_store_ready", &[]) == Some(1.0);
        (ready && stored.is_some_and(|stored| stored > rows || rows == 0.0)).then_some(())
    })
    .await;
}
