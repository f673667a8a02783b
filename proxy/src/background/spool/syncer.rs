//! Forces written segments to the disk on a thread of its own, so that the recorder never
//! waits for a slow disk. Owned and joined by the writer.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ledger::Shared;

#[derive(Debug)]
pub(super) struct Syncer {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    stopping: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Written since the last round; at most one entry per segment, so bounded by `max_bytes`.
    dirty: Vec<Arc<File>>,
    stop: bool,
}

impl Syncer {
    pub(super) fn start(shared: Arc<Shared>, interval: Duration) -> std::io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let theirs = desk.clone();
        let thread = std::thread::Builder::new()
            .name("weir-spool-sync".into())
            .spawn(move || run(&theirs, &shared, interval))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Notes that a file was written to.
    pub(super) fn mark(&self, file: &Arc<File>) {
        let mut state = self.desk.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.dirty.iter().any(|known| Arc::ptr_eq(known, file)) {
            state.dirty.push(file.clone());
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.desk.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.desk.stopping.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic in there is already in the log, and there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

fn run(desk: &Desk, shared: &Shared, interval: Duration) {
    loop {
        let state = desk.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = desk.stopping.wait_timeout_while(state, interval, |state| !state.stop);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (dirty, stop) = (std::mem::take(&mut state.dirty), state.stop);
        drop(state);
        for file in dirty {
            // Not tried again: after a failed fsync the kernel has dropped the pages (LWN 752063),
            // and a second call would only report success for nothing.
            if let Err(fault) = sync(shared, &file) {
                tracing::error!(%fault, "spool records could not be forced to the disk");
            }
        }
        if stop {
            return;
        }
    }
}

/// Forces one file to the disk, measured.
pub(super) fn sync(shared: &Shared, file: &File) -> std::io::Result<()> {
    let started = Instant::now();
    let result = shared.disk.sync(file);
    shared.metrics.fsync_seconds.observe(started.elapsed().as_secs_f64());
    if result.is_err() {
        shared.metrics.fsync_failures.inc();
    }
    result
}
