//! `weir critic train`: a new artefact beside the old one, offered only where it is not worse.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use weir_critic::evaluate::Watch;
use weir_critic::evaluate::recipes::{ClassifierRecipe, GroundingRecipe, JudgedText};
use weir_critic::evaluate::train::{Origin, Plan, Recipe, Trained, card, train};

use super::data::Data;
use super::progress::{Progress, thread_time};
use super::{Done, text};

/// `weir critic train`.
#[derive(Debug, Args)]
pub struct Train {
    /// What is fitted.
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    data: Data,
    /// Where the artefact is written; its card is written beside it, with `.md` added.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// An artefact to compare with; by default the file at --output, where there is one.
    #[arg(long, value_name = "FILE")]
    old: Option<PathBuf>,
    /// Share of the source texts that is held out to compare on.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = super::share)]
    held_out: f64,
    /// Share of bad answers in the traffic that is meant, where the cases hold another (0 to 1).
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    prior: Option<f64>,
    /// A source of the cases with its licence, for the card; may be given again. By default the files.
    #[arg(long = "source", value_name = "TEXT")]
    sources: Vec<String>,
    /// The text that a classifier judges.
    #[arg(long, value_enum, default_value = "answer")]
    text: Text,
    /// Write the artefact even where it is shown to be worse than the old one.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Kinds that can be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Whether answers rest on their context: for the setting `model` of a grounding critic.
    Grounding,
    /// Two labels of a text, good and bad: for the setting `classifier` of critics that have one.
    Classifier,
}

/// The text that a classifier judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Text {
    /// The answer.
    Answer,
    /// What the user said last.
    Question,
}

impl Train {
    fn recipe(&self, sources: Vec<String>) -> Box<dyn Recipe> {
        let sources = if self.sources.is_empty() { sources } else { self.sources.clone() };
        match self.kind {
            Kind::Grounding => Box::new(GroundingRecipe { sources, prior: self.prior }),
            Kind::Classifier => {
                let text = match self.text {
                    Text::Answer => JudgedText::Answer,
                    Text::Question => JudgedText::Question,
                };
                Box::new(ClassifierRecipe { sources, prior: self.prior, text })
            }
        }
    }

    /// The old artefact, where there is one.
    fn old(&self) -> Result<Option<(PathBuf, Vec<u8>)>, String> {
        let file = match &self.old {
            Some(file) => file,
            None if self.output.exists() => &self.output,
            None => return Ok(None),
        };
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Some((file.clone(), bytes)))
    }
}

/// Fits, compares, and writes what is not worse.
pub(super) fn run(command: &Train) -> Done {
    let loaded = command.data.load()?;
    let recipe = command.recipe(loaded.files.clone());
    let old = command.old()?;
    let opened = match &old {
        Some((file, bytes)) => Some(recipe.open(bytes).map_err(|error| format!("{}: {error}", file.display()))?),
        None => None,
    };
    let plan = Plan { held_out: command.held_out, seed: command.data.seed };
    let mut fitting = Progress::new("fitting");
    let mut judging = Progress::new("judging");
    let mut step = |done, of| judging.step(done, of);
    let mut watch = Watch { clock: &thread_time, progress: &mut step };
    let mut share = |share: f64| fitting.step((share * 100.0) as usize, 100);
    let trained = train(&*recipe, loaded.cases, opened.as_deref(), plan, &mut watch, &mut share)?;
    fitting.end();
    judging.end();
    let origin = Origin { files: loaded.files, digest: loaded.digest };
    let card = card(&*recipe, &trained, &origin, plan);
    let is_written = trained.may_replace() || command.force;
    if is_written {
        replace(&command.output, &trained.fitted.artefact)?;
        replace(&card_of(&command.output), card.as_bytes())?;
    }
    let printed =
        if command.json { as_json(command, &trained, is_written) } else { shown(command, &trained, &old, is_written) };
    Ok((printed, if is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn card_of(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".md");
    PathBuf::from(name)
}

/// Replaces a file in one step, so that nobody reads half of it.
fn replace(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let done = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, file));
    done.map_err(|error| format!("{}: {error}", file.display()))
}

fn as_json(command: &Train, trained: &Trained, is_written: bool) -> String {
    let value = serde_json::json!({
        "critic": trained.fitted.critic.version(),
        "sha256": trained.fitted.checksum,
        "learned_from": trained.learned_from,
        "evaluation": trained.evaluation,
        "comparison": trained.comparison,
        "written_to": is_written.then_some(&command.output),
    });
    format!("{value:#}\n")
}

fn shown(command: &Train, trained: &Trained, old: &Option<(PathBuf, Vec<u8>)>, is_written: bool) -> String {
    let mut printed = format!("learned from {} cases; on those held out:\n\n", trained.learned_from);
    let name = format!("{:?}", command.kind).to_lowercase();
    let against = old.as_ref().map(|(file, _)| file.display().to_string());
    printed.push_str(&text::evaluation(
        &name,
        &trained.evaluation,
        against.as_deref().zip(trained.comparison.as_ref()),
    ));
    let file = command.output.display();
    printed.push_str(&match is_written {
        true => format!("\nwritten to {file}, its card beside it\nsha256 = \"{}\"\n", trained.fitted.checksum),
        false => format!("\nworse than the old one: {file} was not written; --force writes it all the same\n"),
    });
    printed
}
