//! Log lines on standard error: JSON for machines, pretty or compact for people.
//!
//! Field names are an interface: `exchange`, `tenant`, `route`, `api`, `engine`, `outcome`,
//! `status`, `error`, `attempts`, `verdict`, `decision`, and times in milliseconds ending in `_ms`. Must not know
//! prompt text: nothing here reads a body or a header.

use std::io::IsTerminal;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::exchange::{Fault, Record};

/// Target of the access log, to be switched by the filter.
pub const ACCESS: &str = "weir::access";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// One line for people, with the fields behind the message.
    #[default]
    Compact,
    /// Several lines for people, with the place in the source.
    Pretty,
}

/// Settings of the log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How lines look. Collectors want `json`.
    pub format: Format,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a list of `target=level` as in `"info,weir::inline=debug"`. Taken over by a reload.
    pub level: String,
    /// Whether each exchange gives a line (target `weir::access`) with times, outcome and engine, never with text. Off by default, because the store has it all.
    pub access: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::default(), level: "info".to_owned(), access: false }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        match EnvFilter::try_new(&self.level) {
            Ok(_) if !self.level.trim().is_empty() => Vec::new(),
            _ => {
                let problem = format!("\"{}\" is no log level", self.level);
                let cure = "write error, warn, info, debug or trace, or a list as in \"info,weir::inline=debug\"";
                vec![Fault::new(format!("{path}.level"), problem, cure)]
            }
        }
    }

    fn filter(&self) -> Result<EnvFilter, Error> {
        let access = if self.access { "info" } else { "off" };
        Ok(EnvFilter::try_new(format!("{},{ACCESS}={access}", self.level))?)
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is no filter.
    #[error("the log level is no filter: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Another log is installed in this process.
    #[error("the log is set up already")]
    Installed,
    /// The log is gone.
    #[error("the log cannot be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// The running log, whose filter can be changed.
#[derive(Clone, Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logs {
    /// Installs the log for the whole process.
    ///
    /// # Errors
    /// Where the level is no filter, or a log is installed already.
    pub fn install(config: &Config) -> Result<Self, Error> {
        let (filter, handle) = reload::Layer::new(config.filter()?);
        let lines = lines(config.format, std::io::stderr, std::io::stderr().is_terminal());
        tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| Error::Installed)?;
        Ok(Self { filter: handle })
    }

    /// Takes over level and access log of a reloaded configuration.
    ///
    /// # Errors
    /// Where the level is no filter.
    pub fn apply(&self, config: &Config) -> Result<(), Error> {
        Ok(self.filter.reload(config.filter()?)?)
    }
}

type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;

fn lines<W>(format: Format, writer: W, colours: bool) -> Box<dyn Layer<Filtered> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(colours);
    match format {
        Format::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        Format::Compact => layer.compact().boxed(),
        Format::Pretty => layer.pretty().boxed(),
    }
}

/// Writes the access line of a finished exchange.
pub fn access(record: &Record) {
    if !tracing::enabled!(target: ACCESS, tracing::Level::INFO) {
        return;
    }
    let millis = |moment: Option<std::time::Duration>| moment.map(|moment| moment.as_secs_f64() * 1000.0);
    let timings = &record.timings;
    tracing::info!(
        target: ACCESS,
        exchange = %record.request.id,
        tenant = record.tenant.as_str(),
        route = record.route.as_str(),
        api = record.request.api.as_str(),
        engine = record.engine.as_ref().map(|answerer| answerer.engine.as_str()),
        outcome = record.outcome.as_str(),
        status = record.status,
        error = record.error.as_ref().map(|error| error.kind.as_str()),
        attempts = record.attempts.len(),
        verdict = Some(record.judged.word.as_str()).filter(|word| !word.is_empty()),
        decision = Some(record.judged.decision.as_str()).filter(|word| !word.is_empty()),
        request_bytes = record.request.body.len(),
        response_bytes = record.response.total_bytes,
        first_token_ms = millis(timings.first_token),
        total_ms = millis(timings.finished),
        "exchange"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::exchange::judged::{Decision, Handling, Word};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a log with this configuration writes of one event.
    fn written(config: &Config, action: impl FnOnce()) -> String {
        let page = Page::default();
        let (filter, _handle) = reload::Layer::new(config.filter().unwrap());
        let copy = page.clone();
        let lines = lines(config.format, move || copy.clone(), false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter).with(lines), action);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_flat_and_names_its_fields() {
        let config = Config { format: Format::Json, ..Config::default() };
        let line = written(&config, || tracing::info!(route = "main", "reloaded"));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["level"], &value["message"], &value["route"]),
            (&"INFO".into(), &"reloaded".into(), &"main".into())
        );
    }

    #[test]
    fn the_access_line_is_written_only_when_asked_for_and_holds_no_text() {
        let record = super::super::metrics::tests::record();
        let off = Config { format: Format::Json, ..Config::default() };
        assert_eq!(written(&off, || access(&record)), "");
        let line = written(&Config { access: true, ..off }, || access(&record));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["outcome"], &value["status"], &value["total_ms"]),
            (&"complete".into(), &200.into(), &1000.0.into())
        );
        assert!(!line.contains("PROMPT"), "{line}");
    }

    #[test]
    fn the_access_line_tells_what_critics_said_and_only_where_they_said_it() {
        let config = Config { format: Format::Json, access: true, ..Config::default() };
        let mut record = super::super::metrics::tests::record();
        let value = |line: String| serde_json::from_str::<serde_json::Value>(&line).unwrap();
        assert_eq!(value(written(&config, || access(&record))).get("verdict"), None);
        record.judged.word = Word::Fail;
        record.judged.decision = Decision::Escalate(Handling::Deliver);
        let line = value(written(&config, || access(&record)));
        assert_eq!((&line["verdict"], &line["decision"]), (&"fail".into(), &"escalate".into()));
    }

    #[test]
    fn a_level_that_is_no_filter_is_a_fault() {
        for bad in ["loud=very", "", "info,weir=5x"] {
            let config = Config { level: bad.to_owned(), ..Config::default() };
            assert_eq!(config.faults("telemetry.logs").len(), 1, "{bad}");
        }
        assert!(Config { level: "warn,weir::inline=debug".to_owned(), ..Config::default() }.faults("x").is_empty());
    }
}
