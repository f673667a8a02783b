//! Which critic a command means: one of a configuration, or a kind with its defaults.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use weir_critic::config::{Built, Config, Named};

/// Largest configuration that is read: more is a mistake.
pub(super) const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// The critic of a command line.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Name of a critic of the configuration.
    #[arg(long, value_name = "NAME", required_unless_present = "kind", conflicts_with = "kind", requires = "config")]
    critic: Option<String>,
    /// A kind of critic, with its defaults; `weir critic list` names them.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// A setting of the kind, as in threshold=0.4; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "critic")]
    settings: Vec<String>,
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "WEIR_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

/// A critic that is ready.
pub(super) struct Chosen {
    /// Its name, or its kind where it has none.
    pub(super) name: String,
    /// Its settings.
    pub(super) settings: Config,
    /// The critic.
    pub(super) built: Built,
}

impl Chosen {
    /// The critic's version.
    pub(super) fn version(&self) -> &str {
        match &self.built {
            Built::Alone(critic) => critic.version(),
            Built::Asking(critic) => critic.version(),
        }
    }

    /// The same critic with another threshold.
    pub(super) fn at(&self, threshold: f64) -> Result<Self, String> {
        let mut settings = serde_json::to_value(&self.settings).map_err(|error| error.to_string())?;
        settings["threshold"] = Value::from(threshold);
        let no_threshold = |problem| format!("critic {}: {problem}; this kind has no threshold to choose", self.name);
        Self::new(&self.name, parsed("settings", settings).map_err(no_threshold)?.settings)
    }

    fn new(name: &str, settings: Config) -> Result<Self, String> {
        let fault =
            |fault: &weir_critic::config::Fault| format!("{name}.{} {}; {}", fault.key, fault.problem, fault.cure);
        let faults: Vec<String> = settings.faults().iter().map(fault).collect();
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let built = settings.build().map_err(|problem| format!("critic {name}: {problem}"))?;
        Ok(Self { name: name.to_owned(), settings, built })
    }
}

impl Selection {
    /// The critic that is meant.
    pub(super) fn choose(&self) -> Result<Chosen, String> {
        match (&self.critic, &self.kind) {
            (Some(name), _) => self.named(name),
            (None, Some(kind)) => Chosen::new(kind, of_kind(kind, &self.settings)?),
            (None, None) => Err("name a critic with --critic, or a kind with --kind".to_owned()),
        }
    }

    /// A critic of the configuration.
    pub(super) fn named(&self, name: &str) -> Result<Chosen, String> {
        let file = self.config.as_deref().ok_or("name the configuration with --config")?;
        let mut critics = critics(file)?;
        let table = critics.remove(name).ok_or_else(|| {
            let known: Vec<&str> = critics.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("{}: there is no critic {name:?}; it names {known}", file.display())
        })?;
        Chosen::new(name, parsed(&format!("{}: critics.{name}", file.display()), table)?.settings)
    }
}

fn parsed(place: &str, table: Value) -> Result<Named, String> {
    serde_json::from_value(table).map_err(|error| format!("{place}: {error}"))
}

/// The `[critics]` of a configuration file.
fn critics(file: &Path) -> Result<Map<String, Value>, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut table: toml::Table = read(file)?.parse().map_err(|error| said(&error))?;
    let critics = table.remove("critics").unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
    match serde_json::to_value(critics).map_err(|error| said(&error))? {
        Value::Object(critics) => Ok(critics),
        _ => Err(said(&"critics is no table; write [critics.NAME]")),
    }
}

/// The text of a configuration file.
pub(super) fn read(file: &Path) -> Result<String, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let size = std::fs::metadata(file).map_err(|error| said(&error))?.len();
    if size > MAX_CONFIG_BYTES {
        return Err(said(&"the file is larger than 4 MiB, which is no configuration"));
    }
    std::fs::read_to_string(file).map_err(|error| said(&error))
}

fn of_kind(kind: &str, settings: &[String]) -> Result<Config, String> {
    let mut table = Map::from_iter([("kind".to_owned(), Value::from(kind))]);
    for setting in settings {
        let (key, text) = setting.split_once('=').ok_or_else(|| format!("--set {setting}: give KEY=VALUE"))?;
        // A value is TOML; a word that is none is text, so that nobody has to quote twice.
        let value = format!("value = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
        let value = value.unwrap_or_else(|| toml::Value::from(text));
        table.insert(key.to_owned(), serde_json::to_value(value).map_err(|error| error.to_string())?);
    }
    let known: Vec<String> = kinds().into_iter().map(|(kind, _)| kind).collect();
    if !known.iter().any(|known| known == kind) {
        return Err(format!("there is no kind {kind:?}; give one of {}", known.join(", ")));
    }
    Ok(parsed(&format!("kind {kind}"), Value::Object(table))?.settings)
}

/// Every kind with what it judges, from the schema of the settings.
fn kinds() -> Vec<(String, String)> {
    let schema = schemars::schema_for!(Config);
    let kind = |one: &Value| {
        let kind = one["properties"]["kind"]["const"].as_str()?;
        Some((kind.to_owned(), one["description"].as_str().unwrap_or_default().to_owned()))
    };
    schema.as_value()["oneOf"].as_array().into_iter().flatten().filter_map(kind).collect()
}

/// What `weir critic list` prints.
pub(super) fn list(config: Option<&Path>, json: bool) -> Result<String, String> {
    let configured = match config {
        Some(file) => critics(file)?,
        None => Map::new(),
    };
    let mut named = Vec::new();
    for (name, table) in configured {
        let kind = table["kind"].as_str().unwrap_or_default().to_owned();
        let calibration = table.get("calibration").cloned().unwrap_or_default();
        let threshold = table.get("threshold").cloned().unwrap_or_default();
        let version = match Chosen::new(&name, parsed(&format!("critics.{name}"), table)?.settings) {
            Ok(critic) => critic.version().to_owned(),
            Err(problem) => return Err(problem),
        };
        // A threshold that was chosen on another version's scores means nothing.
        let is_stale = calibration["critic"].as_str().is_some_and(|calibrated| calibrated != version);
        named.push(serde_json::json!({
            "name": name, "kind": kind, "version": version, "threshold": threshold,
            "calibration": calibration, "calibrated_on_another_version": is_stale,
        }));
    }
    let kinds = kinds();
    if json {
        let kinds: Vec<Value> =
            kinds.iter().map(|(kind, judges)| serde_json::json!({ "kind": kind, "judges": judges })).collect();
        return Ok(format!("{:#}\n", serde_json::json!({ "kinds": kinds, "critics": named })));
    }
    let width = kinds.iter().map(|(kind, _)| kind.len()).max().unwrap_or(0);
    let mut text: String =
        kinds.iter().map(|(kind, judges)| format!("{kind:width$}  {}\n", judges.replace('\n', " "))).collect();
    for critic in named {
        let word = |key: &str| critic[key].as_str().unwrap_or_default().to_owned();
        let how = match (critic["calibration"]["method"].as_str(), critic["calibrated_on_another_version"].as_bool()) {
            (Some(method), Some(true)) => format!("threshold by {method} on another version: calibrate again"),
            (Some(method), _) => format!("threshold by {method}"),
            (None, _) => "not calibrated".to_owned(),
        };
        text.push_str(&format!("\n[critics.{}] {} {}, {how}", word("name"), word("kind"), word("version")));
    }
    Ok(text.trim_end().to_owned() + "\n")
}
