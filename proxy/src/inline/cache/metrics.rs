//! Metrics of the cache's own state. What it did with each exchange is counted from records.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::exchange::cached::{Evicted, Rejected};

/// Metrics of the cache.
#[derive(Clone, Debug)]
pub struct Metrics {
    rejected: IntCounterVec,
    evicted: IntCounterVec,
    stored: IntCounter,
    /// Moved by the store alone, which also reads its totals here.
    pub(super) entries: IntGauge,
    pub(super) bytes: IntGauge,
    /// Moved by the participants themselves.
    pub(super) participants: IntGauge,
}

impl Metrics {
    /// Registers the metrics. Every reason has its series from the start, so that a first
    /// event is a rise and not a birth.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let rejected = IntCounterVec::new(
            Opts::new("weir_cache_rejected_total", "Finished answers that did not enter the cache, by reason"),
            &["reason"],
        )?;
        let evicted = IntCounterVec::new(
            Opts::new("weir_cache_evicted_total", "Entries that left the cache, by reason"),
            &["reason"],
        )?;
        let stored = IntCounter::new("weir_cache_stored_total", "Answers that entered the cache")?;
        let entries = IntGauge::with_opts(Opts::new("weir_cache_entries", "Answers held in the cache now"))?;
        let bytes =
            IntGauge::with_opts(Opts::new("weir_cache_bytes", "Bytes of all entries, keys and bookkeeping included"))?;
        let participants = IntGauge::with_opts(Opts::new(
            "weir_cache_participants",
            "Exchanges that take part now in a generation that may be shared",
        ))?;
        registry.register(Box::new(participants.clone()))?;
        registry.register(Box::new(rejected.clone()))?;
        registry.register(Box::new(evicted.clone()))?;
        registry.register(Box::new(stored.clone()))?;
        registry.register(Box::new(entries.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Rejected::ALL.into_iter().for_each(|cause| drop(rejected.with_label_values(&[cause.as_str()])));
        Evicted::ALL.into_iter().for_each(|cause| drop(evicted.with_label_values(&[cause.as_str()])));
        Ok(Self { rejected, evicted, stored, entries, bytes, participants })
    }

    /// Counts an answer that did not enter.
    pub fn rejected(&self, cause: Rejected) {
        self.rejected.with_label_values(&[cause.as_str()]).inc();
    }

    /// An entry came in.
    pub(super) fn stored(&self, bytes: u32) {
        self.stored.inc();
        self.entries.inc();
        self.bytes.add(i64::from(bytes));
    }

    /// An entry left.
    pub(super) fn evicted(&self, cause: Evicted, bytes: u32) {
        self.evicted.with_label_values(&[cause.as_str()]).inc();
        self.entries.dec();
        self.bytes.sub(i64::from(bytes));
    }

    #[cfg(test)]
    pub(super) fn evictions(&self, cause: Evicted) -> u64 {
        self.evicted.with_label_values(&[cause.as_str()]).get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_closed_sets_that_are_there_from_the_start() {
        let registry = Registry::new();
        Metrics::register(&registry).unwrap();
        let reasons = |name: &str| {
            let families = registry.gather();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let mut words: Vec<String> =
                family.get_metric().iter().map(|metric| metric.get_label()[0].value().to_owned()).collect();
            words.sort();
            words
        };
        let mut rejected = Rejected::ALL.map(|cause| cause.as_str().to_owned()).to_vec();
        let mut evicted = Evicted::ALL.map(|cause| cause.as_str().to_owned()).to_vec();
        rejected.sort();
        evicted.sort();
        assert_eq!(reasons("weir_cache_rejected_total"), rejected);
        assert_eq!(reasons("weir_cache_evicted_total"), evicted);
    }
}
