//! What Weir costs, beside nginx and beside no proxy: the parts of `weir-bench`.

pub mod cache;
pub mod connection;
pub mod engine;
pub mod http;
pub mod load;
pub mod machine;
pub mod options;
pub mod plan;
pub mod process;
pub mod replay;
pub mod report;
pub mod requests;
pub mod run;
pub mod target;
pub mod trace;
