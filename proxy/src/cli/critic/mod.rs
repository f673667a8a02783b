//! `weir critic`: critics measured, calibrated and trained on labelled cases.
//!
//! Files, engines, the clock and the terminal are here; what is computed, and the formats of
//! cases, are `weir_critic::evaluate`'s.

mod ask;
mod chosen;
mod config_file;
mod data;
mod progress;
mod text;
mod training;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use weir_critic::evaluate::calibrate::Calibrated;
use weir_critic::evaluate::report::{Report, html};
use weir_critic::evaluate::{
    Comparison, Evaluation, Goal, Judge, Labelled, Observed, Settings, Watch, calibrate, compare, measure, observe,
};

use self::chosen::{Chosen, Selection};
use self::data::Data;

/// What can be done with critics.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure a critic on labelled cases.
    Eval(Eval),
    /// Choose a critic's threshold on labelled cases, and write it into the configuration.
    Calibrate(Calibrate),
    /// Fit a critic from labelled cases, and compare it with the old one before it is offered.
    Train(training::Train),
    /// List the kinds of critics, and those of a configuration.
    List {
        /// The configuration file.
        #[arg(long, value_name = "FILE", env = "WEIR_CONFIG")]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `weir critic eval`.
#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    engine: ask::Engine,
    /// Compare with this critic of the configuration, in pairs.
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Share of bad answers in the traffic that is meant, where the cases hold another (0 to 1).
    #[arg(long, value_name = "SHARE", value_parser = share)]
    prior: Option<f64>,
    /// Write a report for people to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print all figures as JSON.
    #[arg(long)]
    json: bool,
}

