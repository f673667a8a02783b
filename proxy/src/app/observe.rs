//! Tells metrics, traces, the access log and the tenants' rates of every exchange.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::background::Observer;
use crate::exchange::Record;
use crate::exchange::stored::StoredExchange;
use crate::inline::identify::Tenants;
use crate::telemetry::{logs, metrics, traces};

/// Everybody who wants to know of an exchange.
pub(super) struct Observers {
    pub(super) metrics: metrics::Metrics,
    pub(super) tracer: traces::Tracer,
    /// Charged for tokens; replaced with the configuration.
    pub(super) tenants: Arc<ArcSwap<Tenants>>,
}

impl Observer for Observers {
    fn seen(&self, record: &Record) {
        self.metrics.observe(record);
        logs::access(record);
    }

    fn refused(&self, record: &Record) {
        self.metrics.observe(record);
    }

    fn read(&self, record: &Record, row: &StoredExchange) {
        self.metrics.observe_stored(record, row);
        self.tracer.offer(record, Some(row));
        let tokens = u64::from(row.prompt_tokens) + u64::from(row.completion_tokens);
        if tokens > 0
            && let Some(tenant) = self.tenants.load().named(&record.tenant)
        {
            tenant.charge_tokens(tokens);
        }
    }
}
