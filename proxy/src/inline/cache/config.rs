//! Configuration of the cache: its size, and what each route keeps.

use std::time::Duration;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::{ByteSize, Fault, Period};

/// Sizes of the cache, in section `[cache]`. Whether anything is kept is said per route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Ceiling of all entries together, keys and bookkeeping included. What is used least
    /// makes room for the new. 0 turns the cache off for every route.
    pub max_bytes: ByteSize,
    /// Ceiling of one entry, answer and key together, so that one answer cannot drive out a
    /// thousand. A request larger than half of it is not looked up.
    pub max_entry_bytes: ByteSize,
}

/// What a route keeps, in section `[routes.cache]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutePolicy {
    /// Which answers are kept.
    pub mode: Mode,
    /// How long an answer is given again.
    pub ttl: Period,
    /// Different answers kept for one request that is answered by lot, so that a client that
    /// asks again is not always told the same. Only for `mode = "all"`.
    pub variants: u32,
    /// Request headers that change the answer, besides those that always count
    /// (`Authorization`, `Cookie`, `OpenAI-Organization` and the like).
    pub vary: Vec<String>,
    /// Whether answers that were cut at their token limit are kept too.
    pub keep_cut: bool,
}

/// Which answers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// None.
    Off,
    /// Those that the engine would give again: `temperature` is 0, or there is a `seed`.
    #[default]
    Deterministic,
    /// Those drawn by lot as well.
    All,
}

/// The largest `max_bytes` that is no slip of the pen.
const MAX_BYTES: u64 = 1 << 40;
/// Entries are weighed in 32 bits; this leaves room for what is added to each.
const MAX_ENTRY_BYTES: u64 = 64 << 20;
/// More answers to one request than this are no cache.
const MAX_VARIANTS: u32 = 64;
/// Longer than any engine stays the same.
const MAX_TTL: Duration = Duration::from_secs(366 * 86_400);

impl Default for Config {
    fn default() -> Self {
        Self { max_bytes: ByteSize::mib(256), max_entry_bytes: ByteSize::mib(1) }
    }
}

impl Default for RoutePolicy {
    fn default() -> Self {
        Self { mode: Mode::default(), ttl: Period::secs(3600), variants: 1, vary: Vec::new(), keep_cut: false }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, problem: String, cure: &str| {
            faults.push(Fault::new(format!("{path}.{key}"), problem, cure));
        };
        match self.max_bytes.0 {
            n if n > MAX_BYTES => fault("max_bytes", format!("is {}", ByteSize(n)), "use 1024GiB or less"),
            _ => {}
        }
        match self.max_entry_bytes {
            ByteSize(0) => fault("max_entry_bytes", "is 0, nothing could be kept".into(), "use 64KiB or more"),
            n if n.0 > MAX_ENTRY_BYTES => fault("max_entry_bytes", format!("is {n}"), "use 64MiB or less"),
            n if n > self.max_bytes && self.max_bytes.0 > 0 => fault(
                "max_entry_bytes",
                format!("is {n}, more than `max_bytes` ({})", self.max_bytes),
                "lower it, or raise `max_bytes`",
            ),
            _ => {}
        }
        faults
    }

    /// The largest request that is looked up.
    pub fn max_request_bytes(&self) -> usize {
        self.max_entry_bytes.bytes() / 2
    }
}

impl RoutePolicy {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: String, problem: String, cure: &str| {
            faults.push(Fault::new(format!("{path}.{key}"), problem, cure));
        };
        match *self.ttl {
            Duration::ZERO => fault("ttl".into(), "is 0".into(), "say `mode = \"off\"` to keep nothing"),
            ttl if ttl > MAX_TTL => fault("ttl".into(), format!("is {}", self.ttl), "use 366d or less"),
            _ => {}
        }
        match self.variants {
            1 => {}
            n if !(1..=MAX_VARIANTS).contains(&n) => {
                fault("variants".into(), format!("is {n}"), "use 1 to 64");
            }
            _ if self.mode != Mode::All => {
                let problem = "has no effect where only one answer can come".into();
                fault("variants".into(), problem, "say `mode = \"all\"`, or leave it out");
            }
            _ => {}
        }
        for (i, name) in self.vary.iter().enumerate().filter(|(_, name)| name.parse::<HeaderName>().is_err()) {
            fault(format!("vary[{i}]"), format!("'{name}' is no header name"), "correct it");
        }
        faults
    }

    /// The headers of `vary`, to be made once per configuration.
    pub fn vary_names(&self) -> Vec<HeaderName> {
        self.vary.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(faults: &[Fault]) -> Vec<&str> {
        faults.iter().map(|fault| fault.path.as_str()).collect()
    }

    #[test]
    fn the_defaults_have_no_faults_and_an_empty_section_gives_them() {
        assert_eq!(Config::default().faults("cache"), []);
        assert_eq!(RoutePolicy::default().faults("cache"), []);
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
        assert_eq!(toml::from_str::<RoutePolicy>("").unwrap(), RoutePolicy::default());
        assert!(toml::from_str::<RoutePolicy>("modes = \"all\"").is_err());
        assert!(toml::from_str::<RoutePolicy>("mode = \"some\"").is_err());
    }

    #[test]
    fn sizes_that_cannot_work_are_faults() {
        let table = [
            ("max_bytes = 0", &[][..]),
            ("max_bytes = \"2048GiB\"", &["cache.max_bytes"]),
            ("max_entry_bytes = 0", &["cache.max_entry_bytes"]),
            ("max_entry_bytes = \"65MiB\"", &["cache.max_entry_bytes"]),
            ("max_bytes = \"1MiB\"\nmax_entry_bytes = \"2MiB\"", &["cache.max_entry_bytes"]),
            ("max_bytes = \"64MiB\"\nmax_entry_bytes = \"64MiB\"", &[]),
        ];
        for (text, expected) in table {
            let config: Config = toml::from_str(text).unwrap();
            assert_eq!(paths(&config.faults("cache")), expected, "{text}");
        }
    }

    #[test]
    fn policies_that_cannot_work_are_faults() {
        let table = [
            ("ttl = \"0s\"", &["c.ttl"][..]),
            ("ttl = \"400d\"", &["c.ttl"]),
            ("variants = 0", &["c.variants"]),
            ("mode = \"all\"\nvariants = 65", &["c.variants"]),
            ("variants = 4", &["c.variants"]),
            ("mode = \"all\"\nvariants = 4", &[]),
            ("vary = [\"x-user\", \"a b\"]", &["c.vary[1]"]),
            ("ttl = \"0s\"\nvariants = 0\nvary = [\"\"]", &["c.ttl", "c.variants", "c.vary[0]"]),
        ];
        for (text, expected) in table {
            let policy: RoutePolicy = toml::from_str(text).unwrap();
            assert_eq!(paths(&policy.faults("c")), expected, "{text}");
        }
    }
}
