//! A server to share, a spool in memory, and waiting with a deadline.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use weir::background::sink::{self, Batch, Limits, Sink, Source};
use weir::background::store::{self, ChildProgram, Secret, State, Store};
use weir::exchange::Period;
use weir::exchange::stored::{Stored, StoredExchange, StoredFinding, StoredGap, StoredRound, StoredVerdict};
use weir_clickhouse_engine::{Engine, Options, Running};

pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// 2026-03-01 12:00:00 UTC in microseconds.
pub(crate) const NOON: i64 = 1_772_366_400_000_000;

/// One engine for all tests that do not break it; each test has a database of its own.
pub(crate) struct Server {
    _runtime: Runtime,
    running: Running,
    _dir: tempfile::TempDir,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    // A thread of its own: a test's runtime must not wait within itself, nor own the engine.
    std::thread::spawn(serve).join().expect("the shared engine starts; see the message above")
});

fn serve() -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Statics are not dropped: the folder stays until the target folder is cleaned.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let running = runtime.block_on(Engine::spawn(engine_options(dir.path())));
    Server { running: running.unwrap_or_else(|error| panic!("{error}")), _runtime: runtime, _dir: dir }
}

pub(crate) fn engine_options(data_dir: &Path) -> Options {
    let mut options = Options::new(data_dir);
    options.program = Some(env!("CARGO_BIN_EXE_weir").into());
    options
}

pub(crate) fn child() -> ChildProgram {
    ChildProgram { program: Some(env!("CARGO_BIN_EXE_weir").into()), ..ChildProgram::default() }
}

/// A configuration that names a fresh database on an engine.
pub(crate) fn config_at(running: &Running) -> store::Config {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let database = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let host = running.url().trim_start_matches("http://");
    let url = format!("http://{}:{}@{host}/{database}", running.user(), running.password());
    store::Config { url: Some(Secret::new(url)), ..keeping_all() }
}

pub(crate) fn config() -> store::Config {
    config_at(&SERVER.running)
}

/// Rows of the tests are of one fixed day; retention shall not catch up with them.
pub(crate) fn keeping_all() -> store::Config {
    let ever = Period::secs(70 * 365 * 86_400);
    store::Config { retention: store::Retention { metadata: ever, content: ever }, ..store::Config::default() }
}

pub(crate) fn start(config: &store::Config) -> Store {
    start_with(config, child())
}

pub(crate) fn start_with(config: &store::Config, child: ChildProgram) -> Store {
    let metrics = store::Metrics::register(&prometheus::Registry::new()).unwrap();
    Store::start(config.clone(), child, metrics)
}

/// The client, once the store is ready.
pub(crate) async fn ready(store: &Store) -> Client {
    let mut state = store.state();
    let reached = timeout(
        PATIENCE,
        state.wait_for(|state| match state {
            State::Ready { .. } => true,
            State::Absent { how_to_get, .. } => panic!("{how_to_get}"),
            _ => false,
        }),
    );
    let reached = reached.await.map(|reached| reached.is_ok());
    assert!(reached.unwrap_or(false), "not ready: {:?}", store.state().borrow());
    store.clients().borrow().clone().unwrap()
}

