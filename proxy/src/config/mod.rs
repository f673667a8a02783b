//! The configuration: one TOML file, environment overrides, all faults at once.
//!
//! A value is looked for in this order, the last one wins: the default beside the field,
//! the file, the environment (`WEIR__SECTION__KEY`, see [`environment`]), the command line.
//! Promises: unknown keys are refused; every fault comes in one go, with key path, place
//! and cure; no fault repeats the value of a secret; the reference and the JSON Schema are
//! generated from the same types that are read.
//!
//! To add a section, add a field to [`Config`] and a line to [`Config::sections`].

pub mod document;
pub mod environment;
pub mod live;
pub mod place;
pub mod reference;
pub mod route;
pub mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::background::{digest, redact, sample, sink, spool, store};
use crate::exchange::{ByteSize, Fault, Name};
use crate::inline::{accept, admit, cache, engine, identify, judge};
use crate::{console, telemetry};

pub use environment::Override;
pub use live::{Change, Live};
pub use place::{Faults, Place, Placed};
pub use route::Route;

/// Largest file that is read: more is a mistake, not a configuration.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Key paths whose change needs a restart: what is bound, opened or spawned once.
pub const NEEDS_RESTART: &[&str] = &[
    "data_dir",
    "instance",
    "server.listen",
    "server.max_connections",
    "server.max_held_bytes",
    "server.header_timeout",
    "cache",
    "judging.threads",
    "judging.slow_threads",
    "judging.queue",
    "judging.audits",
    "judging.audit_bytes",
    "outbox",
    "digest",
    "spool",
    "sink",
    "store",
    "console",
    "telemetry.logs.format",
    "telemetry.traces",
];

/// The whole configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of everything that Weir keeps on disk: `spool/`, `store/`, `sink/`, the console's token.
    /// Default: the first that is set of `$STATE_DIRECTORY` (systemd), `$XDG_DATA_HOME/weir/data`,
    /// `~/.local/share/weir/data`.
    pub data_dir: Option<PathBuf>,
    /// Name of this Weir in every record, to tell replicas apart. Default: the host's name.
    pub instance: Option<String>,
    /// The data port and its limits.
    pub server: accept::Config,
    /// Exchanges in flight and waiting.
    pub limits: admit::Config,
    /// Answers that are given again; what enters is said per route, under `[routes.cache]`.
    pub cache: cache::Config,
    /// The engines, by name.
    pub engines: BTreeMap<Name, engine::Config>,
    /// The critics, by name; who asks them is said per route, under `[routes.judge]`.
    pub critics: judge::Critics,
    /// What judging may cost, all routes together.
    pub judging: judge::Config,
    /// Who may use Weir, by name. With none, everybody may, as the tenant `default`, and
    /// clients' keys are passed on to the engine.
    pub tenants: BTreeMap<Name, identify::tenant::Config>,
    /// Which requests go to which engines; the first that fits takes a request. With none,
    /// everything goes to the only engine.
    pub routes: Vec<Route>,
    /// What waits between the request path and the recorder.
    pub outbox: Outbox,
    /// Which exchanges are kept.
    pub sample: sample::Config,
    /// What is taken out of text before it is kept.
    pub redact: redact::Config,
    /// How much of each exchange is kept.
    pub digest: digest::Config,
    /// The disk queue before the store.
    pub spool: spool::Config,
    /// Writing to the store.
    pub sink: sink::Config,
    /// Which ClickHouse keeps the records.
    pub store: store::Config,
    /// The console.
    pub console: console::Config,
    /// What Weir says about itself: logs and traces. Metrics are always on, at `/metrics` of the console port.
    pub telemetry: telemetry::Config,
}

/// Limits of what waits between the request path and the recorder. Beyond them records are
/// dropped, counted, and written down as a gap.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    /// Most records. Default 16384.
    pub max_records: usize,
    /// Most bytes of bodies. Default 128MiB.
    pub max_bytes: ByteSize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { max_records: 16_384, max_bytes: ByteSize::mib(128) }
    }
}

