//! The request path: everything that a client waits for, on one screen.

pub mod engine;
