//! What the sink tells about itself. Labels come from closed sets.

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use super::Table;

/// Counters of the sink.
#[derive(Clone, Debug)]
pub struct Metrics {
    rows: IntCounterVec,
    batches: IntCounterVec,
    rejected: IntCounterVec,
    pub(super) insert_seconds: Histogram,
    pub(super) lag_seconds: Gauge,
    pub(super) retries: IntCounter,
    pub(super) source_errors: IntCounter,
    pub(super) rejected_files_evicted: IntCounter,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchOutcome {
    Stored,
    PartlyRejected,
    Rejected,
}

/// Why a record was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RejectReason {
    Undecodable,
    Content,
}

impl BatchOutcome {
    const ALL: [Self; 3] = [Self::Stored, Self::PartlyRejected, Self::Rejected];

    fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::PartlyRejected => "partly_rejected",
            Self::Rejected => "rejected",
        }
    }
}

impl RejectReason {
    const ALL: [Self; 2] = [Self::Undecodable, Self::Content];

    fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Content => "content",
        }
    }
}

impl Metrics {
    /// Makes them known to a registry, each label value from the start.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        let histogram = HistogramOpts::new("weir_sink_insert_seconds", "Time of one insert that ClickHouse took.");
        let metrics = Self {
            rows: counters("weir_sink_rows_total", "Rows stored.", "table")?,
            batches: counters("weir_sink_batches_total", "Batches delivered, by how they ended.", "outcome")?,
            rejected: counters("weir_sink_rejected_records_total", "Records set aside, by reason.", "reason")?,
            insert_seconds: Histogram::with_opts(histogram.buckets(buckets))?,
            lag_seconds: Gauge::new("weir_sink_lag_seconds", "Age of the oldest record that is not stored yet.")?,
            retries: IntCounter::new("weir_sink_retries_total", "Inserts that failed and are repeated.")?,
            source_errors: IntCounter::new("weir_sink_source_errors_total", "Faults while reading the spool.")?,
            rejected_files_evicted: IntCounter::new(
                "weir_sink_rejected_files_evicted_total",
                "Files of rejected records removed to keep the limit, or that could not be written.",
            )?,
        };
        metrics.touch_labels();
        registry.register(Box::new(metrics.rows.clone()))?;
        registry.register(Box::new(metrics.batches.clone()))?;
        registry.register(Box::new(metrics.rejected.clone()))?;
        registry.register(Box::new(metrics.insert_seconds.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.source_errors.clone()))?;
        registry.register(Box::new(metrics.rejected_files_evicted.clone()))?;
        Ok(metrics)
    }

    fn touch_labels(&self) {
        Table::ALL.into_iter().for_each(|table| self.stored(table, 0));
        BatchOutcome::ALL.into_iter().for_each(|outcome| self.batches.with_label_values(&[outcome.as_str()]).inc_by(0));
        RejectReason::ALL.into_iter().for_each(|reason| self.rejected(reason, 0));
    }

    pub(super) fn stored(&self, table: Table, rows: u64) {
        self.rows.with_label_values(&[table.as_str()]).inc_by(rows);
    }

    pub(super) fn delivered(&self, outcome: BatchOutcome) {
        self.batches.with_label_values(&[outcome.as_str()]).inc();
    }

    pub(super) fn rejected(&self, reason: RejectReason, records: u64) {
        self.rejected.with_label_values(&[reason.as_str()]).inc_by(records);
    }
}
