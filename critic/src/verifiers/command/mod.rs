//! A program of the operator's own that judges: the case goes in as JSON, a verdict comes out.
//!
//! The program gets one JSON object on stdin (a [`Case`]) and writes one to stdout:
//!
//! ```json
//! {"outcome": "fail", "score": 0.9, "findings": [{"code": "tests", "message": "2 of 5 tests fail"}]}
//! ```
//!
//! `outcome` is `pass`, `fail` or `abstain`; `score` and `findings` may be left out, as may the
//! `code` and `choice` of a finding. Anything else, an exit status other than 0, too much output
//! or too much time is a skip, never a pass and never a failure of the answer.
//!
//! No shell is in between, the environment is empty but for named variables, and the whole
//! process group is killed at the end. This bounds a careless program; it is no sandbox for
//! a hostile one: a process that leaves the group outlives it. Unix only.

mod run;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::verdict::MAX_FINDINGS;
use crate::{Case, Critic, Effort, Finding, Judgement, Outcome, Place, Skip};
use run::{Ended, Limits};

/// Which program judges, and what it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The program, as an absolute path, and its arguments. No shell reads them.
    pub argv: Vec<String>,
    /// Names of variables that the program gets from the environment of the proxy; no other.
    pub environment: Vec<String>,
    /// Folder in which it runs.
    pub directory: PathBuf,
    /// Wall time after which it is killed, in milliseconds.
    pub timeout_milliseconds: u64,
    /// Longest case that it is given, in bytes of JSON; a longer one is skipped as unreadable.
    pub max_input_bytes: usize,
    /// Longest verdict that is read, in bytes.
    pub max_output_bytes: usize,
    /// Address space of each of its processes, in bytes (RLIMIT_AS); 0 for no limit.
    pub max_memory_bytes: u64,
    /// Programs of this critic that run at once; what comes beside them is shed.
    pub concurrency: usize,
    /// Changes the version of the critic when the program itself has changed.
    pub revision: String,
}

/// The critic.
#[derive(Debug)]
pub struct Command {
    config: Config,
    version: String,
    running: AtomicUsize,
}

const MAX_CODE_CHARS: usize = 64;
const MAX_MESSAGE_CHARS: usize = 1000;

#[derive(Deserialize)]
struct Written {
    outcome: WrittenOutcome,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    findings: Vec<WrittenFinding>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenOutcome {
    Pass,
    Fail,
    Abstain,
}

#[derive(Deserialize)]
struct WrittenFinding {
    #[serde(default)]
    code: Option<String>,
    message: String,
    #[serde(default)]
    choice: Option<usize>,
}

/// One of the programs that may run at once.
struct Turn<'c>(&'c AtomicUsize);

impl Default for Config {
    fn default() -> Self {
        Self {
            argv: Vec::new(),
            environment: Vec::new(),
            directory: PathBuf::from("/"),
            timeout_milliseconds: 10_000,
            max_input_bytes: 4 << 20,
            max_output_bytes: 64 << 10,
            max_memory_bytes: 1 << 30,
            concurrency: 2,
            revision: String::new(),
        }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        match self.argv.first() {
            None => faults.push(Fault::new("argv", "is empty", "name the program that judges")),
            Some(program) if !program.starts_with('/') => {
                let problem = format!("`{program}` is no absolute path");
                faults.push(Fault::new("argv", problem, "write the whole path: no PATH is searched"));
            }
            Some(_) => {}
        }
        if !self.directory.is_absolute() {
            faults.push(Fault::new("directory", "is no absolute path", "write the whole path"));
        }
        if self.argv.iter().any(|part| part.contains('\0')) {
            faults.push(Fault::new("argv", "holds a zero byte", "take it out"));
        }
        let positive = [
            ("timeout_milliseconds", self.timeout_milliseconds == 0),
            ("max_input_bytes", self.max_input_bytes == 0),
            ("max_output_bytes", self.max_output_bytes == 0),
            ("concurrency", self.concurrency == 0),
        ];
        let zero = positive.into_iter().filter(|(_, zero)| *zero);
        faults.extend(zero.map(|(key, _)| Fault::new(key, "is 0, so that it could never judge", "give at least 1")));
        faults
    }
}