/// A configuration that can say what is wrong with itself beyond its shape.
pub trait Checked {
    /// Every fault that only the values together show.
    fn faults(&self) -> Vec<Fault>;
}

impl Checked for Config {
    fn faults(&self) -> Vec<Fault> {
        self.sections().into_iter().flatten().collect()
    }
}

impl Config {
    /// The faults of each section, one line per section.
    fn sections(&self) -> Vec<Vec<Fault>> {
        vec![
            self.server.faults("server"),
            self.limits.faults("limits"),
            self.cache.faults("cache"),
            self.engines.iter().flat_map(|(name, engine)| engine.faults(&format!("engines.{name}"))).collect(),
            self.critic_faults(),
            self.tenants.iter().flat_map(|(name, tenant)| tenant.faults(&format!("tenants.{name}"))).collect(),
            self.route_faults(),
            self.sample.faults("sample"),
            self.redact.faults("redact"),
            self.digest.faults("digest"),
            self.spool.faults("spool"),
            self.sink.faults("sink"),
            self.store.faults("store"),
            self.console.faults("console"),
            self.telemetry.faults("telemetry"),
        ]
    }

    fn critic_faults(&self) -> Vec<Fault> {
        let engines: Vec<Name> = self.engines.keys().cloned().collect();
        let own = self.critics.iter().flat_map(|(name, critic)| {
            let faults = critic.faults().into_iter();
            faults.map(move |fault| Fault::new(format!("critics.{name}.{}", fault.key), fault.problem, fault.cure))
        });
        own.chain(self.judging.faults("judging", &engines)).collect()
    }

    fn route_faults(&self) -> Vec<Fault> {
        let known = route::Known {
            engines: self.engines.keys().cloned().collect(),
            tenants: self.tenants.keys().cloned().collect(),
            critics: self.critics.keys().cloned().collect(),
        };
        let route = |(i, route): (usize, &Route)| route.faults(&format!("routes[{i}]"), &known);
        let mut faults: Vec<Fault> = self.routes.iter().enumerate().flat_map(route).collect();
        match (self.engines.len(), self.routes.is_empty()) {
            (0, _) => {
                let cure = "name one with --engine http://host:port, or under [engines.NAME]";
                faults.push(Fault::new("engines", "is empty, there is nothing to stand in front of", cure));
            }
            (2.., true) => {
                let cure = "say under [[routes]] which requests go to which";
                faults.push(Fault::new("routes", "is empty, and there is more than one engine", cure));
            }
            _ => {}
        }
        faults
    }

    /// Fills in what depends on the machine: folders and the name of this instance.
    pub fn settle(mut self) -> Self {
        let data = self.data_dir.take().unwrap_or_else(default_data_dir);
        self.spool.directory = data.join("spool");
        self.sink.data_dir = data.join("sink");
        self.store.data_dir = data.join("store");
        self.data_dir = Some(data);
        self.instance = Some(self.instance.take().unwrap_or_else(host_name));
        self
    }
}

fn default_data_dir() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").map(|home| home.join(".local/share"));
    let shared = || variable("XDG_DATA_HOME").or_else(home).map(|base| base.join("weir/data"));
    variable("STATE_DIRECTORY").or_else(shared).unwrap_or_else(|| PathBuf::from("weir-data"))
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "weir".to_owned() } else { name.to_owned() }
}

/// Where a configuration comes from; reading it again is a reload.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file; none means defaults, environment and command line only.
    pub file: Option<PathBuf>,
    /// Settings that win over the file, weakest first: environment, then command line.
    pub overrides: Vec<Override>,
}

