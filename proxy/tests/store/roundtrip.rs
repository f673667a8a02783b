//! What went in comes out.

use serde_json::{Map, Value, json};
use uuid::Uuid;
use weir::exchange::stored::{Stored, StoredAttempt, StoredEvent, StoredExchange, StoredGap};

use crate::support::{
    MemorySpool, NOON, config, drain, encoded, encoded_exchange, exchange, ready, sink_config, start,
};

/// An exchange in which no field has its default, so that a column that is not written shows.
fn full() -> StoredExchange {
    let attempt = |n: u64| StoredAttempt {
        engine: format!("engine-{n}"),
        replica: format!("10.0.0.{n}:8000"),
        started_us: 10 * n,
        took_us: 20 * n,
        status: 500 + n as u16,
        error_kind: "engine_status".into(),
    };
    let mut value = serde_json::to_value(StoredExchange::default()).unwrap();
    for (n, (name, field)) in value.as_object_mut().unwrap().iter_mut().enumerate() {
        *field = match &*field {
            Value::String(_) => json!(format!("{name} ↯ \"quoted\"\n\t{n}")),
            Value::Bool(_) => json!(true),
            Value::Number(number) if number.is_f64() => json!(0.125),
            Value::Number(_) => json!(n + 1),
            other => other.clone(),
        };
    }
    value["exchange_id"] = json!(Uuid::from_u128(0x0195_1234_5678_7abc_8def_0123_4567_89ab));
    value["cache_source"] = json!(Uuid::from_u128(0x0195_1234_5678_7abc_8def_0123_4567_89ac));
    value["started_at"] = json!(NOON + 123_456);
    value["total_us"] = json!(u64::from(u32::MAX) + 77);
    value["finish_reasons"] = json!(["stop", "length"]);
    value["attempts"] = json!([attempt(1), attempt(2)]);
    value["request_headers"] = json!([["content-type", "application/json"], ["x-twice", "1"], ["x-twice", "2"]]);
    serde_json::from_value(value).unwrap()
}

async fn row(client: &clickhouse::Client, sql: &str) -> Map<String, Value> {
    let client = client.clone().with_setting("output_format_json_quote_64bit_integers", "0");
    let mut cursor = client.query_raw(sql).fetch_bytes("JSONEachRow").unwrap();
    serde_json::from_slice(&cursor.collect().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_an_exchange_comes_back_as_it_was() {
    let full = full();
    let (before, default) =
        (serde_json::to_value(&full).unwrap(), serde_json::to_value(StoredExchange::default()).unwrap());
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    spool.append(encoded_exchange(full));
    drain(sink_config(dir.path()), &spool, &store).await;

    let sql = "SELECT * EXCEPT (`attempts.engine`, `attempts.replica`, `attempts.started_us`, `attempts.took_us`, \
               `attempts.status`, `attempts.error_kind`) REPLACE (toUnixTimestamp64Micro(started_at) AS started_at), \
               arrayMap((engine, replica, started_us, took_us, status, error_kind) -> \
               map('engine', engine, 'replica', replica, 'started_us', toString(started_us), 'took_us', toString(took_us), \
               'status', toString(status), 'error_kind', error_kind), attempts.engine, attempts.replica, \
               attempts.started_us, attempts.took_us, attempts.status, attempts.error_kind) AS attempts FROM exchanges";
    let mut after = row(&client, sql).await;
    let contents = "SELECT * EXCEPT (request_headers) REPLACE (toUnixTimestamp64Micro(started_at) AS started_at), \
                    CAST(request_headers, 'Array(Tuple(String, String))') AS request_headers FROM exchange_contents";
    let contents = row(&client, contents).await;
    for shared in ["exchange_id", "started_at", "tenant", "route"] {
        assert_eq!(contents[shared], after[shared], "{shared}");
    }
    after.extend(contents);
    after.extend(row(&client, "SELECT fingerprint_json FROM fingerprints FINAL").await);
    for (name, value) in before.as_object().unwrap() {
        assert_ne!(*value, default[name], "{name} is not filled in by this test");
        let expected = if name == "attempts" { words(value) } else { value.clone() };
        assert_eq!(after.get(name), Some(&expected), "{name}");
    }
}

/// Attempts with their numbers as words, as the query gives them.
fn words(attempts: &Value) -> Value {
    let word = |value: &Value| value.as_str().map_or_else(|| json!(value.to_string()), |text| json!(text));
    let attempts = attempts.as_array().unwrap().iter();
    attempts
        .map(|attempt| {
            attempt.as_object().unwrap().iter().map(|(name, value)| (name.clone(), word(value))).collect::<Value>()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_events_come_back_as_they_were() {
    let gap = StoredGap {
        gap_id: Uuid::from_u128(7),
        from_at: NOON,
        to_at: NOON + 5,
        reason: "spool_full".into(),
        lost: 9,
        instance: "a".into(),
    };
    let event = StoredEvent {
        event_id: Uuid::from_u128(8),
        at: NOON + 1,
        kind: "engine_changed".into(),
        exchange_id: Uuid::from_u128(9),
        tenant: "acme".into(),
        route: "chat".into(),
        engine: "primary".into(),
        detail: "{\"from\":\"a\"}".into(),
        instance: "a".into(),
    };
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    spool.append(encoded(&Stored::Gap(gap.clone())));
    spool.append(encoded(&Stored::Event(event.clone())));
    drain(sink_config(dir.path()), &spool, &store).await;

    let gaps = "SELECT * REPLACE (toUnixTimestamp64Micro(from_at) AS from_at, toUnixTimestamp64Micro(to_at) AS to_at) FROM gaps";
    assert_eq!(Value::Object(row(&client, gaps).await), serde_json::to_value(gap).unwrap());
    let events = "SELECT * REPLACE (toUnixTimestamp64Micro(at) AS at) FROM events";
    assert_eq!(Value::Object(row(&client, events).await), serde_json::to_value(event).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_whatever_their_case_in_any_script() {
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    for (n, text) in
        ["Please REFUND my order", "Верните ДЕНЬГИ за заказ", "nothing of the kind"].into_iter().enumerate()
    {
        let prompt_text = text.to_owned();
        spool.append(encoded_exchange(StoredExchange { prompt_text, ..exchange(n as u32) }));
    }
    drain(sink_config(dir.path()), &spool, &store).await;
    for (word, expected) in [("refund", 1), ("Деньги", 1), ("refunds", 0), ("kind", 1)] {
        let sql = "SELECT count() FROM exchange_contents WHERE hasAllTokens(prompt_text, {word:String})";
        let found = client.query_raw(sql).param("word", word).fetch_one::<u64>().await.unwrap();
        assert_eq!(found, expected, "{word}");
    }
}
