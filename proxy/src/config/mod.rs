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
pub mod schema;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchange::Fault;
use crate::telemetry;

pub use environment::Override;
pub use live::{Change, Live};
pub use place::{Faults, Place, Placed};

/// Largest file that is read: more is a mistake, not a configuration.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Key paths whose change needs a restart: what is bound, opened or spawned once.
pub const NEEDS_RESTART: &[&str] = &["telemetry.logs.format", "telemetry.traces"];

/// The whole configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What Weir says about itself: logs and traces. Metrics are always on, at `/metrics` of the console port.
    pub telemetry: telemetry::Config,
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
        vec![self.telemetry.faults("telemetry")]
    }
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
            Err(error) => faults.push(Fault::new("", error.to_string(), "see the reference in deploy/CONFIG.md")),
        }
    }
    let placed = faults.into_iter().map(|fault| document.locate(fault)).collect();
    Err(Faults::new(origin, placed))
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
