//! Builds the request path from the configuration, anew at each reload.
//!
//! What lives longer than a configuration is kept: engines that did not change (with their
//! connections and breakers), the gate, tenants that did not change (with their rates).

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;

use crate::config::{Config, Route};
use crate::exchange::draft::OnRefused;
use crate::exchange::record::Answerer;
use crate::exchange::{Budget, Name, Outbox};
use crate::inline::{Cache, Path, Policy, admit, answer, cache, engine, identify};

/// What outlives a configuration.
pub(super) struct Builder {
    pub(super) outbox: Outbox,
    pub(super) on_refused: OnRefused,
    pub(super) engine_metrics: engine::Metrics,
    pub(super) admit_metrics: admit::Metrics,
    pub(super) budget: Budget,
    pub(super) cache: Arc<Cache>,
}

/// A path and what it was built from.
pub(super) struct Built {
    pub(super) path: Arc<Path>,
    pub(super) engines: BTreeMap<Name, Arc<engine::Engine>>,
    config: Config,
}

impl Builder {
    /// The path of a configuration that was found good. `before` is the one in force.
    pub(super) fn build(&self, config: &Config, before: Option<&Built>) -> anyhow::Result<Built> {
        let engines = self.engines(config, before)?;
        let default = default_name()?;
        let routes = match config.routes.is_empty() {
            true => vec![Route::catch_all(default.clone(), engines.keys().cloned().collect())],
            false => config.routes.clone(),
        };
        let policies = routes.iter().map(|route| policy(route, &engines, &config.cache)).collect();
        let routes = routes.iter().map(Route::conditions).collect();
        let tenants = Arc::new(match before {
            Some(before) => identify::Tenants::following(&before.path.directory.tenants, &config.tenants, default),
            None => identify::Tenants::new(&config.tenants, default),
        });
        let kept = before.filter(|before| before.config.limits == config.limits);
        let admission = match kept {
            Some(before) => before.path.admission.clone(),
            None => Arc::new(admit::Admission::new(config.limits.clone(), self.admit_metrics.clone())),
        };
        let path = Arc::new(Path {
            accept: config.server.clone(),
            budget: self.budget.clone(),
            directory: identify::Directory { tenants, routes },
            cache: self.cache.clone(),
            admission,
            policies,
            outbox: self.outbox.clone(),
            on_refused: self.on_refused.clone(),
            nobody: Name::new("none").context("the built-in name is a name")?,
        });
        Ok(Built { path, engines, config: config.clone() })
    }

    fn engines(&self, config: &Config, before: Option<&Built>) -> anyhow::Result<BTreeMap<Name, Arc<engine::Engine>>> {
        let mut engines = BTreeMap::new();
        for (name, engine_config) in &config.engines {
            let kept = before.and_then(|before| before.engines.get(name)).filter(|kept| kept.config == *engine_config);
            let engine = match kept {
                Some(kept) => kept.clone(),
                None => Arc::new(engine::Engine::new(name.clone(), engine_config.clone(), &self.engine_metrics)?),
            };
            engines.insert(name.clone(), engine);
        }
        Ok(engines)
    }
}

/// The tenant and the route that are there when none are configured.
pub(super) fn default_name() -> anyhow::Result<Name> {
    Name::new("default").context("the built-in name is a name")
}

fn policy(route: &Route, engines: &BTreeMap<Name, Arc<engine::Engine>>, cache: &cache::Config) -> Policy {
    let engines = route.engines.iter().filter_map(|name| engines.get(name)).cloned().collect();
    let plan =
        engine::Plan { engines, max_attempts: route.max_attempts, total_timeout: route.total_timeout.map(|p| *p) };
    let plan = Arc::new(plan);
    let mut kept = route.cache.clone();
    if cache.max_bytes.0 == 0 {
        kept.mode = cache::Mode::Off;
    }
    let keep_alive = Some(*route.sse_keep_alive).filter(|period| !period.is_zero());
    let settings = answer::Settings { capture_bytes: route.capture_bytes.bytes(), keep_alive };
    Policy { cache: Arc::new(cache::Rules::new(kept, Arc::new(First(plan.clone())))), plan, settings }
}

/// The engine that a plan asks first, as the cache sees it.
struct First(Arc<engine::Plan>);

impl cache::Engine for First {
    fn identity(&self) -> u64 {
        self.0.identity()
    }

    fn gave(&self, answerer: &Answerer) -> bool {
        self.0.is_of_first(answerer)
    }
}
