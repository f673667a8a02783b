//! Faults with their place, and the rule about secrets.
//!
//! Knows key paths as text (`engines.primary.replicas[0]`); knows no section.

use std::fmt;

use serde_json::Value;

use crate::exchange::Fault;

/// Where the value that is at fault was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line and column in the file, from 1.
    File {
        /// Line.
        line: usize,
        /// Column in characters.
        column: usize,
    },
    /// An environment variable or a flag of the command line, by name.
    Override(String),
    /// Nowhere: the value is missing, or the fault has no single place.
    Unknown,
}

/// A fault and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What is wrong and how to mend it.
    pub fault: Fault,
    /// Where.
    pub place: Place,
}

impl Placed {
    /// A fault at a place.
    pub fn new(fault: Fault, place: Place) -> Self {
        Self { fault, place }
    }
}

/// Everything that is wrong with one configuration, in order of place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    /// The file's path as given, or `defaults`.
    pub origin: String,
    /// The faults; never empty.
    pub list: Vec<Placed>,
}

impl Faults {
    /// Sorts the faults by place and keeps each once.
    pub fn new(origin: &str, mut list: Vec<Placed>) -> Self {
        list.sort_by_key(|placed| match &placed.place {
            Place::File { line, column } => (0, *line, *column, String::new()),
            Place::Override(name) => (1, 0, 0, name.clone()),
            Place::Unknown => (2, 0, 0, placed.fault.path.clone()),
        });
        list.dedup();
        Self { origin: origin.to_owned(), list }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Placed { fault, place }) in self.list.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            match place {
                Place::File { line, column } => write!(f, "{newline}{}:{line}:{column}: ", self.origin)?,
                Place::Override(name) => write!(f, "{newline}{name}: ")?,
                Place::Unknown => write!(f, "{newline}{}: ", self.origin)?,
            }
            if fault.path.is_empty() {
                write!(f, "{}; {}", fault.problem, fault.cure)?;
            } else {
                write!(f, "{fault}")?;
            }
        }
        Ok(())
    }
}

/// Whether a key holds a secret, by its name. One rule for faults, `/config` and the reference.
///
/// URLs are not secrets as a whole; what stands before their `@` is, see [`hide_secrets`].
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let exact = ["key", "keys", "token", "secret", "password", "authorization"];
    let endings = ["_key", "_keys", "_key_hash", "_hashes", "_hash", "_token", "_secret", "_password"];
    exact.contains(&key.as_str()) || endings.iter().any(|ending| key.ends_with(ending))
}

/// Replaces every secret in a tree by `"***"`, and the credentials in URLs too.
pub fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if is_secret(key) { blank(value) } else { hide_secrets(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_secrets),
        Value::String(text) => {
            if let Some(plain) = without_credentials(text) {
                *text = plain;
            }
        }
        _ => {}
    }
}

fn blank(value: &mut Value) {
    match value {
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => *text = "***".to_owned(),
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(map) => map.values_mut().for_each(blank),
        _ => {}
    }
}

/// A URL with `user:password@` replaced; none where there is nothing to hide.
fn without_credentials(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let at = authority.rfind('@')?;
    Some(format!("{scheme}://***{}", &rest[at..]))
}

/// Appends a key to a path, quoted where TOML needs it.
pub fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let key = if bare { key.to_owned() } else { format!("\"{key}\"") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// Puts a key before a path.
pub fn join_path(key: &str, path: &str) -> String {
    format!("{}.{path}", join("", key))
}

/// Appends an index to a path.
pub fn index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The path one step up; none for a top-level key.
pub fn parent(path: &str) -> Option<&str> {
    let mut quoted = false;
    let mut cut = None;
    for (at, character) in path.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '.' | '[' if !quoted => cut = Some(at),
            _ => {}
        }
    }
    cut.map(|at| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut value = serde_json::json!({
            "tenants": [{"name": "a", "api_key_hashes": ["x", "y"]}],
            "store": {"url": "http://user:pa@ss@db:8123/weir", "password": "p", "monkey": "fine"},
            "token": "", "max_tokens": 5,
        });
        hide_secrets(&mut value);
        let expected = serde_json::json!({
            "tenants": [{"name": "a", "api_key_hashes": ["***", "***"]}],
            "store": {"url": "http://***@db:8123/weir", "password": "***", "monkey": "fine"},
            "token": "", "max_tokens": 5,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_path_is_built_and_shortened_step_by_step() {
        let path = index(&join(&join("engines", "a.b"), "replicas"), 2);
        assert_eq!(path, "engines.\"a.b\".replicas[2]");
        let mut steps = vec![path.as_str()];
        while let Some(up) = parent(steps[steps.len() - 1]) {
            steps.push(up);
        }
        assert_eq!(steps[1..], ["engines.\"a.b\".replicas", "engines.\"a.b\"", "engines"]);
    }
}