/// Waits until an answer is as wanted.
pub(crate) async fn until<T, F: Future<Output = T>>(what: &str, mut ask: impl FnMut() -> F, fits: impl Fn(&T) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fits(&ask().await) {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn count(client: &Client, from: &str) -> u64 {
    client.query_raw(&format!("SELECT count() FROM {from}")).fetch_one::<u64>().await.unwrap()
}

/// An exchange that every table takes.
pub(crate) fn exchange(n: u32) -> StoredExchange {
    StoredExchange {
        exchange_id: Uuid::from_u128(0x0195_0000_0000_7000_8000_0000_0000_0000 + u128::from(n)),
        started_at: NOON + i64::from(n),
        tenant: "acme".into(),
        route: "chat".into(),
        engine: "primary".into(),
        fingerprint: "0123456789abcdef".into(),
        fingerprint_json: "{}".into(),
        inclusion_probability: 0.5,
        request_body: format!("{{\"n\":{n}}}"),
        prompt_text: format!("Refund number {n}"),
        verdicts: vec![verdict(1, "pii"), verdict(0, "pii"), verdict(0, "grounding")],
        rounds: vec![StoredRound { round: 1, text: format!("Bad answer {n}"), ..StoredRound::default() }],
        ..StoredExchange::default()
    }
}

/// A critic that found something.
pub(crate) fn verdict(round: u16, critic: &str) -> StoredVerdict {
    let finding = StoredFinding { code: "email".into(), message: "an address".into(), ..StoredFinding::default() };
    StoredVerdict {
        round,
        critic: critic.into(),
        mode: "enforce".into(),
        outcome: "fail".into(),
        findings: vec![finding],
        took_us: 7,
        ..StoredVerdict::default()
    }
}

pub(crate) fn encoded(record: &Stored) -> Vec<u8> {
    rmp_serde::to_vec_named(record).unwrap()
}

pub(crate) fn encoded_exchange(exchange: StoredExchange) -> Vec<u8> {
    encoded(&Stored::Exchange(Box::new(exchange)))
}

/// A spool in memory that keeps to the contract of [`Source`].
#[derive(Clone, Default)]
pub(crate) struct MemorySpool {
    held: Arc<Mutex<Held>>,
    news: Arc<Notify>,
}

#[derive(Default)]
struct Held {
    records: Vec<(u64, Bytes)>,
    gaps: Vec<StoredGap>,
    next_seq: u64,
    out: Option<Batch>,
    delivered: u64,
}

impl MemorySpool {
    pub(crate) fn append(&self, payload: Vec<u8>) {
        let mut held = self.held.lock().unwrap();
        held.next_seq += 1;
        let seq = held.next_seq;
        held.records.push((seq, payload.into()));
        self.news.notify_one();
    }

    pub(crate) fn lose(&self, gap: StoredGap) {
        self.held.lock().unwrap().gaps.push(gap);
    }

    /// Records acknowledged so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.held.lock().unwrap().delivered
    }

    pub(crate) fn is_empty(&self) -> bool {
        let held = self.held.lock().unwrap();
        held.records.is_empty() && held.out.is_none()
    }

    /// What a crash between insert and acknowledgement leaves: the same batch again.
    pub(crate) fn with_batch_out(batch: Batch) -> Self {
        let spool = Self::default();
        spool.held.lock().unwrap().out = Some(batch);
        spool
    }

    pub(crate) fn take(&self, limits: Limits) -> Option<Batch> {
        let mut held = self.held.lock().unwrap();
        if held.out.is_none() && !held.records.is_empty() {
            let count = limits.records.min(held.records.len());
            let records: Vec<_> = held.records.drain(..count).collect();
            let (first, last) = (records[0].0, records[count - 1].0);
            let gaps = std::mem::take(&mut held.gaps);
            let token = format!("spool-{first}-{last}");
            held.out = Some(Batch { last_seq: last, token, instance: "test".into(), records, gaps });
        }
        held.out.clone()
    }
}

impl Source for MemorySpool {
    async fn next_batch(&mut self, limits: Limits) -> io::Result<Option<Batch>> {
        if self.is_empty() {
            let _ = timeout(limits.wait, self.news.notified()).await;
        }
        Ok(self.take(limits))
    }

    async fn acknowledge(&mut self, last_seq: u64) -> io::Result<()> {
        let mut held = self.held.lock().unwrap();
        match held.out.take() {
            Some(batch) if batch.last_seq == last_seq => held.delivered += batch.records.len() as u64,
            _ => return Err(io::Error::other("not in flight")),
        }
        Ok(())
    }
}

/// A sink that shows how it fares.
pub(crate) struct Pouring {
    pub(crate) sink: Sink,
    registry: prometheus::Registry,
}

pub(crate) fn sink_config(data_dir: &Path) -> sink::Config {
    sink::Config {
        flush_interval: Period::millis(50),
        longest_pause: Period::millis(400),
        data_dir: data_dir.to_path_buf(),
        ..sink::Config::default()
    }
}

pub(crate) fn start_sink(config: sink::Config, spool: &MemorySpool, store: &Store) -> Pouring {
    let registry = prometheus::Registry::new();
    let metrics = sink::Metrics::register(&registry).unwrap();
    Pouring { sink: Sink::start(config, spool.clone(), store.clients(), metrics), registry }
}

impl Pouring {
    /// The value of a counter or gauge with this name, its labels summed up.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
        let metrics = family.get_metric().iter();
        metrics.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

/// Everything in the spool delivered, the sink stopped.
pub(crate) async fn drain(config: sink::Config, spool: &MemorySpool, store: &Store) {
    let running = start_sink(config, spool, store);
    until("the spool is drained", || async { spool.is_empty() }, |empty| *empty).await;
    running.sink.stop(PATIENCE).await;
}
