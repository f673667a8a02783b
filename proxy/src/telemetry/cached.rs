//! What the cache did, counted from records: outcomes with their reasons, and what was saved.
//!
//! All traffic counts, not only what sampling keeps. A route has its series from its first
//! exchange that met a cache on; each with all its reasons, so that a first event is a rise
//! and not a birth. Handles are looked up once per route: this runs for every record.
//!
//! A hit saves what the answer cost when it was made. An exchange that shared a running
//! generation (`collapsed`) saves the generation's tokens; how much of the engine's time it
//! would have taken beside the other is unknown, so it saves none of it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus::{Counter, CounterVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::exchange::cached::Hit;
use crate::exchange::stored::StoredExchange;
use crate::exchange::{Caching, Name, Record};

/// The metrics of what the cache did.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    requests: IntCounterVec,
    saved_tokens: IntCounterVec,
    saved_seconds: CounterVec,
    /// As many as there are routes that have a cache.
    routes: Arc<ArcSwap<HashMap<Name, Arc<OfRoute>>>>,
}

/// The handles of one route.
#[derive(Debug)]
struct OfRoute {
    requests: Vec<(Caching, IntCounter)>,
    saved_prompt: IntCounter,
    saved_completion: IntCounter,
    saved_seconds: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let requests = Opts::new("weir_cache_requests_total", "Exchanges on routes that have a cache, by what it did.");
        let requests = IntCounterVec::new(requests, &["route", "outcome", "reason"])?;
        let saved_tokens = Opts::new(
            "weir_cache_saved_tokens_total",
            "Tokens that no engine had to work, because an answer was given again or shared; kind is prompt or completion.",
        );
        let saved_tokens = IntCounterVec::new(saved_tokens, &["route", "kind"])?;
        let saved_seconds = Opts::new(
            "weir_cache_saved_engine_seconds_total",
            "Time that engines had taken for the answers that were given again.",
        );
        let saved_seconds = CounterVec::new(saved_seconds, &["route"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(saved_tokens.clone()))?;
        registry.register(Box::new(saved_seconds.clone()))?;
        Ok(Self { requests, saved_tokens, saved_seconds, routes: Arc::default() })
    }

    /// Observes a finished exchange; exactly once per record.
    pub(super) fn observe(&self, record: &Record) {
        let caching = record.cache.caching;
        if caching == Caching::Off {
            return;
        }
        let route = self.route(&record.route);
        if let Some((_, counter)) = route.requests.iter().find(|(known, _)| *known == caching) {
            counter.inc();
        }
        if let Some(Hit { about, .. }) = &record.cache.hit {
            route.saved_prompt.inc_by(about.prompt_tokens.into());
            route.saved_completion.inc_by(about.completion_tokens.into());
            route.saved_seconds.inc_by(about.engine_time.as_secs_f64());
        }
    }

    /// Observes what was read in an answer that was shared. The engine worked it once, and
    /// the exchange that it was begun for has told so.
    pub(super) fn observe_shared(&self, record: &Record, stored: &StoredExchange) {
        let route = self.route(&record.route);
        route.saved_prompt.inc_by(stored.saved_prompt_tokens.into());
        route.saved_completion.inc_by(stored.saved_completion_tokens.into());
    }

    fn route(&self, name: &Name) -> Arc<OfRoute> {
        if let Some(known) = self.routes.load().get(name) {
            return known.clone();
        }
        let made = Arc::new(self.resolve(name.as_str()));
        // Two threads may make the same at once: both have the same counters.
        self.routes.rcu(|routes| {
            let mut routes = HashMap::clone(routes);
            routes.insert(name.clone(), made.clone());
            routes
        });
        made
    }

