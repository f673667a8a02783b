//! What was acknowledged is there once, whatever happens to the child.

use std::time::{Duration, Instant};

use clickhouse::{Client, Row};
use serde::Serialize;
use weir_clickhouse_engine::{Engine, Phase, Stopped};

use crate::support::{Store, client, kill, options, until};

#[derive(Row, Serialize)]
struct Numbered {
    n: u64,
    text: String,
}

const TABLE: &str = "CREATE TABLE numbered (n UInt64, text String) ENGINE = MergeTree ORDER BY n \
                     SETTINGS non_replicated_deduplication_window = 1000";

async fn insert(client: &Client, token: &str, numbers: std::ops::Range<u64>) -> clickhouse::error::Result<()> {
    let client = client.clone().with_setting("insert_deduplication_token", token);
    let mut insert = client.insert::<Numbered>("numbered").await?;
    for n in numbers {
        insert.write(&Numbered { n, text: format!("row {n} ").repeat(20) }).await?;
    }
    insert.end().await
}

async fn counts(client: &Client) -> (u64, u64) {
    client.query("SELECT count(), uniqExact(n) FROM numbered").fetch_one().await.unwrap()
}

async fn insert_until_acknowledged(client: &Client, batch: u64) {
    let began = Instant::now();
    let token = format!("batch-{batch}");
    while let Err(error) = insert(client, &token, batch * 500..(batch + 1) * 500).await {
        assert!(began.elapsed() < Duration::from_secs(30), "batch {batch}: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_insert_is_on_disk_before_it_is_acknowledged() {
    let store = Store::start().await;
    let client = store.client().await;
    let sql = "SELECT countIf(value = '1') FROM system.merge_tree_settings \
               WHERE name IN ('fsync_after_insert', 'fsync_part_directory')";
    assert_eq!(client.query(sql).fetch_one::<u64>().await.unwrap(), 2);
}

#[tokio::test]
async fn the_same_token_is_stored_once() {
    let store = Store::start().await;
    let client = store.client().await;
    client.query(TABLE).execute().await.unwrap();
    insert(&client, "batch 'a\\", 0..10).await.unwrap();
    insert(&client, "batch 'a\\", 0..10).await.unwrap();
    assert_eq!(counts(&client).await, (10, 10));
    insert(&client, "b", 10..20).await.unwrap();
    assert_eq!(counts(&client).await, (20, 20));
}

#[tokio::test]
async fn rows_acknowledged_before_and_after_kills_are_there_once() {
    let store = Store::start().await;
    let client = store.client().await;
    client.query(TABLE).execute().await.unwrap();
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            for batch in 0..60_u64 {
                insert_until_acknowledged(&client, batch).await;
            }
        }
    });
    let mut status = store.running.status();
    for restarts in 1..=3 {
        until("some rows between kills", async || {
            let counted = client.query("SELECT count() FROM numbered").fetch_one::<u64>().await;
            writer.is_finished() || counted.is_ok_and(|count| count >= restarts * 5000)
        })
        .await;
        kill(store.pid());
        let settled = status.wait_for(|now| now.phase == Phase::Ready && now.restarts >= restarts);
        let now = tokio::time::timeout(Duration::from_secs(30), settled).await.unwrap().unwrap().clone();
        assert!(now.last_error.as_deref().unwrap_or_default().contains("signal"), "{now:?}");
    }
    writer.await.unwrap();
    assert_eq!(counts(&client).await, (30_000, 30_000));
}

#[tokio::test]
async fn a_clean_stop_lets_a_running_insert_finish_and_frees_the_directory() {
    let store = Store::start().await;
    let writer = store.client().await;
    writer.query(TABLE).execute().await.unwrap();
    let mut open = writer.insert::<Numbered>("numbered").await.unwrap();
    for n in 0..5000 {
        open.write(&Numbered { n, text: "x".repeat(200) }).await.unwrap();
    }
    until("the insert to run", async || {
        let sql = "SELECT count() FROM system.processes WHERE query_kind = 'Insert'";
        writer.query(sql).fetch_one::<u64>().await.is_ok_and(|running| running == 1)
    })
    .await;
    let stopping = store.running.stop(Duration::from_secs(20));
    let (stopped, ended) = tokio::join!(stopping, open.end());
    ended.unwrap();
    assert_eq!(stopped, Stopped::Clean);
    let again = Engine::spawn(options(store.dir.path())).await.unwrap();
    let reader = client(&again).with_database("w");
    assert_eq!(counts(&reader).await, (5000, 5000));
}
