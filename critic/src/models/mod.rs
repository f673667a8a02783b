//! Small models in process: critics that cost microseconds to milliseconds and no engine.

pub mod file;
pub mod prompt_injection;
#[cfg(feature = "onnx")]
pub mod relevance;
pub mod topic;
pub mod toxicity;
