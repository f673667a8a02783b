//! The official clients, unmodified: what works with the engine works through Weir, with the
//! same answers and the same classes of errors.

use std::path::PathBuf;

use harness::llama::{Places, there};
use harness::weir::Setup;
use harness::{Weir, repository};
use tokio::process::Command;

use crate::scene::{Alone, alone, nothing_kept, run_checks};

/// One request a minute each: a script uses up one of them.
const SLOW: [&str; 3] = ["sk-slow", "sk-slower", "sk-slowest"];

#[tokio::test]
async fn the_openai_client_for_python_sees_no_difference() {
    let alone = alone().await;
    let weir = weir(&alone).await;
    let python = there(&Places::get().test_python, "test-tools");
    run_checks(&mut script(Command::new(python), "openai_client.py", &alone, &weir), &weir).await;
}

#[tokio::test]
async fn the_anthropic_client_for_python_sees_no_difference() {
    let alone = alone().await;
    let weir = weir(&alone).await;
    let python = there(&Places::get().test_python, "test-tools");
    run_checks(&mut script(Command::new(python), "anthropic_client.py", &alone, &weir), &weir).await;
}

#[tokio::test]
async fn the_openai_client_for_javascript_sees_no_difference() {
    let alone = alone().await;
    let weir = weir(&alone).await;
    let modules = there(&Places::get().test_node_modules, "test-tools");
    run_checks(script(Command::new("node"), "openai_client.mjs", &alone, &weir).arg(modules), &weir).await;
}

fn script(mut command: Command, name: &str, alone: &Alone, weir: &Weir) -> Command {
    let place: PathBuf = repository().join("tests/real").join(name);
    command.arg(place).arg(&alone.llama.url).arg(format!("http://{}", weir.data));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

async fn weir(alone: &Alone) -> Weir {
    let mut config = nothing_kept(alone.llama);
    config.push_str(&tenant("team", "sk-team", ""));
    for key in SLOW {
        config.push_str(&tenant(&key.replace("sk-", ""), key, "requests_per_minute = 1\n"));
    }
    Setup::config(config).start().await
}

fn tenant(name: &str, key: &str, limits: &str) -> String {
    format!("[tenants.{name}]\nkey_hashes = [\"{}\"]\n{limits}", blake3::hash(key.as_bytes()).to_hex())
}
