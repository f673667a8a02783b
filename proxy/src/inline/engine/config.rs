//! Configuration of one engine: where its replicas are and how patient to be with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::breaker;
use crate::exchange::{EngineKind, Fault, Period};

/// One engine: a model server, or several equal ones. Routes, metrics and records speak of it
/// by its name, which is its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The program that serves the model; decides how health, version and metrics are read.
    /// Left out, it is found out by asking the engine.
    pub kind: Option<EngineKind>,
    /// Base URLs of its replicas, as in `["http://127.0.0.1:8000"]`. A path is put before
    /// every request path; a closing `/v1` is ignored. `http` only.
    pub replicas: Vec<String>,
    /// Name of the environment variable that holds the engine's own API key. With it, the
    /// client's `Authorization` is replaced by this key.
    pub api_key_env: Option<String>,
    /// How long a new connection may take.
    pub connect_timeout: Period,
    /// How long a stream's first piece may take. Long prompts are slow: be patient here.
    pub first_token_timeout: Period,
    /// The longest pause between two pieces of an answer.
    pub inter_token_timeout: Period,
    /// How long the whole answer may take, the wait of a non-streamed answer included.
    pub total_timeout: Period,
    /// Idle connections kept for each replica and core.
    pub max_idle_connections: usize,
    /// How long a connection may lie idle before it is closed. Keep it under the engine's
    /// own limit (llama.cpp and uvicorn close after 5 s by default).
    pub idle_timeout: Period,
    /// How often health, version and metrics of each replica are asked for.
    pub probe_interval: Period,
    /// When to stop calling a replica that keeps failing.
    pub breaker: breaker::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kind: None,
            replicas: Vec::new(),
            api_key_env: None,
            connect_timeout: Period::secs(2),
            first_token_timeout: Period::secs(300),
            inter_token_timeout: Period::secs(120),
            total_timeout: Period::secs(1800),
            max_idle_connections: 256,
            idle_timeout: Period::millis(4500),
            probe_interval: Period::secs(5),
            breaker: breaker::Config::default(),
        }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = self.breaker.faults(&format!("{path}.breaker"));
        if self.replicas.is_empty() {
            let cure = "name at least one URL, as in [\"http://127.0.0.1:8000\"]";
            faults.push(Fault::new(format!("{path}.replicas"), "is empty", cure));
        }
        for (i, url) in self.replicas.iter().enumerate() {
            if let Err(problem) = Address::parse(url) {
                let cure = "write it as \"http://host:port\"";
                faults.push(Fault::new(format!("{path}.replicas[{i}]"), problem, cure));
            }
        }
        let periods = [
            ("connect_timeout", self.connect_timeout),
            ("first_token_timeout", self.first_token_timeout),
            ("inter_token_timeout", self.inter_token_timeout),
            ("total_timeout", self.total_timeout),
            ("probe_interval", self.probe_interval),
        ];
        for (key, _) in periods.iter().filter(|(_, period)| period.is_zero()) {
            faults.push(Fault::new(format!("{path}.{key}"), "is zero", "use a positive period, as in \"10s\""));
        }
        if let Some(name) = self.api_key_env.as_ref().filter(|name| std::env::var_os(name).is_none()) {
            let problem = format!("names the environment variable {name}, which is not set");
            faults.push(Fault::new(format!("{path}.api_key_env"), problem, "set it, or remove the key"));
        }
        faults
    }
}

/// Where a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `host:port`.
    pub authority: String,
    /// Path put before every request path; empty for none.
    pub prefix: String,
}

impl Address {
    /// Reads a base URL; the error says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|_| format!("'{url}' is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(format!("'{url}': TLS towards engines is not built yet")),
            _ => return Err(format!("'{url}' does not begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| format!("'{url}' has no host"))?;
        if authority.as_str().contains('@') {
            return Err(format!("'{url}' has a user in it, which HTTP engines do not read"));
        }
        if uri.query().is_some() {
            return Err(format!("'{url}' has a query"));
        }
        let path = uri.path().trim_end_matches('/');
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            prefix: path.strip_suffix("/v1").unwrap_or(path).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_with_its_prefix_and_without_v1() {
        let table = [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", ""),
            ("http://gpu", "gpu:80", ""),
            ("http://gpu:1/v1/", "gpu:1", ""),
            ("http://gpu:1/llm/v1", "gpu:1", "/llm"),
            ("http://[::1]:9", "[::1]:9", ""),
        ];
        for (url, authority, prefix) in table {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.authority.as_str(), address.prefix.as_str()), (authority, prefix), "{url}");
        }
        for bad in ["gpu:8000", "https://gpu", "http://", "http://u:p@gpu", "http://gpu?x=1", "ftp://gpu"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
