//! Weir: a proxy in front of local LLM engines that passes, records and shows traffic.
//!
//! Floors, from the ground up (a test in `tests/tidy` holds them):
//! `exchange` is the vocabulary and imports nothing of ours; a *part* (one file or
//! folder under `inline`, `background`, `console`, `telemetry`) imports `exchange` only;
//! `inline`, `background` and `config` (their `mod.rs`) wire parts; `app` wires everything.

pub mod app;
pub mod background;
pub mod cli;
pub mod config;
pub mod console;
pub mod exchange;
pub mod inline;
pub mod telemetry;
