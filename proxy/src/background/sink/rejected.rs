//! Records that ClickHouse refused for their content, set aside for a person to look at.
//!
//! `<data_dir>/rejected/<time>-<last seq>.jsonl`, one JSON object per record:
//! `{"seq": …, "table": …, "reason": …, "record": {…}}`, or `"payload_hex"` where the
//! record could not be decoded. Time and number come from the batch, so a batch that comes
//! again replaces its file. Only the owner can read them (they hold text); the folder has a
//! limit, and the oldest files go first.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::json;

use crate::exchange::stored::Stored;

/// A record that is set aside.
#[derive(Debug)]
pub(super) struct Reject {
    pub(super) seq: u64,
    pub(super) table: &'static str,
    pub(super) reason: String,
    pub(super) payload: Bytes,
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    folder: PathBuf,
    limit_bytes: u64,
}

impl Aside {
    pub(super) fn new(data_dir: &Path, limit_bytes: u64) -> Self {
        Self { folder: data_dir.join("rejected"), limit_bytes }
    }

    /// Writes the records of one batch to disk; returns how many old files had to go.
    pub(super) fn put(&self, at: jiff::Timestamp, last_seq: u64, rejects: &[Reject]) -> io::Result<u64> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut text = Vec::new();
        for reject in rejects {
            serde_json::to_writer(&mut text, &line(reject))?;
            text.push(b'\n');
        }
        let evicted = self.make_room(text.len() as u64)?;
        let name = format!("{}-{last_seq:020}.jsonl", at.strftime("%Y%m%dT%H%M%SZ"));
        let fresh = self.folder.join("fresh");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(fresh, self.folder.join(name))?;
        Ok(evicted)
    }

    fn make_room(&self, needed: u64) -> io::Result<u64> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|ending| ending == "jsonl") {
                files.push((entry.path(), entry.metadata()?.len()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let mut evicted = 0;
        for (path, bytes) in files {
            if total + needed <= self.limit_bytes {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
            evicted += 1;
        }
        Ok(evicted)
    }
}

fn line(reject: &Reject) -> serde_json::Value {
    let Reject { seq, table, reason, payload } = reject;
    match rmp_serde::from_slice::<Stored>(payload) {
        Ok(record) => json!({"seq": seq, "table": table, "reason": reason, "record": record}),
        Err(_) => json!({"seq": seq, "table": table, "reason": reason, "payload_hex": hex(payload)}),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::stored::StoredGap;

    fn reject(seq: u64, payload: Vec<u8>) -> Reject {
        Reject { seq, table: "gaps", reason: "no".into(), payload: payload.into() }
    }

    fn names(dir: &Path) -> Vec<String> {
        let files = fs::read_dir(dir.join("rejected")).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_record_is_set_aside_readable_once_however_often_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let aside = Aside::new(dir.path(), 1 << 20);
        let good = rmp_serde::to_vec_named(&Stored::Gap(StoredGap { lost: 3, ..StoredGap::default() })).unwrap();
        let at = jiff::Timestamp::from_second(1_700_000_000).unwrap();
        for _ in 0..2 {
            assert_eq!(aside.put(at, 7, &[reject(7, good.clone()), reject(8, vec![0xc1, 0x02])]).unwrap(), 0);
        }
        assert_eq!(names(dir.path()), ["20231114T221320Z-00000000000000000007.jsonl"]);
        let text = fs::read_to_string(dir.path().join("rejected").join(&names(dir.path())[0])).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["record"]["gap"]["lost"], 3);
        assert_eq!(lines[1]["payload_hex"], "c102");
    }

    #[test]
    fn the_oldest_files_go_when_the_limit_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let aside = Aside::new(dir.path(), 1000);
        let mut evicted = 0;
        for n in 0..10 {
            let at = jiff::Timestamp::from_second(1_700_000_000 + n).unwrap();
            evicted += aside.put(at, 1, &[reject(1, vec![0xc1; 100])]).unwrap();
        }
        let left = names(dir.path());
        assert_eq!(evicted as usize + left.len(), 10);
        assert!(left.len() < 5 && left.last().unwrap().starts_with("20231114T221329Z"), "{left:?}");
    }
}
