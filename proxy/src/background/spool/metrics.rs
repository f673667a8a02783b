//! What the spool tells about itself.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Larger than `max_record_bytes`.
    TooLarge,
    /// The spool holds `max_bytes`.
    Full,
    /// The file system has less than `min_free_bytes` left.
    LowSpace,
    /// The file system is full, or the owner's quota is.
    NoSpace,
    /// The disk fails.
    Io,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::TooLarge, Self::Full, Self::LowSpace, Self::NoSpace, Self::Io];

    /// The word used in labels, gaps and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "record_too_large",
            Self::Full => "spool_full",
            Self::LowSpace => "low_space",
            Self::NoSpace => "no_space",
            Self::Io => "io",
        }
    }
}

/// Counters and gauges; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) records: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) segments: IntGauge,
    pub(super) oldest: IntGauge,
    pub(super) flushed_records: IntCounter,
    pub(super) flushed_bytes: IntCounter,
    pub(super) acknowledged: IntCounter,
    pub(super) damaged: IntCounter,
    pub(super) fsync_seconds: Histogram,
    pub(super) fsync_failures: IntCounter,
    refused: IntCounterVec,
    flush_failures: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics of the spool.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            records: IntGauge::new("weir_spool_records", "Records on disk that the store has not confirmed")?,
            bytes: IntGauge::new("weir_spool_bytes", "Bytes that the segments take on disk")?,
            segments: IntGauge::new("weir_spool_segments", "Segment files on disk")?,
            oldest: IntGauge::new(
                "weir_spool_oldest_record_timestamp_seconds",
                "When the oldest record not yet confirmed by the store was flushed, Unix time; 0 where none waits",
            )?,
            flushed_records: IntCounter::new("weir_spool_flushed_records_total", "Records written to the spool")?,
            flushed_bytes: IntCounter::new("weir_spool_flushed_bytes_total", "Bytes written to the spool")?,
            acknowledged: IntCounter::new(
                "weir_spool_acknowledged_records_total",
                "Records that left the spool, damaged ones included",
            )?,
            damaged: IntCounter::new("weir_spool_damaged_records_total", "Records lost to damage on disk")?,
            fsync_seconds: Histogram::with_opts(
                HistogramOpts::new("weir_spool_fsync_seconds", "Time to force written records to the disk")
                    .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
            )?,
            fsync_failures: IntCounter::new("weir_spool_fsync_failures_total", "Forced writes that failed")?,
            refused: IntCounterVec::new(
                Opts::new("weir_spool_refused_records_total", "Records that the spool did not take, by reason"),
                &["reason"],
            )?,
            flush_failures: IntCounterVec::new(
                Opts::new("weir_spool_flush_failures_total", "Flushes that failed and will be tried again, by reason"),
                &["reason"],
            )?,
        };
        metrics.register_all(registry)?;
        for reason in Reason::ALL {
            metrics.refused(reason);
        }
        Ok(metrics)
    }

    pub(super) fn refused(&self, reason: Reason) -> IntCounter {
        self.refused.with_label_values(&[reason.as_str()])
    }

    pub(super) fn flush_failed(&self, reason: Reason) -> IntCounter {
        self.flush_failures.with_label_values(&[reason.as_str()])
    }

    fn register_all(&self, registry: &Registry) -> prometheus::Result<()> {
        for gauge in [&self.records, &self.bytes, &self.segments, &self.oldest] {
            registry.register(Box::new(gauge.clone()))?;
        }
        let counters =
            [&self.flushed_records, &self.flushed_bytes, &self.acknowledged, &self.damaged, &self.fsync_failures];
        for counter in counters {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(self.fsync_seconds.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.flush_failures.clone()))
    }
}
