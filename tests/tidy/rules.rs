//! Rules about single files and the top level.

use crate::File;

/// Most lines of a file.
const MAX_LINES: usize = 400;
/// Endings that the length rule counts.
const COUNTED: &[&str] = &["rs", "js", "css", "html", "sql", "py"];
/// What may stand at the top of the repository, besides dotfiles and the build folder.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "proxy",
    "critic",
    "dashboards",
    "deploy",
    "tests",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "Makefile",
    "LICENSE",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "clippy.toml",
    "target",
];

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// A file with too many lines.
pub(crate) fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    let counts = COUNTED.contains(&ending(&file.path)) && lines > MAX_LINES;
    counts.then(|| format!("{}: {lines} lines; split it by ideas, {MAX_LINES} are the most", file.path))
}

/// A Rust file that does not say first what it is for.
pub(crate) fn lacks_preface(file: &File) -> Option<String> {
    let lacks = ending(&file.path) == "rs" && !file.text.starts_with("//! ") && !file.text.starts_with("#!");
    lacks.then(|| format!("{}: open with `//!`: what it is for, what it promises, what it must not know", file.path))
}

/// Marks of unfinished work, and `unwrap` in product code.
pub(crate) fn undone(file: &File) -> Vec<String> {
    let is_rust = ending(&file.path) == "rs";
    let is_code = is_rust || COUNTED.contains(&ending(&file.path));
    // This folder names the marks in order to find them.
    if !is_code || file.path.starts_with("tests/tidy/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let product = if is_rust && is_product(&file.path) { product_lines(&file.text) } else { 0 };
    for (index, line) in file.text.lines().enumerate() {
        let everywhere = ["TODO", "FIXME", "todo!(", "unimplemented!(", "#[ignore"];
        let in_product = [".unwrap()"];
        let marks = everywhere.iter().chain(in_product.iter().filter(|_| index < product));
        for mark in marks.filter(|mark| line.contains(**mark) && !(is_rust && is_comment_about(line, mark))) {
            found.push(format!("{}:{}: {mark} does not belong here", file.path, index + 1));
        }
    }
    found
}

/// A documentation example may unwrap; nothing else in a comment is excused.
fn is_comment_about(line: &str, mark: &str) -> bool {
    mark == ".unwrap()" && line.trim_start().starts_with("//")
}

fn is_product(path: &str) -> bool {
    let in_product = ["proxy/src/", "critic/src/", "critic/stats/src/", "deploy/clickhouse-engine/src/"];
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_test = name == "tests.rs" || name.ends_with("_tests.rs") || path.contains("/tests/");
    in_product.iter().any(|folder| path.starts_with(folder)) && !is_test
}

/// Lines before the tests of a file: up to `mod tests {` at the margin.
fn product_lines(text: &str) -> usize {
    text.lines().position(|line| line.starts_with("mod tests {")).unwrap_or(usize::MAX)
}

/// An entry that does not belong at the top.
pub(crate) fn stray(name: &str) -> Option<String> {
    let belongs = name.starts_with('.') || TOP.contains(&name);
    (!belongs).then(|| format!("{name}: does not belong at the top of the repository"))
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn a_long_file_is_found_and_one_at_the_limit_is_not() {
    assert!(too_long(&file("a/b.rs", &"x\n".repeat(401))).is_some());
    assert!(too_long(&file("a/b.rs", &"x\n".repeat(400))).is_none());
    assert!(too_long(&file("a/b.md", &"x\n".repeat(401))).is_none());
}

#[test]
fn a_file_without_preface_is_found() {
    assert!(lacks_preface(&file("a.rs", "use std::fmt;\n")).is_some());
    assert!(lacks_preface(&file("a.rs", "//! What for.\n")).is_none());
    assert!(lacks_preface(&file("a.py", "import os\n")).is_none());
}

#[test]
fn unfinished_work_is_found() {
    let table = [
        ("proxy/src/a.rs", "// TODO: later", 1),
        ("proxy/src/a.rs", "fn a() { todo!() }", 1),
        ("proxy/src/a.rs", "fn a() { unimplemented!() }", 1),
        ("tests/e2e/a.rs", "#[ignore]\n#[test]", 1),
        ("dashboards/a.js", "// FIXME", 1),
        ("proxy/src/a.rs", "let a = b.unwrap();", 1),
        ("proxy/src/a.rs", "let a = b.unwrap_or(3);", 0),
        ("proxy/src/a.rs", "/// let a = b.unwrap();", 0),
        ("proxy/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { b.unwrap(); } }", 0),
        ("proxy/src/a.rs", "a.unwrap();\n#[cfg(test)]\nmod tests { fn a() { b.unwrap(); } }", 1),
        ("proxy/src/a/tests.rs", "b.unwrap();", 0),
        ("tests/harness/lib.rs", "b.unwrap();", 0),
    ];
    for (path, text, count) in table {
        assert_eq!(undone(&file(path, text)).len(), count, "{path}: {text}");
    }
}

#[test]
fn a_stray_entry_at_the_top_is_found() {
    assert!(stray("notes.txt").is_some() && stray("src").is_some());
    assert!(stray("proxy").is_none() && stray(".gitignore").is_none());
}
