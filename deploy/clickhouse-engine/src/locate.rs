//! Where the engine's library is looked for.
//!
//! The library is not linked and not shipped inside the binary (566 MB), so a
//! program without it must still start and say precisely what to do.

use std::env;
use std::path::{Path, PathBuf};

/// The npm package, with its exact version, that carries the library.
pub const PACKAGE: &str = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1";

/// No library at any of the usual places.
#[derive(Debug, thiserror::Error)]
#[error(
    "the ClickHouse engine library was not found, looked at {}; \
     get it with `make store-engine` (npm package {PACKAGE}, file package/libchdb.so), \
     or name the file in WEIR_CHDB, or use a ClickHouse server instead",
    listed(looked)
)]
pub struct LibraryNotFound {
    /// Every file that was tried, in order.
    pub looked: Vec<PathBuf>,
}

/// The path of `libchdb.so`.
///
/// Tried in order: `explicit`, the variable `WEIR_CHDB`,
/// `$XDG_DATA_HOME/weir/libchdb.so` (or `~/.local/share/weir/libchdb.so`),
/// `/usr/local/lib/weir/libchdb.so`, `/usr/lib/weir/libchdb.so`. An explicit
/// path or variable that names no file is an error: a wrong wish is not
/// silently replaced by another engine.
///
/// # Errors
/// [`LibraryNotFound`] with the list of files tried.
pub fn find_library(explicit: Option<&Path>) -> Result<PathBuf, LibraryNotFound> {
    let wish = explicit
        .map(Path::to_path_buf)
        .or_else(|| env::var_os("WEIR_CHDB").filter(|path| !path.is_empty()).map(PathBuf::from));
    let looked = match wish {
        Some(path) => vec![path],
        None => usual_places(),
    };
    match looked.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(LibraryNotFound { looked }),
    }
}

fn usual_places() -> Vec<PathBuf> {
    let data_home = env::var_os("XDG_DATA_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")));
    data_home
        .into_iter()
        .chain(["/usr/local/lib".into(), "/usr/lib".into()])
        .map(|root| root.join("weir/libchdb.so"))
        .collect()
}

fn listed(looked: &[PathBuf]) -> String {
    let names: Vec<_> = looked.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_explicit_library_is_named_with_its_cure() {
        let error = find_library(Some(Path::new("/nowhere/libchdb.so"))).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/nowhere/libchdb.so"), "{text}");
        assert!(text.contains("make store-engine"), "{text}");
        assert!(text.contains(PACKAGE), "{text}");
        assert!(!text.contains("/usr/lib/weir"), "an explicit path is not replaced: {text}");
    }
}
