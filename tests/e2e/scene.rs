//! Weir before scripted engines, and the count of what was asked of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::client::{Response, request};
use harness::weir::Setup;
use harness::{Answer, Client, Engine, Weir, wait};

/// A chat that is answered in one piece.
pub(crate) const PLAIN: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
/// A chat that is answered as a stream.
pub(crate) const STREAM: &[u8] = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
/// The path of both.
pub(crate) const CHAT: &str = "/v1/chat/completions";
/// A piece of a chat's stream, and its last ones.
pub(crate) const TOKEN: &[u8] = b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
pub(crate) const STOP: &[u8] =
    b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// The same as engines send them, whole, with a chunk that tells the usage before the last.
pub(crate) fn chunks() -> [Vec<u8>; 4] {
    let chunk = |choices: &str, usage: &str| {
        let head = r#""id":"c","object":"chat.completion.chunk","created":7,"model":"m""#;
        format!("data: {{{head},\"choices\":[{choices}]{usage}}}\n\n").into_bytes()
    };
    [
        chunk(r#"{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}"#, ""),
        chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, ""),
        chunk("", r#","usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}"#),
        DONE.to_vec(),
    ]
}

/// Weir, its engines, and how many exchanges were begun.
pub(crate) struct Scene {
    pub(crate) engines: Vec<Engine>,
    pub(crate) weir: Weir,
    asked: AtomicUsize,
}

/// How the engine named `default` and the rest of the configuration are written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Text<'a> {
    /// Keys of the engine.
    pub(crate) engine: &'a str,
    /// Other sections.
    pub(crate) rest: &'a str,
}

impl Text<'_> {
    /// The configuration file before these replicas.
    pub(crate) fn before(&self, urls: &[String]) -> String {
        format!("{}\n[engines.default]\nreplicas = {urls:?}\n{}\n", self.rest, self.engine)
    }
}

impl Scene {
    /// One engine, defaults.
    pub(crate) async fn plain() -> Self {
        Self::with(1, Text::default()).await
    }

    /// So many equal replicas, which answer `{}` until they are told otherwise.
    pub(crate) async fn with(replicas: usize, text: Text<'_>) -> Self {
        let mut engines = Vec::new();
        for _ in 0..replicas {
            engines.push(Engine::start(Answer::json("{}")).await);
        }
        let urls: Vec<String> = engines.iter().map(Engine::url).collect();
        Self::from(engines, without_store(Setup::config(text.before(&urls)))).await
    }

    /// Any set-up before engines that run already.
    pub(crate) async fn from(engines: Vec<Engine>, setup: Setup) -> Self {
        Self { engines, weir: setup.start().await, asked: AtomicUsize::new(0) }
    }

    /// The first engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engines[0]
    }

    /// A connection to Weir.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.weir.data).await.expect("the data port takes connections")
    }

    /// One request over a connection of its own, with its response.
    pub(crate) async fn ask(&self, bytes: &[u8]) -> Response {
        self.asking(1);
        Client::exchange(self.weir.data, bytes).await
    }

    /// A chat over a connection of its own.
    pub(crate) async fn chat(&self, body: &[u8]) -> Response {
        self.ask(&request("POST", CHAT, &[("Content-Type", "application/json")], body)).await
    }

    /// Sends a chat and does not wait for its answer.
    pub(crate) async fn begin_chat(&self, body: &[u8]) -> Client {
        self.asking(1);
        let mut client = self.client().await;
        client.send(&request("POST", CHAT, &[], body)).await.expect("a request can be sent");
        client
    }

    /// Notes exchanges that a test begins by hand.
    pub(crate) fn asking(&self, exchanges: usize) {
        self.asked.fetch_add(exchanges, Ordering::Relaxed);
    }

    /// Requests that an engine got through Weir, all engines together.
    pub(crate) fn reached(&self) -> usize {
        self.engines.iter().map(|engine| engine.requests().len()).sum()
    }

    /// Waits until a metric has a value.
    pub(crate) async fn until_metric(&self, name: &str, labels: &[&str], value: f64) {
        let what = format!("{name}{labels:?} is {value}\n{}", self.weir.metrics().await);
        wait::until_asked(&what, wait::PATIENCE, async || {
            let found = self.weir.metric(name, labels).await.unwrap_or(0.0);
            (found == value).then_some(())
        })
        .await;
    }

    /// Every exchange has left exactly one record, and nothing is held any more.
    pub(crate) async fn settle(&self) {
        for gauge in ["weir_in_flight", "weir_queue_depth", "weir_engine_in_flight"] {
            self.until_metric(gauge, &[], 0.0).await;
        }
        self.until_metric("weir_exchanges_total", &[], self.asked.load(Ordering::Relaxed) as f64).await;
        assert!(!self.weir.said().contains("panicked"), "{}", self.weir.said());
    }
}

/// No store: quicker to start, and no part of most tests.
pub(crate) fn without_store(setup: Setup) -> Setup {
    setup.variable("WEIR_CHDB", "/nowhere/libchdb.so")
}

/// A whole stream.
pub(crate) fn stream() -> Answer {
    Answer::events(&[TOKEN, STOP, DONE])
}

/// A stream that has said one word.
pub(crate) fn begun() -> Answer {
    Answer::begin_stream().piece(TOKEN)
}

/// Runs something and says how long it took.
pub(crate) async fn timed<T>(doing: impl Future<Output = T>) -> (T, Duration) {
    let began = std::time::Instant::now();
    (doing.await, began.elapsed())
}
