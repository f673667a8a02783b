//! Decides which exchanges are kept, each with its inclusion probability.
//!
//! Promises: pure; the same exchange under the same settings is decided the same way
//! anywhere. The id is hashed to a number `u`, uniform in [0, 1); each rule that applies
//! has a rate, and the exchange is kept if `u` lies below the largest of them:
//!
//! ```text
//! u = BLAKE3(key = salt, id) / 2^64        p = max(rate of each rule that applies)
//! keep ⇔ u < p                             P(keep | facts) = p, exactly (to 2^-53)
//! ```
//!
//! Because all rules compare with the same `u`, they are nested: what a low rate keeps, a
//! higher one keeps too, and no probabilities need to be combined. A total over all traffic
//! is estimated without bias by Σ y / p (Horvitz and Thompson, 1952; `weir_stats::weighted`).
//! What it must not know: clocks, records, where the facts come from.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::{ExchangeId, Fault, Name, Period};

/// Which share of the exchanges is kept. All rates are ratios in [0, 1].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Share of ordinary exchanges. Default: 1.0, everything, until that is too much.
    pub rate: f64,
    /// Share of ordinary exchanges by route, in place of `rate`, for routes that are very
    /// busy or very dear. Default: none.
    pub routes: BTreeMap<Name, f64>,
    /// Share of exchanges that an engine or Weir failed, or that the client left, because
    /// these are what one looks for. Default: 1.0.
    pub errors: f64,
    /// Share of exchanges whose answers critics found bad: escalated, asked again for a better
    /// answer, stopped, or failed by any critic, audits included. Default: 1.0.
    pub judged_bad: f64,
    /// Share of exchanges that Weir refused before any engine was asked; lower it where a
    /// storm of refusals would fill the disk. Default: 1.0.
    pub refusals: f64,
    /// Share of slow exchanges. Default: 1.0.
    pub slow: f64,
    /// From which total time an exchange is slow. Default: 30s.
    pub slow_after: Period,
    /// Share of rare exchanges, so that small tenants and routes are seen at all. Default: 1.0.
    pub rare: f64,
    /// A tenant's use of a route is rare while it has had fewer exchanges than this within
    /// the hour. Default: 10.
    pub rare_below: u32,
    /// Share that is kept of everything whatever the other rates say: the sample by which
    /// all other figures are checked. Default: 0.01, and no less.
    pub audit: f64,
    /// Text that keys the hash. Give replicas the same text if they must decide alike;
    /// change it to draw another sample. Default: "weir".
    pub salt: String,
}

/// Lowest share of the uniform audit.
const AUDIT_FLOOR: f64 = 0.01;

/// What the decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Identity of the exchange.
    pub id: ExchangeId,
    /// The route that took it.
    pub route: &'a Name,
    /// How it went.
    pub course: Course,
    /// From arrival to the end.
    pub took: Duration,
    /// Exchanges of the same tenant and route within the hour, before this one.
    pub seen: u32,
    /// What critics made of it.
    pub judged: Judged,
}

/// What critics made of an exchange, as far as sampling cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judged {
    /// Nothing to complain of, or nobody was asked.
    #[default]
    Good,
    /// Any of its answers was bad.
    Bad,
}

/// How an exchange went, as far as sampling cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Answered.
    Ordinary,
    /// Refused by Weir.
    Refused,
    /// Failed, broken off or left.
    Error,
}

/// Why an exchange is kept: the first rule in this order that keeps it, so that the rows
/// marked `uniform` and `audit` are uniform samples in themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The uniform audit.
    Audit,
    /// The rate of its route.
    Uniform,
    /// It failed.
    Error,
    /// Critics found an answer bad.
    Verdict,
    /// It was refused.
    Refused,
    /// It was slow.
    Slow,
    /// Its kind is rare.
    Rare,
    /// It is not kept.
    None,
}

/// What is done with an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether it is kept.
    pub keep: bool,
    /// Probability with which exchanges of such facts are kept.
    pub probability: f64,
    /// Why.
    pub reason: Reason,
}

/// The settings, ready for use.
#[derive(Clone, Debug)]
pub struct Sampler {
    config: Config,
    key: [u8; 32],
}

/// Counts exchanges by tenant and route, hour by hour, for [`Facts::seen`]. Time comes from
/// the caller. Bounded: beyond its limit new pairs count as often seen.
#[derive(Debug, Default)]
pub struct Frequency {
    hour: u64,
    counts: HashMap<(Name, Name), u32>,
}

