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

/// Answers that toxicity is told by, each from a source of its own.
fn labelled(count: usize) -> String {
    let one = |i: usize| {
        let (answer, label) = match i % 3 {
            0 => (format!("You are a stupid worthless idiot, number {i}."), "bad"),
            _ => (format!("Water boils at a hundred degrees, note {i}."), "good"),
        };
        format!("{{\"question\": \"q\", \"answer\": \"{answer}\", \"label\": \"{label}\", \"source_id\": \"s{i}\"}}\n")
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn a_critic_is_measured_calibrated_and_its_threshold_written_with_its_provenance() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, config, report) = (path("cases.jsonl"), path("weir.toml"), path("report.html"));
    std::fs::write(&data, labelled(90)).unwrap();
    std::fs::write(&config, "# ours\n[critics.rude] # all routes\nkind = \"toxicity\"\nthreshold = 0.9 # by hand\n")
        .unwrap();
    let of_rude = ["--critic", "rude", "--config", &config, "--data", &data, "--json"];
    let eval = run(&[&["critic", "eval", "--report", &report], &of_rude[..]].concat()).await;
    assert!(eval.status.success(), "{}", text(&eval.stderr));
    let told: Value = serde_json::from_slice(&eval.stdout).expect("--json prints JSON");
    assert_eq!((&told["evaluation"]["judged"], &told["evaluation"]["bad"]), (&90.into(), &30.into()));
    assert!(told["evaluation"]["auroc"]["low"].is_number() && told["evaluation"]["cost"]["cpu_us_p50"].is_number());
    assert!(std::fs::read_to_string(&report).unwrap().contains("<h2>Reliability"));

    let dry = run(&[&["critic", "calibrate", "--dry-run"], &of_rude[..]].concat()).await;
    assert!(dry.status.success() && std::fs::read_to_string(&config).unwrap().contains("0.9 # by hand"));
    let done = run(&[&["critic", "calibrate", "--goal", "cost", "--miss-cost", "5"], &of_rude[..]].concat()).await;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let written = std::fs::read_to_string(&config).unwrap();
    assert!(written.starts_with("# ours\n[critics.rude] # all routes\n") && written.contains("# by hand"), "{written}");
    for said in ["[critics.rude.calibration]", "method = \"cost\"", "miss_cost = 5.0", "cases = 90", "seed = 1"] {
        assert!(written.contains(said), "{said}: {written}");
    }
    assert!(written.contains(&format!("threshold = {}", told["threshold"])), "{written}");
    let list = run(&["critic", "list", "--config", &config, "--json"]).await;
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["critics"][0]["calibration"]["method"], "cost");
    assert_eq!(list["critics"][0]["calibrated_on_another_version"], false);
}

#[tokio::test]
async fn what_cannot_be_certified_is_said_with_the_share_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cases.jsonl");
    let data = data.to_str().unwrap();
    std::fs::write(data, labelled(60)).unwrap();
    let line = ["critic", "calibrate", "--kind", "toxicity", "--goal", "certified", "--alpha", "0.001", "--data", data];
    let refused = run(&line).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stdout);
    assert!(
        said.contains("no threshold can be certified") && said.contains("at least 33.3 % must go to people"),
        "{said}"
    );
}

#[tokio::test]
async fn a_trained_classifier_stands_beside_its_card_and_is_made_again_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, one, other) = (path("cases.jsonl"), path("one.weircls"), path("other.weircls"));
    std::fs::write(&data, labelled(300)).unwrap();
    for output in [&one, &other] {
        let line = ["critic", "train", "classifier", "--data", &data, "--output", output, "--json"];
        let trained = run(&line).await;
        assert!(trained.status.success(), "{}", text(&trained.stderr));
        let told: Value = serde_json::from_slice(&trained.stdout).unwrap();
        assert_eq!(told["comparison"], Value::Null);
        let card = std::fs::read_to_string(format!("{output}.md")).unwrap();
        assert!(card.contains(told["sha256"].as_str().unwrap()) && card.contains("cases.jsonl"), "{card}");
    }
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
    let again = run(&["critic", "train", "classifier", "--data", &data, "--output", &one, "--json"]).await;
    let told: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(told["comparison"]["conclusion"], "undecided", "it is not better than itself");
}

#[tokio::test]
async fn bad_cases_and_unknown_critics_are_told_with_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, config) = (path("cases.jsonl"), path("weir.toml"));
    std::fs::write(&data, "{\"answer\": \"a\", \"label\": 1}\n{\"answer\": \"a\", \"label\": 4}\n").unwrap();
    std::fs::write(&config, "[critics.rude]\nkind = \"toxicity\"\n").unwrap();
    let table: [(&[&str], &str); 4] = [
        (&["--kind", "toxicity", "--data", &data], "cases.jsonl:2: the label 4 is neither 0 (good) nor 1 (bad)"),
        (&["--kind", "toxic", "--data", &data], "toxicity"),
        (&["--critic", "polite", "--config", &config, "--data", &data], "it names rude"),
        (&["--kind", "toxicity", "--set", "treshold=0.1", "--data", &data], "treshold"),
    ];
    for (line, said) in table {
        let failed = run(&[&["critic", "eval"], line].concat()).await;
        assert_eq!(failed.status.code(), Some(1));
        assert!(text(&failed.stderr).contains(said), "{said}: {}", text(&failed.stderr));
    }
}

fn bytes_in(folder: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}
