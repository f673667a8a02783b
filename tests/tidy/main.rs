//! The conventions that a machine can hold: import floors, short files, prefaces, nothing
//! left undone, a tidy top level, and generated files that are current.
//!
//! Each rule is a pure function over paths and texts, proven on small bad samples, and then
//! held against the repository. `make references` (`WEIR_WRITE_REFERENCES=1`) writes the
//! generated files anew.

#![allow(clippy::unwrap_used, reason = "a repository that cannot be read is a failed test")]

mod floors;
mod metrics;
mod references;
mod rules;

use std::path::{Path, PathBuf};

/// A file of the repository: path from the top with `/`, and text.
struct File {
    path: String,
    text: String,
}

/// Folders that are not ours to tidy.
const SKIPPED: &[&str] = &["target", "node_modules", "vendor", "third_party", "corpus", "artifacts"];
/// Endings of files that people write and read.
const WRITTEN: &[&str] = &["rs", "js", "css", "html", "sql", "py", "md", "json", "toml", "sh", "yaml", "yml"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every written file, sorted by path.
fn files() -> Vec<File> {
    let mut found = Vec::new();
    let top = top();
    collect(&top, &top, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(top: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            collect(top, &path, found);
        } else if path.extension().is_some_and(|ending| WRITTEN.iter().any(|known| ending == *known)) {
            let relative = path.strip_prefix(top).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(File { path: relative, text: std::fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Fails with all findings at once.
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn parts_import_words_only() {
    none(files().iter().flat_map(floors::findings).collect());
}

#[test]
fn files_are_short() {
    none(files().iter().filter_map(rules::too_long).collect());
}

#[test]
fn every_source_file_opens_with_its_preface() {
    none(files().iter().filter_map(rules::lacks_preface).collect());
}

#[test]
fn nothing_is_left_undone() {
    none(files().iter().flat_map(rules::undone).collect());
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let entries = std::fs::read_dir(top()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    none(entries.filter_map(|name| rules::stray(&name)).collect());
}

#[test]
fn generated_files_are_current() {
    none(references::stale(&top(), &references::generated(&files())));
}

#[test]
fn every_metric_is_described() {
    none(metrics::undescribed(&files()));
}
