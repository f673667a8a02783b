//! What becomes of records, answers and latencies when parts are killed, slow, full or damaged.
//!
//! The real program, the real ClickHouse engine, and processes that are really killed; only
//! the language model is scripted where nothing but its bytes matters. Each test prints its
//! figures (`cargo test --test chaos -- --nocapture`). Tests run one at a time, because they
//! compare latencies.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a panic is a test's way to fail; figures are printed")]

mod books;
mod disk;
mod engine;
mod gate;
mod kills;
mod load;
mod overflow;
mod poison;
mod processes;
mod slow;
mod store;

use tokio::sync::{Mutex, MutexGuard};

/// Held by each test for as long as it runs: two loads at once would measure each other.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
