//! Tests of the exchange metrics, and the sample record that the telemetry tests share.

use std::time::{Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};

use super::*;
use crate::exchange::record::Answerer;
use crate::exchange::{
    Api, Cached, Capture, EngineKind, Error, ExchangeId, Facts, Fingerprint, Name, Request, TraceContext,
};

/// A finished stream of five events with one failed attempt before it.
pub(in crate::telemetry) fn record() -> Record {
    let engine = Name::new("gpu").unwrap();
    let millis = |n| Some(Duration::from_millis(n));
    let attempt = |started: u64, took: u64, status: u16, error: Option<Kind>| Attempt {
        engine: Name::new("gpu").unwrap(),
        replica: "10.0.0.1:8000".into(),
        started: Duration::from_millis(started),
        took: Duration::from_millis(took),
        status,
        error,
    };
    Record {
        request: Request {
            id: ExchangeId(uuid::Uuid::from_u128(7)),
            received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            arrived: Instant::now(),
            api: Api::Chat,
            method: Method::POST,
            target: "/v1/chat/completions?x=PROMPT".parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{\"p\":\"PROMPT\"}"),
            facts: Facts {
                model: Some("small".into()),
                stream: true,
                max_tokens: Some(9),
                choices: 1,
                ..Facts::default()
            },
            again: None,
            deadline: None,
        },
        tenant: Name::new("team").unwrap(),
        route: Name::new("main").unwrap(),
        trace: TraceContext { trace_id: [1; 16], parent_id: [2; 8], span_id: [3; 8], sampled: true },
        engine: Some(Answerer {
            engine,
            kind: EngineKind::Vllm,
            replica: "10.0.0.1:8000".into(),
            fingerprint: Fingerprint::default().into(),
        }),
        attempts: vec![attempt(5, 100, 0, Some(Kind::ConnectTimeout)), attempt(106, 200, 200, None)],
        outcome: Outcome::Complete,
        error: None,
        status: 200,
        response: Capture {
            content_type: "text/event-stream".to_owned(),
            body: BytesMut::from(&b"data: PROMPT"[..]),
            total_bytes: 500,
            events: 5,
            ..Capture::default()
        },
        timings: Timings {
            identified: millis(2),
            admitted: millis(5),
            sent: millis(107),
            head: millis(306),
            first_byte: millis(310),
            first_token: millis(310),
            last_byte: millis(990),
            finished: millis(1000),
            longest_gap: Duration::from_millis(400),
        },
        cache: Cached::default(),
        judged: Default::default(),
    }
}

fn text(registry: &Registry) -> String {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[test]
fn a_record_is_counted_and_timed_under_its_labels() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    metrics.observe(&record());
    let page = text(&registry);
    let expected = [
        "weir_exchanges_total{api=\"chat\",outcome=\"complete\",route=\"main\"} 1",
        "weir_exchange_seconds_sum{api=\"chat\",route=\"main\"} 1",
        "weir_first_token_seconds_sum{engine=\"gpu\",route=\"main\"} 0.31",
        "weir_inter_token_seconds_sum{engine=\"gpu\"} 0.17",
        "weir_longest_gap_seconds_sum{engine=\"gpu\"} 0.4",
        "weir_attempts_total{engine=\"gpu\",outcome=\"connect_timeout\"} 1",
        "weir_attempts_total{engine=\"gpu\",outcome=\"ok\"} 1",
        "weir_request_bytes_total 14",
        "weir_response_bytes_total 500",
        "weir_errors_total{kind=\"engine_broke\",source=\"engine\"} 0",
        concat!("weir_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ];
    for line in expected {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("PROMPT"));
}

#[test]
fn overhead_leaves_out_what_the_engines_took() {
    let overhead = overhead(&record()).unwrap();
    let millis = Duration::from_millis;
    let expected = Overhead { identify: millis(2), queue: millis(3), dispatch: millis(2), finish: millis(10) };
    assert_eq!(overhead, expected);
    let registry = Registry::new();
    Metrics::register(&registry).unwrap().observe(&record());
    assert!(text(&registry).contains("weir_overhead_seconds_sum{phase=\"total\"} 0.014"));
}

#[test]
fn an_exchange_that_ended_badly_tells_no_overhead_but_its_fault() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let mut record = record();
    record.outcome = Outcome::Broken;
    record.error = Some(Error::new(Kind::EngineBroke, "the engine broke"));
    metrics.observe(&record);
    let page = text(&registry);
    assert!(page.contains("weir_errors_total{kind=\"engine_broke\",source=\"engine\"} 1"));
    assert!(page.contains("weir_overhead_seconds_count{phase=\"total\"} 0"));
}

#[test]
fn a_refused_exchange_without_engine_or_moments_is_still_counted() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let mut record = record();
    record.engine = None;
    record.attempts.clear();
    record.outcome = Outcome::Refused;
    record.timings = Timings::default();
    metrics.observe(&record);
    let page = text(&registry);
    assert!(page.contains("weir_exchanges_total{api=\"chat\",outcome=\"refused\",route=\"main\"} 1"));
    assert!(!page.contains("weir_first_token_seconds_sum{"));
}

#[test]
fn tokens_are_counted_by_kind() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let stored = StoredExchange {
        route: "main".to_owned(),
        engine: "gpu".to_owned(),
        prompt_tokens: 40,
        completion_tokens: 9,
        cached_tokens: 32,
        wasted_tokens: 4,
        ..StoredExchange::default()
    };
    metrics.observe_stored(&record(), &stored);
    metrics.observe_stored(&record(), &stored);
    let page = text(&registry);
    for (kind, count) in [("prompt", 80), ("completion", 18), ("cached", 64), ("wasted", 8)] {
        let line = format!("weir_tokens_total{{engine=\"gpu\",kind=\"{kind}\",route=\"main\"}} {count}\n");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("kind=\"reasoning\""));
}
