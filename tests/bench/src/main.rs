//! `weir-bench`: what Weir costs, beside nginx and beside no proxy, in one run on one machine.
//!
//! `weir-bench run --weir PROGRAM` starts a lean engine, nginx and Weir (once with its
//! store, once without), sends them the same load in turns and writes a page of results.
//! `weir-bench engine` is that engine. Everything stays on loopback and ends by itself.

use std::io::{Error, Write};
use std::process::ExitCode;

use weir_bench::options::{Options, USAGE};
use weir_bench::{engine, run};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match words.next().as_deref() {
        Some("engine") => engine::serve(),
        Some("run") => Options::read(words).and_then(|options| match options.only.is_some() {
            true => run::load_only(&options),
            false => run::bench(&options),
        }),
        _ => Err(Error::other(USAGE)),
    };
    let Err(fault) = result else { return ExitCode::SUCCESS };
    // Where even stderr is gone, nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "weir-bench: {fault}");
    ExitCode::FAILURE
}