    fn resolve(&self, route: &str) -> OfRoute {
        let met = Caching::all().filter(|caching| *caching != Caching::Off);
        let count = |caching: Caching| {
            (caching, self.requests.with_label_values(&[route, caching.outcome(), caching.reason()]))
        };
        OfRoute {
            requests: met.map(count).collect(),
            saved_prompt: self.saved_tokens.with_label_values(&[route, "prompt"]),
            saved_completion: self.saved_tokens.with_label_values(&[route, "completion"]),
            saved_seconds: self.saved_seconds.with_label_values(&[route]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::ExchangeId;
    use crate::exchange::cached::{About, Bypass, Cached, Miss};
    use crate::telemetry::metrics::{self, tests::record};

    fn text(registry: &Registry) -> String {
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    fn with(caching: Caching) -> Record {
        Record { cache: Cached { caching, ..Cached::default() }, ..record() }
    }

    /// A hit as the request path leaves it: no engine was asked.
    fn hit() -> Record {
        let about = About {
            source: ExchangeId(uuid::Uuid::from_u128(1)),
            model: "small".into(),
            finish_reasons: vec!["stop".into()],
            prompt_tokens: 100,
            completion_tokens: 20,
            engine_time: Duration::from_millis(1500),
            prompt: "PROMPT".into(),
        };
        let hit = Hit { about: about.into(), age: Duration::from_secs(60) };
        let cache = Cached { caching: Caching::Hit, hit: Some(hit), ..Cached::default() };
        Record { cache, engine: None, attempts: Vec::new(), ..record() }
    }

    #[test]
    fn every_outcome_is_counted_with_its_reason_and_off_is_not() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.observe(&with(Caching::Off));
        assert!(!text(&registry).contains("weir_cache_requests_total{"), "a route without a cache has no series");
        for caching in Caching::all() {
            metrics.observe(&with(caching));
        }
        metrics.observe(&with(Caching::Bypass(Bypass::Sampled)));
        let page = text(&registry);
        for (outcome, reason, count) in
            [("hit", "", 1), ("collapsed", "", 1), ("bypass", "sampled", 2), ("miss", Miss::Stale.as_str(), 1)]
        {
            let line = format!(
                "weir_cache_requests_total{{outcome=\"{outcome}\",reason=\"{reason}\",route=\"main\"}} {count}\n"
            );
            assert!(page.contains(&line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("outcome=\"off\""));
    }

    #[test]
    fn a_hit_saves_what_its_answer_cost_and_is_no_work_of_an_engine() {
        let registry = Registry::new();
        let metrics = metrics::Metrics::register(&registry).unwrap();
        metrics.observe(&hit());
        metrics.observe_stored(&hit(), &StoredExchange { route: "main".into(), ..StoredExchange::default() });
        let page = text(&registry);
        for line in [
            "weir_cache_saved_tokens_total{kind=\"prompt\",route=\"main\"} 100",
            "weir_cache_saved_tokens_total{kind=\"completion\",route=\"main\"} 20",
            "weir_cache_saved_engine_seconds_total{route=\"main\"} 1.5",
            "weir_exchanges_total{api=\"chat\",outcome=\"complete\",route=\"main\"} 1",
            "weir_overhead_seconds_count{phase=\"total\"} 0",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        let of_engines = ["weir_first_token_seconds", "weir_inter_token_seconds", "weir_longest_gap_seconds"];
        for name in of_engines.into_iter().chain(["weir_tokens_total", "weir_attempts_total"]) {
            assert!(
                !page.contains(&format!("{name}_count{{")) && !page.contains(&format!("{name}{{")),
                "{name}\n{page}"
            );
        }
        assert!(!page.contains("PROMPT"));
    }

    #[test]
    fn a_shared_generation_is_worked_once() {
        let registry = Registry::new();
        let metrics = metrics::Metrics::register(&registry).unwrap();
        let stored = StoredExchange {
            route: "main".into(),
            engine: "gpu".into(),
            prompt_tokens: 7,
            completion_tokens: 3,
            ..StoredExchange::default()
        };
        let shared = StoredExchange {
            saved_prompt_tokens: 7,
            saved_completion_tokens: 3,
            prompt_tokens: 0,
            completion_tokens: 0,
            ..stored.clone()
        };
        for (caching, stored) in [(Caching::Miss(Miss::Absent), stored), (Caching::Collapsed, shared)] {
            metrics.observe(&with(caching));
            metrics.observe_stored(&with(caching), &stored);
        }
        let page = text(&registry);
        for line in [
            "weir_tokens_total{engine=\"gpu\",kind=\"prompt\",route=\"main\"} 7",
            "weir_tokens_total{engine=\"gpu\",kind=\"completion\",route=\"main\"} 3",
            "weir_cache_saved_tokens_total{kind=\"prompt\",route=\"main\"} 7",
            "weir_cache_saved_tokens_total{kind=\"completion\",route=\"main\"} 3",
            "weir_first_token_seconds_count{engine=\"gpu\",route=\"main\"} 1",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
