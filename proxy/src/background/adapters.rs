//! Joins parts that do not know each other: recorder and spool, spool and sink, outbox and metrics.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};
use uuid::Uuid;

use super::{digest, recorder, redact, sink, spool, truncation};
use crate::exchange::outbox::Gauge;
use crate::exchange::stored::StoredGap;

/// The spool's writer as the recorder sees it.
pub(super) struct Disk {
    writer: spool::Writer,
    complained: Option<Instant>,
}

/// Pause between two log lines about a spool that refuses; metrics and gaps have every record.
const COMPLAINT_EVERY: Duration = Duration::from_secs(60);

impl Disk {
    pub(super) fn new(writer: spool::Writer) -> Self {
        Self { writer, complained: None }
    }

    fn complain(&mut self, fault: &spool::AppendError) {
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINT_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(%fault, "records may be lost; weir_recorder_lost_total and the gaps count them");
        }
    }
}

fn lost(fault: spool::AppendError) -> recorder::Lost {
    match fault {
        spool::AppendError::TooLarge { .. } => recorder::Lost::TooLarge,
        spool::AppendError::Full(_) => recorder::Lost::SpoolFull,
        spool::AppendError::Io(_) => recorder::Lost::SpoolFailed,
    }
}

impl recorder::Sink for Disk {
    fn append(&mut self, payload: &[u8]) -> Result<(), recorder::Lost> {
        self.writer.append(payload).map(drop).map_err(|fault| {
            self.complain(&fault);
            lost(fault)
        })
    }

    fn append_account(&mut self, payload: &[u8]) -> Result<(), recorder::Lost> {
        self.writer.append_reserved(payload).map(drop).map_err(lost)
    }

    fn flush(&mut self) -> Result<(), recorder::Waiting> {
        match self.writer.pending() {
            0 => Ok(()),
            waiting if self.writer.rests() => Err(recorder::Waiting(waiting)),
            _ => self.writer.flush().map(drop).map_err(|fault| {
                self.complain(&fault.source);
                recorder::Waiting(fault.pending)
            }),
        }
    }
}

/// The spool's reader as the sink sees it.
pub(super) struct Source {
    reader: spool::Reader,
    instance: String,
}

impl Source {
    pub(super) fn new(reader: spool::Reader, instance: &str) -> Self {
        Self { reader, instance: instance.to_owned() }
    }

    fn gap(&self, damage: &spool::Damage) -> StoredGap {
        let micros = |at: std::time::SystemTime| {
            at.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
        };
        let now = std::time::SystemTime::now();
        let (from, to) = damage.written.unwrap_or((now, now));
        StoredGap {
            // Nil: the sink draws it from the batch, so that it is the same at every delivery.
            gap_id: Uuid::nil(),
            from_at: micros(from),
            to_at: micros(to),
            reason: damage.cause.as_str().to_owned(),
            lost: damage.lost,
            instance: self.instance.clone(),
        }
    }
}

impl sink::Source for Source {
    async fn next_batch(&mut self, limits: sink::Limits) -> io::Result<Option<sink::Batch>> {
        let limits = spool::Limits { records: limits.records, bytes: limits.bytes, wait: limits.wait };
        let batch = self.reader.next_batch(limits).await.map_err(io::Error::other)?;
        Ok(batch.map(|batch| sink::Batch {
            last_seq: batch.last_seq.0,
            gaps: batch.damage.iter().map(|damage| self.gap(damage)).collect(),
            token: batch.token,
            instance: self.instance.clone(),
            records: batch.records.into_iter().map(|(seq, payload)| (seq.0, payload)).collect(),
        }))
    }

    async fn acknowledge(&mut self, last_seq: u64) -> io::Result<()> {
        self.reader.acknowledge(spool::Seq(last_seq)).await.map_err(io::Error::other)
    }
}

/// The outbox's gauge as metrics, read when they are asked for.
struct OutboxMetrics {
    gauge: Arc<Gauge>,
    records: IntGauge,
    bytes: IntGauge,
    refused: IntCounter,
}

pub(super) fn register_outbox(registry: &Registry, gauge: Arc<Gauge>) -> prometheus::Result<()> {
    let records = IntGauge::new("weir_outbox_records", "Records between the request path and the recorder")?;
    let bytes = IntGauge::new("weir_outbox_bytes", "Bytes of those records")?;
    let refused = IntCounter::new("weir_outbox_refused_total", "Records that found the outbox full")?;
    registry.register(Box::new(OutboxMetrics { gauge, records, bytes, refused }))
}

impl Collector for OutboxMetrics {
    fn desc(&self) -> Vec<&Desc> {
        [self.records.desc(), self.bytes.desc(), self.refused.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.records.set(self.gauge.records() as i64);
        self.bytes.set(self.gauge.bytes() as i64);
        self.refused.inc_by(self.gauge.refused().saturating_sub(self.refused.get()));
        [self.records.collect(), self.bytes.collect(), self.refused.collect()].concat()
    }
}

impl digest::Redact for redact::Redactor {
    fn text<'a>(&self, text: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        self.redact(text)
    }

    fn body<'a>(&self, content_type: &str, body: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        self.redact_body(content_type, body)
    }

    fn headers(&self, headers: &http::HeaderMap) -> (Vec<(String, String)>, u32) {
        Self::headers(self, headers)
    }
}

impl digest::Expect for truncation::Estimator {
    fn prompt(&mut self, prompt: &digest::Prompt<'_>) -> digest::Expected {
        let mut sent = truncation::Sent::default();
        prompt.texts.iter().for_each(|text| sent.add(text));
        let lesson = if prompt.offers_tools { truncation::Lesson::WithExtras } else { truncation::Lesson::Whole };
        let expected = self.judge(prompt.engine, prompt.model, sent, lesson, prompt.counted);
        digest::Expected { tokens: expected.tokens, truncated: expected.truncated }
    }
}
