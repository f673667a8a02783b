//! Reading records in order from the segments, around whatever is broken.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::format::{self, End, HEADER_BYTES, RECORD_HEADER_BYTES, Seq};
use super::ledger::{Segment, Shared};

/// Bytes read from a segment at once, unless a single record is larger.
const CHUNK_BYTES: usize = 256 << 10;
/// Tries at a place that the disk cannot read, before its segment is given up.
const STRIKES: u32 = 3;

/// Records that the spool took and cannot give: to be recorded as a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First number lost.
    pub from_seq: Seq,
    /// Last number lost.
    pub to_seq: Seq,
    /// Records lost; a lower bound where the length fields are damaged too.
    pub lost: u64,
    /// What was found.
    pub cause: Cause,
    /// Between which moments the records were written, where the segment still tells.
    pub written: Option<(SystemTime, SystemTime)>,
}

/// What is wrong with a part of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A write was cut off: the process was killed within it, or the power went.
    TornTail,
    /// Checksum, order or header do not fit.
    Corrupt,
    /// Records that were written are there no more: their segment is gone, or ends before them.
    Missing,
    /// The disk cannot read it.
    Unreadable,
}

impl Cause {
    /// The word used in gaps and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TornTail => "torn_tail",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A place between two records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The number wanted next.
    pub(super) want: Seq,
    /// First number of the segment in which `offset` lies; 0 where none was opened yet.
    pub(super) segment: Seq,
    pub(super) offset: u64,
    /// Number of the record at `offset`; below `want` while looking for it.
    seq: Seq,
}

/// Where to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// Last number, exactly: a batch that was handed out before.
    pub(super) exactly: Option<Seq>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) records: Vec<(Seq, Bytes)>,
    pub(super) damage: Vec<Damage>,
    bytes: usize,
}

/// Reads segments; keeps one open and a chunk of it.
#[derive(Debug, Default)]
pub(super) struct Source {
    open: Option<(Seq, File)>,
    chunk: Vec<u8>,
    chunk_at: u64,
    /// The segment that last failed to be read, and how often.
    strikes: (Seq, u32),
}

/// What lies at a place.
enum Found {
    Record(Bytes),
    Broken(Cause),
}

impl Place {
    pub(super) fn after(seq: Seq) -> Self {
        Self { want: seq.next(), ..Self::default() }
    }
}

impl Source {
    /// Reads from `place` up to the bound, and moves `place` behind what was read.
    /// Fails only where a second try may do better; what was read until then is forgotten.
    pub(super) fn gather(&mut self, shared: &Shared, place: &mut Place, bound: Bound) -> io::Result<Gathered> {
        let mut gathered = Gathered::default();
        while !gathered.is_full(bound) && bound.exactly.is_none_or(|last| place.want <= last) {
            let segment = shared.ledger().segment_at(place.want);
            let Some(segment) = segment.filter(|segment| bound.exactly.is_none_or(|last| segment.first <= last)) else {
                // Only a batch that was handed out before may be wanted where no segment is.
                let Some(last) = bound.exactly else { break };
                gathered.lose(place, last, Cause::Missing, None);
                break;
            };
            if segment.first > place.want {
                gathered.lose(place, Seq(segment.first.0 - 1), Cause::Missing, None);
                continue;
            }
            match self.next(shared, place, segment)? {
                Found::Record(payload) => {
                    let after = payload.len() + gathered.bytes;
                    if bound.exactly.is_none() && after > bound.bytes && !gathered.records.is_empty() {
                        break;
                    }
                    gathered.take(place, payload);
                }
                Found::Broken(cause) => {
                    let last = bound.exactly.map_or(segment.last, |last| last.min(segment.last));
                    gathered.lose(place, last, cause, self.written(shared, segment));
                    // The segment may still grow, and what comes then is whole.
                    (place.segment, place.offset, place.seq) = (segment.first, segment.bytes, segment.last.next());
                }
            }
        }
        Ok(gathered)
    }

