//! Made-up traffic: metrics that move as those of a busy afternoon would.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use weir::console::live::{EVERY, Live, Sample};

pub(crate) struct Traffic {
    at: f64,
    dice: u64,
    exchanges: IntCounterVec,
    errors: IntCounterVec,
    tokens: IntCounterVec,
    total: HistogramVec,
    first_token: HistogramVec,
    inter_token: Histogram,
    overhead: HistogramVec,
    gauges: Vec<Gauge>,
    replicas: Vec<GaugeVec>,
    rows: IntCounterVec,
    _refused: IntCounter,
}

const GAUGES: [&str; 7] = [
    "weir_in_flight",
    "weir_queue_depth",
    "weir_outbox_records",
    "weir_outbox_bytes",
    "weir_spool_records",
    "weir_spool_bytes",
    "weir_sink_lag_seconds",
];
const REPLICA: [&str; 6] = [
    "weir_engine_up",
    "weir_engine_breaker",
    "weir_engine_in_flight",
    "weir_engine_requests_running",
    "weir_engine_requests_waiting",
    "weir_engine_kv_cache_used_ratio",
];
const TIMES: [f64; 16] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.6, 2.5, 4.0, 8.0, 15.0, 60.0];

fn counters(registry: &Registry, name: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name, "made up"), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn times(registry: &Registry, name: &str, labels: &[&str], scale: f64) -> prometheus::Result<HistogramVec> {
    let buckets = TIMES.iter().map(|time| time * scale).collect();
    let histogram = HistogramVec::new(HistogramOpts::new(name, "made up").buckets(buckets), labels)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

impl Traffic {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &&str| {
            let gauge = Gauge::new(*name, "made up")?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let replica = |name: &&str| {
            let gauge = GaugeVec::new(Opts::new(*name, "made up"), &["engine", "replica"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let inter_token = times(registry, "weir_inter_token_seconds", &["route"], 0.05)?;
        let refused = IntCounter::new("weir_outbox_refused_total", "made up")?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self {
            at: 0.0,
            dice: 42,
            exchanges: counters(registry, "weir_exchanges_total", &["api", "route", "outcome"])?,
            errors: counters(registry, "weir_errors_total", &["kind", "source"])?,
            tokens: counters(registry, "weir_tokens_total", &["kind", "route", "engine"])?,
            total: times(registry, "weir_exchange_seconds", &["api", "route"], 1.0)?,
            first_token: times(registry, "weir_first_token_seconds", &["route", "engine"], 0.5)?,
            inter_token: inter_token.with_label_values(&["default"]),
            overhead: times(registry, "weir_overhead_seconds", &["phase"], 0.002)?,
            gauges: GAUGES.iter().map(gauge).collect::<prometheus::Result<_>>()?,
            replicas: REPLICA.iter().map(replica).collect::<prometheus::Result<_>>()?,
            rows: counters(registry, "weir_sink_rows_total", &["table"])?,
            _refused: refused,
        })
    }

    /// Lives through an hour at once.
    pub(crate) fn past_hour(&mut self, registry: &Registry, live: &Live) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        for i in (0..720).rev() {
            self.step(EVERY);
            live.push(Sample::read(&registry.gather(), now - i * EVERY.as_millis() as i64));
        }
    }

    /// A number from 0 to 1 (xorshift).
    fn roll(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn step(&mut self, span: Duration) {
        self.at += span.as_secs_f64();
        let wave = (self.at / 600.0).sin() * 0.35 + (self.at / 97.0).sin() * 0.12 + 1.0;
        let spike = if (2200.0..2420.0).contains(&(self.at % 3600.0)) { 1.0 } else { 0.0 };
        let expected = (9.0 * wave + self.roll() * 3.0) * span.as_secs_f64();
        for _ in 0..expected as u32 {
            self.exchange(spike);
        }
        let in_flight = 14.0 * wave + spike * 22.0 + self.roll() * 4.0;
        let levels = [
            in_flight.round(),
            (spike * 9.0 * self.roll()).round(),
            (self.roll() * 6.0).round(),
            self.roll() * 40_000.0,
            (180.0 + spike * 900.0 + self.roll() * 90.0).round(),
            1_200_000.0 + spike * 6e6,
            0.8 + spike * 6.0 + self.roll() * 0.4,
        ];
        self.gauges.iter().zip(levels).for_each(|(gauge, level)| gauge.set(level));
        self.engines(in_flight, spike);
        self.rows.with_label_values(&["exchanges"]).inc_by((expected * 0.9) as u64);
    }

    fn exchange(&mut self, spike: f64) {
        let luck = self.roll();
        let outcome = match luck {
            l if l < 0.004 + spike * 0.06 => "broken",
            l if l < 0.012 + spike * 0.07 => "engine_error",
            l if l < 0.03 + spike * 0.08 => "client_left",
            l if l < 0.036 + spike * 0.12 => "refused",
            _ => "complete",
        };
        self.exchanges.with_label_values(&["chat", "default", outcome]).inc();
        let error = match outcome {
            "broken" => Some(("engine_broke", "engine")),
            "engine_error" => Some(("engine_status", "engine")),
            "client_left" => Some(("client_left", "client")),
            "refused" => Some(("overloaded", "weir")),
            _ => None,
        };
        if let Some((kind, source)) = error {
            self.errors.with_label_values(&[kind, source]).inc();
        }
        let first = 0.05 + 0.09 * -(1.0 - self.roll()).ln() * (1.0 + spike * 3.0);
        let total = first + 0.4 + 1.1 * -(1.0 - self.roll()).ln();
        self.first_token.with_label_values(&["default", "main"]).observe(first);
        self.total.with_label_values(&["chat", "default"]).observe(total);
        for _ in 0..4 {
            let pause = 0.011 + 0.004 * -(1.0 - self.roll()).ln();
            self.inter_token.observe(pause);
        }
        let own = 0.000_09 + 0.000_05 * -(1.0 - self.roll()).ln();
        self.overhead.with_label_values(&["total"]).observe(own);
        self.overhead.with_label_values(&["identify"]).observe(own / 3.0);
        let prompt = 300.0 + self.roll() * 900.0;
        let tokens = [
            ("prompt", prompt),
            ("completion", (total - first) * 75.0),
            ("cached", prompt * 0.58),
            ("wasted", if outcome == "client_left" { 40.0 } else { 0.0 }),
        ];
        for (kind, count) in tokens {
            self.tokens.with_label_values(&[kind, "default", "main"]).inc_by(count as u64);
        }
    }

    fn engines(&mut self, in_flight: f64, spike: f64) {
        let load = (0.3 + in_flight / 60.0).min(0.98);
        let states = [
            ("main", "gpu-0:8000", [1.0, 0.0, in_flight / 2.0, in_flight / 2.0, spike * 3.0, load]),
            ("main", "gpu-1:8000", [1.0, 0.0, in_flight / 2.2, in_flight / 2.2, 0.0, load * 0.9]),
            ("small", "127.0.0.1:8090", [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        ];
        for (engine, replica, levels) in states {
            for (i, (gauges, level)) in self.replicas.iter().zip(levels).enumerate() {
                let level = if i < 5 { level.round() } else { level };
                gauges.with_label_values(&[engine, replica]).set(level);
            }
        }
    }
}
