//! Weir in front of a real engine: llama.cpp, the embedded ClickHouse, the official clients,
//! a real browser and the demo. Nothing scripted stands in for anything here, but for answers
//! that the small model cannot give (`cache`).
//!
//! The engine has two slots and one thread: one test at a time has it (`scene`).

#![allow(clippy::unwrap_used, reason = "a fault of a test is a panic")]
#![allow(clippy::print_stdout, reason = "figures of a run, shown with --nocapture")]

mod bytes;
mod cache;
mod clients;
mod console;
mod demo;
#[allow(dead_code, reason = "the suite of the wire uses all of it")]
#[path = "../wire/fixture.rs"]
mod fixture;
mod hangup;
mod rag;
mod records;
mod relay;
mod scene;
