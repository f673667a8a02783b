//! The writing side: gathers records in memory and flushes them, whole, to the newest segment.
//!
//! Blocking; made for one thread. What a flush could not write stays in the buffer, in the
//! same bytes, for the next one, so a full disk costs nothing until the buffer is full too.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::config::{Config, Fsync};
use super::disk::write_all_at;
use super::format::{self, HEADER_BYTES, Header, RECORD_HEADER_BYTES, Seq};
use super::ledger::{Segment, Shared};
use super::metrics::Reason;
use super::syncer::{self, Syncer};

/// Room beyond the limits for accounts of what was lost at them: some hundred of them.
pub const RESERVED_BYTES: u64 = 64 << 10;

/// A flush that found the disk full is not repeated sooner for the sake of one more record:
/// each would write a whole buffer and cut it off again.
const RETRY: Duration = Duration::from_millis(100);

/// The writing side of a spool.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    config: Config,
    /// The segment that is written to; none until the first record of the next one.
    open: Option<Open>,
    /// Bytes that follow what is flushed of `open`.
    buffer: Vec<u8>,
    buffered: u64,
    next: Seq,
    /// The last look at the file system found less than `min_free_bytes`.
    low_space: bool,
    /// When a flush last found the disk full, while none has gone through since.
    no_space_at: Option<Instant>,
    syncer: Option<Syncer>,
    /// Forced to the disk after a segment was made in it.
    directory: Arc<File>,
}

#[derive(Debug)]
struct Open {
    first: Seq,
    file: Option<Arc<File>>,
    flushed_bytes: u64,
    /// A failed write left bytes behind that could not be cut off either.
    torn: bool,
}

/// A record that is in memory only: a crash loses it. The next successful flush acknowledges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a record is safe only after a flush"]
pub struct Pending(pub Seq);

/// What a flush made safe from a crash of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Everything up to here is written.
    pub last_seq: Seq,
    /// Records that this flush added.
    pub records: u64,
}

/// Why a record was not taken. Nothing of it is kept; the caller counts it as lost.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It will never fit.
    #[error("a record of {bytes} bytes is larger than {limit}; raise max_record_bytes or keep less of each body")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: u64,
    },
    /// There is no room now.
    #[error("the spool has no room ({}); the store is behind, or the disk is full", .0.as_str())]
    Full(Reason),
    /// The disk fails.
    #[error("the spool cannot write: {0}")]
    Io(#[source] io::Error),
}

/// A flush that failed. The records stay in memory, and the next flush tries again.
#[derive(Debug, thiserror::Error)]
#[error("{pending} spool records wait in memory: {source}")]
pub struct FlushError {
    /// Records that are in memory only.
    pub pending: u64,
    /// Why.
    #[source]
    pub source: AppendError,
}

