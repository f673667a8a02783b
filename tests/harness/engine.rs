//! A scripted engine on loopback, on bare TCP so that it can misbehave in every way.
//!
//! It answers probes (health, models, metrics) by itself as a well engine would, answers
//! everything else with what the test gave it, and remembers what it saw: each request, and
//! the moment at which a client left before its answer was over.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::script::{Answer, Step};
use crate::wait;
use crate::wire::Head;

/// Requests larger than this are a fault of the test.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// What a well engine says to a probe.
const PROBES: [(&str, &str, &str); 3] = [
    ("/health", "application/json", r#"{"status":"ok"}"#),
    ("/v1/models", "application/json", r#"{"object":"list","data":[{"id":"scripted","object":"model"}]}"#),
    ("/metrics", "text/plain; version=0.0.4", "# TYPE scripted_up gauge\nscripted_up 1\n"),
];
/// What other engines are asked for; this one does not know them.
const FOREIGN_PROBES: [&str; 9] = [
    "/version",
    "/props",
    "/slots",
    "/info",
    "/server_info",
    "/get_server_info",
    "/model_info",
    "/get_model_info",
    "/prometheus/metrics",
];

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Start line and headers.
    pub head: Head,
    /// Content of the body, without chunks.
    pub body: Vec<u8>,
    /// Number of its connection, from 0.
    pub connection: usize,
    /// When it was whole.
    pub at: Instant,
    /// When the client left before the answer was over, if it did.
    pub left_at: Option<Instant>,
}

impl Seen {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.start.split(' ').next().unwrap_or_default()
    }

    /// The target, with its query.
    pub fn target(&self) -> &str {
        self.head.start.split(' ').nth(1).unwrap_or_default()
    }

    fn is_probe(&self) -> bool {
        let path = self.target();
        let known = PROBES.iter().map(|probe| probe.0).chain(FOREIGN_PROBES).any(|known| known == path);
        self.method() == "GET" && known
    }
}

/// A scripted engine; it ends when dropped.
pub struct Engine {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    memory: Mutex<Memory>,
    /// Connections wait for their first look while this is false.
    accepting: watch::Sender<bool>,
}

#[derive(Default)]
struct Memory {
    seen: Vec<Seen>,
    always: Option<Answer>,
    next: VecDeque<Answer>,
    by_path: HashMap<String, Answer>,
    connections: usize,
}

impl Engine {
    /// An engine on a free port that gives every request the same answer.
    pub async fn start(answer: Answer) -> Self {
        let mut engine = Self { address: ([127, 0, 0, 1], 0).into(), shared: Shared::new(), listening: None };
        engine.answer(answer);
        engine.listen().await;
        engine
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address, to speak to it without the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers every request to come, as far as [`Self::answer_next`] and [`Self::answer_at`] say nothing else.
    pub fn answer(&self, answer: Answer) {
        self.shared.memory().always = Some(answer);
    }

    /// Answers one request to come; several calls queue up. Probes do not count.
    pub fn answer_next(&self, answer: Answer) {
        self.shared.memory().next.push_back(answer);
    }

    /// Answers every request to a path, probes included, as in `/health`.
    pub fn answer_at(&self, path: &str, answer: Answer) {
        self.shared.memory().by_path.insert(path.to_owned(), answer);
    }

    /// The requests so far, probes left out.
    pub fn requests(&self) -> Vec<Seen> {
        self.all_requests().into_iter().filter(|seen| !seen.is_probe()).collect()
    }

    /// The requests so far, probes included.
    pub fn all_requests(&self) -> Vec<Seen> {
        self.shared.memory().seen.clone()
    }

    /// Waits for the request of this number, from 0, probes left out.
    pub async fn request(&self, number: usize) -> Seen {
        wait::until(&format!("the engine has request {number}"), || self.requests().into_iter().nth(number)).await
    }

    /// Waits until the client of this request leaves before its answer is over.
    pub async fn client_left(&self, number: usize) -> Instant {
        let what = format!("the engine sees the client of request {number} leave");
        wait::until(&what, || self.requests().get(number).and_then(|seen| seen.left_at)).await
    }

    /// Connections so far, those of probes included.
    pub fn connections(&self) -> usize {
        self.shared.memory().connections
    }

    /// Leaves new connections in the kernel's queue, where they wait for their first byte.
    pub fn hold_accepts(&self) {
        self.shared.accepting.send_replace(false);
    }

    /// Takes new connections again.
    pub fn resume_accepts(&self) {
        self.shared.accepting.send_replace(true);
    }

    /// Ends as a killed process does: the port refuses, open connections are cut.
    pub async fn stop(&mut self) {
        let Some(listening) = self.listening.take() else { return };
        listening.abort();
        let _ = listening.await;
    }

    /// Comes back on the same port.
    pub async fn start_again(&mut self) {
        self.stop().await;
        self.listen().await;
    }

    async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("a loopback port can be had");
        self.address = listener.local_addr().expect("a bound listener has an address");
        self.listening = Some(tokio::spawn(serve(listener, self.shared.clone())));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { memory: Mutex::default(), accepting: watch::Sender::new(true) })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Remembers a request and says what to do with it.
    fn take(&self, seen: Seen) -> (usize, Answer) {
        let mut memory = self.memory();
        let path = seen.target().split('?').next().unwrap_or_default().to_owned();
        let answer = match memory.by_path.get(&path) {
            Some(answer) => answer.clone(),
            None if seen.is_probe() => probe_answer(&path),
            None => match memory.next.pop_front() {
                Some(answer) => answer,
                None => memory.always.clone().unwrap_or_default(),
            },
        };
        memory.seen.push(seen);
        (memory.seen.len() - 1, answer)
    }

