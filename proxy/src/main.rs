//! The program `weir`.

use std::process::ExitCode;

use clap::Parser;
use weir::cli::{self, Cli, Programs};

/// Records are made on one thread and freed on another, which the system's allocator is slow
/// at; and it keeps what a burst took, which this one gives back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse(), Programs { serve: weir::app::serve, store_engine })
}

fn store_engine() -> ExitCode {
    let code = weir_clickhouse_engine::run_child();
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
