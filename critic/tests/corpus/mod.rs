//! The labelled sets that tests measure on: `WEIR_DATA` names their folder.
//!
//! `WEIR_SHOW=20` prints so many rows that a critic got wrong, for whoever works on it.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder; none, said plainly, where nobody named it.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("WEIR_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("not measured: WEIR_DATA does not name a folder with the labelled sets");
    }
    folder
}

/// Rows of a set.
pub(crate) fn read(data: &Path, set: &str) -> Vec<Value> {
    let path = data.join(set);
    let rows = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    rows.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{}: {fault}", path.display())))
        .collect()
}

/// A text of a row.
pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or("")
}

/// Part of a whole, 0 of nothing.
#[allow(dead_code, reason = "each test file uses its own part of this one")]
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// How many wrong rows are printed.
#[allow(dead_code, reason = "each test file uses its own part of this one")]
pub(crate) fn shown() -> usize {
    std::env::var("WEIR_SHOW").ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}
