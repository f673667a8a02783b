//! Threads of their own for judgements that take milliseconds or wait: the request path's
//! threads never run them, whatever the load.
//!
//! Promises: a bounded queue, refused when full; a job that nobody waits for any more is not
//! begun; a panic costs one judgement. The threads end when the pool is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use weir_critic::{Case, Critic, Judgement, Skip};

/// The threads.
#[derive(Debug)]
pub struct Pool {
    jobs: SyncSender<Job>,
}

struct Job {
    critic: Arc<dyn Critic>,
    case: Arc<Case>,
    done: oneshot::Sender<Judgement>,
}

impl Pool {
    /// Starts so many threads. Errors are the system's, when it has no thread to give.
    pub fn start(name: &str, threads: usize, queue: usize) -> std::io::Result<Self> {
        let (jobs, inbox) = sync_channel(queue);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..threads {
            let inbox = inbox.clone();
            let thread = std::thread::Builder::new().name(format!("weir-{name}-{number}"));
            // Not waited for: it ends with the pool, and holds nothing that must be saved.
            thread.spawn(move || while step(&inbox) {})?;
        }
        Ok(Self { jobs })
    }

    /// Has a case judged. Dropping the answer's receiver gives the judgement up.
    pub async fn judge(&self, critic: Arc<dyn Critic>, case: Arc<Case>) -> Judgement {
        let (done, judgement) = oneshot::channel();
        if self.jobs.try_send(Job { critic, case, done }).is_err() {
            return Judgement::skipped(Skip::Shed);
        }
        judgement.await.unwrap_or_else(|_| Judgement::skipped(Skip::Failed))
    }
}

/// Judges the next case; false when there will be none.
fn step(inbox: &Mutex<Receiver<Job>>) -> bool {
    let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let Ok(Job { critic, case, done }) = next else { return false };
    if !done.is_closed() {
        let judged = catch_unwind(AssertUnwindSafe(|| critic.judge(&case)));
        // Whoever asked may have given up in the meantime.
        let _gone = done.send(judged.unwrap_or_else(|_| Judgement::skipped(Skip::Failed)));
    }
    true
}
