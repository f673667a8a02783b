//! Routes: which requests go to which engines, under which policy.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::{ByteSize, Fault, Name, Period};
use crate::inline::cache::RoutePolicy;
use crate::inline::identify::route::Conditions;
use crate::inline::judge;

/// One route. All conditions that are given must hold; the first route that fits takes the request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Name by which metrics and records speak of it.
    pub name: Name,
    /// Values of `model` that it takes; `*` stands for any text. Empty: any model, or none.
    #[serde(default)]
    pub models: Vec<String>,
    /// Paths that it takes; `*` stands for any text. Empty: any path.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Headers that must be there with these values; `*` stands for any text.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Tenants that may use it. Empty: any.
    #[serde(default)]
    pub tenants: Vec<Name>,
    /// Engines in order of preference: the next is asked when one fails before its first token.
    pub engines: Vec<Name>,
    /// Most attempts at an engine for one exchange.
    #[serde(default = "max_attempts")]
    pub max_attempts: usize,
    /// Limit of the whole exchange; the engine's own where left out.
    #[serde(default)]
    pub total_timeout: Option<Period>,
    /// A stream that is silent for so long (a long prefill, say) gets a comment, so that
    /// nobody between takes it for dead. `"0s"` turns it off. The first comment is the commit
    /// point: no other engine is tried after it.
    #[serde(default = "keep_alive")]
    pub sse_keep_alive: Period,
    /// So much of an answer is copied for the record. One that is not copied whole does not enter
    /// the cache.
    #[serde(default = "capture")]
    pub capture_bytes: ByteSize,
    /// Which answers are given again.
    #[serde(default)]
    pub cache: RoutePolicy,
    /// Which critics judge the answers, and what follows.
    #[serde(default)]
    pub judge: judge::RoutePolicy,
}

/// Names that exist, for routes to use.
#[derive(Clone, Debug)]
pub struct Known {
    /// Engines.
    pub engines: Vec<Name>,
    /// Tenants.
    pub tenants: Vec<Name>,
    /// Critics.
    pub critics: Vec<Name>,
}

fn max_attempts() -> usize {
    3
}
fn keep_alive() -> Period {
    Period::secs(15)
}
fn capture() -> ByteSize {
    ByteSize::mib(1)
}

impl Route {
    /// A route that takes everything.
    pub fn catch_all(name: Name, engines: Vec<Name>) -> Self {
        Self {
            name,
            models: Vec::new(),
            paths: Vec::new(),
            headers: BTreeMap::new(),
            tenants: Vec::new(),
            engines,
            max_attempts: max_attempts(),
            total_timeout: None,
            sse_keep_alive: keep_alive(),
            capture_bytes: capture(),
            cache: RoutePolicy::default(),
            judge: judge::RoutePolicy::default(),
        }
    }

    /// What is wrong with the values, given the names that exist.
    pub fn faults(&self, path: &str, known: &Known) -> Vec<Fault> {
        let Known { engines, tenants, critics } = known;
        let mut faults = Vec::new();
        if self.engines.is_empty() {
            faults.push(Fault::new(format!("{path}.engines"), "is empty", "name at least one engine"));
        }
        let names = [("engines", &self.engines, engines), ("tenants", &self.tenants, tenants)];
        for (key, used, known) in names {
            for (i, name) in used.iter().enumerate().filter(|(_, name)| !known.contains(name)) {
                let known: Vec<_> = known.iter().map(Name::as_str).collect();
                let cure = format!("use one of [{}], or add it as [{key}.NAME]", known.join(", "));
                faults.push(Fault::new(format!("{path}.{key}[{i}]"), format!("'{name}' is not configured"), cure));
            }
        }
        if self.max_attempts == 0 {
            faults.push(Fault::new(format!("{path}.max_attempts"), "is 0, no engine would be asked", "use 1 or more"));
        }
        for name in self.headers.keys().filter(|name| name.parse::<http::HeaderName>().is_err()) {
            faults.push(Fault::new(format!("{path}.headers"), format!("'{name}' is no header name"), "correct it"));
        }
        faults.extend(self.cache.faults(&format!("{path}.cache")));
        faults.extend(self.judge.faults(&format!("{path}.judge"), engines, critics));
        faults
    }

    /// Which requests it takes.
    pub fn conditions(&self) -> Conditions {
        let Self { name, models, paths, headers, tenants, .. } = self.clone();
        Conditions { name, models, paths, headers, tenants }
    }
}
