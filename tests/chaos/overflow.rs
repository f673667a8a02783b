//! The hand-over between request path and recorder is too small.

use std::time::{Duration, Instant};

use harness::Engine;
use harness::weir::Setup;

use crate::alone;
use crate::books::{drained, gated_store};
use crate::load::{Load, Pace, fast_answer, latency};

const BURST: Pace = Pace { clients: 48, pause: Duration::from_millis(4), prompt_bytes: 2000 };

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_overflows_the_outbox_is_counted_and_slows_nobody() {
    let _alone = alone().await;
    let (mut gate, url, books) = gated_store();
    gate.open();
    let engine = Engine::start(fast_answer()).await;
    let mut told = Vec::new();
    let mut latencies = Vec::new();
    for max_records in [16_384, 4] {
        let config =
            format!("outbox.max_records = {max_records}\n[engines.scripted]\nreplicas = [\"{}\"]\n", engine.url());
        let mut weir = Setup::config(config).variable("CLICKHOUSE_URL", &url).start().await;
        let began = Instant::now();
        let load = Load::start(weir.data, BURST);
        load.more(2500).await;
        let answered = load.stop().await;
        drained(&weir).await;
        let refused = weir.metric("weir_outbox_refused_total", &[]).await.unwrap();
        let lost = weir.metric("weir_recorder_lost_total", &["reason=\"outbox_full\""]).await.unwrap();
        assert!(weir.terminate().await.success());
        println!("{} answers with an outbox of {max_records}: {refused} records refused", answered.len());
        assert_eq!((refused > 0.0, refused), (max_records == 4, lost));
        latencies.push(latency(&answered, &[(began, Instant::now())]));
        told.extend(answered);
    }
    let (stored, lost) = (books.ids().await.len() as u64, books.lost("outbox_full").await);
    println!("{} answered = {stored} stored + {lost} lost by the gaps", told.len());
    assert_eq!(stored + lost, told.len() as u64);
    latencies[1].assert_unmoved(latencies[0], "an outbox that overflows");
}
