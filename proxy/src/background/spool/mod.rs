//! The disk queue between the recorder (one writer thread) and the sink (one reader).
//!
//! Promises: what a flush has written survives `kill -9`; it is given to the reader in order,
//! in batches that come again unchanged until they are acknowledged, and never after that;
//! what cannot be given is reported in its place. Knows nothing of what a record holds.
//!
//! # On disk
//!
//! One directory, readable by its owner only. All numbers are little-endian; all checksums
//! are CRC-32 (IEEE 802.3, as in zlib).
//!
//! | file | what |
//! | --- | --- |
//! | `lock` | empty; held with flock(2) by the process that owns the directory |
//! | `cursor` | the reader's place |
//! | `<first-seq>.spool` | a segment; the name is the number of its first record in 20 digits |
//!
//! A **segment** is a header and records without padding; it is only ever appended to.
//!
//! ```text
//! header   0  8  magic "weirspol"        record   0  4  length n of the payload
//!          8  4  version, 1                       4  4  checksum of bytes 8 .. 16+n
//!         12  8  begun at, µs since 1970          8  8  sequence number
//!         20  8  number of the first record      16  n  payload
//!         28  4  checksum of bytes 0 .. 28
//! ```
//!
//! Records are numbered from 1 without a hole within a segment. A number that was flushed or
//! handed out is never given to another record. A new segment is begun when the newest has no
//! room and at every start; its file is made by the first flush into it.
//!
//! The **cursor** has two slots of 60 bytes at 0 and 4096, written in turn and forced to the
//! disk each time; the whole slot with the larger generation holds.
//!
//! ```text
//! slot     0  8  magic "weircurs"        32  8  acknowledged up to here
//!          8  8  generation              40  8  first and
//!         16 16  random identity         48  8  last number of the batch that is out, or 0
//!                                        56  4  checksum of bytes 0 .. 56
//! ```
//!
//! # What is safe when
//!
//! [`Writer::append`] gives a [`Pending`]: in memory only. [`Writer::flush`] gives an
//! [`Acknowledged`]: written, so that a crash of the process takes nothing; a loss of power
//! takes nothing with `fsync = "always"`, at most the last `fsync_interval` with
//! `"interval"`, and what the kernel had not written yet with `"never"`. A flush that fails cuts
//! off what it wrote, keeps its records in memory and is tried again; a record that then has no room is
//! refused and counted. [`Reader::next_batch`] writes the boundaries of a batch to the cursor
//! before it hands the batch out; [`Reader::acknowledge`] returns when the cursor is on the disk.
//!
//! # Recovery
//!
//! Reading ends a segment at its first record that is not whole ([`scan`]); the rest of that
//! segment is lost, and reading goes on in the next. At the end of the last segment a
//! torn record is what a killed process leaves; recovery ends the segment there and gives the
//! torn numbers to nobody. The torn bytes stay until their segment is deleted: to cut them off
//! would forget that records were lost, if the process died again before the gap was stored.
//! The reader meets each loss in its place as a [`Damage`], inside the batch that spans it, so
//! that a gap is stored once, like a record.

mod config;
mod cursor;
mod disk;
mod format;
mod gather;
mod ledger;
mod metrics;
mod reader;
mod recovery;
mod syncer;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

pub use config::{Config, Fsync};
pub use format::{End, HEADER_BYTES, Header, RECORD_HEADER_BYTES, Scan, Seq, Span, scan};
pub use gather::{Cause, Damage};
pub use metrics::{Metrics, Reason};
pub use reader::{Batch, Limits, ReadError, Reader};
pub use recovery::{Error, Recovery, Spool};
pub use writer::{Acknowledged, AppendError, FlushError, Pending, RESERVED_BYTES, Writer};

/// Opens the spool in `config.directory`, makes it where it is missing, and recovers what is in
/// it. Blocking; reads the newest segment whole.
pub fn open(config: Config, metrics: Metrics) -> Result<Spool, Error> {
    recovery::open(config, Arc::new(disk::Local), metrics)
}
