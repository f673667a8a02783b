//! What the recorder counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::Lost;

/// What the recorder counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) seen: IntCounter,
    pub(super) kept: IntCounter,
    pub(super) bytes: IntCounter,
    pub(super) lost: IntCounterVec,
}

impl Metrics {
    /// Registers the counters.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let seen = IntCounter::new("weir_recorder_records_total", "Records taken from the outbox")?;
        let kept = IntCounter::new("weir_recorder_kept_total", "Payloads that the spool took")?;
        let bytes = IntCounter::new("weir_recorder_kept_bytes_total", "Bytes of payloads that the spool took")?;
        let lost = Opts::new("weir_recorder_lost_total", "Records that could not be kept, by reason");
        let lost = IntCounterVec::new(lost, &["reason"])?;
        for reason in Lost::ALL {
            lost.with_label_values(&[reason.as_str()]);
        }
        registry.register(Box::new(seen.clone()))?;
        registry.register(Box::new(kept.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        registry.register(Box::new(lost.clone()))?;
        Ok(Self { seen, kept, bytes, lost })
    }
}
