//! What has arrived in ClickHouse, compared with what clients were told.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use clickhouse::Client;
use harness::llama::Places;
use harness::wait::{PATIENCE, until_asked};
use harness::{Weir, weir};
use weir_clickhouse_engine::{Engine, Options, Running};

use crate::gate::Gate;
use crate::load::Answered;

/// A ClickHouse server of this test's process, one for all tests; each has a database of its own.
struct Server {
    url: String,
    user: String,
    password: String,
}

/// A database, as a test reads it.
pub(crate) struct Books {
    client: Client,
    /// Of a folder that was opened for reading: its engine, running for as long as it is read.
    engine: Option<Running>,
}

fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder);
    options.program = Some(weir::program());
    if std::env::var_os("WEIR_CHDB").is_none() {
        options.library = Some(Places::get().store_library.clone());
    }
    options
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (tell, told) = mpsc::channel();
        // A thread with a runtime of its own: those of the tests end with each test. The
        // engine itself ends with this process, whose end closes its standard input.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime starts").block_on(async {
                let folder = tempfile::tempdir().expect("a temporary folder can be made");
                let running = Engine::spawn(options(folder.path())).await.expect("the engine of the store starts");
                let (url, user, password) = (running.url(), running.user(), running.password());
                let server = Server { url: url.to_owned(), user: user.to_owned(), password: password.to_owned() };
                tell.send(server).expect("the first test waits for it");
                std::future::pending::<()>().await;
            });
        });
        told.recv().expect("the thread of the store tells its place")
    })
}

/// A closed gate to a database that is still empty, its URL for Weir, and its books.
pub(crate) fn gated_store() -> (Gate, String, Books) {
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    // Blocks while the engine starts, which nothing else waits for.
    let server = tokio::task::block_in_place(server);
    let database = format!("chaos{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let target: SocketAddr = server.url.trim_start_matches("http://").parse().expect("a URL on loopback");
    let gate = Gate::closed(target);
    let url = format!("http://{}:{}@{}/{database}", server.user, server.password, gate.address());
    let client = Client::default().with_url(&server.url).with_user(&server.user).with_password(&server.password);
    (gate, url, Books { client: client.with_database(database), engine: None })
}

impl Books {
    /// The store in the folder of a Weir that has ended.
    pub(crate) async fn of_stopped(weir: &Weir) -> Self {
        let engine = Engine::spawn(options(&weir.data_folder().join("store"))).await;
        let engine = engine.expect("the store that Weir left can be opened");
        let client = Client::default().with_url(engine.url()).with_user(engine.user()).with_password(engine.password());
        Self { client: client.with_database("weir"), engine: Some(engine) }
    }

    /// Ends the engine where it runs for these books alone.
    pub(crate) async fn close(self) {
        if let Some(engine) = self.engine {
            engine.stop(PATIENCE).await;
        }
    }

    /// A number that a query gives.
    pub(crate) async fn number(&self, query: &str) -> u64 {
        self.client.query(query).fetch_one().await.unwrap_or_else(|fault| panic!("{query}: {fault}"))
    }

    /// The first column of a query's rows, text.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        self.client.query(query).fetch_all().await.unwrap_or_else(|fault| panic!("{query}: {fault}"))
    }

    /// Records lost for this reason, as the gaps say.
    pub(crate) async fn lost(&self, reason: &str) -> u64 {
        self.number(&format!("SELECT sum(lost) FROM gaps FINAL WHERE reason = '{reason}'")).await
    }

    /// Checks that no exchange is there twice, neither with nor without the folding of merges,
    /// in both tables alike, and gives the ids.
    pub(crate) async fn ids(&self) -> HashSet<String> {
        let mut tables = Vec::new();
        for table in ["exchanges", "exchange_contents"] {
            let rows = self.texts(&format!("SELECT toString(exchange_id) FROM {table}")).await;
            let folded = self.number(&format!("SELECT count() FROM {table} FINAL")).await;
            let ids: HashSet<String> = rows.iter().cloned().collect();
            assert_eq!((rows.len(), folded), (ids.len(), ids.len() as u64), "{table} has an exchange twice");
            tables.push(ids);
        }
        let contents = tables.pop().expect("two tables were read");
        let exchanges = tables.pop().expect("two tables were read");
        assert_eq!(exchanges, contents, "both tables have the same exchanges");
        exchanges
    }

    /// Checks that every one of these answers is there, and each once.
    pub(crate) async fn hold_all(&self, answered: &[Answered]) -> HashSet<String> {
        let ids = self.ids().await;
        let missing: Vec<_> = answered.iter().filter(|answer| !ids.contains(&answer.id)).collect();
        let first = missing.first();
        assert!(missing.is_empty(), "{} of {} answers are not stored, as {first:?}", missing.len(), answered.len());
        ids
    }
}

/// Waits until everything that Weir has taken in is in the store.
pub(crate) async fn drained(weir: &Weir) {
    until_asked("everything taken in is stored", 3 * PATIENCE, async || {
        let metrics = weir.metrics().await;
        let sum = |name| weir::sum_of(&metrics, name, &[]).unwrap_or(0.0);
        let flushed = sum("weir_recorder_kept_total") == sum("weir_spool_flushed_records_total");
        (flushed && sum("weir_outbox_records") + sum("weir_spool_records") == 0.0).then_some(())
    })
    .await;
}

/// How often each status was answered.
pub(crate) fn statuses(answered: &[Answered]) -> HashMap<u16, usize> {
    let mut counts = HashMap::new();
    answered.iter().for_each(|answer| *counts.entry(answer.status).or_insert(0) += 1);
    counts
}
