//! Limits of the spool.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::format::{HEADER_BYTES, RECORD_HEADER_BYTES};
use crate::exchange::{ByteSize, Fault, Period};

/// Where records wait on disk for the store, and how much of the disk they may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of the spool; one process owns it at a time. It holds prompt text until the
    /// store has it, so it is made readable by its owner only. Default ".weir/spool".
    #[serde(skip)]
    pub directory: PathBuf,
    /// Bytes that all segments together may take; a full spool refuses new records and
    /// counts them. Default "2GiB".
    pub max_bytes: ByteSize,
    /// Bytes after which a new segment is begun; space is given back segment by segment.
    /// Default "16MiB".
    pub segment_bytes: ByteSize,
    /// Largest record; larger ones are refused and counted. Default "4MiB".
    pub max_record_bytes: ByteSize,
    /// Memory in which records are gathered between two writes. Default "1MiB".
    pub buffer_bytes: ByteSize,
    /// Free space of the file system below which the spool refuses new records, so that it
    /// never is what fills a shared disk. Default "256MiB"; 0 turns it off.
    pub min_free_bytes: ByteSize,
    /// When written records are forced to the disk: bounds what a loss of power may take.
    /// A crash of the process never takes flushed records, whatever stands here.
    /// Default "interval".
    pub fsync: Fsync,
    /// Longest time between two forced writes with `fsync = "interval"`. Default "1s".
    pub fsync_interval: Period,
}

/// When written records are forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fsync {
    /// At every flush: a loss of power takes nothing that was flushed; the recorder waits for the disk.
    Always,
    /// Every `fsync_interval`, by a thread of its own: a loss of power takes at most that much.
    #[default]
    Interval,
    /// Left to the operating system: a loss of power may take the last half minute or so.
    Never,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from(".weir/spool"),
            max_bytes: ByteSize::mib(2048),
            segment_bytes: ByteSize::mib(16),
            max_record_bytes: ByteSize::mib(4),
            buffer_bytes: ByteSize::mib(1),
            min_free_bytes: ByteSize::mib(256),
            fsync: Fsync::default(),
            fsync_interval: Period::secs(1),
        }
    }
}

impl Config {
    /// What is wrong with these values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |wrong: bool, key: &str, problem: &str, cure: String| {
            if wrong {
                faults.push(Fault::new(format!("{path}.{key}"), problem, cure));
            }
        };
        check(self.directory.as_os_str().is_empty(), "directory", "is empty", "name a directory".into());
        let framing = (HEADER_BYTES + RECORD_HEADER_BYTES) as u64;
        check(
            self.max_record_bytes.0 == 0 || self.max_record_bytes.0 >= u64::from(u32::MAX),
            "max_record_bytes",
            "is out of range",
            "write a size above 0 and below 4GiB".into(),
        );
        check(
            self.segment_bytes.0 < self.max_record_bytes.0.saturating_add(framing),
            "segment_bytes",
            "does not hold one record of max_record_bytes",
            format!("write at least {}", self.max_record_bytes.0.saturating_add(framing)),
        );
        check(
            self.segment_bytes.0 > 1 << 30,
            "segment_bytes",
            "is larger than 1GiB, and recovery reads a whole segment into memory",
            "write at most \"1GiB\"".into(),
        );
        check(
            self.max_bytes.0 < self.segment_bytes.0.saturating_mul(2),
            "max_bytes",
            "is less than two segments, and space is given back segment by segment",
            format!("write at least {}", ByteSize(self.segment_bytes.0.saturating_mul(2))),
        );
        check(self.buffer_bytes.0 == 0, "buffer_bytes", "is 0", "write at least \"64KiB\"".into());
        check(self.fsync_interval.is_zero(), "fsync_interval", "is 0", "write fsync = \"always\" for that".into());
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_no_fault() {
        assert_eq!(Config::default().faults("spool"), []);
    }

    #[test]
    fn each_wrong_value_is_named_by_its_key() {
        type Spoil = fn(&mut Config);
        let table: [(&str, Spoil); 6] = [
            ("spool.directory", |c| c.directory = PathBuf::new()),
            ("spool.segment_bytes", |c| c.max_record_bytes = c.segment_bytes),
            ("spool.segment_bytes", |c| (c.segment_bytes, c.max_bytes) = (ByteSize(1 << 31), ByteSize(1 << 40))),
            ("spool.max_bytes", |c| c.max_bytes = ByteSize(c.segment_bytes.0 + 1)),
            ("spool.buffer_bytes", |c| c.buffer_bytes = ByteSize(0)),
            ("spool.fsync_interval", |c| c.fsync_interval = Period::secs(0)),
        ];
        for (key, spoil) in table {
            let mut config = Config::default();
            spoil(&mut config);
            let paths: Vec<_> = config.faults("spool").into_iter().map(|fault| fault.path).collect();
            assert_eq!(paths, [key]);
        }
    }
}