    fn left(&self, number: usize) {
        self.memory().seen[number].left_at.get_or_insert_with(Instant::now);
    }
}

fn probe_answer(path: &str) -> Answer {
    match PROBES.iter().find(|probe| probe.0 == path) {
        Some((_, content_type, body)) => Answer::with(200, &[("Content-Type", content_type)], body.as_bytes()),
        None => Answer::status(404, r#"{"error":{"message":"not found"}}"#),
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut accepting = shared.accepting.subscribe();
    // Dropped with this future, which cuts every connection.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // The sender lives as long as `shared`, which this task holds.
        let _ = accepting.wait_for(|accepting| *accepting).await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = accepting.wait_for(|accepting| !accepting) => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        stream.set_nodelay(true).expect("a loopback connection takes TCP_NODELAY");
        let number = shared.memory().connections;
        shared.memory().connections += 1;
        connections.spawn(Connection { stream, unread: BytesMut::new(), number, shared: shared.clone() }.run());
    }
}

struct Connection {
    stream: TcpStream,
    unread: BytesMut,
    number: usize,
    shared: Arc<Shared>,
}

/// How a step ended.
enum After {
    GoOn,
    Over,
    ClientLeft,
}

impl Connection {
    async fn run(mut self) {
        while let Some(seen) = self.request().await {
            let (number, answer) = self.shared.take(seen);
            for step in answer.steps {
                match self.step(step).await {
                    After::GoOn => {}
                    After::Over => return,
                    After::ClientLeft => return self.shared.left(number),
                }
            }
        }
    }

    /// The next request; none where the client is gone.
    async fn request(&mut self) -> Option<Seen> {
        loop {
            if let Some(head) = Head::read(&self.unread) {
                let (begin, framing) = (head.raw.len(), head.request_framing());
                if let Some(length) = framing.whole(&self.unread[begin..]) {
                    let body = framing.content(&self.unread[begin..begin + length]);
                    let _ = self.unread.split_to(begin + length);
                    return Some(Seen { head, body, connection: self.number, at: Instant::now(), left_at: None });
                }
            }
            assert!(self.unread.len() < MAX_REQUEST_BYTES, "a request of these tests is smaller");
            if !self.read().await {
                return None;
            }
        }
    }

    async fn step(&mut self, step: Step) -> After {
        match step {
            Step::Send(bytes) => self.send(&bytes).await,
            Step::Pause(pause) => self.idle(Some(pause)).await,
            Step::Stall => self.idle(None).await,
            Step::Close => After::Over,
            Step::Reset => {
                // Closing with a linger time of zero sends RST instead of FIN.
                let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                After::Over
            }
            Step::CloseOnNextRequest => {
                if self.unread.is_empty() {
                    self.read().await;
                }
                After::Over
            }
        }
    }

    /// Writes, and meanwhile reads: a client that leaves is seen even where nothing more
    /// fits into the connection.
    async fn send(&mut self, mut bytes: &[u8]) -> After {
        while !bytes.is_empty() {
            let (mut reading, mut writing) = self.stream.split();
            tokio::select! {
                biased;
                read = reading.read_buf(&mut self.unread) => if !matches!(read, Ok(1..)) { return After::ClientLeft },
                written = writing.write(bytes) => match written {
                    Ok(length) => bytes = &bytes[length..],
                    Err(_) => return After::ClientLeft,
                },
            }
        }
        After::GoOn
    }

    /// Does nothing until the time is up or the client leaves.
    async fn idle(&mut self, limit: Option<Duration>) -> After {
        let until_left = async { while self.read().await {} };
        let Some(limit) = limit else {
            until_left.await;
            return After::ClientLeft;
        };
        match tokio::time::timeout(limit, until_left).await {
            Ok(()) => After::ClientLeft,
            Err(_) => After::GoOn,
        }
    }

    /// Whether something more came.
    async fn read(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..))
    }
}