impl Sources {
    /// A file, the process's environment, and settings from the command line.
    pub fn new(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        command_line: Vec<Override>,
    ) -> Self {
        let mut overrides = environment::overrides(environment);
        overrides.extend(command_line);
        Self { file: file.map(Path::to_owned), overrides }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// All faults at once; where the file is not TOML, its syntax errors only, because
    /// nothing behind them can be trusted.
    pub fn load<T: DeserializeOwned + JsonSchema + Checked>(&self) -> Result<T, Faults> {
        let origin = self.file.as_deref().map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
        let text = match &self.file {
            Some(file) => read(file).map_err(|fault| Faults::new(&origin, vec![Placed::new(fault, Place::Unknown)]))?,
            None => String::new(),
        };
        load_text(&text, &origin, &self.overrides)
    }
}

/// Reads and checks a configuration given as text; `origin` is the name shown in faults.
///
/// # Errors
/// As [`Sources::load`].
pub fn load_text<T: DeserializeOwned + JsonSchema + Checked>(
    text: &str,
    origin: &str,
    overrides: &[Override],
) -> Result<T, Faults> {
    let schema = schema::of::<T>();
    let mut document = document::parse(text).map_err(|list| Faults::new(origin, list))?;
    let mut faults = environment::apply(&mut document, &schema, overrides);
    faults.extend(schema::check(&schema, &document.value));
    if faults.is_empty() {
        match serde_json::from_value::<T>(document.value.clone()) {
            Ok(config) => {
                faults = config.faults();
                if faults.is_empty() {
                    return Ok(config);
                }
            }
            Err(error) => faults = unread::<T>(&document.value, &error.to_string()),
        }
    }
    let placed = faults.into_iter().map(|fault| document.locate(fault)).collect();
    Err(Faults::new(origin, placed))
}

/// Finds the values that fit the schema but not their type, such as an address with a typo,
/// by reading each alone; a value that only fails among others is told without its place.
fn unread<T: DeserializeOwned>(value: &Value, whole: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, alone) in document::leaves(value) {
        // A list read alone may lack keys that stand in its other leaves: that is no fault.
        let error = serde_json::from_value::<T>(alone).err().map(|error| error.to_string());
        if let Some(problem) = error.filter(|error| !error.starts_with("missing field")) {
            let cure = match problem.as_str() {
                "invalid socket address syntax" => "write an IP address and a port, as in \"127.0.0.1:8080\"",
                _ => "see the reference in deploy/CONFIG.md",
            };
            faults.push(Fault::new(path, problem, cure));
        }
    }
    if faults.is_empty() {
        faults.push(Fault::new("", whole, "see the reference in deploy/CONFIG.md"));
    }
    faults
}

/// What `weir check` tells: the configuration as it would run, or what is wrong with it.
#[derive(Debug)]
pub struct Report {
    /// The configuration, or all its faults.
    pub outcome: Result<Box<Config>, Faults>,
}

/// Checks a configuration without starting anything.
pub fn check(sources: &Sources) -> Report {
    Report { outcome: sources.load::<Config>().map(Box::new) }
}

impl Report {
    /// Whether Weir would start with it.
    pub fn is_good(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.outcome {
            Ok(_) => f.write_str("the configuration is good"),
            Err(faults) => write!(f, "{faults}"),
        }
    }
}

/// The configuration as it runs, for people to look at: secrets are replaced by `"***"`.
pub fn shown<T: Serialize>(config: &T) -> Value {
    // A configuration is plain data with text keys, which JSON always takes; null would only blank a page.
    let mut value = serde_json::to_value(config).unwrap_or(Value::Null);
    place::hide_secrets(&mut value);
    value
}

/// Reads the file, refusing what is too large or not text.
fn read(file: &Path) -> Result<String, Fault> {
    let fault = |problem: String, cure: &str| Fault::new("", problem, cure);
    let size = std::fs::metadata(file)
        .map_err(|error| fault(format!("the file cannot be read: {error}"), "check the path given with --config"))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(fault(format!("the file has {size} bytes"), "give a file of at most 4 MiB"));
    }
    std::fs::read_to_string(file)
        .map_err(|error| fault(format!("the file cannot be read: {error}"), "give a readable file of UTF-8 text"))
}

#[cfg(test)]
mod tests;