/// `weir critic calibrate`.
#[derive(Debug, Args)]
pub struct Calibrate {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    engine: ask::Engine,
    /// What the threshold is to be good for.
    #[arg(long, value_enum, default_value = "f1")]
    goal: GoalWord,
    /// What a good answer that fails costs, for `--goal cost`.
    #[arg(long, value_name = "COST", default_value_t = 1.0, value_parser = cost)]
    false_alarm_cost: f64,
    /// What a bad answer that passes costs, for `--goal cost`.
    #[arg(long, value_name = "COST", default_value_t = 1.0, value_parser = cost)]
    miss_cost: f64,
    /// Largest share of bad answers among what passes, for `--goal certified`.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    alpha: f64,
    /// Largest chance that this is not kept, for `--goal certified`.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    delta: f64,
    /// Share of bad answers in the traffic that is meant, where the cases hold another (0 to 1).
    #[arg(long, value_name = "SHARE", value_parser = share)]
    prior: Option<f64>,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The word for a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GoalWord {
    /// Least cost of false alarms and misses.
    Cost,
    /// Best F1.
    F1,
    /// At most a share alpha of what passes is bad, with confidence 1 - delta.
    Certified,
}

/// Does what the command says; what went wrong goes to stderr.
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Eval(command) => eval(&command),
        Command::Calibrate(command) => run_calibrate(&command),
        Command::Train(command) => training::run(&command),
        Command::List { config, json } => chosen::list(config.as_deref(), json).map(|text| (text, ExitCode::SUCCESS)),
    };
    match done {
        Ok((text, code)) => super::print(&text, code),
        Err(problem) => {
            eprintln!("weir: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// What is printed, and how the process ends.
type Done = Result<(String, ExitCode), String>;

fn eval(command: &Eval) -> Done {
    let critic = command.selection.choose()?;
    let other = command.against.as_deref().map(|name| command.selection.named(name)).transpose()?;
    let loaded = command.data.load()?;
    let seed = command.data.seed;
    let observed = judged(&critic, &loaded.cases, &command.engine)?;
    let evaluation = measure(critic.version(), &observed, &Settings { prior: command.prior, seed });
    let comparison = match &other {
        Some(other) => Some(compare(&judged(other, &loaded.cases, &command.engine)?, &observed, seed)),
        None => None,
    };
    let comparison = other.as_ref().map(|other| other.name.as_str()).zip(comparison.as_ref());
    if let Some(file) = &command.report {
        let report = Report {
            critic: &critic.name,
            files: &loaded.files,
            digest: &loaded.digest,
            evaluation: &evaluation,
            comparison,
        };
        std::fs::write(file, html(&report)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let printed = if command.json {
        as_json(&critic.name, &loaded, &evaluation, comparison)
    } else {
        text::evaluation(&critic.name, &evaluation, comparison)
    };
    Ok((printed, ExitCode::SUCCESS))
}

fn as_json(
    name: &str,
    loaded: &data::Loaded,
    evaluation: &Evaluation,
    comparison: Option<(&str, &Comparison)>,
) -> String {
    let value = serde_json::json!({
        "critic": name,
        "files": loaded.files,
        "digest": loaded.digest,
        "evaluation": evaluation,
        "comparison": comparison.map(|(other, found)| serde_json::json!({ "against": other, "found": found })),
    });
    format!("{value:#}\n")
}

/// Judges all cases, with progress on stderr.
fn judged(critic: &Chosen, cases: &[Labelled], engine: &ask::Engine) -> Result<Vec<Observed>, String> {
    let mut progress = progress::Progress::new(&critic.name);
    let mut step = |done, of| progress.step(done, of);
    let mut watch = Watch { clock: &progress::thread_time, progress: &mut step };
    let observed = match &critic.built {
        weir_critic::config::Built::Alone(alone) => observe(&Judge::Alone(&**alone), cases, &mut watch),
        weir_critic::config::Built::Asking(asking) => {
            let asker = engine.asker(&critic.name)?;
            observe(&Judge::Asking(&**asking, &|question| asker.ask(question)), cases, &mut watch)
        }
    };
    progress.end();
    Ok(observed)
}

fn run_calibrate(command: &Calibrate) -> Done {
    let critic = command.selection.choose()?;
    let loaded = command.data.load()?;
    let observed = judged(&critic, &loaded.cases, &command.engine)?;
    let goal = match command.goal {
        GoalWord::Cost => Goal::Cost { false_alarm: command.false_alarm_cost, miss: command.miss_cost },
        GoalWord::F1 => Goal::F1,
        GoalWord::Certified => Goal::Certified { alpha: command.alpha, delta: command.delta },
    };
    let settings = Settings { prior: command.prior, seed: command.data.seed };
    let found = calibrate(critic.version(), &loaded.digest, &observed, goal, settings);
    match found.map_err(|error| error.to_string())? {
        Calibrated::Threshold { threshold, mut calibration } => {
            // Seven digits are more than any data decide, and are read more easily.
            let threshold = (threshold * 1e7).round() / 1e7;
            // The version that will judge: for some kinds it changes with the threshold.
            calibration.critic = critic.at(threshold)?.version().to_owned();
            let written = match &command.selection.config {
                Some(file) if !command.dry_run => {
                    config_file::write_threshold(file, &critic.name, threshold, &calibration)?;
                    Some(file.as_path())
                }
                _ => None,
            };
            let printed = if command.json {
                let value = serde_json::json!({
                    "critic": critic.name, "threshold": threshold, "calibration": calibration, "written_to": written,
                });
                format!("{value:#}\n")
            } else {
                text::calibration(&critic, threshold, &calibration, written)?
            };
            Ok((printed, ExitCode::SUCCESS))
        }
        Calibrated::Unreachable { risk, least_escalated, cases } => {
            let printed = if command.json {
                let value = serde_json::json!({
                    "critic": critic.name, "threshold": null, "alpha": command.alpha, "delta": command.delta,
                    "risk": risk, "least_escalated": least_escalated, "independent_cases": cases,
                });
                format!("{value:#}\n")
            } else {
                text::unreachable(command.alpha, command.delta, risk, least_escalated, cases)
            };
            Ok((printed, ExitCode::FAILURE))
        }
    }
}

/// A share strictly between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "give a share between 0 and 1, as in 0.05".to_owned())?;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err("give a share between 0 and 1, as in 0.05".to_owned()) }
}

/// A cost: a positive number.
fn cost(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "give a positive number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("give a positive number".to_owned()) }
}
