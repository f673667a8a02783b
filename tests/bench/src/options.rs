//! What the program is asked to do.

use std::io::{Error, Result};
use std::path::PathBuf;
use std::time::Duration;

/// What the command line takes.
pub const USAGE: &str = "usage: weir-bench run --weir PROGRAM [--nginx PROGRAM] [--out FILE] [--label TEXT] [--quick]
       weir-bench run --only MEASURE --weir PROGRAM [--seconds N]
       weir-bench run --only traces --weir PROGRAM [--quick]
       weir-bench engine";

/// What was asked for.
pub struct Options {
    /// The program `weir`.
    pub weir: PathBuf,
    /// The program `nginx`.
    pub nginx: PathBuf,
    /// Where the results go; stdout where none.
    pub out: Option<PathBuf>,
    /// Date and commit, for the head of the results.
    pub label: String,
    /// One measure on Weir alone, for a profiler, or the traces.
    pub only: Option<String>,
    /// Length of a window.
    pub window: Duration,
    /// Rounds.
    pub rounds: usize,
    /// Rounds of the measure of misses: what a miss costs more is little beside the noise.
    pub miss_rounds: usize,
    /// So much of each trace is replayed at most, in time of the replay.
    pub replay: Duration,
    /// Starts that are timed.
    pub starts: usize,
    /// Processors, which is also nginx's number of workers.
    pub cores: usize,
}

impl Options {
    /// Reads the words after `run`.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            weir: PathBuf::new(),
            nginx: "nginx".into(),
            out: None,
            label: String::new(),
            only: None,
            window: Duration::from_secs(4),
            rounds: 3,
            miss_rounds: 12,
            replay: Duration::from_secs(30),
            starts: 7,
            cores: std::thread::available_parallelism()?.get(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| Error::other(format!("{word} needs a value\n{USAGE}")));
            match word.as_str() {
                "--weir" => options.weir = value()?.into(),
                "--nginx" => options.nginx = value()?.into(),
                "--out" => options.out = Some(value()?.into()),
                "--label" => options.label = value()?,
                "--only" => options.only = Some(value()?),
                "--seconds" => options.window = Duration::from_secs(value()?.parse().map_err(Error::other)?),
                "--quick" => {
                    (options.window, options.rounds, options.starts) = (Duration::from_millis(800), 2, 3);
                    (options.miss_rounds, options.replay) = (6, Duration::from_secs(4));
                }
                _ => return Err(Error::other(format!("what is {word}?\n{USAGE}"))),
            }
        }
        if options.weir.is_file() {
            Ok(options)
        } else {
            Err(Error::other(format!("no program weir is named\n{USAGE}")))
        }
    }
}
