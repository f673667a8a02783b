//! The store and the sink against the real ClickHouse engine. Without its library every test
//! fails with the words that say how to get it.

#![allow(clippy::unwrap_used)]

mod console;
mod console_cache;
mod console_judged;
mod migrations;
mod once;
mod outages;
mod refused;
mod roundtrip;
mod support;
