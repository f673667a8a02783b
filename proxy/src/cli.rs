//! The command line of `weir`: what it takes, and the commands that start nothing.
//!
//! Flags are the strongest layer of the configuration and nothing else: each becomes an
//! override of a key, so a flag is checked and explained like the key it sets.

pub mod critic;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Override, Place, Report, Sources};

/// Monitoring and guardrail proxy for local LLM engines.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `weir` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy.
    Serve(Flags),
    /// Check the configuration and tell all faults at once; starts nothing.
    Check {
        /// The configuration.
        #[command(flatten)]
        flags: Flags,
        /// Print the faults as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure, calibrate and train critics on labelled cases.
    #[command(subcommand)]
    Critic(critic::Command),
    /// Make an API key for a tenant: the key for the client, its hash for the configuration.
    Key,
    /// Print the reference of all configuration keys as Markdown.
    ConfigReference {
        /// Print the JSON Schema instead, for editors.
        #[arg(long)]
        schema: bool,
    },
    /// The embedded store's own process; started by `weir serve`.
    #[command(hide = true)]
    StoreEngine,
}

/// Where the configuration is, and keys that win over it.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// The configuration file (TOML); without one, the defaults hold.
    #[arg(long, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address of an engine, as in http://localhost:8000; more than one are replicas.
    #[arg(long = "engine", value_name = "URL")]
    pub engines: Vec<String>,
    /// Where clients connect, as in 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Where the console, metrics and health checks are, as in 127.0.0.1:8081.
    #[arg(long, value_name = "ADDRESS")]
    pub console_listen: Option<String>,
    /// Directory of everything that Weir keeps on disk.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How log lines look: json, compact or pretty.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Flags {
    /// The flags and an environment as the sources of a configuration.
    pub fn sources(&self, environment: impl IntoIterator<Item = (String, String)>) -> Sources {
        Sources::new(self.config.as_deref(), environment, self.overrides())
    }

    fn overrides(&self) -> Vec<Override> {
        let mut list = Vec::new();
        let mut set = |flag: &str, path: &str, text: &str| list.push(Override::new(flag, path, text));
        if !self.engines.is_empty() {
            let replicas: Vec<String> =
                self.engines.iter().map(|url| toml::Value::from(url.as_str()).to_string()).collect();
            set("--engine", "engines.default.replicas", &format!("[{}]", replicas.join(", ")));
        }
        if let Some(address) = &self.listen {
            set("--listen", "server.listen", address);
        }
        if let Some(address) = &self.console_listen {
            set("--console-listen", "console.listen", address);
        }
        if let Some(dir) = &self.data_dir {
            set("--data-dir", "data_dir", &dir.to_string_lossy());
        }
        if let Some(format) = &self.log_format {
            set("--log-format", "telemetry.logs.format", format);
        }
        list
    }
}

/// The two long-running programs behind the command line, given by `main`.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// Runs the proxy until it is told to stop.
    pub serve: fn(Sources) -> ExitCode,
    /// Runs the embedded store's process.
    pub store_engine: fn() -> ExitCode,
}

/// Does what the command line says.
pub fn run(cli: Cli, programs: Programs) -> ExitCode {
    match cli.command {
        Command::Serve(flags) => (programs.serve)(flags.sources(environment())),
        Command::StoreEngine => (programs.store_engine)(),
        Command::Check { flags, json } => {
            let report = config::check(&flags.sources(environment()));
            let text = if json { format!("{:#}\n", as_json(&report)) } else { format!("{report}\n") };
            print(&text, if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Critic(command) => critic::run(command),
        Command::Key => key(),
        Command::ConfigReference { schema } => print(&reference(schema), ExitCode::SUCCESS),
    }
}

/// The process's environment; what is not Unicode can set no key.
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Draws 32 random bytes as a key; only its hash is ever kept.
fn key() -> ExitCode {
    let mut bytes = [0; 32];
    if let Err(error) = getrandom::fill(&mut bytes) {
        eprintln!("weir: the system gives no random bytes: {error}");
        return ExitCode::FAILURE;
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("weir-{digits}");
    let hash = blake3::hash(key.as_bytes());
    print(&format!("key        {key}\nkey_hashes = [\"{hash}\"]\n"), ExitCode::SUCCESS)
}

/// What `weir config-reference` prints.
pub fn reference(json_schema: bool) -> String {
    let schema = config::schema::of::<Config>();
    if json_schema {
        return config::reference::json_schema(&schema);
    }
    config::reference::markdown(&schema, config::environment::FOREIGN, config::NEEDS_RESTART)
}

/// A report for machines.
fn as_json(report: &Report) -> serde_json::Value {
    let Err(faults) = &report.outcome else { return serde_json::json!({ "good": true, "faults": [] }) };
    let fault = |placed: &config::Placed| {
        let (line, origin) = match &placed.place {
            Place::File { line, .. } => (Some(*line), faults.origin.clone()),
            Place::Override(name) => (None, name.clone()),
            Place::Unknown => (None, faults.origin.clone()),
        };
        let fault = &placed.fault;
        serde_json::json!({
            "path": fault.path, "problem": fault.problem, "cure": fault.cure, "origin": origin, "line": line,
        })
    };
    serde_json::json!({ "good": false, "faults": faults.list.iter().map(fault).collect::<Vec<_>>() })
}

/// Prints; a closed pipe (`weir ... | head`) is no panic, but no success either.
fn print(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_sets_its_keys() {
        let line = "weir serve --engine http://a:1 --engine http://b:2 --listen 0.0.0.0:80 \
                    --console-listen 127.0.0.1:81 --data-dir /d --log-format json";
        let Command::Serve(flags) = Cli::parse_from(line.split_whitespace()).command else { panic!("not serve") };
        let list: Vec<String> =
            flags.overrides().iter().map(|set| format!("{}={}", set.steps.join("."), set.text)).collect();
        let expected = [
            "engines.default.replicas=[\"http://a:1\", \"http://b:2\"]",
            "server.listen=0.0.0.0:80",
            "console.listen=127.0.0.1:81",
            "data_dir=/d",
            "telemetry.logs.format=json",
        ];
        assert_eq!(list, expected);
    }

    #[test]
    fn a_bad_flag_is_told_as_the_key_it_sets() {
        let flags = Flags { log_format: Some("jsn".to_owned()), ..Flags::default() };
        let report = config::check(&flags.sources([]));
        let text = report.to_string();
        assert!(text.starts_with("--log-format: telemetry.logs.format: \"jsn\" is no word of this key"), "{text}");
        assert_eq!(as_json(&report)["faults"][0]["origin"], "--log-format");
    }
}
