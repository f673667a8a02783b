//! Tables appear, stay, and change only as told.

use std::time::Duration;

use tokio::time::timeout;
use weir::background::sink::CONTENT_CODES;
use weir::background::store::{State, read_only};
use weir::exchange::Period;

use crate::support::{
    MemorySpool, PATIENCE, config, count, drain, encoded_exchange, exchange, ready, sink_config, start, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_gets_every_table_once_however_often_weir_starts() {
    let config = config();
    let mut histories = Vec::new();
    for _ in 0..2 {
        let store = start(&config);
        let client = ready(&store).await;
        let text = ["exchange_contents", "exchange_rounds"];
        for table in ["exchanges", "verdicts", "events", "gaps", "fingerprints"].into_iter().chain(text) {
            assert_eq!(count(&client, table).await, 0, "{table}");
        }
        let sql = "SELECT version, name, checksum, toString(applied_at) FROM migrations ORDER BY version";
        histories.push(client.query_raw(sql).fetch_all::<(u32, String, String, String)>().await.unwrap());
        store.stop(PATIENCE).await;
    }
    assert!(histories[0].len() >= 4);
    assert_eq!(histories[0], histories[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_start_at_once_end_with_one_history() {
    let config = config();
    let (one, other) = (start(&config), start(&config));
    let client = ready(&one).await;
    ready(&other).await;
    let doubled = "(SELECT version FROM migrations FINAL GROUP BY version HAVING count() > 1)";
    assert_eq!(count(&client, doubled).await, 0);
    assert!(count(&client, "migrations FINAL").await >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_changed_after_it_ran_is_refused() {
    let config = config();
    let store = start(&config);
    let client = ready(&store).await;
    let sql = "INSERT INTO migrations SELECT version, name, 'other', applied_at + 1 FROM migrations WHERE version = 2";
    client.query_raw(sql).execute().await.unwrap();
    store.stop(PATIENCE).await;

    let store = start(&config);
    let mut state = store.state();
    let failing = timeout(PATIENCE, state.wait_for(|state| matches!(state, State::Failing { .. }))).await;
    let State::Failing { error, .. } = failing.expect("fails in time").unwrap().clone() else { unreachable!() };
    assert!(error.contains("migration 0002_exchange_contents was changed after it was applied"), "{error}");
    assert!(store.clients().borrow().is_none(), "nobody may write to tables that are not understood");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_retention_is_applied_at_the_next_start() {
    let mut config = config();
    let ttl = |table: &str| {
        format!("SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{table}'")
    };
    for (metadata, content) in [(90, 14), (30, 14), (30, 7)] {
        config.retention.metadata = Period::secs(metadata * 86_400);
        config.retention.content = Period::secs(content * 86_400);
        let store = start(&config);
        let client = ready(&store).await;
        let kept_long = ["exchanges", "verdicts", "events", "gaps"].map(|table| (table, metadata));
        let kept_short = ["exchange_contents", "exchange_rounds"].map(|table| (table, content));
        for (table, days) in kept_long.into_iter().chain(kept_short) {
            let engine = client.query_raw(&ttl(table)).fetch_one::<String>().await.unwrap();
            assert!(engine.contains(&format!("toIntervalSecond({})", days * 86_400)), "{table}: {engine}");
        }
        store.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_goes_when_its_time_is_over_and_the_metadata_stays() {
    let (mut config, dir, spool) = (config(), tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config);
    let client = ready(&store).await;
    spool.append(encoded_exchange(exchange(1)));
    drain(sink_config(dir.path()), &spool, &store).await;
    assert_eq!(count(&client, "exchange_contents").await, 1);
    store.stop(PATIENCE).await;

    config.retention.content = Period::secs(14 * 86_400);
    let store = start(&config);
    let client = ready(&store).await;
    let left = || async {
        client.query_raw("OPTIMIZE TABLE exchange_contents FINAL").execute().await.unwrap();
        count(&client, "exchange_contents").await
    };
    until("the text is gone", left, |rows| *rows == 0).await;
    assert_eq!(count(&client, "exchanges").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_client_reads_and_does_nothing_else() {
    let store = start(&config());
    let client = read_only(&ready(&store).await);
    assert_eq!(count(&client, "exchanges").await, 0);
    let query = client.query_raw("SELECT {word:String}").param("word", "a' OR 1");
    assert_eq!(query.fetch_one::<String>().await.unwrap(), "a' OR 1");
    for forbidden in ["DROP TABLE exchanges", "SELECT * FROM file('/etc/passwd', 'LineAsString')"] {
        assert!(client.query_raw(forbidden).execute().await.is_err(), "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codes_that_blame_rows_have_these_names_in_the_engine() {
    let store = start(&config());
    let client = ready(&store).await;
    for (code, name) in CONTENT_CODES {
        let query = client.query_raw("SELECT toString(errorCodeToName({code:UInt32}))").param("code", code);
        assert_eq!(query.fetch_one::<String>().await.unwrap(), name);
    }
}