impl Command {
    /// A critic with these settings. An error says that the program is not there.
    pub fn new(config: Config) -> Result<Self, String> {
        let program = config.argv.first().map_or("", String::as_str);
        match std::fs::metadata(program) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(format!("{program} is no program; name a file that can be run")),
            Err(error) => return Err(format!("{program}: {error}; name a program that is there")),
        }
        let settings = format!("{:?} {}", config.argv, config.revision);
        let version = format!("command-1-{}", &blake3::hash(settings.as_bytes()).to_hex()[..12]);
        Ok(Self { config, version, running: AtomicUsize::new(0) })
    }

    fn limits(&self) -> Limits {
        Limits {
            time: Duration::from_millis(self.config.timeout_milliseconds),
            output_bytes: self.config.max_output_bytes,
            memory_bytes: self.config.max_memory_bytes,
        }
    }

    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.config.argv.first().map_or("", String::as_str));
        command.args(self.config.argv.iter().skip(1)).current_dir(&self.config.directory).env_clear();
        for name in &self.config.environment {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

impl Critic for Command {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Slow
    }

    fn judge(&self, case: &Case) -> Judgement {
        let Some(_turn) = Turn::take(&self.running, self.config.concurrency) else {
            return Judgement::skipped(Skip::Shed);
        };
        let input = match serde_json::to_vec(case) {
            Ok(input) if input.len() <= self.config.max_input_bytes => input,
            Ok(_) => return Judgement::skipped(Skip::Unreadable),
            Err(error) => return failed(format!("the case could not be written: {error}")),
        };
        match run::run(self.command(), &input, self.limits()) {
            Ok(Ended::Said(output)) => read(&output, case.answers.len()),
            Ok(Ended::TooLate) => Judgement::skipped(Skip::TimedOut),
            Ok(Ended::TooMuch) => failed(format!("it wrote more than {} bytes", self.config.max_output_bytes)),
            Ok(Ended::Badly(status)) => failed(format!("it ended with {status}")),
            Err(error) => failed(format!("it could not be run: {error}")),
        }
    }
}

impl<'c> Turn<'c> {
    fn take(running: &'c AtomicUsize, most: usize) -> Option<Self> {
        let before = running.fetch_add(1, Ordering::AcqRel);
        let turn = Self(running);
        (before < most).then_some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn read(output: &[u8], choices: usize) -> Judgement {
    let written: Written = match serde_json::from_slice(output) {
        Ok(written) => written,
        Err(error) => return failed(format!("its verdict cannot be read: {error}")),
    };
    if written.score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return failed("its score is no number from 0 to 1".to_owned());
    }
    let outcome = match written.outcome {
        WrittenOutcome::Pass => Outcome::Pass,
        WrittenOutcome::Fail => Outcome::Fail,
        WrittenOutcome::Abstain => Outcome::Skipped(Skip::Abstained),
    };
    let findings = written.findings.into_iter().take(MAX_FINDINGS).map(|finding| finding.known(choices)).collect();
    Judgement { outcome, score: written.score, findings }
}

impl WrittenFinding {
    fn known(self, choices: usize) -> Finding {
        let code = self.code.unwrap_or_else(|| "command".to_owned());
        let place = match self.choice {
            Some(choice) if choice < choices => Place::Text { choice },
            _ => Place::Whole,
        };
        Finding {
            code: Cow::Owned(code.chars().take(MAX_CODE_CHARS).collect()),
            message: self.message.chars().take(MAX_MESSAGE_CHARS).collect(),
            place,
            span: None,
        }
    }
}

fn failed(why: String) -> Judgement {
    let finding = Finding::new("command_failed", Place::Whole, format!("the program did not judge: {why}"));
    Judgement { findings: vec![finding], ..Judgement::skipped(Skip::Failed) }
}

#[cfg(test)]
mod tests;
