//! The parent's side as its users see it: start the store, know how it is,
//! stop it.
//!
//! [`Engine::spawn`] returns once the child answers; from then on the child is
//! restarted whenever it dies, on the same port with the same password, so
//! that clients keep their URL and merely retry.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::locate::{LibraryNotFound, find_library};
use crate::spec::{Limits, Spec};
use crate::supervise::{Policy, Supervisor};

/// The user name of the embedded store.
const USER: &str = "weir";

/// How to start and keep the store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Program to start as child; `None` starts the current one again.
    pub program: Option<PathBuf>,
    /// Arguments that make that program call [`crate::run_child`].
    pub args: Vec<OsString>,
    /// Directory owned by the engine: tables, config file, lock. Created with
    /// access for its owner only.
    pub data_dir: PathBuf,
    /// The library file; `None` looks at the usual places.
    pub library: Option<PathBuf>,
    /// Loopback port; 0 lets the system choose once.
    pub port: u16,
    /// From start of the child to its readiness, including the wait for a
    /// directory that a dying predecessor still holds.
    pub start_within: Duration,
    /// Pause before the first restart; doubles up to `restart_after_at_most`
    /// and starts over once a child has lived for a minute.
    pub restart_after: Duration,
    /// The longest pause between restarts.
    pub restart_after_at_most: Duration,
    /// What the engine may use.
    pub limits: Limits,
}

/// Starts the store.
#[derive(Debug)]
pub struct Engine;

/// A store that is being kept alive. Dropping it kills the child; acknowledged
/// rows survive that, statements under way fail.
#[derive(Debug)]
pub struct Running {
    url: String,
    password: Secret,
    status: watch::Receiver<Status>,
    /// Carries the deadline of the stop.
    stop: mpsc::Sender<Duration>,
    supervisor: JoinHandle<Stopped>,
}

/// How the store is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Where in its life.
    pub phase: Phase,
    /// Restarts since the spawn.
    pub restarts: u64,
    /// Why the last child ended or could not start; no statement text.
    pub last_error: Option<String>,
    /// The child's process id while there is one.
    pub pid: Option<u32>,
}

/// Where in its life the store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// The first child has not answered yet.
    #[default]
    Starting,
    /// The child serves.
    Ready,
    /// The child died; another is on its way.
    Restarting,
    /// Stopped for good.
    Stopped,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Running statements finished and the engine closed its tables.
    Clean,
    /// The deadline passed or the child had died; acknowledged rows are safe.
    Killed,
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to load; the text says how to get it.
    #[error(transparent)]
    Library(#[from] LibraryNotFound),
    /// The operating system refused something before the child ran.
    #[error("the embedded store cannot be started: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The child ended or did not answer in time; its own words.
    #[error("the embedded store did not start: {0}")]
    Start(String),
}

/// A password that does not print.
#[derive(Clone)]
struct Secret(String);

impl Options {
    /// Defaults for a data directory: the current program started with the
    /// hidden subcommand `store-engine`, any port, 60 s to start.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            program: None,
            args: vec!["store-engine".into()],
            data_dir: data_dir.into(),
            library: None,
            port: 0,
            start_within: Duration::from_secs(60),
            restart_after: Duration::from_millis(100),
            restart_after_at_most: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

impl Engine {
    /// Starts the child and waits until it answers. Must be called inside a
    /// Tokio runtime with IO and time.
    ///
    /// # Errors
    /// [`Error::Library`] when there is nothing to load, [`Error::System`]
    /// when the program cannot be run, [`Error::Start`] with the child's own
    /// words, also when `start_within` has passed.
    pub async fn spawn(options: Options) -> Result<Running, Error> {
        let library = find_library(options.library.as_deref())?;
        let program = match options.program {
            Some(program) => program,
            None => std::env::current_exe()
                .map_err(|source| Error::System { what: "path of the current program", source })?,
        };
        let data_dir = std::path::absolute(&options.data_dir)
            .map_err(|source| Error::System { what: "data directory", source })?;
        let password = random_password()?;
        let spec = Spec {
            data_dir,
            library,
            port: options.port,
            user: USER.into(),
            password: password.0.clone(),
            limits: options.limits,
        };
        let policy = Policy {
            program,
            args: options.args,
            start_within: options.start_within,
            restart_after: options.restart_after,
            restart_after_at_most: options.restart_after_at_most,
        };
        let (publish, status) = watch::channel(Status::default());
        let (stop, stopping) = mpsc::channel(1);
        let (port, first_port) = watch::channel(None);
        let supervisor = tokio::spawn(Supervisor::new(policy, spec, publish, stopping, port).run());
        first_answer(status, stop, supervisor, first_port, password).await
    }
}

async fn first_answer(
    mut status: watch::Receiver<Status>,
    stop: mpsc::Sender<Duration>,
    supervisor: JoinHandle<Stopped>,
    first_port: watch::Receiver<Option<u16>>,
    password: Secret,
) -> Result<Running, Error> {
    let reached = status.wait_for(|status| status.phase != Phase::Starting).await.map(|status| status.clone());
    let now = reached.map_err(|_| Error::Start("its supervisor ended".into()))?;
    let port = *first_port.borrow();
    match (now.phase, port) {
        (Phase::Ready, Some(port)) => {
            let url = format!("http://127.0.0.1:{port}");
            Ok(Running { url, password, status, stop, supervisor })
        }
        _ => {
            supervisor.abort();
            Err(Error::Start(now.last_error.unwrap_or_else(|| "no reason known".into())))
        }
    }
}

impl Running {
    /// `http://127.0.0.1:PORT`, the same for the life of this value.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// User name for the HTTP interface.
    #[must_use]
    pub fn user(&self) -> &str {
        USER
    }

    /// Random password, the same for the life of this value.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password.0
    }

    /// The state now and every change of it.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Lets running statements finish and the engine close, then kills the
    /// child once `within` has passed.
    pub async fn stop(mut self, within: Duration) -> Stopped {
        // A supervisor that is gone has stopped already.
        let _ = self.stop.send(within).await;
        (&mut self.supervisor).await.unwrap_or(Stopped::Killed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

fn random_password() -> Result<Secret, Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::System { what: "random password", source: io::Error::other(error.to_string()) })?;
    Ok(Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
