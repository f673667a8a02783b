//! What Weir says about itself: metrics, traces and logs.
//!
//! Promises: names and labels are an interface; labels come from closed sets or from
//! configured names; prompt text appears nowhere here. Reads finished records in the
//! background and never touches the request path.

mod cached;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod traces;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::Fault;

/// Logs and traces. Metrics need no settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Log lines, written to standard error.
    pub logs: logs::Config,
    /// OpenTelemetry spans, sent to a collector.
    pub traces: traces::Config,
}

impl Config {
    /// What is wrong with the values; `path` is the section's key path.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = self.logs.faults(&format!("{path}.logs"));
        faults.extend(self.traces.faults(&format!("{path}.traces")));
        faults
    }
}
