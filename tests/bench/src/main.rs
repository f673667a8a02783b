//! `weir-bench`: what Weir costs, beside nginx and beside no proxy, in one run on one machine.
//!
//! `weir-bench run --weir PROGRAM` starts a lean engine, nginx and Weir (once with its
//! store, once without), sends them the same load in turns and writes a page of results.
//! `weir-bench engine` is that engine. Everything stays on loopback and ends by itself.

mod connection;
mod engine;
mod http;
mod load;
mod plan;
mod process;
mod report;
mod target;

use std::io::{Error, Result, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use target::{Folder, Store};

const USAGE: &str = "usage: weir-bench run --weir PROGRAM [--nginx PROGRAM] [--out FILE] [--label TEXT] [--quick]
       weir-bench run --only MEASURE --weir PROGRAM [--seconds N]
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
    /// One measure on Weir alone, for a profiler.
    pub only: Option<String>,
    /// Length of a window.
    pub window: Duration,
    /// Rounds.
    pub rounds: usize,
    /// Starts that are timed.
    pub starts: usize,
    /// Processors, which is also nginx's number of workers.
    pub cores: usize,
}

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("engine") => engine::serve(),
        Some("run") => Options::read().and_then(|options| match options.only.is_some() {
            true => load_only(&options),
            false => bench(&options),
        }),
        _ => Err(Error::other(USAGE)),
    };
    let Err(fault) = result else { return ExitCode::SUCCESS };
    // Where even stderr is gone, nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "weir-bench: {fault}");
    ExitCode::FAILURE
}

impl Options {
    fn read() -> Result<Self> {
        let mut options = Self {
            weir: PathBuf::new(),
            nginx: "nginx".into(),
            out: None,
            label: String::new(),
            only: None,
            window: Duration::from_secs(4),
            rounds: 3,
            starts: 7,
            cores: std::thread::available_parallelism()?.get(),
        };
        let mut words = std::env::args().skip(2);
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
                    (options.window, options.rounds, options.starts) = (Duration::from_millis(1200), 2, 3);
                }
                _ => return Err(Error::other(format!("what is {word}?\n{USAGE}"))),
            }
        }
        if options.weir.is_file() { Ok(options) } else { Err(Error::other(format!("no program weir is named\n{USAGE}"))) }
    }
}

fn bench(options: &Options) -> Result<()> {
    let folder = Folder::make()?;
    let (_engine, engine) = target::engine()?;
    let starts = report::Starts::take(options, engine, &folder.0)?;
    let direct = target::Target { name: target::DIRECT, address: engine, console: None, process: None };
    let mut targets = vec![direct];
    targets.extend(target::nginx(options, engine, &folder.0)?);
    for (name, store) in [("embedded", Store::Embedded), ("alone", Store::Unreachable)] {
        targets.push(target::weir(options, engine, &folder.0.join(name), store)?.0);
    }
    let idle = report::Memory::of(&targets, Duration::from_secs(10));
    let measures = plan::measures(options.window);
    let samples = plan::go(&measures, &targets, options.rounds)?;
    let after = report::Memory::of(&targets, Duration::from_secs(5));
    let page = report::Page { options, measures: &measures, targets: &targets, samples, starts, idle, after };
    let text = page.text();
    match &options.out {
        Some(place) => std::fs::write(place, &text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    writeln!(std::io::stdout(), "\n{}", page.verdicts())
}

/// Sends one load to Weir, so that a profiler has something to see.
fn load_only(options: &Options) -> Result<()> {
    let folder = Folder::make()?;
    let (_engine, engine) = target::engine()?;
    let (weir, _) = target::weir(options, engine, &folder.0, Store::Embedded)?;
    let measures = plan::measures(options.window);
    let wanted = options.only.as_deref().unwrap_or_default();
    let measure = measures.into_iter().find(|measure| measure.name == wanted);
    let measure = measure.ok_or_else(|| Error::other(format!("there is no measure '{wanted}'")))?;
    plan::go(&[measure], &[weir], 1).map(drop)
}
