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
use crate::inline::{Cache, Path, Policy, admit, answer, cache, decide, engine, identify, judge};

use super::questions::{Places, Questions};

/// What outlives a configuration.
pub(super) struct Builder {
    pub(super) outbox: Outbox,
    pub(super) on_refused: OnRefused,
    pub(super) engine_metrics: engine::Metrics,
    pub(super) admit_metrics: admit::Metrics,
    pub(super) budget: Budget,
    pub(super) cache: Arc<Cache>,
    pub(super) judges: Arc<judge::Judges>,
}

/// A path and what it was built from.
pub(super) struct Built {
    pub(super) path: Arc<Path>,
    pub(super) engines: BTreeMap<Name, Arc<engine::Engine>>,
    critics: Critics,
    config: Config,
}

type Engines = BTreeMap<Name, Arc<engine::Engine>>;
type Critics = BTreeMap<Name, weir_critic::config::Built>;

impl Builder {
    /// The path of a configuration that was found good. `before` is the one in force.
    pub(super) fn build(&self, config: &Config, before: Option<&Built>) -> anyhow::Result<Built> {
        let engines = self.engines(config, before)?;
        let default = default_name()?;
        let given = match config.routes.is_empty() {
            true => vec![Route::catch_all(default.clone(), engines.keys().cloned().collect())],
            false => config.routes.clone(),
        };
        let critics = critics(config, before)?;
        let tenants = Arc::new(match before {
            Some(before) => identify::Tenants::following(&before.path.directory.tenants, &config.tenants, default),
            None => identify::Tenants::new(&config.tenants, default),
        });
        let kept = before.filter(|before| before.config.limits == config.limits);
        let admission = match kept {
            Some(before) => before.path.admission.clone(),
            None => Arc::new(admit::Admission::new(config.limits.clone(), self.admit_metrics.clone())),
        };
        let places = Places::new(&config.judging, self.admit_metrics.clone());
        let nobody = Name::new("none").context("the built-in name is a name")?;
        let parts = Parts { engines: &engines, critics: &critics, config, judges: &self.judges, places, nobody };
        let policies = given.iter().map(|route| policy(route, &parts)).collect();
        let routes = given.iter().map(Route::conditions).collect();
        let path = Arc::new(Path {
            accept: config.server.clone(),
            budget: self.budget.clone(),
            directory: identify::Directory { tenants, routes },
            cache: self.cache.clone(),
            admission,
            policies,
            outbox: self.outbox.clone(),
            on_refused: self.on_refused.clone(),
            nobody: parts.nobody.clone(),
        });
        Ok(Built { path, engines, critics, config: config.clone() })
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

/// What policies are made of.
struct Parts<'a> {
    engines: &'a Engines,
    critics: &'a Critics,
    config: &'a Config,
    judges: &'a Arc<judge::Judges>,
    places: Places,
    nobody: Name,
}

fn policy(route: &Route, parts: &Parts<'_>) -> Policy {
    let plan = |names: &[Name]| {
        let engines = names.iter().filter_map(|name| parts.engines.get(name)).cloned().collect();
        let total_timeout = route.total_timeout.map(|p| *p);
        Arc::new(engine::Plan { engines, max_attempts: route.max_attempts, total_timeout })
    };
    let own = plan(&route.engines);
    let mut kept = route.cache.clone();
    if parts.config.cache.max_bytes.0 == 0 {
        kept.mode = cache::Mode::Off;
    }
    let keep_alive = Some(*route.sse_keep_alive).filter(|period| !period.is_zero());
    let settings = answer::Settings { capture_bytes: route.capture_bytes.bytes(), keep_alive };
    let retry = &route.judge.retry;
    let again = retry.engine.as_ref().map_or_else(|| own.clone(), |name| plan(std::slice::from_ref(name)));
    let panel = route.judge.judges().then(|| {
        let asked = parts.config.judging.engine.as_ref();
        let asked = asked.map_or_else(|| own.clone(), |name| plan(std::slice::from_ref(name)));
        let questions = Questions::new(parts.places.clone(), asked, parts.nobody.clone());
        let critic = |name: &str| {
            let name = Name::new(name).ok()?;
            Some((parts.critics.get(&name)?.clone(), digest(&parts.config.critics.get(&name)?.settings)))
        };
        Arc::new(judge::Panel::new(route.judge.clone(), critic, parts.judges.clone(), Arc::new(questions)))
    });
    let retry = decide::Limits {
        max_answers: retry.max_answers,
        within: route.total_timeout.map_or(*retry.within, |total| (*total).min(*retry.within)),
        max_tokens: retry.max_tokens,
        handling: route.judge.escalate.handling,
    };
    let cache = Arc::new(cache::Rules::new(
        kept,
        panel.as_ref().is_some_and(|panel| panel.tells_forms_apart()),
        Arc::new(First { plan: own.clone(), panel: panel.as_ref().map_or(0, |panel| panel.identity()) }),
    ));
    Policy { plan: own, again, panel, retry, cache, settings }
}

/// Eight letters that change with a critic's settings.
fn digest(settings: &weir_critic::config::Config) -> String {
    let settings = serde_json::to_vec(settings).unwrap_or_default();
    blake3::hash(&settings).to_hex()[..8].to_owned()
}

/// The critics, ready to judge; those whose settings did not change are kept.
fn critics(config: &Config, before: Option<&Built>) -> anyhow::Result<Critics> {
    let mut critics = Critics::new();
    for (name, settings) in &config.critics {
        let same = before.filter(|before| before.config.critics.get(name) == Some(settings));
        let built = match same.and_then(|before| before.critics.get(name)) {
            Some(built) => built.clone(),
            None => settings.settings.build().map_err(|fault| anyhow::anyhow!("critics.{name}: {fault}"))?,
        };
        critics.insert(name.clone(), built);
    }
    Ok(critics)
}

/// The engine that a plan asks first, and who judges its answers, as the cache sees them: what
/// one panel found good is not given where another one judges.
struct First {
    plan: Arc<engine::Plan>,
    panel: u64,
}

impl cache::Engine for First {
    fn identity(&self) -> u64 {
        self.plan.identity().wrapping_add(self.panel)
    }

    fn gave(&self, answerer: &Answerer) -> bool {
        self.plan.is_of_first(answerer)
    }
}
