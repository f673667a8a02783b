//! Idle connections to one replica, last used first.
//!
//! Must not know: what is asked over them.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::wire::Wire;
use crate::exchange::{Error, Kind};

/// Threads of the request path that keep connections apart; more than these share.
const WORKERS: usize = 64;

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(0) };
}

/// Says which of the request path's threads this one is: connections are registered with the
/// runtime of the thread that opened them, and are given out on that thread again.
pub fn set_worker(number: usize) {
    WORKER.set(number % WORKERS);
}

/// The idle connections of a replica, by thread. Bounded; the oldest beyond the bound is closed.
pub struct Pool {
    authority: String,
    idle: [Mutex<Vec<(Wire, Instant)>>; WORKERS],
    max_idle: usize,
    idle_timeout: Duration,
}

/// A connection, and whether it was used before: such a one may turn out to be closed by
/// the engine in the moment of use, which is no fault of the engine.
pub struct Checkout {
    /// The connection.
    pub wire: Wire,
    /// Used before.
    pub reused: bool,
}

impl Pool {
    /// A pool for `host:port`.
    pub fn new(authority: String, max_idle: usize, idle_timeout: Duration) -> Self {
        Self { authority, idle: [const { Mutex::new(Vec::new()) }; WORKERS], max_idle, idle_timeout }
    }

    /// An idle connection that is still alive.
    pub fn reuse(&self) -> Option<Checkout> {
        loop {
            let (mut wire, since) = self.idle().pop()?;
            if since.elapsed() < self.idle_timeout && wire.is_ready() {
                return Some(Checkout { wire, reused: true });
            }
        }
    }

    /// A new connection, with TCP_NODELAY so that small writes are not held back.
    pub async fn connect(&self, limit: Duration) -> Result<Checkout, Error> {
        let opening = async {
            let stream = TcpStream::connect(&self.authority).await.map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            Wire::new(stream).await.map_err(|e| e.to_string())
        };
        match tokio::time::timeout(limit, opening).await {
            Ok(Ok(wire)) => Ok(Checkout { wire, reused: false }),
            Ok(Err(fault)) => Err(Error::new(Kind::Unreachable, "the engine cannot be reached").detail(fault)),
            Err(_) => Err(Error::new(Kind::ConnectTimeout, "the engine did not accept a connection in time")),
        }
    }

    /// Takes a connection back, if another request can be sent over it.
    pub fn give_back(&self, mut wire: Wire) {
        if !wire.is_ready() {
            return;
        }
        let mut idle = self.idle();
        let evicted = (idle.len() >= self.max_idle && !idle.is_empty()).then(|| idle.remove(0));
        idle.push((wire, Instant::now()));
        // Closing a socket is a system call: not under the lock.
        drop(idle);
        drop(evicted);
    }

    /// Closes connections that lay idle too long. Runs beside the request path, so the locks
    /// are held for a moment only.
    pub fn sweep(&self) {
        for idle in &self.idle {
            let old: Vec<_> = {
                let mut idle = lock(idle);
                let count = idle.iter().take_while(|(_, since)| since.elapsed() >= self.idle_timeout).count();
                idle.drain(..count).collect()
            };
            drop(old);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Wire, Instant)>> {
        lock(&self.idle[WORKER.get()])
    }
}

fn lock(idle: &Mutex<Vec<(Wire, Instant)>>) -> MutexGuard<'_, Vec<(Wire, Instant)>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
