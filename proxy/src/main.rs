//! The program `weir`.

use std::process::ExitCode;

use clap::Parser;
use weir::cli::{self, Cli, Programs};
use weir::config::{Config, Sources};

fn main() -> ExitCode {
    cli::run(Cli::parse(), Programs { serve, store_engine })
}

fn serve(sources: Sources) -> ExitCode {
    match sources.load::<Config>() {
        Ok(_) => eprintln!("the proxy is not wired into this build"),
        Err(faults) => eprintln!("{faults}"),
    }
    ExitCode::FAILURE
}

fn store_engine() -> ExitCode {
    eprintln!("the store's process is not wired into this build");
    ExitCode::FAILURE
}
