//! Which ClickHouse, and how long rows live in it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::{self, Address};
use crate::exchange::{ByteSize, Fault, Period};

/// Which ClickHouse keeps the records.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// HTTP URL of a ClickHouse server, version 26.2 or newer, as in
    /// `http://user:password@host:8123/weir`. The variable `CLICKHOUSE_URL` overrides it.
    /// Default none: Weir runs an embedded ClickHouse engine as a child process.
    pub url: Option<Secret>,
    /// User at the server, where the URL names none. Default `default`.
    pub user: String,
    /// Password at the server, where the URL names none. Default empty.
    pub password: Secret,
    /// Database that holds all tables, where the URL names none; created when missing. Default `weir`.
    pub database: String,
    /// Name of the cluster, as in the server's `remote_servers`. With it, tables are
    /// replicated and sharded, and reached through Distributed tables; the servers need the
    /// macros `shard` and `replica`. Default none: one server.
    pub cluster: Option<String>,
    /// Folder that the embedded engine owns alone. Default `.weir/store`.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// Most memory that the embedded engine may use before a query fails, in bytes. Default 1GiB.
    pub memory_bytes: ByteSize,
    /// How long rows live.
    pub retention: Retention,
}

/// How long rows live, from the start of the exchange. A change is applied at the next start.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Exchanges without their text, events and gaps. Default 90d.
    pub metadata: Period,
    /// Headers, prompts and completions. Default 14d.
    pub content: Period,
}

/// A text that is never shown: not in logs, not on the configuration page.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from sight.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"***\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // An empty one is no secret, and the default that the reference shows.
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            user: "default".into(),
            password: Secret::default(),
            database: "weir".into(),
            cluster: None,
            data_dir: PathBuf::from(".weir/store"),
            memory_bytes: ByteSize(1 << 30),
            retention: Retention::default(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { metadata: Period::secs(90 * 86_400), content: Period::secs(14 * 86_400) }
    }
}

impl Config {
    /// Everything that is wrong, below `path`.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let url = self.url.as_ref().map(|url| address::read(&url.0)).transpose();
        let database = match url {
            Ok(parts) => parts.and_then(|parts| parts.database).unwrap_or_else(|| self.database.clone()),
            Err((problem, cure)) => {
                faults.push(Fault::new(format!("{path}.url"), problem, cure));
                self.database.clone()
            }
        };
        let words = "use 1 to 64 letters, digits or '_', not starting with a digit";
        if !address::is_identifier(&database) || database == "default" || database == "system" {
            let problem = format!("'{database}' is no name for a database of Weir's own");
            faults.push(Fault::new(format!("{path}.database"), problem, words));
        }
        if let Some(cluster) = self.cluster.as_ref().filter(|name| !address::is_identifier(name)) {
            faults.push(Fault::new(format!("{path}.cluster"), format!("'{cluster}' is no cluster name"), words));
        }
        if self.cluster.is_some() && self.url.is_none() {
            let cure = "name one of its servers in url, or leave cluster out";
            faults.push(Fault::new(format!("{path}.cluster"), "a cluster has no embedded engine", cure));
        }
        if self.memory_bytes < ByteSize::mib(256) {
            let problem = format!("{} is too little for the engine to merge", self.memory_bytes);
            faults.push(Fault::new(format!("{path}.memory_bytes"), problem, "give it 256MiB or more"));
        }
        faults.extend(self.retention.faults(path));
        faults
    }

    /// The server that is meant; none for the embedded engine.
    pub(super) fn address(&self) -> Option<Result<Address, (String, String)>> {
        let parts = address::read(&self.url.as_ref()?.0);
        Some(parts.map(|parts| Address {
            url: parts.url,
            user: parts.user.unwrap_or_else(|| self.user.clone()),
            password: parts.password.unwrap_or_else(|| self.password.0.clone()),
            database: parts.database.unwrap_or_else(|| self.database.clone()),
            loopback: parts.loopback,
        }))
    }
}

impl Retention {
    fn faults(&self, path: &str) -> Vec<Fault> {
        let hundred_years = Period::secs(100 * 365 * 86_400);
        let both = [("metadata", self.metadata), ("content", self.content)];
        let wrong = both.into_iter().filter(|(_, period)| !(Period::secs(3600)..=hundred_years).contains(period));
        wrong
            .map(|(key, period)| {
                let problem = format!("{period} is no time to keep rows");
                Fault::new(format!("{path}.retention.{key}"), problem, "keep them between 1h and 36500d, as in \"14d\"")
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_free_of_faults() {
        assert_eq!(Config::default().faults("store"), vec![]);
    }

    #[test]
    fn every_fault_is_reported_at_once_with_its_key() {
        let config = Config {
            url: Some(Secret::new("https://db")),
            database: "a b".into(),
            cluster: Some("c'".into()),
            memory_bytes: ByteSize::mib(1),
            retention: Retention { metadata: Period::secs(1), content: Period::secs(0) },
            ..Config::default()
        };
        let paths: Vec<String> = config.faults("store").into_iter().map(|fault| fault.path).collect();
        let expected = ["url", "database", "cluster", "memory_bytes", "retention.metadata", "retention.content"];
        assert_eq!(paths, expected.map(|key| format!("store.{key}")));
    }

    #[test]
    fn the_url_wins_over_what_stands_beside_it_and_passwords_stay_out_of_sight() {
        let url = Some(Secret::new("http://u:secret@db/x"));
        let config = Config { url, password: Secret::new("secret too"), ..Config::default() };
        let address = config.address().unwrap().unwrap();
        assert_eq!((address.url.as_str(), address.database.as_str()), ("http://db:8123", "x"));
        assert_eq!((address.user.as_str(), address.password.as_str()), ("u", "secret"));
        assert!(!format!("{config:?}{}", serde_json::to_string(&config).unwrap()).contains("secret"));
    }
}
