//! What went in comes out.

use serde_json::{Map, Value, json};
use uuid::Uuid;
use weir::exchange::stored::{
    Stored, StoredAttempt, StoredEvent, StoredExchange, StoredFinding, StoredGap, StoredRound, StoredVerdict,
};

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
    value["verdicts"] = json!([verdict(1), verdict(0)]);
    value["rounds"] = json!([StoredRound {
        round: 1,
        judged_us: 9,
        completion_tokens: 8,
        response_type: "application/json".into(),
        body: "{}".into(),
        text: "плохо".into(),
    }]);
    value["request_headers"] = json!([["content-type", "application/json"], ["x-twice", "1"], ["x-twice", "2"]]);
    serde_json::from_value(value).unwrap()
}

/// A verdict in which no field has its default, but for its round.
fn verdict(round: u16) -> StoredVerdict {
    let finding = StoredFinding {
        code: "email".into(),
        message: "says \"ivan\"".into(),
        place: "text".into(),
        index: 1,
        span: (2, 5),
        quote: ("до ".into(), "[email]".into(), " после".into()),
    };
    StoredVerdict {
        round,
        critic: format!("critic-{round}"),
        version: "1+abc".into(),
        mode: "enforce".into(),
        outcome: "fail".into(),
        reason: "timed_out".into(),
        score: Some(0.75),
        findings: vec![finding],
        took_us: 10,
        prompt_tokens: 11,
        completion_tokens: 12,
        engine_us: 13,
    }
}

async fn rows(client: &clickhouse::Client, sql: &str) -> Vec<Value> {
    let client = client.clone().with_setting("output_format_json_quote_64bit_integers", "0");
    let bytes = client.query_raw(sql).fetch_bytes("JSONEachRow").unwrap().collect().await.unwrap();
    serde_json::Deserializer::from_slice(&bytes).into_iter().map(Result::unwrap).collect()
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
    let apart = ["verdicts", "rounds"];
    for (name, value) in before.as_object().unwrap().iter().filter(|(name, _)| !apart.contains(&name.as_str())) {
        assert_ne!(*value, default[name], "{name} is not filled in by this test");
        let expected = if name == "attempts" { words(value) } else { value.clone() };
        assert_eq!(after.get(name), Some(&expected), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_and_answers_that_were_not_given_come_back_as_they_were() {
    let full = full();
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    spool.append(encoded_exchange(full.clone()));
    drain(sink_config(dir.path()), &spool, &store).await;

    let sum = "SELECT failed_answers, failed_critics, skipped_critics, judge_prompt_tokens, judge_completion_tokens, \
               judge_engine_us FROM exchanges";
    let expected = json!({"failed_answers": 1, "failed_critics": ["critic-0", "critic-1"],
        "skipped_critics": ["critic-0", "critic-1"], "judge_prompt_tokens": 22, "judge_completion_tokens": 24,
        "judge_engine_us": 26});
    assert_eq!(Value::Object(row(&client, sum).await), expected);

    let verdicts = rows(&client, "SELECT * EXCEPT (exchange_id, started_at) FROM verdicts ORDER BY place").await;
    for (place, (found, before)) in verdicts.iter().zip(&full.verdicts).enumerate() {
        let mut expected = serde_json::to_value(before).unwrap();
        expected.as_object_mut().unwrap().remove("findings");
        expected.as_object_mut().unwrap().extend(Map::from_iter([
            ("codes".to_owned(), json!(["email"])),
            ("place".to_owned(), json!(place)),
            ("tenant".to_owned(), json!(full.tenant)),
            ("route".to_owned(), json!(full.route)),
            ("model".to_owned(), json!(full.model_answered)),
            ("engine".to_owned(), json!(full.engine)),
            ("inclusion_probability".to_owned(), json!(full.inclusion_probability)),
        ]));
        assert_eq!(found, &expected);
    }
    assert_eq!(verdicts.len(), 2);

    let rounds =
        rows(&client, "SELECT * EXCEPT (exchange_id, started_at, tenant, route) FROM exchange_rounds ORDER BY round")
            .await;
    let findings = serde_json::to_string(&full.verdicts[0].findings).unwrap();
    let mut kept = serde_json::to_value(&full.rounds[0]).unwrap();
    kept["findings.place"] = json!([0]);
    kept["findings.found"] = json!([findings]);
    assert_eq!(rounds[1], kept);
    assert_eq!((&rounds[0]["round"], &rounds[0]["findings.place"]), (&json!(0), &json!([1])));
    assert_eq!(rounds.len(), 2);
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
