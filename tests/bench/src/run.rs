//! One run: everything started, measured and ended.

use std::io::{Error, Result, Write};
use std::time::Duration;

use crate::options::Options;
use crate::target::{Folder, Store};
use crate::{machine, plan, report, target};

/// Measures everything and writes the page.
pub fn bench(options: &Options) -> Result<()> {
    let load_before = machine::load();
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
    let page =
        report::Page { options, measures: &measures, targets: &targets, samples, load_before, starts, idle, after };
    let text = page.text();
    match &options.out {
        Some(place) => std::fs::write(place, &text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    writeln!(std::io::stdout(), "\n{}", page.verdicts())
}

/// Sends one load to Weir alone, so that a profiler has something to see.
pub fn load_only(options: &Options) -> Result<()> {
    let folder = Folder::make()?;
    let (_engine, engine) = target::engine()?;
    let (weir, _) = target::weir(options, engine, &folder.0, Store::Embedded)?;
    let measures = plan::measures(options.window);
    let wanted = options.only.as_deref().unwrap_or_default();
    let measure = measures.into_iter().find(|measure| measure.name == wanted);
    let measure = measure.ok_or_else(|| Error::other(format!("there is no measure '{wanted}'")))?;
    plan::go(&[measure], &[weir], 1).map(drop)
}
