//! Time that the cache adds to an exchange: canonical form, key, epochs, lookup.
//!
//! Run with `cargo bench -p weir --bench lookup`. Times are those of the fastest of many
//! short rounds, on one thread: what else runs on the machine only ever adds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;
use weir::exchange::cached::About;
use weir::exchange::completion::render::Form;
use weir::exchange::{Api, ExchangeId, Facts, Name, Request};
use weir::inline::cache::{Answer, Config, Control, Metrics, Scope, Store, canonical, key};

const PROSE: &str = "The river rises in the hills above the town, turns the wheel of the old mill, and falls into \
the sea after forty miles; in spring it floods the meadows between 12 and 14 days. ";

fn main() {
    for (what, repeats) in [("1 KB", 5), ("8 KB", 46), ("100 KB", 590)] {
        chat(what, repeats);
    }
}

fn chat(what: &str, repeats: usize) {
    let request = request(repeats);
    let bytes = request.body.len();
    let [tenant, route] = ["tenant", "route"].map(|name| Name::new(name).expect("a good name"));
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("the registry is empty");
    let store = Store::new(&Config::default(), metrics);
    let scope = Scope {
        tenant: &tenant,
        route: &route,
        tenant_epoch: 0,
        route_epoch: 0,
        engine: 7,
        variant: 0,
        keep_cut: false,
        vary: &[],
        max_request_bytes: Config::default().max_request_bytes(),
    };
    let mut out = Vec::new();
    report(what, bytes, "canonical form", || {
        out.clear();
        canonical(Api::Chat, black_box(&request.body), &mut out).expect("the body is clear");
    });
    report(what, bytes, "BLAKE3 of it", || {
        black_box(blake3::hash(black_box(&out)));
    });
    report(what, bytes, "whole key", || {
        black_box(key(black_box(&request), &scope).expect("the request has a key"));
    });
    let made = key(&request, &scope).expect("the request has a key");
    store.insert(answer(made.clone(), &tenant, &route)).expect("there is room");
    let (now, control) = (Instant::now(), Control::default());
    report(what, bytes, "lookup, a hit", || {
        black_box(store.lookup(black_box(&made), now, &control).expect("it was inserted"));
    });
    report(what, bytes, "two epochs", || {
        black_box((store.epochs().tenant(black_box(&tenant)), store.epochs().route(black_box(&route))));
    });
    ["a", "b", "c"].iter().for_each(|name| store.epochs().flush_route(&Name::new(name).expect("a good name")));
    report(what, bytes, "two epochs, after flushes", || {
        black_box((store.epochs().tenant(black_box(&tenant)), store.epochs().route(black_box(&route))));
    });
}

/// Time of a call in the fastest round.
fn report(what: &str, bytes: usize, part: &str, mut call: impl FnMut()) {
    let round = |_| {
        let start = Instant::now();
        (0..50).for_each(|_| call());
        start.elapsed() / 50
    };
    let took: Duration = (0..400).map(round).min().unwrap_or_default();
    eprintln!("{what} ({bytes} bytes), {part}: {:.3} µs", took.as_secs_f64() * 1e6);
}

fn request(repeats: usize) -> Request {
    let tool = json!({"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}});
    let messages =
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROSE.repeat(repeats)}]);
    let body = json!({"model": "m", "messages": messages, "temperature": 0, "max_tokens": 200, "tools": [tool]});
    let mut headers = http::HeaderMap::new();
    for (name, value) in [("content-type", "application/json"), ("user-agent", "bench/1"), ("host", "localhost:8080")] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    Request {
        id: ExchangeId(Uuid::from_u128(7)),
        received_at: UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Chat,
        method: http::Method::POST,
        target: http::uri::PathAndQuery::from_static("/v1/chat/completions"),
        headers,
        body: Bytes::from(body.to_string()),
        facts: Facts::default(),
        again: None,
        deadline: None,
    }
}

fn answer(key: weir::inline::cache::Key, tenant: &Name, route: &Name) -> Answer {
    let about = About {
        source: ExchangeId(Uuid::from_u128(7)),
        model: "m".to_owned(),
        finish_reasons: vec!["stop".to_owned()],
        prompt_tokens: 1,
        completion_tokens: 1,
        engine_time: Duration::from_secs(1),
        prompt: String::new(),
    };
    Answer {
        key,
        content_type: http::HeaderValue::from_static("application/json"),
        headers: http::HeaderMap::new(),
        exchanges: Vec::new(),
        body: Bytes::from_static(b"{}"),
        form: Form::Plain,
        events: 0,
        about: Arc::new(about),
        tenant: tenant.clone(),
        route: route.clone(),
        api: Api::Chat,
        made: Instant::now(),
        made_at: SystemTime::now(),
        ttl: Duration::from_secs(3600),
    }
}
