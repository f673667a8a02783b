//! What the store tells about itself.

use prometheus::{IntCounter, IntGauge, Registry};

/// Counters of the store.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) ready: IntGauge,
    pub(super) failures: IntCounter,
}

impl Metrics {
    /// Makes them known to a registry.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let ready =
            IntGauge::new("weir_store_ready", "1 while ClickHouse answers and its tables are current, else 0.")?;
        let failures =
            IntCounter::new("weir_store_failures_total", "Tries to reach or prepare ClickHouse that failed.")?;
        registry.register(Box::new(ready.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { ready, failures })
    }
}
