//! One run: everything started, measured and ended.

use std::io::{Error, Result, Write};
use std::time::Duration;

use crate::options::Options;
use crate::target::{Folder, Kind};
use crate::{cache, machine, plan, replay, report, target};

/// Measures everything and writes the page.
pub fn bench(options: &Options) -> Result<()> {
    let load_before = machine::load();
    let folder = Folder::make()?;
    let (_engine, engine) = target::engine()?;
    let starts = report::Starts::take(options, engine, &folder.0)?;
    let mut targets = vec![target::direct(engine)];
    targets.extend(target::nginx(options, engine, &folder.0)?);
    for (name, kind) in [("embedded", Kind::Defaults), ("alone", Kind::StoreDown)] {
        targets.push(target::weir(options, engine, &folder.0.join(name), kind)?.0);
    }
    let idle = report::Memory::of(&targets, Duration::from_secs(10));
    let measures = plan::measures(options.window);
    let samples = plan::go(&measures, &targets, options.rounds)?;
    let after = report::Memory::of(&targets, Duration::from_secs(5));
    let names = targets.iter().map(|target| target.name).collect();
    // The rest is measured on programs of its own; these would only stand by.
    drop(targets);
    let cache = cache::go(options, engine, &folder.0)?;
    let replays = replay::go(options, engine, &folder.0)?;
    let results = report::Results { samples, starts, idle, after, cache, replays };
    let page = report::Page { options, measures: &measures, targets: names, results, load_before };
    let text = page.text();
    match &options.out {
        Some(place) => std::fs::write(place, &text)?,
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    writeln!(std::io::stdout(), "\n{}", page.verdicts())
}

/// Sends one load to Weir alone, so that a profiler has something to see; or replays the traces.
pub fn load_only(options: &Options) -> Result<()> {
    let folder = Folder::make()?;
    let (_engine, engine) = target::engine()?;
    let wanted = options.only.as_deref().unwrap_or_default();
    if wanted == "traces" {
        let replays = replay::go(options, engine, &folder.0)?;
        return write!(std::io::stdout(), "\n{}", report::traces(replays.as_deref()));
    }
    let (weir, _) = target::weir(options, engine, &folder.0, Kind::Defaults)?;
    let mut measures = plan::measures(options.window);
    measures.extend(cache::hits(options.window));
    measures.push(cache::misses(options.window));
    let measure = measures.into_iter().find(|measure| measure.name == wanted);
    let measure = measure.ok_or_else(|| Error::other(format!("there is no measure '{wanted}'")))?;
    plan::go(&[measure], &[weir], 1).map(drop)
}
