//! A batch that comes twice is stored once.

use std::time::Duration;

use uuid::Uuid;
use weir::background::sink::Limits;
use weir::exchange::stored::{Stored, StoredEvent, StoredExchange, StoredGap};

use crate::support::{
    MemorySpool, NOON, config, count, drain, encoded, encoded_exchange, exchange, ready, sink_config, start,
};

/// Three days and every kind of record, one of them refused: a batch that touches all there is.
fn varied() -> MemorySpool {
    let spool = MemorySpool::default();
    for n in 0..300 {
        let started_at = NOON + i64::from(n % 3) * 86_400_000_000;
        spool.append(encoded_exchange(StoredExchange { started_at, ..exchange(n) }));
    }
    spool.append(encoded_exchange(StoredExchange { started_at: 5, ..exchange(300) }));
    for n in 0..5 {
        let (gap_id, event_id) = (Uuid::from_u128(n + 1), Uuid::from_u128(n + 1));
        spool.append(encoded(&Stored::Gap(StoredGap { gap_id, from_at: NOON, to_at: NOON, ..StoredGap::default() })));
        spool.append(encoded(&Stored::Event(StoredEvent { event_id, at: NOON, ..StoredEvent::default() })));
    }
    spool.lose(StoredGap { from_at: NOON, to_at: NOON, reason: "torn_tail".into(), lost: 2, ..StoredGap::default() });
    spool
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_delivered_again_after_a_crash_adds_nothing_to_any_table() {
    let (dir, first) = (tempfile::tempdir().unwrap(), varied());
    let store = start(&config());
    let client = ready(&store).await;
    let expected = [
        ("exchanges", 300),
        ("exchange_contents", 300),
        ("verdicts", 3 * 300),
        ("exchange_rounds", 2 * 300),
        ("events", 5),
        ("gaps", 5 + 2),
        ("fingerprints", 1),
    ];
    for (table, _) in expected {
        // A merge would fold doubled rows and hide them.
        client.query_raw(&format!("SYSTEM STOP MERGES {table}")).execute().await.unwrap();
    }
    let limits = Limits { records: 10_000, bytes: usize::MAX, wait: Duration::ZERO };
    let batch = first.take(limits).unwrap();
    for delivery in 1..=3 {
        let again = MemorySpool::with_batch_out(batch.clone());
        drain(sink_config(dir.path()), &again, &store).await;
        for (table, rows) in expected {
            assert_eq!(count(&client, table).await, rows, "{table}, delivery {delivery}");
        }
    }
    let files = std::fs::read_dir(dir.path().join("rejected")).unwrap().count();
    assert_eq!(files, 1, "the refused record is set aside once");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_records_under_another_token_fold_when_the_table_merges() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(&config());
    let client = ready(&store).await;
    client.query_raw("SYSTEM STOP MERGES exchanges").execute().await.unwrap();
    for token in ["one", "other"] {
        let spool = MemorySpool::default();
        spool.append(encoded_exchange(exchange(1)));
        let limits = Limits { records: 1, bytes: usize::MAX, wait: Duration::ZERO };
        let batch = weir::background::sink::Batch { token: token.into(), ..spool.take(limits).unwrap() };
        drain(sink_config(dir.path()), &MemorySpool::with_batch_out(batch), &store).await;
    }
    assert_eq!(count(&client, "exchanges").await, 2);
    assert_eq!(count(&client, "exchanges FINAL").await, 1);
}
