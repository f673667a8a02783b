//! What writer and reader share: which segments there are, up to where they are written,
//! up to where they are acknowledged. Held in memory; recovery builds it from the directory.
//!
//! The lock is held for a few field accesses, never over a call to the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::disk::Disk;
use super::format::Seq;
use super::metrics::Metrics;

/// Moments remembered for the age of the oldest record; thinned out when there are more.
const MARKS: usize = 1024;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) metrics: Metrics,
    /// Tells the reader that a flush went through or that the writer is gone.
    pub(super) flushed: Notify,
    ledger: Mutex<Ledger>,
    /// Locked for as long as either side lives: one owner per directory.
    _lock: File,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By number, oldest first. Only the newest grows.
    segments: VecDeque<Segment>,
    bytes: u64,
    acknowledged: Seq,
    /// Where the first record after `acknowledged` lies, as far as the reader knows.
    read_to: (Seq, u64),
    /// The writer is gone: nothing more will come.
    pub(super) closed: bool,
    /// A batch is out: the next read gives it again.
    pub(super) in_flight: bool,
    /// (last number of a flush, when), oldest first.
    marks: VecDeque<(Seq, SystemTime)>,
}

/// A segment file, up to where it is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) bytes: u64,
}

impl Shared {
    pub(super) fn new(directory: PathBuf, disk: Arc<dyn Disk>, metrics: Metrics, lock: File, ledger: Ledger) -> Self {
        let shared = Self { directory, disk, metrics, flushed: Notify::new(), ledger: Mutex::new(ledger), _lock: lock };
        shared.ledger().show(&shared.metrics);
        shared
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segment_path(&self, first: Seq) -> PathBuf {
        self.directory.join(segment_name(first))
    }
}

/// File name of the segment that begins with this number; names sort like numbers.
pub(super) fn segment_name(first: Seq) -> String {
    format!("{:020}.spool", first.0)
}

/// The number in a segment's file name; none for any other name.
pub(super) fn first_seq_of(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".spool").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().filter(|first| *first > 0).map(Seq)
}

impl Ledger {
    /// What recovery found; `written_at` tells when a segment was written last.
    pub(super) fn recovered(
        segments: VecDeque<Segment>,
        acknowledged: Seq,
        written_at: impl Fn(&Segment) -> SystemTime,
    ) -> Self {
        let bytes = segments.iter().map(|segment| segment.bytes).sum();
        let marks = segments.iter().map(|segment| (segment.last, written_at(segment))).collect();
        Self { segments, bytes, acknowledged, marks, ..Self::default() }
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of the last flushed record.
    pub(super) fn last(&self) -> Seq {
        self.segments.back().map_or(self.acknowledged, |segment| segment.last.max(self.acknowledged))
    }

    /// The first segment that holds, or comes after, a number; none where nothing is flushed that far.
    pub(super) fn segment_at(&self, seq: Seq) -> Option<Segment> {
        let index = self.segments.partition_point(|segment| segment.last < seq);
        self.segments.get(index).copied()
    }

    /// A flush reached the disk: the segment that begins with `first` now has `bytes` and ends with `last`.
    pub(super) fn flushed(&mut self, segment: Segment, now: SystemTime) {
        let newest = self.segments.back_mut().filter(|newest| newest.first == segment.first);
        if let Some(newest) = newest {
            self.bytes += segment.bytes - std::mem::replace(newest, segment).bytes;
        } else {
            self.bytes += segment.bytes;
            self.segments.push_back(segment);
        }
        if self.marks.len() >= MARKS {
            let mut index = 0;
            self.marks.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.marks.push_back((segment.last, now));
    }

    /// Everything up to `last` has left. Gives the segments that nobody needs any more; the
    /// newest stays, as it may grow.
    pub(super) fn acknowledge(&mut self, last: Seq, read_to: (Seq, u64)) -> Vec<Segment> {
        self.acknowledged = last;
        self.read_to = read_to;
        self.in_flight = false;
        while self.marks.front().is_some_and(|(seq, _)| *seq <= last) {
            self.marks.pop_front();
        }
        let gone = self.segments.iter().take(self.segments.len().saturating_sub(1));
        gone.take_while(|segment| segment.last <= last).copied().collect()
    }

    /// The oldest segment's file is deleted.
    pub(super) fn forget_oldest(&mut self) {
        if let Some(segment) = self.segments.pop_front() {
            self.bytes -= segment.bytes;
        }
    }

    /// Records flushed and not acknowledged.
    pub(super) fn waiting_records(&self) -> u64 {
        self.last().0 - self.acknowledged.0
    }

    /// Bytes in which those records lie; a little more until the reader has found its place.
    pub(super) fn waiting_bytes(&self) -> u64 {
        let (first, offset) = self.read_to;
        let ahead = self.segments.iter().filter(|segment| segment.first >= first && segment.last > self.acknowledged);
        ahead.map(|segment| if segment.first == first { segment.bytes - offset } else { segment.bytes }).sum()
    }

    /// Brings the gauges up to date.
    pub(super) fn show(&self, metrics: &Metrics) {
        let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let oldest = self.marks.front().filter(|_| self.waiting_records() > 0).map_or(0, |(_, at)| seconds(*at));
        metrics.records.set(self.waiting_records().cast_signed());
        metrics.bytes.set(self.bytes.cast_signed());
        metrics.segments.set(self.segments.len() as i64);
        metrics.oldest.set(oldest.cast_signed());
    }
}
