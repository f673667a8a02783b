//! The task that reaches ClickHouse, prepares it, watches it, and starts over when it is lost.
//!
//! One state at a time, told through [`State`]: a failure is retried for ever with a capped
//! pause, because the spool holds what cannot be stored meanwhile.

use std::time::Duration;

use clickhouse::{Client, Compression};
use tokio::sync::watch;
use weir_clickhouse_engine::{Engine, Options, Running};

use super::address::Address;
use super::schema::Names;
use super::{ChildProgram, Config, Error, Metrics, State, migrate, within};

/// Pause after the first failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often a ready store is asked whether it still answers.
const WATCH: Duration = Duration::from_secs(5);
/// How long such an answer may take on a busy server.
const ANSWER: Duration = Duration::from_secs(10);
/// Oldest server that has text indexes without an experimental setting.
const OLDEST: (u32, u32) = (26, 2);

pub(super) struct Keeper {
    pub(super) config: Config,
    pub(super) child: ChildProgram,
    pub(super) metrics: Metrics,
    pub(super) state: watch::Sender<State>,
    pub(super) clients: watch::Sender<Option<Client>>,
    /// The time that a stop may take, once one is asked for.
    pub(super) stop: watch::Receiver<Option<Duration>>,
}

impl Keeper {
    /// Runs until a stop is asked for, then stops the embedded engine.
    pub(super) async fn run(self) {
        let mut engine = None;
        let mut stop = self.stop.clone();
        let within = tokio::select! {
            within = stop.wait_for(Option::is_some) => within.ok().and_then(|within| *within).unwrap_or_default(),
            () = self.keep(&mut engine) => Duration::ZERO,
        };
        self.metrics.ready.set(0);
        if let Some(engine) = engine {
            let stopped = engine.stop(within).await;
            tracing::info!(?stopped, "stopped the embedded store");
        }
    }

    /// Never returns: the store is worth another try for as long as Weir runs.
    async fn keep(&self, engine: &mut Option<Running>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.reach(engine).await {
                Ok(client) => {
                    pause = FIRST_PAUSE;
                    self.watch(&client).await
                }
                Err(error) => error,
            };
            self.failed(&error);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Starts the engine where it is embedded, prepares the tables and says that rows can come.
    async fn reach(&self, engine: &mut Option<Running>) -> Result<Client, Error> {
        let address = match self.config.address() {
            Some(address) => address.map_err(|(problem, cure)| Error::BadUrl(problem, cure))?,
            None => self.embedded(engine).await?,
        };
        let client = plain_client(&address);
        let version = version_of(&client).await?;
        if !is_new_enough(&version) {
            return Err(Error::TooOld { version });
        }
        let names = Names { database: address.database.clone(), cluster: self.config.cluster.clone() };
        migrate::prepare(&client, &names, &self.config.retention).await?;
        let embedded = engine.is_some();
        tracing::info!(version, embedded, "the store is ready");
        self.metrics.ready.set(1);
        let client = client.with_database(address.database);
        // Sent even where nothing changed: whoever waits between two tries shall try now.
        self.clients.send_replace(Some(client.clone()));
        self.state.send_replace(State::Ready { version, embedded });
        Ok(client)
    }

    async fn embedded(&self, engine: &mut Option<Running>) -> Result<Address, Error> {
        let running = match engine.take() {
            Some(running) => running,
            None => Engine::spawn(self.options()).await?,
        };
        let running = engine.insert(running);
        Ok(Address {
            url: running.url().to_owned(),
            user: running.user().to_owned(),
            password: running.password().to_owned(),
            database: self.config.database.clone(),
            loopback: true,
        })
    }

    fn options(&self) -> Options {
        let mut options = Options::new(&self.config.data_dir);
        options.program.clone_from(&self.child.program);
        options.args.clone_from(&self.child.arguments);
        options.limits.memory_bytes = Some(self.config.memory_bytes.0);
        options
    }

    /// Returns why the store was lost.
    async fn watch(&self, client: &Client) -> Error {
        loop {
            tokio::time::sleep(WATCH).await;
            if let Err(error) = version_of(client).await {
                return error;
            }
        }
    }

    fn failed(&self, error: &Error) {
        self.metrics.ready.set(0);
        self.metrics.failures.inc();
        let text = error.to_string();
        let news = self.state.send_if_modified(|state| {
            let next = after_failure(state, error);
            let news = *state != next;
            *state = next;
            news
        });
        if news {
            tracing::warn!(error = text, "the store is not ready; records wait in the spool");
        }
    }
}

/// The state after a failure: a failing store keeps the moment at which it began to fail.
fn after_failure(state: &State, error: &Error) -> State {
    if let Error::NoLibrary(missing) = error {
        let reason = "there is neither a ClickHouse server nor the library of the embedded engine".to_owned();
        return State::Absent { reason, how_to_get: missing.to_string() };
    }
    let since = match state {
        State::Failing { since, .. } => *since,
        _ => jiff::Timestamp::now(),
    };
    State::Failing { since, error: error.to_string() }
}

fn plain_client(address: &Address) -> Client {
    let compression = if address.loopback { Compression::None } else { Compression::Lz4 };
    Client::default()
        .with_url(&address.url)
        .with_user(&address.user)
        .with_password(&address.password)
        .with_compression(compression)
}

async fn version_of(client: &Client) -> Result<String, Error> {
    within("SELECT version()", ANSWER, client.query_raw("SELECT version()").fetch_one::<String>()).await
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_with_text_indexes_are_new_enough() {
        let table = [("26.2.1.5", true), ("26.7.2.1", true), ("27.1", true), ("26.1.9.9", false), ("25.8.1", false)];
        for (version, expected) in table {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
        assert!(!is_new_enough("what?"));
    }

    #[test]
    fn a_failing_store_remembers_since_when() {
        let error = |text: &str| Error::Engine(text.into());
        let first = after_failure(&State::Starting, &error("a"));
        let second = after_failure(&first, &error("b"));
        let (State::Failing { since, .. }, State::Failing { since: again, error }) = (first, second) else {
            panic!("both are failing")
        };
        assert_eq!((since, error.as_str()), (again, "b"));
    }

    #[test]
    fn a_missing_library_is_told_with_the_way_to_get_it() {
        let missing = weir_clickhouse_engine::LibraryNotFound { looked: vec!["/nowhere/libchdb.so".into()] };
        let State::Absent { how_to_get, .. } = after_failure(&State::Starting, &Error::NoLibrary(missing)) else {
            panic!("absent")
        };
        assert!(how_to_get.contains("make store-engine") && how_to_get.contains("/nowhere"), "{how_to_get}");
    }
}
