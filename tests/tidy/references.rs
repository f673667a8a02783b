//! Generated files: what they should hold, and which of them are stale.

use std::path::Path;

use crate::{File, metrics};

/// Set to write the generated files instead of only checking them.
const WRITE: &str = "WEIR_WRITE_REFERENCES";

/// Path and text of every generated file.
pub(crate) fn generated(files: &[File]) -> Vec<File> {
    let file = |path: &str, text: String| File { path: path.to_owned(), text };
    vec![
        file("deploy/CONFIG.md", weir::cli::reference(false)),
        file("deploy/config.schema.json", weir::cli::reference(true)),
        file("dashboards/METRICS.md", metrics::reference(files)),
    ]
}

/// Generated files that differ from what is checked in.
pub(crate) fn stale(top: &Path, generated: &[File]) -> Vec<String> {
    let write = std::env::var_os(WRITE).is_some();
    let mut found = Vec::new();
    for file in generated {
        let path = top.join(&file.path);
        if write {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        if let Some(line) = first_difference(&std::fs::read_to_string(&path).unwrap_or_default(), &file.text) {
            found.push(format!("{}:{line}: is not current; run `make references`", file.path));
        }
    }
    found
}

/// The first line, from 1, in which two texts differ.
fn first_difference(old: &str, new: &str) -> Option<usize> {
    if old == new {
        return None;
    }
    let same = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    Some(same + 1)
}

#[test]
fn a_stale_file_is_found_with_its_first_different_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.md"), "one\ntwo\n").unwrap();
    let table = [("one\ntwo\n", None), ("one\n2\n", Some("a.md:2")), ("one\ntwo\nthree\n", Some("a.md:3"))];
    for (text, expected) in table {
        if std::env::var_os(WRITE).is_some() {
            return;
        }
        let found = stale(folder.path(), &[File { path: "a.md".to_owned(), text: text.to_owned() }]);
        assert_eq!(
            found.first().map(|line| line.starts_with(expected.unwrap_or("-"))),
            expected.map(|_| true),
            "{text}"
        );
    }
}