    /// Finds the wanted record, or what stands in its way.
    fn next(&mut self, shared: &Shared, place: &mut Place, segment: Segment) -> io::Result<Found> {
        loop {
            match self.read(shared, place, segment) {
                Ok(Found::Record(payload)) if place.seq < place.want => place.skip(&payload),
                Ok(found) => return Ok(found),
                Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Found::Broken(Cause::Missing)),
                Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Found::Broken(Cause::TornTail));
                }
                Err(fault) => {
                    self.open = None;
                    let before = if self.strikes.0 == segment.first { self.strikes.1 } else { 0 };
                    self.strikes = (segment.first, before + 1);
                    if before + 1 < STRIKES {
                        return Err(fault);
                    }
                    return Ok(Found::Broken(Cause::Unreadable));
                }
            }
        }
    }

    fn read(&mut self, shared: &Shared, place: &mut Place, segment: Segment) -> io::Result<Found> {
        if self.open.as_ref().is_none_or(|(first, _)| *first != segment.first) {
            let file = File::open(shared.segment_path(segment.first))?;
            (self.open, self.chunk_at) = (Some((segment.first, file)), 0);
            self.chunk.clear();
        }
        if place.segment != segment.first {
            let head = self.bytes(0, HEADER_BYTES, segment.bytes)?;
            if format::decode_header(head).map(|header| header.first_seq) != Ok(segment.first) {
                return Ok(Found::Broken(Cause::Corrupt));
            }
            (place.segment, place.offset, place.seq) = (segment.first, HEADER_BYTES as u64, segment.first);
        }
        if place.offset == segment.bytes {
            // Whole to its end: who is gone is a file behind it, or a tail cut between two records.
            return Ok(Found::Broken(Cause::Missing));
        }
        if place.offset > segment.bytes || place.seq > place.want {
            return Ok(Found::Broken(Cause::TornTail));
        }
        let head = self.bytes(place.offset, RECORD_HEADER_BYTES, segment.bytes)?;
        let payload = format::announced(head).unwrap_or(usize::MAX);
        let record = self.bytes(place.offset, RECORD_HEADER_BYTES.saturating_add(payload), segment.bytes)?;
        match format::decode(record, place.seq) {
            Ok(Some(payload)) => Ok(Found::Record(Bytes::copy_from_slice(payload))),
            Ok(None) | Err(End::Torn) => Ok(Found::Broken(Cause::TornTail)),
            Err(_) => Ok(Found::Broken(Cause::Corrupt)),
        }
    }

    /// `length` bytes of the open segment. Never looks past `limit`, up to where it is
    /// flushed: what lies behind may be half written and written again.
    fn bytes(&mut self, at: u64, length: usize, limit: u64) -> io::Result<&[u8]> {
        if at.saturating_add(length as u64) > limit {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let held = self.chunk_at..self.chunk_at + self.chunk.len() as u64;
        if at < held.start || at + length as u64 > held.end {
            let Some((_, file)) = &self.open else { return Err(io::ErrorKind::NotFound.into()) };
            let size = length.max(CHUNK_BYTES).min((limit - at) as usize);
            self.chunk_at = at;
            fill(file, &mut self.chunk, at, size).inspect_err(|_| self.chunk.clear())?;
        }
        let start = (at - self.chunk_at) as usize;
        self.chunk.get(start..start + length).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    fn written(&self, shared: &Shared, segment: Segment) -> Option<(SystemTime, SystemTime)> {
        let last = fs::metadata(shared.segment_path(segment.first)).ok()?.modified().ok()?;
        let (_, file) = self.open.as_ref()?;
        let mut head = [0; HEADER_BYTES];
        file.read_exact_at(&mut head, 0).ok()?;
        let begun = format::decode_header(&head).ok();
        let begun = begun.and_then(|header| UNIX_EPOCH.checked_add(Duration::from_micros(header.created_at)));
        Some((begun.map_or(last, |begun| begun.min(last)), last))
    }
}

/// Reads `size` bytes, or up to the end of the file, in place of what was in the chunk.
fn fill(file: &File, chunk: &mut Vec<u8>, at: u64, size: usize) -> io::Result<()> {
    chunk.clear();
    chunk.resize(size, 0);
    // One large record must not hold its memory for good.
    chunk.shrink_to(size.max(CHUNK_BYTES));
    let mut filled = 0;
    while filled < size {
        match file.read_at(&mut chunk[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    chunk.truncate(filled);
    Ok(())
}

impl Place {
    fn skip(&mut self, payload: &Bytes) {
        self.offset += (RECORD_HEADER_BYTES + payload.len()) as u64;
        self.seq = self.seq.next();
    }
}

impl Gathered {
    fn is_full(&self, bound: Bound) -> bool {
        bound.exactly.is_none() && (self.records.len() >= bound.records || self.bytes >= bound.bytes)
    }

    fn take(&mut self, place: &mut Place, payload: Bytes) {
        place.skip(&payload);
        self.bytes += payload.len();
        self.records.push((place.want, payload));
        place.want = place.want.next();
    }

    fn lose(&mut self, place: &mut Place, last: Seq, cause: Cause, written: Option<(SystemTime, SystemTime)>) {
        let lost = last.0 - place.want.0 + 1;
        self.damage.push(Damage { from_seq: place.want, to_seq: last, lost, cause, written });
        place.want = last.next();
    }
}
