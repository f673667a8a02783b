//! Who lives and dies with whom.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use weir_clickhouse_engine::{Engine, Error, Limits, Options, Phase, Stopped};

use crate::support::{PROGRAM, Store, client, kill, options, until};

#[tokio::test]
async fn a_dead_child_is_replaced_at_the_same_address() {
    let store = Store::start().await;
    let client = client(&store.running);
    let mut status = store.running.status();
    assert_eq!(status.borrow().phase, Phase::Ready);
    let first = store.pid();
    kill(first);
    status.wait_for(|now| now.phase == Phase::Restarting).await.unwrap();
    status.wait_for(|now| now.phase == Phase::Ready).await.unwrap();
    assert_ne!(store.pid(), first);
    assert_eq!(client.query("SELECT 1").fetch_one::<u8>().await.unwrap(), 1);
    assert_eq!(store.running.stop(Duration::from_secs(20)).await, Stopped::Clean);
    assert_eq!(status.borrow().phase, Phase::Stopped);
}

#[tokio::test]
async fn a_child_dies_with_its_parent_and_leaves_the_directory_free() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let mut parent = Command::new(PROGRAM)
        .args(["supervise".as_ref(), place.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no store: {line}"));
    let child = told["pid"].as_u64().unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    let began = Instant::now();
    let next = Engine::spawn(options(dir.path())).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "took {:?}", began.elapsed());
    assert_eq!(client(&next).query("SELECT 1").fetch_one::<u8>().await.unwrap(), 1);
    until("the orphan to end", async || !Path::new(&format!("/proc/{child}")).exists()).await;
}

#[tokio::test]
async fn a_directory_in_use_is_refused_by_name() {
    let store = Store::start().await;
    let limits = Limits { lock_wait: Duration::from_millis(100), ..Limits::default() };
    let error = Engine::spawn(Options { limits, ..options(store.dir.path()) }).await.unwrap_err();
    assert!(matches!(&error, Error::Start(reason) if reason.contains("in use by another engine")), "{error}");
}

#[tokio::test]
async fn a_store_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("libchdb.so");
    std::fs::write(&fake, "no library").unwrap();
    let table = [
        (Options { library: Some("/nowhere/libchdb.so".into()), ..options(dir.path()) }, "make store-engine"),
        (Options { library: Some(fake), ..options(dir.path()) }, "cannot be loaded"),
        (Options { program: Some("/nowhere/weir".into()), ..options(dir.path()) }, "cannot be run"),
        (Options { args: vec!["nonsense".into()], ..options(dir.path()) }, "while starting"),
        (
            Options {
                program: Some("/bin/sleep".into()),
                args: vec!["60".into()],
                start_within: Duration::from_millis(100),
                ..options(dir.path())
            },
            "no answer",
        ),
    ];
    for (options, reason) in table {
        let error = Engine::spawn(options).await.unwrap_err().to_string();
        assert!(error.contains(reason), "expected {reason}: {error}");
    }
}

#[tokio::test]
async fn a_foreign_engine_in_the_directory_is_told_in_the_engines_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("store/data")).unwrap();
    let status = std::fs::File::create(dir.path().join("store/data/status")).unwrap();
    status.lock().unwrap();
    let error = Engine::spawn(options(dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("could not open") && error.contains("already running"), "{error}");
}

#[tokio::test]
async fn the_directory_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let store = Store::start().await;
    let mode = std::fs::metadata(store.dir.path().join("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
