//! The command line, and a Weir without a store.

use std::process::Output;

use harness::weir::{Setup, program};
use harness::{Answer, Client, Engine};
use serde_json::Value;

use crate::scene::{CHAT, PLAIN, Scene, without_store};

async fn run(arguments: &[&str]) -> Output {
    tokio::process::Command::new(program()).args(arguments).output().await.expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn check_tells_all_faults_at_once_and_a_good_file_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "[engines.default]\nreplicas = [\"http://127.0.0.1:9\"]\n").unwrap();
    let good = run(&["check", "--config", path]).await;
    assert!(good.status.success(), "{}{}", text(&good.stdout), text(&good.stderr));
    let table = [
        (
            "[engines.default]\nreplicas = []\n[limits]\nmax_in_flight = 0\n",
            ["engines.default.replicas", "max_in_flight"],
        ),
        ("[engines.default]\nreplica = 1\n[limits]\nmax = 0\n", ["engines.default.replica", "limits.max"]),
    ];
    for (content, keys) in table {
        std::fs::write(&file, content).unwrap();
        let bad = run(&["check", "--config", path]).await;
        assert_eq!(bad.status.code(), Some(1));
        let told = text(&bad.stdout);
        assert!(keys.iter().all(|key| told.contains(key)), "{keys:?}: {told}");
    }
    let json = run(&["check", "--json", "--config", path]).await;
    let told: Value = serde_json::from_slice(&json.stdout).expect("--json prints JSON");
    assert_eq!((told["good"].as_bool(), json.status.code()), (Some(false), Some(1)));
    let missing = run(&["check", "--config", "/nowhere/weir.toml"]).await;
    assert!(!missing.status.success() && !text(&missing.stdout).is_empty());
}

#[tokio::test]
async fn the_reference_and_the_schema_are_printed() {
    let reference = run(&["config-reference"]).await;
    assert!(reference.status.success());
    for key in ["max_in_flight", "sse_keep_alive", "first_token_timeout"] {
        assert!(text(&reference.stdout).contains(key), "{key}");
    }
    let schema = run(&["config-reference", "--schema"]).await;
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("the schema is JSON");
    assert!(schema["properties"]["engines"].is_object());
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let engine = Engine::start(Answer::json("{}")).await;
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let url = engine.url();
    for (flag, other) in [("--listen", "--console-listen"), ("--console-listen", "--listen")] {
        let line = ["serve", "--engine", &url, "--data-dir", data, flag, &port, other, "127.0.0.1:0"];
        let failed = run(&line).await;
        assert!(!failed.status.success());
        let said = text(&failed.stderr);
        assert!(said.contains(&port) && said.contains("is another Weir running?"), "{flag}: {said}");
    }
    let none = run(&["serve", "--data-dir", data]).await;
    assert!(!none.status.success() && text(&none.stderr).contains("engine"), "{}", text(&none.stderr));
}

#[tokio::test]
async fn without_a_store_it_serves_keeps_records_on_disk_and_says_what_is_missing() {
    let engine = Engine::start(Answer::json("{\"choices\":[]}")).await;
    let url = engine.url();
    let scene = Scene::from(vec![engine], without_store(Setup::engine(&url))).await;
    assert_eq!(scene.chat(PLAIN).await.status(), 200);
    scene.settle().await;
    let ready = scene.weir.ask_console("/readyz").await;
    let said = ready.text();
    assert_eq!(ready.status(), 200, "the store is not needed to serve: {said}");
    assert!(said.contains("store") && said.contains("/nowhere/libchdb.so"), "{said}");
    assert!(said.contains("WEIR_CHDB") || said.contains("store.url"), "how to get one: {said}");
    for page in ["/", "/exchanges", "/metrics", "/livez"] {
        let answered = scene.weir.ask_console(page).await.status();
        assert!(answered == 200 || answered == 303 || answered == 302, "{page}: {answered}");
    }
    let spool = scene.weir.data_folder().join("spool");
    harness::wait::until_true("the record is on disk", || bytes_in(&spool) > 500).await;
    let weir = scene.weir.kill_and_restart().await;
    let mut client = Client::connect(weir.data).await.unwrap();
    assert_eq!(client.post(CHAT, PLAIN).await.unwrap().status(), 200);
}

fn bytes_in(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}
