//! The ClickHouse engine as a child process: the embedded store of a laptop
//! that speaks exactly what a cluster speaks.
//!
//! [`Engine::spawn`] starts the current program again as a child, which loads
//! `libchdb.so` and serves ClickHouse's HTTP interface on loopback
//! ([`run_child`]). Everything else talks HTTP to it, so an abort inside the
//! engine never reaches the parent, and a real server differs by its URL only.
//!
//! Reading order: `child` and `supervise` (parent), `spec` (the two lines the
//! processes exchange), `server` (child), `library` (the only unsafe code).
//! The crate must not know what is stored: no schema, no table names.

mod child;
mod config;
mod library;
mod locate;
mod server;
mod spec;
mod stderr;
mod supervise;

pub use child::{Engine, Error, Options, Phase, Running, Status, Stopped};
pub use locate::{LibraryNotFound, PACKAGE, find_library};
pub use server::run_child;
pub use spec::Limits;
