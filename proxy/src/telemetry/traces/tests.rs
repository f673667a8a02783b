//! Tests against a receiver that reads OTLP as a collector does.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue as Pair, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;
use tokio::net::TcpListener;

use super::super::metrics::tests::record;
use super::*;
use crate::exchange::{Api, Error as ExchangeError, Kind, Outcome};

/// Requests that a collector got: path, content type and message.
type Received = Arc<Mutex<Vec<(String, String, ExportTraceServiceRequest)>>>;

/// A collector that answers the first exports with the given statuses, then with 200.
async fn collector(statuses: Vec<u16>) -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Received::default();
    let (copy, statuses) = (received.clone(), Arc::new(Mutex::new(statuses)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|request| take(request, copy.clone(), statuses.clone()));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    });
    (format!("http://{address}"), received)
}

async fn take(
    request: http::Request<hyper::body::Incoming>,
    received: Received,
    statuses: Arc<Mutex<Vec<u16>>>,
) -> Result<http::Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    let kind = request.headers()["content-type"].to_str().unwrap().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let status = statuses.lock().unwrap().pop().unwrap_or(200);
    if status == 200 {
        received.lock().unwrap().push((path, kind, ExportTraceServiceRequest::decode(body).unwrap()));
    }
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    Ok(http::Response::builder().status(status).body(Full::new(answer.into())).unwrap())
}

fn metrics() -> Metrics {
    Metrics::register(&Registry::new()).unwrap()
}

fn counted(metrics: &Metrics) -> [u64; 3] {
    ["exported", "dropped", "failed"].map(|outcome| metrics.spans.with_label_values(&[outcome]).get())
}

/// Sends records through a tracer to a collector and gives back what arrived.
async fn sent(records: &[(Record, Option<StoredExchange>)], statuses: Vec<u16>) -> (Vec<Span>, Received, [u64; 3]) {
    let (endpoint, received) = collector(statuses).await;
    let metrics = metrics();
    let config = Config { endpoint: Some(endpoint), ..Config::default() };
    let (tracer, exporter) = tracer(&config, "test-1", metrics.clone()).unwrap();
    for (record, stored) in records {
        tracer.offer(record, stored.as_ref());
    }
    drop(tracer);
    let mut exporter = exporter.unwrap();
    exporter.first_pause = Duration::from_millis(1);
    exporter.run().await;
    let spans =
        received.lock().unwrap().iter().flat_map(|(_, _, message)| message.resource_spans.clone()).collect::<Vec<_>>();
    let spans = spans.into_iter().flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect();
    (spans, received, counted(&metrics))
}

fn attribute(attributes: &[Pair], key: &str) -> Option<Any> {
    attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value
}

