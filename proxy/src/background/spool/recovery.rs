//! Opening a spool: takes the directory, finds what is in it, and where to go on.
//!
//! Nothing is rewritten or cut off here, so a crash within recovery, and any number of
//! recoveries in a row, find the same. Only files that hold nothing more are deleted.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::config::Config;
use super::cursor::Cursor;
use super::disk::Disk;
use super::format::{self, End, HEADER_BYTES, Seq};
use super::ledger::{Ledger, Segment, Shared, first_seq_of, segment_name};
use super::metrics::Metrics;
use super::reader::Reader;
use super::writer::Writer;

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("the spool in {} belongs to another running process; give each its own directory", .0.display())]
    Locked(PathBuf),
    /// Written by a newer program.
    #[error("{} is of version {version}, newer than this program; run the newer one until it is drained", path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
}

/// What opening found; for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that wait to be delivered.
    pub waiting_records: u64,
    /// Records at the end of the last segment that were cut off or broken. The reader meets
    /// them as [`Damage`](super::Damage) in the order of the queue.
    pub torn_records: u64,
}

/// A spool, opened.
#[derive(Debug)]
pub struct Spool {
    /// For the recorder.
    pub writer: Writer,
    /// For the sink.
    pub reader: Reader,
    /// What was found.
    pub recovery: Recovery,
}

pub(super) fn open(config: Config, disk: Arc<dyn Disk>, metrics: Metrics) -> Result<Spool, Error> {
    let directory = config.directory.clone();
    let lock = take(&directory)?;
    let mut segments = list(&directory).map_err(failed("read", &directory))?;
    let (last, torn_records) = close_last(&directory, &mut segments)?;
    let start = segments.front().map_or(Seq(0), |segment| Seq(segment.first.0 - 1));
    let cursor = Cursor::open(&directory, start).map_err(failed("open the cursor in", &directory))?;
    let state = cursor.state();

    // Numbers that were ever handed out are never given to other records, even where a loss
    // of power took the records themselves: the store knows a batch by its numbers.
    let handed_out = state.in_flight.map_or(state.acknowledged, |(_, last)| last.max(state.acknowledged));
    let last = last.max(handed_out);
    if let Some(newest) = segments.back_mut() {
        newest.last = last;
    }
    while let Some(oldest) = segments.front().filter(|oldest| oldest.last <= state.acknowledged) {
        let path = directory.join(segment_name(oldest.first));
        fs::remove_file(&path).map_err(failed("delete", &path))?;
        segments.pop_front();
    }
    let mut ledger = Ledger::recovered(segments, state.acknowledged, |segment| {
        let file = fs::metadata(directory.join(segment_name(segment.first)));
        file.and_then(|file| file.modified()).unwrap_or_else(|_| SystemTime::now())
    });
    ledger.in_flight = state.in_flight.is_some();
    let recovery = Recovery { waiting_records: ledger.waiting_records(), torn_records };
    let shared = Arc::new(Shared::new(directory.clone(), disk, metrics, lock, ledger));
    let writer =
        Writer::new(shared.clone(), config, last.next()).map_err(failed("start the sync thread for", &directory))?;
    Ok(Spool { writer, reader: Reader::new(shared, cursor), recovery })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// Makes the directory where it is missing and locks it. The lock goes with the process,
/// however it ends (flock(2)).
fn take(directory: &Path) -> Result<File, Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("create", directory))?;
    let path = directory.join("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(failed("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

/// The segments by their names and sizes; each ends where the next begins.
fn list(directory: &Path) -> io::Result<VecDeque<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Some(first) = entry.file_name().to_str().and_then(first_seq_of) else { continue };
        match entry.metadata()?.len() {
            // Made by a flush that then failed; it never held a record.
            0 => fs::remove_file(entry.path())?,
            bytes => found.push(Segment { first, last: Seq(first.0 - 1), bytes }),
        }
    }
    found.sort_by_key(|segment| segment.first);
    let firsts: Vec<Seq> = found.iter().skip(1).map(|segment| segment.first).collect();
    for (segment, next) in found.iter_mut().zip(firsts) {
        segment.last = Seq(next.0 - 1);
    }
    Ok(found.into())
}

/// Finds the last number in use, and how many records seem to be lost behind the last whole one.
fn close_last(directory: &Path, segments: &mut VecDeque<Segment>) -> Result<(Seq, u64), Error> {
    for segment in segments.iter() {
        let path = directory.join(segment_name(segment.first));
        let mut head = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut head));
        read.map_err(failed("read", &path))?;
        if let Err(End::Version(version)) = format::decode_header(&head) {
            return Err(Error::Version { path, version });
        }
    }
    let Some(newest) = segments.back_mut() else { return Ok((Seq(0), 0)) };
    let path = directory.join(segment_name(newest.first));
    let bytes = fs::read(&path).map_err(failed("read", &path))?;
    let found = format::scan(&bytes);
    let whole = found.records.len() as u64;
    // A header is never written alone, so without a record behind it the write was cut off.
    let torn = if whole == 0 { found.lost.max(1) } else { found.lost };
    // A segment under another's name is not read at all; see the reader.
    let misnamed = found.header.is_some_and(|header| header.first_seq != newest.first);
    let lost = if misnamed { whole + torn } else { torn };
    newest.last = Seq((newest.first.0 - 1).saturating_add(whole).saturating_add(torn));
    Ok((newest.last, lost))
}
