//! Rows that ClickHouse will never take do not hold up the others.

use serde_json::Value;
use weir::exchange::stored::StoredExchange;

use crate::support::{
    MemorySpool, NOON, PATIENCE, config, count, encoded_exchange, exchange, ready, sink_config, start, start_sink,
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn poisoned_records_are_set_aside_with_their_reason_and_the_rest_arrives() {
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    for n in 0..100 {
        let exchange = exchange(n);
        spool.append(match n {
            13 => encoded_exchange(StoredExchange { started_at: -1, ..exchange }),
            50 => vec![0xc1, 0xff],
            77 => encoded_exchange(StoredExchange { inclusion_probability: 2.0, ..exchange }),
            _ => encoded_exchange(exchange),
        });
    }
    let running = start_sink(sink_config(dir.path()), &spool, &store);
    until("all is delivered", || async { spool.delivered() }, |delivered| *delivered == 100).await;

    assert_eq!(count(&client, "exchanges").await, 97);
    // The text of the exchange with the odd probability is fine, and arrives.
    assert_eq!(count(&client, "exchange_contents").await, 98);
    let sql = "SELECT reason, lost, toUnixTimestamp64Micro(from_at), toUnixTimestamp64Micro(to_at) FROM gaps";
    let gaps = client.query_raw(sql).fetch_all::<(String, u64, i64, i64)>().await.unwrap();
    assert_eq!(gaps, [("rejected".to_owned(), 3, NOON + 77, NOON + 77)]);
    assert_eq!(running.metric("weir_sink_rejected_records_total"), 3.0);
    // Rows of exchanges, contents, verdicts, rounds, gaps and fingerprints.
    let rows = 97.0 + 98.0 + 3.0 * 98.0 + 2.0 * 98.0 + 1.0 + 1.0;
    assert_eq!(running.metric("weir_sink_rows_total"), rows);
    running.sink.stop(PATIENCE).await;

    let files: Vec<_> =
        std::fs::read_dir(dir.path().join("rejected")).unwrap().map(|file| file.unwrap().path()).collect();
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<&Value> = lines.iter().map(|line| &line["seq"]).collect();
    assert_eq!((files.len(), seqs), (1, vec![&Value::from(14), &Value::from(51), &Value::from(78)]));
    assert!(lines[0]["reason"].as_str().unwrap().contains("started_at_is_plausible"), "{}", lines[0]);
    assert_eq!(lines[2]["record"]["exchange"]["prompt_text"], "Refund number 77");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_away_for_a_while_is_no_reason_to_set_rows_aside() {
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    client.query_raw("RENAME TABLE exchanges TO hidden").execute().await.unwrap();
    spool.append(encoded_exchange(exchange(1)));
    let running = start_sink(sink_config(dir.path()), &spool, &store);
    until("the sink retries", || async { running.metric("weir_sink_retries_total") }, |retries| *retries >= 2.0).await;
    assert!(running.metric("weir_sink_lag_seconds") > 0.0);
    client.query_raw("RENAME TABLE hidden TO exchanges").execute().await.unwrap();
    until("it is delivered", || async { spool.delivered() }, |delivered| *delivered == 1).await;
    assert_eq!(count(&client, "exchanges").await, 1);
    assert_eq!(running.metric("weir_sink_rejected_records_total"), 0.0);
    until("the lag is gone", || async { running.metric("weir_sink_lag_seconds") }, |lag| *lag == 0.0).await;
}
