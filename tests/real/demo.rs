//! `make run` as its user meets it: it starts, answers, says where things are, and leaves nothing.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use harness::repository;
use harness::wait::{self, PATIENCE};
use harness::weir::program;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::scene::{alone, run};

/// Carried by every process of the demo: the name of its data folder.
const MARK: &str = "WEIR_DEMO_TEST";
const START_LIMIT: Duration = Duration::from_secs(90);

struct Demo {
    data: TempDir,
    ports: [u16; 2],
}

#[tokio::test]
async fn the_demo_runs_once_and_leaves_nothing() {
    let _alone = alone().await;
    let demo = Demo::new();
    let first = run(demo.command().arg("--once")).await;
    let said = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.status.success(), "{}\n{said}\n{}", first.status, String::from_utf8_lossy(&first.stderr));
    for part in
        ["chat, streamed", "engine free", "question to the documents", "/login?token=", "curl -N http://127.0.0.1"]
    {
        assert!(said.contains(part), "'{part}' is missing in\n{said}");
    }
    assert!(!said.contains("UNEXPECTED"), "{said}");
    demo.nothing_is_left().await;
    // The token is printed by Weir once only; the demo's link goes on working.
    let second = run(demo.command().arg("--once")).await;
    let again = String::from_utf8_lossy(&second.stdout).into_owned();
    let link = |said: &str| said.split_whitespace().find(|word| word.contains("/login?token=")).map(str::to_owned);
    assert_eq!(link(&again), link(&said), "{again}");
    demo.nothing_is_left().await;
}

#[tokio::test]
async fn ctrl_c_stops_all_of_the_demo() {
    let _alone = alone().await;
    let demo = Demo::new();
    let mut running = demo.started().await;
    signal(&running, "-INT");
    let ended = tokio::time::timeout(START_LIMIT, running.wait()).await.expect("it ends").unwrap();
    assert!(ended.success(), "{ended}");
    demo.nothing_is_left().await;
}

#[tokio::test]
async fn a_demo_that_is_killed_takes_its_programs_along() {
    let _alone = alone().await;
    let demo = Demo::new();
    let mut running = demo.started().await;
    running.kill().await.unwrap();
    demo.nothing_is_left().await;
}

impl Demo {
    fn new() -> Self {
        let held = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        let ports = held.each_ref().map(|listener| listener.local_addr().unwrap().port());
        Self { data: tempfile::Builder::new().prefix("weir-demo-test-").tempdir().unwrap(), ports }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()));
        command.arg(repository().join("deploy/demo/run.py")).arg("--weir").arg(program());
        command.arg("--data-dir").arg(self.data.path());
        command.args(["--data-port", &self.ports[0].to_string(), "--console-port", &self.ports[1].to_string()]);
        command.args(["--questions", "1"]);
        command.env(MARK, self.data.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs until it says that it waits for Ctrl-C.
    async fn started(&self) -> Child {
        let mut command = self.command();
        let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let waits = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("Ctrl-C") {
                    return;
                }
            }
            panic!("it ended before it waited");
        };
        tokio::time::timeout(START_LIMIT, waits).await.expect("it starts in time");
        assert!(self.processes().len() >= 4, "demo, engine, weir and its store: {:?}", self.processes());
        // What it prints from now on must find a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        running
    }

    async fn nothing_is_left(&self) {
        wait::until("no process of the demo is left", || self.processes().is_empty().then_some(())).await;
        wait::until_asked("the ports are free", PATIENCE, async || {
            self.ports.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).then_some(())
        })
        .await;
    }

    /// Ids of processes that were started by it, at whatever distance.
    fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.data.path().display());
        let ids =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let carries = |id: &u32| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        ids.filter(carries).collect()
    }
}

fn signal(process: &Child, signal: &str) {
    let id = process.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
}
