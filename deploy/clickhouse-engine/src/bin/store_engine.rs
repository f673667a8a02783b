//! The store by hand: the child alone, or a supervised one to talk to with
//! `curl`.
//!
//! ```text
//! weir-store-engine store-engine        the child; reads its spec from standard input
//! weir-store-engine supervise DIR       starts and keeps one; prints where it is; ends with standard input
//! ```
#![allow(clippy::print_stdout)]

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use weir_clickhouse_engine::{Engine, Options, run_child};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["store-engine"] => ExitCode::from(u8::try_from(run_child()).unwrap_or(1)),
        ["supervise", data_dir] => supervise(data_dir),
        _ => {
            eprintln!("usage: weir-store-engine store-engine | supervise DIR");
            ExitCode::from(2)
        }
    }
}

fn supervise(data_dir: &str) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let running = match Engine::spawn(Options::new(data_dir)).await {
            Ok(running) => running,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        let place = serde_json::json!({
            "url": running.url(),
            "user": running.user(),
            "password": running.password(),
            "pid": running.status().borrow().pid,
        });
        println!("{place}");
        // An unreadable standard input means the same as its end: stop.
        let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
        let stopped = running.stop(Duration::from_secs(20)).await;
        println!("{stopped:?}");
        ExitCode::SUCCESS
    })
}
