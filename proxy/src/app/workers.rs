//! The threads of the request path: one per core, each with a runtime of its own.
//!
//! A connection stays on one thread for its life, and so do its engine connections: no
//! exchange is handed from core to core, which a work-stealing runtime would do at every
//! wake. Exchanges are short on the processor and wait for engines most of the time, so
//! sharing connections out evenly is balance enough.

use std::thread::JoinHandle;

use anyhow::Context;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::inline::engine;

/// The running threads.
pub(super) struct Workers {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts one thread per core.
    pub(super) fn start() -> anyhow::Result<Self> {
        let count = std::thread::available_parallelism().map_or(2, usize::from);
        let (stop, _) = watch::channel(false);
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build().context("a runtime does not start")?;
            handles.push(runtime.handle().clone());
            let mut stopped = stop.subscribe();
            let work = move || {
                engine::set_worker(number);
                runtime.block_on(async {
                    // A dropped sender means the same.
                    let _ = stopped.wait_for(|stop| *stop).await;
                });
            };
            let thread = std::thread::Builder::new().name("weir-path".to_owned());
            threads.push(thread.spawn(work).context("a thread does not start")?);
        }
        Ok(Self { handles, threads, stop })
    }

    /// Where connections may be served.
    pub(super) fn handles(&self) -> Vec<Handle> {
        self.handles.clone()
    }

    /// Ends all threads, and with them what they still serve.
    pub(super) fn stop(self) {
        self.stop.send_replace(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the request path broke");
            }
        }
    }
}
