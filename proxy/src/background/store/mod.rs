//! Which ClickHouse keeps the records: a server named by URL, or the engine embedded as a
//! child process. Both speak HTTP, so everything behind [`Store::clients`] is one code path.
//!
//! Promises: starting never waits and never fails; with ClickHouse absent, Weir serves and
//! the spool keeps the records; a client is handed out only once the tables are what this
//! program expects. Owns the schema (`migrations/`) and its retention. Must not know what
//! is written or asked.
//!
//! Reading order: `config`, `keeper` (the life of the store), `migrate`, `schema`, `address`.
//!
//! **Asking safely.** Whoever puts a person's words into a question uses [`read_only`]
//! (`readonly=1`: no writes, no DDL, no `file()`, `url()` or `remote()`), binds every value
//! as a parameter (`client.query_raw("… WHERE tenant = {tenant:String}").param("tenant", t)`)
//! and never builds SQL from text that came over a port. Rows are delivered once (deduplication
//! tokens), so `FINAL` is not needed on `exchanges`, `exchange_contents`, `events` and `gaps`;
//! it is on `fingerprints`, where the newest row of a digest counts.

mod address;
mod config;
mod error;
mod keeper;
mod metrics;
mod migrate;
mod schema;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use clickhouse::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use config::{Config, Retention, Secret};
pub use error::Error;
pub use metrics::Metrics;

/// How the store is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no ClickHouse to talk to: no URL, and no library for the embedded engine.
    Absent {
        /// Why.
        reason: String,
        /// What to do about it.
        how_to_get: String,
    },
    /// Being started and prepared for the first time.
    Starting,
    /// Takes rows and answers.
    Ready {
        /// Version of ClickHouse.
        version: String,
        /// Whether it is the embedded engine.
        embedded: bool,
    },
    /// Does not answer, or refuses; tried again all the time.
    Failing {
        /// Since when.
        since: jiff::Timestamp,
        /// The latest reason.
        error: String,
    },
}

/// The program that becomes the embedded engine: one that calls
/// [`weir_clickhouse_engine::run_child`] when started with these arguments.
#[derive(Clone, Debug)]
pub struct ChildProgram {
    /// None starts the current program again.
    pub program: Option<PathBuf>,
    /// Arguments.
    pub arguments: Vec<OsString>,
}

/// The store, kept alive by a task of its own. Dropping it ends the task and kills the
/// embedded engine; rows that were acknowledged survive that.
#[derive(Debug)]
pub struct Store {
    state: watch::Receiver<State>,
    clients: watch::Receiver<Option<Client>>,
    stop: watch::Sender<Option<Duration>>,
    keeper: JoinHandle<()>,
}

impl Default for ChildProgram {
    fn default() -> Self {
        Self { program: None, arguments: vec!["store-engine".into()] }
    }
}

impl Store {
    /// Begins to reach for the store and returns at once. Needs a Tokio runtime around it.
    pub fn start(config: Config, child: ChildProgram, metrics: Metrics) -> Self {
        let (state_sender, state) = watch::channel(State::Starting);
        let (clients_sender, clients) = watch::channel(None);
        let (stop, stopping) = watch::channel(None);
        let keeper =
            keeper::Keeper { config, child, metrics, state: state_sender, clients: clients_sender, stop: stopping };
        let keeper = tokio::spawn(keeper.run());
        Self { state, clients, stop, keeper }
    }

    /// The state now and every change of it.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// A client for the database of Weir, none before the store was ready once. Marked
    /// changed whenever the store becomes ready again.
    pub fn clients(&self) -> watch::Receiver<Option<Client>> {
        self.clients.clone()
    }

    /// Ends the watch and lets the embedded engine finish, killed after `within`.
    pub async fn stop(mut self, within: Duration) {
        self.stop.send_replace(Some(within));
        if let Err(error) = (&mut self.keeper).await {
            tracing::error!(%error, "the task of the store broke");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// A client that can only read, for questions that hold a person's words.
pub fn read_only(client: &Client) -> Client {
    client
        .clone()
        .with_setting("readonly", "1")
        .with_setting("max_execution_time", "30")
        .with_setting("max_result_bytes", "67108864")
        .with_setting("max_memory_usage", "536870912")
}

/// Waits for ClickHouse, but not for ever: its client has no limit of its own.
async fn within<T>(
    what: &'static str,
    limit: Duration,
    answer: impl Future<Output = clickhouse::error::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::TimedOut { what, limit }),
    }
}
