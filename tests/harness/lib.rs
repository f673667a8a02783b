//! What all test suites share: a scripted engine, a client that shows every byte, the real
//! program, the real small engine, and waiting without sleeping.
//!
//! A fault of the harness itself is a panic with the sentence that says what to do; faults
//! that a test may want to see (a connection that was cut) are values.

pub mod client;
pub mod engine;
pub mod llama;
pub mod script;
pub mod wait;
pub mod weir;
pub mod wire;

#[cfg(test)]
mod checks;

pub use client::Client;
pub use engine::Engine;
pub use llama::Llama;
pub use script::Answer;
pub use weir::Weir;

/// The root of the repository.
pub fn repository() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package of the tests lies below the root")
}
