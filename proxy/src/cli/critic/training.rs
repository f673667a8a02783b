//! `weir critic train`: a new artefact beside the old one, offered only where it is not worse.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use weir_critic::evaluate::Watch;
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
    /// Write the artefact even where it is shown to be worse than the old one.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Kinds that can be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {}

impl Kind {
    fn recipe(self) -> Box<dyn Recipe> {
        match self {}
    }
}
