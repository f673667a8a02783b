//! Metrics of the engine client.

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::dialect::EngineState;
use crate::exchange::Name;

/// Metrics of all replicas.
#[derive(Clone, Debug)]
pub struct Metrics {
    up: IntGaugeVec,
    in_flight: IntGaugeVec,
    breaker: GaugeVec,
    told: [GaugeVec; 5],
}

type Told = (&'static str, &'static str, fn(&EngineState) -> Option<f64>);

/// What engines tell of themselves: metric, its help, and where it is in the state.
const TOLD: [Told; 5] = [
    ("weir_engine_requests_running", "Requests being generated, as the engine tells", |s| s.running),
    ("weir_engine_requests_waiting", "Requests waiting inside the engine, as it tells", |s| s.waiting),
    ("weir_engine_kv_cache_used_ratio", "Share of the KV cache in use, as the engine tells", |s| s.kv_cache_used_ratio),
    ("weir_engine_prefix_cache_hit_ratio", "Prefix cache hits by queries, as the engine tells", |s| {
        s.prefix_cache_hit_ratio
    }),
    ("weir_engine_preemptions", "Requests thrown out of the running batch since the engine's start", |s| {
        s.preemptions_total
    }),
];

/// Metrics of one replica, resolved once.
#[derive(Clone, Debug)]
pub struct ReplicaMetrics {
    /// 1 while probes reach it.
    pub up: IntGauge,
    /// Exchanges that wait for it.
    pub in_flight: IntGauge,
    /// 0 closed, 0.5 trial, 1 open.
    pub breaker: Gauge,
    told: [GaugeVec; 5],
    labels: [String; 2],
}

impl ReplicaMetrics {
    /// Shows what the engine tells. What it never told has no series, rather than a zero.
    pub(super) fn set_state(&self, state: &EngineState) {
        for (gauge, (_, _, read)) in self.told.iter().zip(TOLD) {
            read(state).into_iter().for_each(|value| gauge.with_label_values(&self.labels).set(value));
        }
    }
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
        let gauge = |(name, help, _): (&str, &str, _)| GaugeVec::new(Opts::new(name, help), labels);
        let [a, b, c, d, e] = TOLD;
        let told = [gauge(a)?, gauge(b)?, gauge(c)?, gauge(d)?, gauge(e)?];
        for gauge in &told {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(Self { up, in_flight, breaker, told })
    }

    /// The metrics of one replica.
    pub fn replica(&self, engine: &Name, authority: &str) -> ReplicaMetrics {
        let labels = &[engine.as_str(), authority];
        ReplicaMetrics {
            up: self.up.with_label_values(labels),
            in_flight: self.in_flight.with_label_values(labels),
            breaker: self.breaker.with_label_values(labels),
            told: self.told.clone(),
            labels: labels.map(str::to_owned),
        }
    }
}
