//! A model by file: where it lies and what its checksum must be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::classify::artefact::checksum;

/// Largest file that is read.
const MAX_BYTES: u64 = 4 << 30;

/// A file with its checksum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path of the file.
    pub path: PathBuf,
    /// SHA-256 of it in hexadecimal digits; unchecked where none is given, which nobody should do with a file from outside.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl ModelFile {
    /// Whether the checksum has the form of one.
    pub fn is_well_formed(&self) -> bool {
        self.sha256.as_ref().is_none_or(|sum| sum.len() == 64 && sum.bytes().all(|digit| digit.is_ascii_hexdigit()))
    }

    /// Its bytes, when they are the right ones. Errors name the file.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let name = self.path.display();
        let size = std::fs::metadata(&self.path).map_err(|fault| format!("{name}: {fault}"))?.len();
        if size > MAX_BYTES {
            return Err(format!("{name}: {size} bytes are more than the {MAX_BYTES} that a model may have"));
        }
        let bytes = std::fs::read(&self.path).map_err(|fault| format!("{name}: {fault}"))?;
        match &self.sha256 {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&checksum(&bytes)) => Err(format!(
                "{name}: its SHA-256 is {}, not {wanted}: fetch it again or name the right one",
                checksum(&bytes)
            )),
            _ => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_only_with_the_checksum_that_was_named() {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let right = checksum(&std::fs::read(&path).unwrap());
        let read = |sha256: Option<&str>| ModelFile { path: path.clone(), sha256: sha256.map(str::to_owned) }.read();
        assert!(read(None).is_ok() && read(Some(&right)).is_ok() && read(Some(&right.to_uppercase())).is_ok());
        assert!(read(Some(&"0".repeat(64))).unwrap_err().contains(&right));
        let none = ModelFile { path: "/nowhere".into(), sha256: None };
        assert!(none.read().unwrap_err().starts_with("/nowhere"));
    }
}
