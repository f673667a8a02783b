//! Small models in process: critics that cost microseconds to milliseconds and no engine.

pub mod file;
pub mod prompt_injection;
pub mod topic;
pub mod toxicity;