fn text(attributes: &[Pair], key: &str) -> Option<String> {
    match attribute(attributes, key)? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(attributes: &[Pair], key: &str) -> Option<i64> {
    match attribute(attributes, key)? {
        Any::IntValue(number) => Some(number),
        _ => None,
    }
}

fn stored() -> StoredExchange {
    StoredExchange {
        model_answered: "small-q4".to_owned(),
        prompt_tokens: 11,
        completion_tokens: 5,
        finish_reasons: vec!["stop".to_owned()],
        prompt_text: "PROMPT".to_owned(),
        ..StoredExchange::default()
    }
}

#[tokio::test]
async fn an_exchange_arrives_at_the_collector_as_a_server_span_with_its_attempts() {
    let (spans, received, counts) = sent(&[(record(), Some(stored()))], vec![]).await;
    let (path, kind, message) = received.lock().unwrap()[0].clone();
    assert_eq!((path.as_str(), kind.as_str()), ("/v1/traces", "application/x-protobuf"));
    let resource = message.resource_spans[0].resource.clone().unwrap().attributes;
    assert_eq!(text(&resource, "service.name").as_deref(), Some("weir"));
    assert_eq!(text(&resource, "service.instance.id").as_deref(), Some("test-1"));
    assert_eq!(counts, [3, 0, 0]);

    let [server, failed, answered] = spans.as_slice() else { panic!("{spans:?}") };
    let start = 1_700_000_000_000_000_000;
    assert_eq!((server.trace_id.as_slice(), server.span_id.as_slice()), (&[1; 16][..], &[3; 8][..]));
    assert_eq!(server.parent_span_id, [2; 8]);
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!((server.start_time_unix_nano, server.end_time_unix_nano), (start, start + 1_000_000_000));
    assert_eq!(number(&server.attributes, "http.response.status_code"), Some(200));
    assert_eq!(text(&server.attributes, "weir.outcome").as_deref(), Some("complete"));

    for span in [failed, answered] {
        assert_eq!((span.trace_id.as_slice(), span.parent_span_id.as_slice()), (&[1; 16][..], &[3; 8][..]));
        assert_eq!(span.name, "chat small");
        assert_eq!(text(&span.attributes, "gen_ai.provider.name").as_deref(), Some("vllm"));
        assert_eq!(text(&span.attributes, "server.address").as_deref(), Some("10.0.0.1"));
        assert_eq!(number(&span.attributes, "server.port"), Some(8000));
    }
    assert_ne!(failed.span_id, answered.span_id);
    let millis = |span: &Span| [span.start_time_unix_nano, span.end_time_unix_nano].map(|at| (at - start) / 1_000_000);
    assert_eq!((millis(failed), millis(answered)), ([5, 105], [106, 990]));
    assert_eq!(text(&failed.attributes, "error.type").as_deref(), Some("connect_timeout"));
    assert_eq!(failed.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(attribute(&answered.attributes, "error.type"), None);
    assert_eq!(number(&answered.attributes, "gen_ai.usage.input_tokens"), Some(11));
    assert_eq!(number(&answered.attributes, "gen_ai.usage.output_tokens"), Some(5));
    assert_eq!(number(&failed.attributes, "gen_ai.usage.output_tokens"), None);
    assert_eq!(text(&answered.attributes, "gen_ai.response.model").as_deref(), Some("small-q4"));
    assert_eq!(attribute(&answered.attributes, "gen_ai.response.time_to_first_chunk"), Some(Any::DoubleValue(0.203)));
    let Some(Any::ArrayValue(reasons)) = attribute(&answered.attributes, "gen_ai.response.finish_reasons") else {
        panic!("no finish reasons")
    };
    assert_eq!(reasons.values[0].value, Some(Any::StringValue("stop".to_owned())));
    let bytes = message.encode_to_vec();
    assert!(!bytes.windows(6).any(|window| window == b"PROMPT"), "prompt text left Weir");
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_stays_here() {
    let mut unsampled = record();
    unsampled.trace.sampled = false;
    let (spans, _, counts) = sent(&[(unsampled, None)], vec![]).await;
    assert_eq!((spans.len(), counts), (0, [0, 0, 0]));
}

#[tokio::test]
async fn a_broken_answer_and_an_opaque_path_are_named_as_such() {
    let mut broken = record();
    broken.outcome = Outcome::Broken;
    broken.error = Some(ExchangeError::new(Kind::InterTokenTimeout, "too late"));
    broken.request.api = Api::Opaque;
    broken.trace.parent_id = [0; 8];
    let (spans, _, _) = sent(&[(broken, None)], vec![]).await;
    assert_eq!((spans[0].name.as_str(), spans[2].name.as_str()), ("POST", "POST"));
    assert_eq!(spans[0].parent_span_id, Vec::<u8>::new());
    assert_eq!(text(&spans[0].attributes, "error.type").as_deref(), Some("inter_token_timeout"));
    assert_eq!(text(&spans[2].attributes, "error.type").as_deref(), Some("inter_token_timeout"));
    assert_eq!(attribute(&spans[2].attributes, "gen_ai.operation.name"), None);
}

#[tokio::test]
async fn a_collector_that_fails_once_gets_the_batch_again() {
    let (spans, _, counts) = sent(&[(record(), None)], vec![503]).await;
    assert_eq!((spans.len(), counts), (3, [3, 0, 0]));
}

#[tokio::test]
async fn spans_that_the_collector_never_takes_are_counted_as_failed() {
    let (spans, _, counts) = sent(&[(record(), None)], vec![503, 503, 503]).await;
    assert_eq!((spans.len(), counts), (0, [0, 0, 3]));
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let metrics = metrics();
    let config = Config { endpoint: Some("http://127.0.0.1:9".to_owned()), queue_exchanges: 2, ..Config::default() };
    let (tracer, _exporter) = tracer(&config, "test-1", metrics.clone()).unwrap();
    for _ in 0..5 {
        tracer.offer(&record(), None);
    }
    assert_eq!(counted(&metrics), [0, 9, 0]);
}

#[test]
fn an_endpoint_that_cannot_work_is_a_fault() {
    for (endpoint, part) in [("https://c:4318", "https is not spoken"), ("c:4318", "lacks http"), ("a b", "no URL")] {
        let config = Config { endpoint: Some(endpoint.to_owned()), ..Config::default() };
        let faults = config.faults("telemetry.traces");
        assert!(faults.len() == 1 && faults[0].problem.contains(part), "{endpoint}: {faults:?}");
    }
    assert!(Config { endpoint: Some("http://c:4318".to_owned()), ..Config::default() }.faults("x").is_empty());
}
