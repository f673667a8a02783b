//! The program `weir`.

use std::process::ExitCode;

use clap::Parser;
use weir::cli::{self, Cli, Programs};

fn main() -> ExitCode {
    cli::run(Cli::parse(), Programs { serve: weir::app::serve, store_engine })
}

fn store_engine() -> ExitCode {
    let code = weir_clickhouse_engine::run_child();
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
