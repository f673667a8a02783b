//! How many statements run and wait: the engine has no such limit of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::{Failure, Refusal};
use crate::spec::Limits;

/// Turns for statements.
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    wait: Duration,
    size: u32,
    /// Refusals since the start, told on standard error at 1, 2, 4, 8 …
    refused: AtomicU64,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            running: Arc::new(Semaphore::new(limits.concurrent_queries.max(1) as usize)),
            waiting: Semaphore::new(limits.waiting_queries as usize),
            wait: limits.queue_wait,
            size: limits.concurrent_queries.max(1),
            refused: AtomicU64::new(0),
        }
    }

    /// A turn, kept while the permit lives.
    ///
    /// Fails with ClickHouse's error 202 when too many wait or the wait is over.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = self.running.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(self.refuse("too many statements wait already"));
        };
        match tokio::time::timeout(self.wait, self.running.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(self.refuse("the store is stopping")),
            Err(_) => Err(self.refuse("no turn within the time a statement may wait")),
        }
    }

    /// Waits until nothing runs; later calls of `enter` fail. False when
    /// statements still run after `deadline`.
    pub(crate) async fn drain(&self, deadline: Duration) -> bool {
        let all = tokio::time::timeout(deadline, self.running.acquire_many(self.size)).await;
        self.running.close();
        all.is_ok()
    }

    fn refuse(&self, reason: &str) -> Failure {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            eprintln!("{count} statements refused since the start: {reason}");
        }
        Refusal::TooManyQueries.because(format!("{reason} (limit {} at once), try again", self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(running: u32, waiting: u32) -> Gate {
        Gate::new(&Limits { concurrent_queries: running, waiting_queries: waiting, ..Limits::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_waits_for_its_turn_and_is_refused_when_it_does_not_come() {
        let gate = gate(1, 1);
        let turn = gate.enter().await.unwrap();
        let failure = gate.enter().await.unwrap_err();
        assert_eq!((failure.code, gate.refused.load(Ordering::Relaxed)), (202, 1));
        drop(turn);
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_waiting_room_refuses_at_once() {
        let gate = gate(1, 0);
        let _turn = gate.enter().await.unwrap();
        assert_eq!(gate.enter().await.unwrap_err().code, 202);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_at_its_deadline_when_a_statement_does_not() {
        let gate = gate(2, 1);
        let turn = gate.enter().await.unwrap();
        assert!(!gate.drain(Duration::from_secs(1)).await);
        drop(turn);
        assert_eq!(gate.enter().await.unwrap_err().code, 202, "a drained gate stays closed");
    }
}
