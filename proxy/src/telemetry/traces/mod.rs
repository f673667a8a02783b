//! OpenTelemetry spans of exchanges, sent to a collector as OTLP over HTTP (protobuf).
//!
//! Spans are made in the background from finished records, so tracing costs the request
//! path nothing. Promises: the queue is bounded, what does not fit is dropped and counted;
//! a collector that is away never holds anything up; spans carry no prompt text. Follows
//! the OTLP/HTTP specification 1.x and the GenAI semantic conventions (see [`spans`]).

mod evaluations;
mod spans;
mod transport;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prometheus::{IntCounterVec, Opts, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::exchange::stored::StoredExchange;
use crate::exchange::{Fault, Period, Record};

/// Tries at the collector for one batch.
const TRIES: u32 = 3;
/// Pause before the second try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Settings of the span export.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Base address of an OTLP/HTTP collector, as in `http://localhost:4318`; `/v1/traces` is appended. None switches tracing off. Also taken from `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `service.name` of the spans, so that several deployments can be told apart.
    pub service_name: String,
    /// How long one export may take before it counts as failed.
    pub timeout: Period,
    /// Longest time that a span waits for its batch to fill.
    pub flush_every: Period,
    /// Spans in one export at most.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_spans: usize,
    /// Exchanges that may wait for export; more are dropped and counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue_exchanges: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            service_name: "weir".to_owned(),
            timeout: Period::secs(10),
            flush_every: Period::secs(5),
            batch_spans: 512,
            queue_exchanges: 4096,
        }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(problem) = self.endpoint.as_deref().and_then(endpoint_problem) {
            let cure = "write http://host:port of a collector (one beside Weir can add TLS)";
            faults.push(Fault::new(format!("{path}.endpoint"), problem, cure));
        }
        for (key, period) in [("timeout", self.timeout), ("flush_every", self.flush_every)] {
            if period.is_zero() {
                faults.push(Fault::new(format!("{path}.{key}"), "0s leaves no time", "write a period, as in \"5s\""));
            }
        }
        faults
    }
}

fn endpoint_problem(endpoint: &str) -> Option<&'static str> {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return Some("the address is no URL") };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => None,
        (Some("https"), Some(_)) => Some("https is not spoken to collectors"),
        _ => Some("the address lacks http:// or the host"),
    }
}

/// Why tracing could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exporter refused its settings.
    #[error("the span exporter cannot be built: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What the export shows of itself.
#[derive(Clone, Debug)]
pub struct Metrics {
    spans: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics of the export.
    ///
    /// # Errors
    /// Where a metric of the same name is there already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let spans = Opts::new(
            "weir_trace_spans_total",
            "Spans: exported, dropped at a full queue, or failed at the collector.",
        );
        let spans = IntCounterVec::new(spans, &["outcome"])?;
        registry.register(Box::new(spans.clone()))?;
        for outcome in ["exported", "dropped", "failed"] {
            spans.with_label_values(&[outcome]);
        }
        Ok(Self { spans })
    }

    fn count(&self, outcome: &str, spans: usize) {
        self.spans.with_label_values(&[outcome]).inc_by(spans as u64);
    }
}

/// Takes finished exchanges; cheap to clone. When all clones are gone the exporter ends.
#[derive(Clone, Debug)]
pub struct Tracer {
    queue: Option<mpsc::Sender<Vec<SpanData>>>,
    metrics: Metrics,
}

/// Sends what the tracers took.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Receiver<Vec<SpanData>>,
    exporter: opentelemetry_otlp::SpanExporter,
    batch_spans: usize,
    flush_every: Duration,
    first_pause: Duration,
    metrics: Metrics,
}

/// Makes a tracer, and its exporter where an endpoint is configured. `instance` becomes
/// `service.instance.id`.
///
/// # Errors
/// Where the exporter refuses its settings.
pub fn tracer(config: &Config, instance: &str, metrics: Metrics) -> Result<(Tracer, Option<Exporter>), Error> {
    let Some(endpoint) = &config.endpoint else { return Ok((Tracer { queue: None, metrics }, None)) };
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ])
        .build();
    // The exporter's own retries put the whole thread to sleep outside of its tokio feature,
    // so they are off and `Exporter::send` retries instead.
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(transport::Transport::new(*config.timeout))
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(*config.timeout)
        .with_retry_policy(RetryPolicy::disabled())
        .build()?;
    exporter.set_resource(&resource);
    let (sender, queue) = mpsc::channel(config.queue_exchanges);
    let tracer = Tracer { queue: Some(sender), metrics: metrics.clone() };
    let exporter = Exporter {
        queue,
        exporter,
        batch_spans: config.batch_spans,
        flush_every: *config.flush_every,
        first_pause: FIRST_PAUSE,
        metrics,
    };
    Ok((tracer, Some(exporter)))
}

impl Tracer {
    /// Takes a finished exchange if its trace is sampled; never waits. `stored` adds what
    /// the background read in the answer: model, tokens, finish reasons.
    pub fn offer(&self, record: &Record, stored: Option<&StoredExchange>) {
        let Some(queue) = self.queue.as_ref().filter(|_| record.trace.sampled) else { return };
        match queue.try_reserve() {
            Ok(place) => place.send(spans::of(record, stored)),
            Err(_) => self.metrics.count("dropped", spans::count(record)),
        }
    }
}

impl Exporter {
    /// Sends batches until every tracer is gone and the queue is empty. The caller owns the
    /// task and bounds its end with the grace period.
    pub async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut batch = first;
            let full = tokio::time::timeout(self.flush_every, async {
                while batch.len() < self.batch_spans {
                    let Some(more) = self.queue.recv().await else { break };
                    batch.extend(more);
                }
            });
            // A batch that did not fill in time goes as it is.
            let _ = full.await;
            self.send(batch).await;
        }
    }

    async fn send(&self, batch: Vec<SpanData>) {
        let mut pause = self.first_pause;
        for attempt in 1..=TRIES {
            match self.exporter.export(batch.clone()).await {
                Ok(()) => return self.metrics.count("exported", batch.len()),
                Err(error) if attempt == TRIES => {
                    tracing::warn!(%error, spans = batch.len(), "spans lost: the collector did not take them");
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        self.metrics.count("failed", batch.len());
    }
}

#[cfg(test)]
mod tests;
