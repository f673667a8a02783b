//! What the tests share: a store per test, a client, raw HTTP, waiting on a
//! condition.

use std::path::Path;
use std::time::{Duration, Instant};

use clickhouse::{Client, Compression};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_clickhouse_engine::{Engine, Limits, Options, Running};

/// The program that the store starts as its child.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_weir-store-engine");

pub(crate) struct Store {
    pub(crate) running: Running,
    pub(crate) dir: tempfile::TempDir,
}

impl Store {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Engine::spawn(Options { limits, ..options(dir.path()) }).await;
        Self { running: running.unwrap_or_else(|error| panic!("{error}")), dir }
    }

    /// A client for the database `w`, which is created.
    pub(crate) async fn client(&self) -> Client {
        let client = client(&self.running);
        client.query("CREATE DATABASE IF NOT EXISTS w").execute().await.unwrap();
        client.with_database("w")
    }

    /// Status line with headers, and the body, of one request.
    pub(crate) async fn http(&self, method: &str, target: &str, body: &str) -> (String, String) {
        let mut stream = self.connect().await;
        let head = self.head(method, target, body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The engine breaks the connection after a late error, which is an
        // answer here.
        let _ = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        (head.to_ascii_lowercase(), body.to_string())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.url().trim_start_matches("http://")).await.unwrap()
    }

    pub(crate) fn head(&self, method: &str, target: &str, length: usize) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: store\r\nConnection: close\r\nContent-Length: {length}\r\n\
             X-ClickHouse-User: {}\r\nX-ClickHouse-Key: {}\r\n\r\n",
            self.running.user(),
            self.running.password()
        )
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.status().borrow().pid.unwrap()
    }
}

pub(crate) fn options(dir: &Path) -> Options {
    Options {
        program: Some(PROGRAM.into()),
        restart_after: Duration::from_millis(20),
        ..Options::new(dir.join("store"))
    }
}

pub(crate) fn client(running: &Running) -> Client {
    Client::default()
        .with_url(running.url())
        .with_user(running.user())
        .with_password(running.password())
        .with_compression(Compression::None)
}

pub(crate) fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Polls until `condition` holds; fails the test after 30 s.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(30), "waited 30 s for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
