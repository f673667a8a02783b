//! The real program between a plain client and scripted engines: what passes, what is
//! refused, what breaks, who leaves, and what is written down of it.
//!
//! Most tests name a library of the store that is not there: the store is no part of what
//! they check, and without one a Weir starts in a moment.

mod breaks;
mod bytes;
mod commands;
mod fallback;
#[path = "../wire/fixture.rs"]
mod fixture;
mod hang_up;
mod headers;
mod limits;
mod pace;
mod records;
mod reload;
mod reuse;
mod scene;
mod spans;
mod tenants;
mod timeouts;
