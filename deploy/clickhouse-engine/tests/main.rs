//! The embedded store against the real engine: every test starts its own.
//!
//! Without the engine's library the tests fail and say how to get it.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod durability;
mod protocol;
mod rows;
mod supervision;
mod support;
