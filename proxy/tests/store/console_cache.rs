//! What the console tells of the cache, from rows in the real ClickHouse.

use serde_json::json;
use uuid::Uuid;
use weir::exchange::stored::{Stored, StoredEvent, StoredExchange};

use crate::console::{recent, served};
use crate::support::{encoded, encoded_exchange};

fn row(n: u32, cache: &str, reason: &str, p: f64) -> StoredExchange {
    StoredExchange { cache: cache.into(), cache_reason: reason.into(), inclusion_probability: p, ..recent(n, 60 + n) }
}

/// An exchange whose texts are known, and a hit of it an hour later.
fn source_and_hit() -> [StoredExchange; 2] {
    let asked = json!({"messages": [{"role": "user", "content": "Which rivers cross Europe?"}]});
    let said = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "The Danube does."}}]});
    let source = StoredExchange {
        request_body: asked.to_string(),
        response_type: "application/json".into(),
        response_body: said.to_string(),
        prompt_text: "Which rivers cross Europe?".into(),
        engine: "primary".into(),
        ..StoredExchange { cache: "miss".into(), cache_reason: "absent".into(), ..recent(40, 3700) }
    };
    let hit = StoredExchange {
        cache_source: source.exchange_id,
        cache_age_us: 3_600_000_000,
        saved_prompt_tokens: 100,
        saved_completion_tokens: 10,
        saved_engine_us: 2_000_000,
        request_body: String::new(),
        response_body: String::new(),
        prompt_text: String::new(),
        completion_text: String::new(),
        prompt_tokens: 0,
        completion_tokens: 0,
        engine: String::new(),
        ..row(41, "hit", "", 0.5)
    };
    [source, hit]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cache_did_is_weighted_and_a_row_that_came_twice_counts_once() {
    let [_, hit] = source_and_hit();
    let shared = StoredExchange { saved_prompt_tokens: 7, saved_completion_tokens: 3, ..row(1, "collapsed", "", 1.0) };
    let rows = [
        hit,
        shared,
        row(2, "miss", "absent", 0.25),
        row(3, "miss", "stale", 1.0),
        row(4, "bypass", "sampled", 1.0),
        row(5, "off", "", 1.0),
        row(6, "", "", 1.0),
    ];
    let served = served(rows.into_iter().map(encoded_exchange).collect(), true).await;
    let told = served.json("/api/cache?range=1h").await["history"].clone();
    // By hand: each row counts 1/p; a shared generation's tokens stand with its exchange.
    let expected = [
        ("hit", 2.0),
        ("collapsed", 1.0),
        ("miss", 5.0),
        ("bypass", 1.0),
        ("looked_up", 8.0),
        ("hit_ratio", 3.0 / 8.0),
        ("bypass_ratio", 1.0 / 9.0),
        ("all_error", (0.5 / 0.25 + 0.75 / 0.0625_f64).sqrt()),
        ("saved_prompt_tokens", 207.0),
        ("saved_completion_tokens", 23.0),
        ("saved_engine_seconds", 4.0),
    ];
    for (name, value) in expected {
        let found = told["sums"][name].as_f64().unwrap();
        assert!((found - value).abs() < 1e-6, "{name}: {found}, not {value}");
    }
    let reasons: Vec<_> = told["reasons"].as_array().unwrap().iter().map(|reason| reason["reason"].clone()).collect();
    assert_eq!(reasons[0], "absent");
    assert_eq!(reasons.len(), 3);
    assert_eq!(told["rows"], 5);
    let none = served.json("/api/cache?range=1h&route=another").await["history"].clone();
    assert_eq!((none["sums"]["all"].as_f64(), none["sums"]["hit_ratio"].is_null()), (Some(0.0), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_shows_the_texts_of_the_exchange_that_it_was_given_from() {
    let [source, hit] = source_and_hit();
    let orphan = StoredExchange { cache_source: Uuid::now_v7(), ..row(42, "hit", "", 1.0) };
    let ids = [source.exchange_id, hit.exchange_id, orphan.exchange_id];
    let served = served([source, hit, orphan].into_iter().map(encoded_exchange).collect(), false).await;
    let page = served.page(&format!("/exchange/{}", ids[1])).await;
    let link = format!("href=\"/exchange/{}\"", ids[0]);
    let view = format!("/exchange/{}/view/request", ids[0]);
    for part in
        ["The Danube does.", "Which rivers cross Europe?", "1 h 00 m earlier", "2.00 s of the engine", &link, &view]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let gone = served.page(&format!("/exchange/{}", ids[2])).await;
    assert!(gone.contains("the exchange that has it is not in the store"), "{gone}");
    let rows = served.page("/exchanges/rows?range=1h&cache=hit").await;
    assert!(rows.contains("Which rivers cross Europe?"), "a hit in the list has its source's words: {rows}");
    for (filter, found) in [("hit", 2), ("miss", 1), ("miss.absent", 1), ("miss.stale", 0), ("bypass", 0), ("x'y", 0)] {
        assert_eq!(served.ids(&format!("range=24h&cache={filter}")).await.0.len(), found, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_did_is_told_once_and_newest_first() {
    let now = recent(0, 0).started_at;
    let event = |n: u128, kind: &str, route: &str, tenant: &str| StoredEvent {
        event_id: Uuid::from_u128(n),
        at: now - 1_000_000 * n as i64,
        kind: kind.into(),
        exchange_id: Uuid::from_u128(if kind == "cache_evicted" { 77 } else { 0 }),
        route: route.into(),
        tenant: tenant.into(),
        detail: json!({"what": "entry", "who": "admin", "by": "session", "from": "10.0.0.7"}).to_string(),
        ..StoredEvent::default()
    };
    let events = [
        event(3, "engine_down", "", ""),
        event(2, "cache_flushed", "", "globex"),
        event(1, "cache_evicted", "default", "acme"),
    ];
    let served = served(events.into_iter().map(|event| encoded(&Stored::Event(event))).collect(), true).await;
    let piece = served.page("/cache/events").await;
    assert_eq!(piece.matches("<tr data-event=").count(), 2, "{piece}");
    assert!(piece.find("data-event=\"cache_evicted\"").unwrap() < piece.find("data-event=\"cache_flushed\"").unwrap());
    for part in ["flushed the tenant", "globex", "in the console", "10.0.0.7", &Uuid::from_u128(77).to_string()] {
        assert!(piece.contains(part), "{part} is not in {piece}");
    }
}
