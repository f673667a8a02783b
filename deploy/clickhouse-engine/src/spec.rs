//! The two lines parent and child exchange, and the limits they carry.
//!
//! ```text
//! parent → child, stdin:   {"data_dir": …, "library": …, "port": …, "user": …, "password": …, "limits": …}\n
//!                          then the pipe stays open; its end means: drain and stop
//! child → parent, stdout:  {"port": 40123}\n           ready, the listener accepts
//!                      or  {"error": "…"}\n            could not start; the child ends
//! ```
//!
//! The password travels here because arguments are readable by every user of
//! the machine. Lines on stdout that are not one of the two are the engine's
//! own chatter and are skipped.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the engine may use: it is a guest beside a proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Share of the machine's memory the engine may track before a query ends
    /// with ClickHouse error 241; resident size may overshoot briefly. 0..1.
    pub memory_ratio: f64,
    /// Absolute memory limit; applied when lower than the ratio's.
    pub memory_bytes: Option<u64>,
    /// Threads one query may use. 0 leaves the choice to the engine.
    pub query_threads: u32,
    /// Statements running at once; further ones wait.
    pub concurrent_queries: u32,
    /// Statements that may wait; further ones are refused with error 202.
    pub waiting_queries: u32,
    /// How long a statement waits for its turn before error 202.
    pub queue_wait: Duration,
    /// Open client connections; further ones wait unaccepted.
    pub connections: u32,
    /// Bytes of SQL text held (URL, body or form). Inserted data sent as body
    /// beside `?query=` streams and is not limited by this.
    pub statement_bytes: usize,
    /// Bytes of a result that cannot be streamed (JSON and other formats with
    /// a frame around the rows), by ClickHouse's own count (error 396).
    pub result_bytes: u64,
    /// Run time of a SELECT unless it sets `max_execution_time` itself.
    pub select_time: Duration,
    /// Silence after which a client that is sending or reading a body is given up.
    pub body_idle: Duration,
    /// How long running statements may finish once a stop was asked for.
    pub drain: Duration,
    /// How long to wait for a data directory held by another, perhaps dying, engine.
    pub lock_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory_ratio: 0.25,
            memory_bytes: None,
            query_threads: u32::try_from(cores / 2).unwrap_or(1).max(1),
            concurrent_queries: 8,
            waiting_queries: 64,
            queue_wait: Duration::from_secs(10),
            connections: 256,
            statement_bytes: 16 << 20,
            result_bytes: 256 << 20,
            select_time: Duration::from_secs(300),
            body_idle: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            lock_wait: Duration::from_secs(15),
        }
    }
}

/// Everything the child needs to know, in one line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// Owned by the engine alone: its tables, its config file, its lock.
    pub(crate) data_dir: PathBuf,
    /// The parent has found it already, so that a missing file fails there.
    pub(crate) library: PathBuf,
    /// 0 on the first start, the same number again after a crash.
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) limits: Limits,
}

/// The child's one line about its start.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Announcement {
    Port(u16),
    Error(String),
}