/// Pairs of tenant and route that are counted.
const PAIRS: usize = 4096;

impl Default for Config {
    fn default() -> Self {
        Self {
            rate: 1.0,
            routes: BTreeMap::new(),
            errors: 1.0,
            judged_bad: 1.0,
            refusals: 1.0,
            slow: 1.0,
            slow_after: Period::secs(30),
            rare: 1.0,
            rare_below: 10,
            audit: AUDIT_FLOOR,
            salt: "weir".to_owned(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let named = [
            ("rate", self.rate),
            ("errors", self.errors),
            ("judged_bad", self.judged_bad),
            ("refusals", self.refusals),
            ("slow", self.slow),
            ("rare", self.rare),
        ];
        let fixed = named.iter().map(|(key, rate)| (format!("{path}.{key}"), *rate));
        let routes = self.routes.iter().map(|(route, rate)| (format!("{path}.routes.{route}"), *rate));
        let mut faults: Vec<Fault> = fixed
            .chain(routes)
            .filter(|(_, rate)| !(0.0..=1.0).contains(rate))
            .map(|(key, rate)| Fault::new(key, format!("{rate} is no ratio"), "write a number from 0.0 to 1.0"))
            .collect();
        if !(AUDIT_FLOOR..=1.0).contains(&self.audit) {
            let problem = format!("an audit of {} leaves the other figures unchecked", self.audit);
            faults.push(Fault::new(format!("{path}.audit"), problem, "write a number from 0.01 to 1.0"));
        }
        faults
    }
}

impl Reason {
    /// Every reason, for tables of metrics and tests.
    pub const ALL: [Self; 8] =
        [Self::Audit, Self::Uniform, Self::Error, Self::Verdict, Self::Refused, Self::Slow, Self::Rare, Self::None];

    /// The word used in labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Uniform => "uniform",
            Self::Error => "error",
            Self::Verdict => "verdict",
            Self::Refused => "refused",
            Self::Slow => "slow",
            Self::Rare => "rare",
            Self::None => "none",
        }
    }
}

impl Sampler {
    /// Makes a sampler of the settings.
    pub fn new(config: &Config) -> Self {
        let key = blake3::derive_key("weir exchange sampling v1", config.salt.as_bytes());
        Self { config: config.clone(), key }
    }

    /// Decides about one exchange.
    pub fn decide(&self, facts: &Facts<'_>) -> Sampling {
        let place = self.place(facts.id);
        let rules = self.rules(facts);
        let probability = rules.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let reason = rules.iter().find(|(_, rate)| place < *rate).map_or(Reason::None, |(reason, _)| *reason);
        Sampling { keep: place < probability, probability, reason }
    }

    /// The rate of each rule; 0 where it does not apply.
    fn rules(&self, facts: &Facts<'_>) -> [(Reason, f64); 7] {
        let config = &self.config;
        let when = |applies: bool, rate: f64| if applies { rate } else { 0.0 };
        let ordinary = config.routes.get(facts.route).copied().unwrap_or(config.rate);
        [
            (Reason::Audit, config.audit),
            (Reason::Uniform, ordinary),
            (Reason::Error, when(facts.course == Course::Error, config.errors)),
            (Reason::Verdict, when(facts.judged == Judged::Bad, config.judged_bad)),
            (Reason::Refused, when(facts.course == Course::Refused, config.refusals)),
            (Reason::Slow, when(facts.took >= *config.slow_after, config.slow)),
            (Reason::Rare, when(facts.seen < config.rare_below, config.rare)),
        ]
    }

    /// The exchange's `u`: uniform in [0, 1), of 53 bits.
    fn place(&self, id: ExchangeId) -> f64 {
        let hash = blake3::keyed_hash(&self.key, id.0.as_bytes());
        let mut head = [0; 8];
        head.copy_from_slice(&hash.as_bytes()[..8]);
        (u64::from_le_bytes(head) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Frequency {
    /// How many exchanges of this tenant and route came before within the hour of `since_epoch`.
    pub fn seen(&mut self, tenant: &Name, route: &Name, since_epoch: Duration) -> u32 {
        let hour = since_epoch.as_secs() / 3600;
        if hour != self.hour {
            self.hour = hour;
            self.counts.clear();
        }
        let room = self.counts.len() < PAIRS;
        let pair = (tenant.clone(), route.clone());
        match self.counts.get_mut(&pair) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count - 1
            }
            None if room => {
                self.counts.insert(pair, 1);
                0
            }
            None => u32::MAX,
        }
    }
}

#[cfg(test)]
mod tests;
