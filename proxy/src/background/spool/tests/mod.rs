//! The spool as a whole: against a small model, a failing disk, and real processes.

mod faults;
mod model;
mod process;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::disk::{Disk, Local};
use super::reader::{Batch, Limits};
use super::recovery::{self, Error, Spool};
use super::{Config, Fsync, Metrics, ReadError, Reader, Seq};
use crate::exchange::ByteSize;

/// A disk that fails on command and else is the local one.
#[derive(Debug)]
struct Faulty {
    /// Bytes that can still be written; the write that meets the end is cut short.
    room: AtomicU64,
    /// Most bytes of a single write.
    longest_write: AtomicU64,
    truncate_fails: AtomicBool,
    sync_fails: AtomicBool,
    free: AtomicU64,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            room: AtomicU64::new(u64::MAX),
            longest_write: AtomicU64::new(u64::MAX),
            truncate_fails: AtomicBool::new(false),
            sync_fails: AtomicBool::new(false),
            free: AtomicU64::new(u64::MAX),
        }
    }
}

impl Disk for Faulty {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed);
        let length = (bytes.len() as u64).min(room).min(self.longest_write.load(Ordering::Relaxed));
        if length == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.room.store(room - length, Ordering::Relaxed);
        Local.write_at(file, &bytes[..length as usize], at)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        let fails = self.truncate_fails.load(Ordering::Relaxed);
        if fails { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Local.truncate(file, length) }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let fails = self.sync_fails.load(Ordering::Relaxed);
        if fails { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Local.sync(file) }
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free.load(Ordering::Relaxed))
    }
}

/// A small spool: four segments of at least three records of 100 bytes.
fn small(directory: &Path) -> Config {
    Config {
        directory: directory.to_owned(),
        max_bytes: ByteSize(2048),
        segment_bytes: ByteSize(512),
        max_record_bytes: ByteSize(200),
        buffer_bytes: ByteSize(1024),
        min_free_bytes: ByteSize(0),
        fsync: Fsync::Never,
        ..Config::default()
    }
}

/// A place for a spool; in memory where the machine has one, as every batch forces the cursor out.
fn place() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open(config: Config) -> Spool {
    open_on(config, Arc::new(Local))
}

fn open_on(config: Config, disk: Arc<dyn Disk>) -> Spool {
    opened(&config, disk, &Metrics::register(&prometheus::Registry::new()).unwrap())
}

fn opened(config: &Config, disk: Arc<dyn Disk>, metrics: &Metrics) -> Spool {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match recovery::open(config.clone(), disk.clone(), metrics.clone()) {
            // A process that another test forks holds every lock of this one until its exec.
            Err(Error::Locked(_)) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn read(reader: &Reader, records: usize) -> Result<Option<Batch>, ReadError> {
    reader.core().read(Limits { records, bytes: 1 << 20, wait: Duration::ZERO })
}

/// Reads and acknowledges everything: the payloads with their numbers, and the lost numbers.
fn drain(reader: &Reader) -> (Vec<(u64, Vec<u8>)>, Vec<u64>) {
    let (mut records, mut lost) = (Vec::new(), Vec::new());
    while let Some(batch) = read(reader, 7).unwrap() {
        records.extend(batch.records.iter().map(|(seq, payload)| (seq.0, payload.to_vec())));
        lost.extend(batch.damage.iter().flat_map(|damage| damage.from_seq.0..=damage.to_seq.0));
        reader.core().acknowledge(batch.last_seq).unwrap();
    }
    (records, lost)
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
    numbers.into_iter().map(|n| (n, payload(n))).collect()
}

fn payload(n: u64) -> Vec<u8> {
    format!("{n:>100}").into_bytes()
}

/// Appends and flushes the records with these numbers.
fn fill(spool: &mut Spool, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        assert_eq!(spool.writer.append(&payload(n)).unwrap().0, Seq(n));
        spool.writer.flush().unwrap();
    }
}

/// Segment files, oldest first.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "spool")).collect();
    found.sort();
    found
}

fn bytes_on_disk(directory: &Path) -> u64 {
    segments(directory).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum()
}
