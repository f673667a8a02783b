//! Work that no client waits for: outbox → sample → spool (disk) → sink → ClickHouse.

pub mod digest;
pub mod recorder;
pub mod redact;
pub mod sample;
pub mod sink;
pub mod spool;
pub mod store;
pub mod truncation;
