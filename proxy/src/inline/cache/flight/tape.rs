//! What a flight keeps of its answer.
//!
//! While the answer is within its limit and the budget has room, all of it is kept, so that
//! others can join from the start. Beyond that only what the slowest participant has not read
//! is kept, as far as it may lag; who falls further behind is cut. Besides there is the last
//! piece as it came, handed out without a copy to everybody who keeps up.

use bytes::{Buf, Bytes, BytesMut};

use crate::exchange::Share;

/// Who is behind gets copies of this size: they wait in its connection, where no budget counts them.
const COPY_BYTES: usize = 64 << 10;

pub(super) struct Tape {
    limit: usize,
    /// Most bytes kept for the slowest, once not everything is kept.
    lag: usize,
    share: Share,
    /// Bytes taken from the share for this.
    charged: usize,
    /// Position in the answer of the first byte of `older`.
    start: u64,
    older: BytesMut,
    last: Bytes,
    /// Whether everything that came is here.
    whole: bool,
}

/// A participant, as far as the tape is concerned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reader {
    /// Position in the answer up to which it was given.
    pub(super) at: u64,
    /// It fell too far behind.
    pub(super) cut: bool,
}

impl Tape {
    pub(super) fn new(limit: usize, lag: usize, share: Share) -> Self {
        let (older, last) = (BytesMut::new(), Bytes::new());
        Self { limit, lag, share, charged: 0, start: 0, older, last, whole: true }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// So many bytes will come: where that is too much, nobody need wait to see it.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.whole = self.whole && bytes <= self.limit as u64;
    }

    /// The whole answer, after [`Self::join_up`].
    pub(super) fn all(&self) -> Option<Bytes> {
        (self.whole && self.older.is_empty()).then(|| self.last.clone())
    }

    /// Position after the last byte that came.
    pub(super) fn end(&self) -> u64 {
        self.start + (self.older.len() + self.last.len()) as u64
    }

    /// What came after a position, or the beginning of it; none where nothing did. The position
    /// of a reader that is not cut is never before the tape's start.
    pub(super) fn after(&self, at: u64) -> Option<Bytes> {
        if at >= self.end() {
            return None;
        }
        let skip = (at - self.start) as usize;
        if skip >= self.older.len() {
            return Some(self.last.slice(skip - self.older.len()..));
        }
        if self.older.len() - skip > COPY_BYTES {
            return Some(Bytes::copy_from_slice(&self.older[skip..skip + COPY_BYTES]));
        }
        let mut joined = BytesMut::with_capacity(self.older.len() - skip + self.last.len());
        joined.extend_from_slice(&self.older[skip..]);
        joined.extend_from_slice(&self.last);
        Some(joined.freeze())
    }

    /// Takes a piece. Cuts readers for whom too much would have to be kept.
    pub(super) fn push<'a>(&mut self, piece: Bytes, readers: impl Iterator<Item = &'a mut Reader>) {
        self.whole = self.whole && self.has_room(self.end() as usize + piece.len(), self.limit);
        if !self.whole {
            let mut readers: Vec<&mut Reader> = readers.filter(|reader| !reader.cut).collect();
            self.keep_for(&mut readers);
        }
        self.older.extend_from_slice(&self.last);
        self.last = piece;
    }

    /// The answer has ended well: it is put together once for all who come to it now, and taken
    /// out of the connection's read buffer, which the next request wants.
    pub(super) fn join_up(&mut self) {
        if self.whole {
            self.older.extend_from_slice(&self.last);
            self.last = self.older.split().freeze();
        }
    }

    /// Lets go what the slowest reader has, after cutting those who hold too much.
    fn keep_for(&mut self, readers: &mut [&mut Reader]) {
        let end = self.end();
        let from = loop {
            let slowest = readers.iter().filter(|reader| !reader.cut).map(|reader| reader.at).min().unwrap_or(end);
            if self.has_room((end - slowest) as usize, self.lag) {
                break slowest;
            }
            readers.iter_mut().filter(|reader| reader.at == slowest).for_each(|reader| reader.cut = true);
        };
        let gone = (from - self.start) as usize;
        match gone.checked_sub(self.older.len()) {
            Some(of_last) => {
                self.older = BytesMut::new();
                self.last.advance(of_last);
            }
            None => self.older.advance(gone),
        }
        self.start = from;
    }

    fn has_room(&mut self, bytes: usize, limit: usize) -> bool {
        if bytes > limit {
            return false;
        }
        if bytes > self.charged {
            if !self.share.grow(bytes - self.charged) {
                return false;
            }
            self.charged = bytes;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Budget, ByteSize};

    const LIMIT: usize = 100;

    #[test]
    fn no_more_than_the_limit_and_the_last_piece_is_kept_however_slow_the_readers_are() {
        for room in [0, 30, 1000] {
            let mut tape = Tape::new(LIMIT, LIMIT, Budget::new(ByteSize(room)).share());
            let mut readers = [Reader::default(); 3];
            let mut cuts = 0;
            for index in 0..200_usize {
                tape.push(Bytes::from(vec![index as u8; 1 + index * 7 % 40]), readers.iter_mut());
                assert!(tape.older.len() <= LIMIT.min(room as usize), "{} after {index}", tape.older.len());
                cuts = cuts.max(readers.iter().filter(|reader| reader.cut).count());
                // The first keeps up, the second reads now and then, the third never.
                for reader in readers.iter_mut().take(if index % 3 == 0 { 2 } else { 1 }).filter(|reader| !reader.cut) {
                    reader.at += tape.after(reader.at).unwrap().len() as u64;
                    assert_eq!(reader.at, tape.end());
                }
            }
            assert!(!readers[0].cut && readers[2].cut);
            assert_eq!(cuts, if room == 1000 { 1 } else { 2 });
        }
    }

    #[test]
    fn the_whole_is_kept_without_spare_room_up_to_the_limit_and_not_a_byte_further() {
        for (last, whole) in [(1, true), (2, false)] {
            let mut tape = Tape::new(LIMIT, LIMIT, Budget::new(ByteSize(1000)).share());
            let mut readers = [Reader::default()];
            tape.push(Bytes::from(vec![1; LIMIT - 1]), readers.iter_mut());
            tape.push(Bytes::from(vec![2; last]), readers.iter_mut());
            tape.join_up();
            assert_eq!((tape.is_whole(), tape.all().map(|bytes| bytes.len())), (whole, whole.then_some(LIMIT)));
        }
    }
}
