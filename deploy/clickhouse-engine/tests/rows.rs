//! Typed rows through the official client.

use std::collections::HashMap;

use clickhouse::{Client, Row, error::Error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::Store;

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Sample {
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    tenant: String,
    note: Option<String>,
    scores: Vec<f32>,
    /// Milliseconds since the epoch: DateTime64(3).
    at: i64,
    labels: HashMap<String, u32>,
}

async fn table(client: &Client) {
    let ddl = "CREATE TABLE samples (id UUID, tenant LowCardinality(String), note Nullable(String), \
               scores Array(Float32), at DateTime64(3), labels Map(String, UInt32)) \
               ENGINE = MergeTree ORDER BY (tenant, at)";
    client.query(ddl).execute().await.unwrap();
}

fn sample(n: u32) -> Sample {
    Sample {
        id: Uuid::from_u128(u128::from(n) << 64 | 7),
        tenant: format!("tenant {} \\ ' я", n % 3),
        note: n.is_multiple_of(2).then(|| format!("line\nbreak\t{n}\n\nblank")),
        scores: (0..n % 5).map(|index| index as f32 / 2.0).collect(),
        at: 1_700_000_000_000 + i64::from(n),
        labels: HashMap::from([("a".to_string(), n), ("b".to_string(), 1)]),
    }
}

async fn write(client: &Client, samples: &[Sample]) {
    let mut insert = client.insert::<Sample>("samples").await.unwrap();
    for sample in samples {
        insert.write(sample).await.unwrap();
    }
    insert.end().await.unwrap();
}

#[tokio::test]
async fn every_type_comes_back_as_it_went_in() {
    let store = Store::start().await;
    let client = store.client().await;
    table(&client).await;
    let written: Vec<_> = (0..1000).map(sample).collect();
    write(&client, &written).await;
    let read = client.query("SELECT ?fields FROM samples ORDER BY at").fetch_all::<Sample>().await.unwrap();
    assert_eq!(read, written);
    let bound = client
        .query("SELECT ?fields FROM samples WHERE tenant = ? AND note IS NOT NULL ORDER BY at LIMIT 1")
        .bind(sample(3).tenant)
        .fetch_one::<Sample>()
        .await
        .unwrap();
    assert_eq!(bound, sample(0));
    let named = client
        .query("SELECT count() FROM samples WHERE tenant = {tenant: String} AND at < {at: DateTime64(3)}")
        .param("tenant", sample(1).tenant)
        .param("at", "2099-01-01 00:00:00.000")
        .fetch_one::<u64>()
        .await
        .unwrap();
    assert_eq!(named, 333);
}

#[tokio::test]
async fn a_large_result_streams_without_a_repeated_header() {
    let store = Store::start().await;
    let client = store.client().await;
    let mut cursor = client.query("SELECT number FROM numbers(1000000)").fetch::<u64>().unwrap();
    let mut expected = 0;
    while let Some(number) = cursor.next().await.unwrap() {
        assert_eq!(number, expected);
        expected += 1;
    }
    assert_eq!(expected, 1_000_000);
    let none = client.query("SELECT number FROM numbers(0)").fetch_all::<u64>().await.unwrap();
    assert_eq!(none, [0_u64; 0]);
}

#[tokio::test]
async fn an_error_says_what_is_wrong_before_and_inside_a_result() {
    let store = Store::start().await;
    let client = store.client().await;
    let early = client.query("SELECT * FROM nothing").fetch_one::<u64>().await.unwrap_err();
    assert!(matches!(&early, Error::BadResponse(text) if text.contains("UNKNOWN_TABLE")), "{early}");
    let mut cursor =
        client.query("SELECT toUInt64(throwIf(number = 900000)) FROM numbers(1000000)").fetch::<u64>().unwrap();
    let late = loop {
        match cursor.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a cut result looked complete"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&late, Error::BadResponse(text) if text.contains("Code: 395")), "{late}");
}

#[tokio::test]
async fn a_refused_insert_tells_the_reason_and_stores_nothing() {
    let store = Store::start().await;
    let client = store.client().await;
    client.query("CREATE TABLE short (a FixedString(2)) ENGINE = MergeTree ORDER BY a").execute().await.unwrap();
    let mut insert = client.insert_formatted_with("INSERT INTO short FORMAT CSV");
    let sent = insert.send("ab\ntoo long\n".into()).await;
    let error = sent.err().or(insert.end().await.err()).unwrap();
    assert!(matches!(&error, Error::BadResponse(text) if text.contains("Code: 131")), "{error}");
    let count = client.query("SELECT count() FROM short").fetch_one::<u64>().await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn an_insert_that_the_client_abandons_stores_nothing() {
    let store = Store::start().await;
    let client = store.client().await;
    table(&client).await;
    let mut insert = client.insert::<Sample>("samples").await.unwrap();
    for n in 0..20_000 {
        insert.write(&sample(n)).await.unwrap();
    }
    drop(insert);
    write(&client, &[sample(1)]).await;
    let count = client.query("SELECT count() FROM samples").fetch_one::<u64>().await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn compressed_rows_are_refused_with_the_cure() {
    let store = Store::start().await;
    let client = store.client().await.with_compression(clickhouse::Compression::Lz4);
    table(&client).await;
    let mut insert = client.insert::<Sample>("samples").await.unwrap();
    let written = insert.write(&sample(1)).await;
    let error = written.err().or(insert.end().await.err()).unwrap();
    assert!(error.to_string().contains("Compression::None"), "{error}");
}
