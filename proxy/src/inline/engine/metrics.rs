//! Metrics of the engine client.

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::exchange::Name;

/// Metrics of all replicas.
#[derive(Clone, Debug)]
pub struct Metrics {
    up: IntGaugeVec,
    in_flight: IntGaugeVec,
    breaker: GaugeVec,
}

/// Metrics of one replica, resolved once.
#[derive(Clone, Debug)]
pub struct ReplicaMetrics {
    /// 1 while probes reach it.
    pub up: IntGauge,
    /// Exchanges that wait for it.
    pub in_flight: IntGauge,
    /// 0 closed, 0.5 trial, 1 open.
    pub breaker: Gauge,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let labels = &["engine", "replica"];
        let up = IntGaugeVec::new(Opts::new("weir_engine_up", "1 while the replica's health answers, else 0"), labels)?;
        let in_flight =
            IntGaugeVec::new(Opts::new("weir_engine_in_flight", "Exchanges that wait for this replica now"), labels)?;
        let breaker = GaugeVec::new(
            Opts::new("weir_engine_breaker", "State of the breaker: 0 closed, 0.5 trial, 1 open"),
            labels,
        )?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(breaker.clone()))?;
        Ok(Self { up, in_flight, breaker })
    }

    /// The metrics of one replica.
    pub fn replica(&self, engine: &Name, authority: &str) -> ReplicaMetrics {
        let labels = &[engine.as_str(), authority];
        ReplicaMetrics {
            up: self.up.with_label_values(labels),
            in_flight: self.in_flight.with_label_values(labels),
            breaker: self.breaker.with_label_values(labels),
        }
    }
}
