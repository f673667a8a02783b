//! Clients that ask one request after the other, and what they were told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::wait::{PATIENCE, until_asked};
use harness::{Answer, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A whole answer that a client has received.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// Weir's id of the exchange.
    pub(crate) id: String,
    pub(crate) status: u16,
    /// When its last byte was here.
    pub(crate) at: Instant,
    pub(crate) took: Duration,
}

/// Clients at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Answered>>>,
}

/// How the clients ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) clients: usize,
    /// Of each client, between answer and next question.
    pub(crate) pause: Duration,
    pub(crate) prompt_bytes: usize,
}

/// Median and 99th percentile of some latencies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) answers: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

/// Enough to have something under way at any moment, without filling a small machine.
pub(crate) const STEADY: Pace = Pace { clients: 8, pause: Duration::from_millis(8), prompt_bytes: 200 };

/// What the scripted engine says to everything.
pub(crate) fn fast_answer() -> Answer {
    let message = r#"{"role":"assistant","content":"A weir is a low dam."}"#;
    let usage = r#"{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}"#;
    Answer::json(format!(
        r#"{{"id":"c","object":"chat.completion","model":"scripted","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}],"usage":{usage}}}"#
    ))
}

/// A question with a prompt of about this size, like no other.
pub(crate) fn question(client: usize, number: usize, prompt_bytes: usize) -> Vec<u8> {
    let filler = "what is a weir? ".repeat(prompt_bytes / 16);
    let content = format!("client {client} asks {number}: {filler}");
    serde_json::json!({ "model": "scripted", "messages": [{ "role": "user", "content": content }] })
        .to_string()
        .into_bytes()
}

impl Load {
    pub(crate) fn start(address: SocketAddr, pace: Pace) -> Self {
        let (stop, stopping) = watch::channel(false);
        let answered = Arc::new(AtomicU64::new(0));
        let client = |number| tokio::spawn(ask(address, pace, number, stopping.clone(), answered.clone()));
        let clients = (0..pace.clients).map(client).collect();
        Self { stop, answered, clients }
    }

    /// Waits until so many more answers have come.
    pub(crate) async fn more(&self, answers: u64) {
        let wanted = self.answered.load(Ordering::Relaxed) + answers;
        let count = || (self.answered.load(Ordering::Relaxed) >= wanted).then_some(());
        until_asked(&format!("{wanted} answers have come"), 3 * PATIENCE, async || count()).await;
    }

    /// Lets each client finish its exchange, and gives all that they were told.
    pub(crate) async fn stop(self) -> Vec<Answered> {
        self.stop.send_replace(true);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.expect("a client does not panic"));
        }
        all
    }
}

/// Asks until told to stop, or until Weir is gone.
async fn ask(
    address: SocketAddr,
    pace: Pace,
    number: usize,
    stopping: watch::Receiver<bool>,
    answered: Arc<AtomicU64>,
) -> Vec<Answered> {
    let mut told = Vec::new();
    let Ok(mut client) = Client::connect(address).await else { return told };
    for question_number in 0.. {
        if *stopping.borrow() {
            break;
        }
        let body = question(number, question_number, pace.prompt_bytes);
        let began = Instant::now();
        let Ok(response) = client.post("/v1/chat/completions", &body).await else { break };
        if response.ending != harness::client::Ending::Whole {
            break;
        }
        let id = response.header("x-weir-exchange").expect("every answer names its exchange").to_owned();
        told.push(Answered { id, status: response.status(), at: Instant::now(), took: began.elapsed() });
        answered.fetch_add(1, Ordering::Relaxed);
        if response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            let Ok(next) = Client::connect(address).await else { break };
            client = next;
        }
        tokio::time::sleep(pace.pause).await;
    }
    told
}

/// Latencies of the answers that came within one of these windows.
pub(crate) fn latency<'a>(answers: impl IntoIterator<Item = &'a Answered>, windows: &[(Instant, Instant)]) -> Latency {
    let within = |answer: &&Answered| windows.iter().any(|(from, to)| (*from..*to).contains(&answer.at));
    let mut took: Vec<Duration> = answers.into_iter().filter(within).map(|answer| answer.took).collect();
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    Latency { answers: took.len(), median: at(0.5), p99: at(0.99) }
}

impl Latency {
    /// Compares with a quiet stretch of the same run. Generous, because the machine is shared
    /// and has few cores: what waits for a disk, a lock or a store is far beyond it.
    pub(crate) fn assert_unmoved(self, quiet: Self, what: &str) {
        println!("{what}: quiet {quiet}; then {self}");
        assert!(self.answers >= 50 && quiet.answers >= 50, "too few answers to compare");
        assert!(self.median <= 5 * quiet.median + Duration::from_millis(10), "{what}: {quiet} became {self}");
        assert!(self.p99 <= 5 * quiet.p99 + Duration::from_millis(250), "{what}: {quiet} became {self}");
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answers, median {:.2?}, p99 {:.2?}", self.answers, self.median, self.p99)
    }
}