impl AppendError {
    /// The reason as a closed set, for counters and gaps.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Full(reason) => *reason,
            Self::Io(_) => Reason::Io,
        }
    }

    fn of(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(Reason::NoSpace)
            }
            _ => Self::Io(fault),
        }
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, config: Config, next: Seq) -> io::Result<Self> {
        let syncer = match config.fsync {
            Fsync::Interval => Some(Syncer::start(shared.clone(), *config.fsync_interval)?),
            Fsync::Always | Fsync::Never => None,
        };
        let directory = Arc::new(File::open(&shared.directory)?);
        let (open, buffer) = (None, Vec::new());
        let mut writer = Self {
            shared,
            config,
            open,
            buffer,
            buffered: 0,
            next,
            low_space: false,
            no_space_at: None,
            syncer,
            directory,
        };
        writer.look_at_space();
        Ok(writer)
    }

    /// Takes a record into memory. Flushes first where the buffer or the segment has no room for it.
    pub fn append(&mut self, payload: &[u8]) -> Result<Pending, AppendError> {
        self.append_within(0, payload)
    }

    /// Takes a record of the few that must be kept even where the limits are reached: it may go
    /// [`RESERVED_BYTES`] beyond `max_bytes`, and below `min_free_bytes`.
    pub fn append_reserved(&mut self, payload: &[u8]) -> Result<Pending, AppendError> {
        self.append_within(RESERVED_BYTES, payload)
    }

    fn append_within(&mut self, reserve: u64, payload: &[u8]) -> Result<Pending, AppendError> {
        let taken = self.make_room(payload.len(), reserve);
        if let Err(fault) = taken {
            self.shared.metrics.refused(fault.reason()).inc();
            return Err(fault);
        }
        if self.open.is_none() {
            let created_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
            format::encode_header(Header { first_seq: self.next, created_at }, &mut self.buffer);
            self.open = Some(Open { first: self.next, file: None, flushed_bytes: 0, torn: false });
        }
        let seq = self.next;
        format::encode(seq, payload, &mut self.buffer);
        self.buffered += 1;
        self.next = seq.next();
        Ok(Pending(seq))
    }

    /// Writes what is in memory. Once it returns, those records survive a `kill -9` of the
    /// process, and a loss of power as far as `fsync` promises.
    pub fn flush(&mut self) -> Result<Acknowledged, FlushError> {
        let records = self.buffered;
        if let Err(fault) = self.write_out() {
            let source = AppendError::of(fault);
            self.shared.metrics.flush_failed(source.reason()).inc();
            self.no_space_at = (source.reason() == Reason::NoSpace).then(Instant::now);
            return Err(FlushError { pending: records, source });
        }
        self.no_space_at = None;
        Ok(Acknowledged { last_seq: Seq(self.next.0 - 1), records })
    }

    /// Records that are in memory only.
    pub fn pending(&self) -> u64 {
        self.buffered
    }

    /// Whether the disk was full a moment ago, so that it is too early for another flush.
    pub fn rests(&self) -> bool {
        self.no_space_at.is_some_and(|at| at.elapsed() < RETRY)
    }

    fn flush_for_room(&mut self) -> Result<(), AppendError> {
        if self.rests() {
            return Err(AppendError::Full(Reason::NoSpace));
        }
        self.flush().map(drop).map_err(|fault| fault.source)
    }

    fn make_room(&mut self, payload: usize, reserve: u64) -> Result<(), AppendError> {
        if payload as u64 > self.config.max_record_bytes.0 {
            return Err(AppendError::TooLarge { bytes: payload, limit: self.config.max_record_bytes.0 });
        }
        let record = RECORD_HEADER_BYTES + payload;
        if self.buffered > 0 && self.buffer.len() + record > self.config.buffer_bytes.bytes() {
            self.flush_for_room()?;
        }
        let filled = self.open.as_ref().map_or(0, |open| open.flushed_bytes) + self.buffer.len() as u64;
        if self.open.is_some() && filled + record as u64 > self.config.segment_bytes.0 {
            self.flush_for_room()?;
            self.open = None;
        }
        let header = if self.open.is_some() { 0 } else { HEADER_BYTES };
        let held = self.shared.ledger().bytes() + self.buffer.len() as u64;
        if held + (header + record) as u64 > self.config.max_bytes.0 + reserve {
            return Err(AppendError::Full(Reason::Full));
        }
        if reserve > 0 {
            return Ok(());
        }
        if self.low_space {
            self.look_at_space();
        }
        if self.low_space { Err(AppendError::Full(Reason::LowSpace)) } else { Ok(()) }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|_| self.buffered > 0) else { return Ok(()) };
        let file = open.file(&self.shared)?;
        let disk = self.shared.disk.as_ref();
        if std::mem::take(&mut open.torn) {
            disk.truncate(&file, open.flushed_bytes).inspect_err(|_| open.torn = true)?;
        }
        let mut written = write_all_at(disk, &file, &self.buffer, open.flushed_bytes);
        let dirty = if open.flushed_bytes == 0 { vec![&file, &self.directory] } else { vec![&file] };
        if self.config.fsync == Fsync::Always {
            written = written.and_then(|()| dirty.iter().try_for_each(|file| syncer::sync(&self.shared, file)));
        }
        if let Err(fault) = written {
            open.torn = disk.truncate(&file, open.flushed_bytes).is_err();
            return Err(fault);
        }
        open.flushed_bytes += self.buffer.len() as u64;
        let segment = Segment { first: open.first, last: Seq(self.next.0 - 1), bytes: open.flushed_bytes };
        self.announce(segment);
        if let Some(syncer) = &self.syncer {
            dirty.into_iter().for_each(|file| syncer.mark(file));
        }
        self.buffer.clear();
        // One large record must not hold its memory for good.
        self.buffer.shrink_to(self.config.buffer_bytes.bytes());
        self.buffered = 0;
        self.look_at_space();
        Ok(())
    }

    fn announce(&self, segment: Segment) {
        let metrics = &self.shared.metrics;
        metrics.flushed_records.inc_by(self.buffered);
        metrics.flushed_bytes.inc_by(self.buffer.len() as u64);
        let mut ledger = self.shared.ledger();
        ledger.flushed(segment, SystemTime::now());
        ledger.show(metrics);
        drop(ledger);
        self.shared.flushed.notify_one();
    }

    /// One statvfs(2), under a microsecond or two; at each flush and, while space is low, at each record.
    fn look_at_space(&mut self) {
        let floor = self.config.min_free_bytes.0;
        // Where the file system does not tell, its own ENOSPC is the limit.
        self.low_space =
            floor > 0 && self.shared.disk.free_bytes(&self.shared.directory).is_ok_and(|free| free < floor);
    }
}

impl Drop for Writer {
    /// What is in memory is lost, as in a crash: a caller that wants it kept flushes first.
    fn drop(&mut self) {
        self.shared.ledger().closed = true;
        self.shared.flushed.notify_one();
    }
}

impl Open {
    fn file(&mut self, shared: &Shared) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let path = shared.segment_path(self.first);
        let file = Arc::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
        self.file = Some(file.clone());
        Ok(file)
    }
}
