//! The real program between a plain client and scripted engines: what passes, what is
//! refused, what breaks, who leaves, and what is written down of it.
//!
//! Most tests name a library of the store that is not there: the store is no part of what
//! they check, and without one a Weir starts in a moment.
#![allow(clippy::unwrap_used, reason = "all of this is tests, functions that they share included")]
#![allow(clippy::print_stdout, reason = "measured times, shown with --nocapture")]

mod breaks;
mod bytes;
mod cache;
mod commands;
mod connections;
mod fallback;
#[path = "../wire/fixture.rs"]
mod fixture;
mod flight;
mod hang_up;
mod headers;
mod judge;
mod limits;
mod pace;
mod records;
mod reload;
mod reuse;
mod scene;
mod spans;
mod tenants;
mod timeouts;
mod timing;
