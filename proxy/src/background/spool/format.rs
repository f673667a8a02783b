//! The bytes of a segment: encoding, decoding and the scan of a whole segment.
//!
//! Pure: bytes in, values out. Foreign bytes (a disk lies): nothing here panics or
//! allocates more than a constant factor of its input. The layout is on the page in `mod.rs`.

use std::fmt;
use std::ops::Range;

/// Place of a record in the order of all records of a spool, from 1; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// The next one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 32;
/// Bytes before each payload.
pub const RECORD_HEADER_BYTES: usize = 16;
/// The version that this program writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"weirspol";

/// Head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Sequence number of the first record.
    pub first_seq: Seq,
    /// When the segment was begun, microseconds since the Unix epoch.
    pub created_at: u64,
}

/// Why a segment ends where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After a whole record.
    Clean,
    /// The header is short, or its magic or checksum is wrong.
    BadHeader,
    /// The header is of a version that this program does not know.
    Version(u32),
    /// The last record is shorter than its length says: a write that was cut off.
    Torn,
    /// A record's checksum does not fit its bytes.
    BadChecksum,
    /// A record is whole, but it is not the one that belongs here.
    WrongSequence,
}

/// Where one record lies in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its number.
    pub seq: Seq,
    /// Its payload, counted from the start of the segment.
    pub payload: Range<usize>,
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The header, where it is readable.
    pub header: Option<Header>,
    /// The records up to the first that is not readable, without a hole.
    pub records: Vec<Span>,
    /// Why there are no more.
    pub end: End,
    /// First byte that belongs to no readable record.
    pub end_at: usize,
    /// Records that seem to lie in the unreadable rest: at least 1 where there is one.
    /// Counted by their length fields, so damage there makes it a guess.
    pub lost: u64,
}

/// Reads a whole segment.
pub fn scan(bytes: &[u8]) -> Scan {
    let header = match decode_header(bytes) {
        Ok(header) => header,
        Err(end) => {
            let behind = bytes.get(HEADER_BYTES..).map_or(0, count_lost);
            let lost = behind.max(u64::from(!bytes.is_empty()));
            return Scan { header: None, records: Vec::new(), end, end_at: 0, lost };
        }
    };
    let mut records = Vec::new();
    let (mut at, mut seq) = (HEADER_BYTES, header.first_seq);
    let end = loop {
        match decode(&bytes[at..], seq) {
            Ok(None) => break End::Clean,
            Ok(Some(payload)) => {
                let start = at + RECORD_HEADER_BYTES;
                at = start + payload.len();
                records.push(Span { seq, payload: start..at });
                seq = seq.next();
            }
            Err(end) => break end,
        }
    };
    Scan { header: Some(header), records, end, end_at: at, lost: count_lost(&bytes[at..]) }
}

/// Reads the record at the start of `bytes`, which end where the segment ends: none at the end.
/// The record takes its payload and [`RECORD_HEADER_BYTES`] more.
pub(super) fn decode(bytes: &[u8], expected: Seq) -> Result<Option<&[u8]>, End> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let Some((length, rest)) = take(bytes).map(|(field, rest)| (u32::from_le_bytes(field), rest)) else {
        return Err(End::Torn);
    };
    let Some((checksum, rest)) = take(rest).map(|(field, rest)| (u32::from_le_bytes(field), rest)) else {
        return Err(End::Torn);
    };
    let Some((seq, rest)) = take(rest).map(|(field, rest)| (u64::from_le_bytes(field), rest)) else {
        return Err(End::Torn);
    };
    let payload = usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or(End::Torn)?;
    if checksum_of(Seq(seq), payload) != checksum {
        return Err(End::BadChecksum);
    }
    if Seq(seq) != expected { Err(End::WrongSequence) } else { Ok(Some(payload)) }
}

/// Length of the payload that a record header announces; none where the header is short.
pub(super) fn announced(bytes: &[u8]) -> Option<usize> {
    let (length, _) = take(bytes)?;
    usize::try_from(u32::from_le_bytes(length)).ok()
}

/// Reads the header of a segment.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, End> {
    let bytes = bytes.get(..HEADER_BYTES).ok_or(End::BadHeader)?;
    let (magic, rest) = take::<8>(bytes).ok_or(End::BadHeader)?;
    let (version, rest) = take(rest).ok_or(End::BadHeader)?;
    let (created_at, rest) = take(rest).ok_or(End::BadHeader)?;
    let (first_seq, rest) = take(rest).ok_or(End::BadHeader)?;
    let (checksum, _) = take(rest).ok_or(End::BadHeader)?;
    let whole = crc32fast::hash(&bytes[..HEADER_BYTES - 4]) == u32::from_le_bytes(checksum);
    let first_seq = Seq(u64::from_le_bytes(first_seq));
    if &magic != MAGIC || !whole || first_seq == Seq(0) {
        return Err(End::BadHeader);
    }
    match u32::from_le_bytes(version) {
        VERSION => Ok(Header { first_seq, created_at: u64::from_le_bytes(created_at) }),
        other => Err(End::Version(other)),
    }
}

/// Appends the header of a segment to `out`.
pub(super) fn encode_header(header: Header, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&header.created_at.to_le_bytes());
    out.extend_from_slice(&header.first_seq.0.to_le_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// Appends a record to `out`. The payload is shorter than 4 GiB: the writer's limit sees to it.
pub(super) fn encode(seq: Seq, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum_of(seq, payload).to_le_bytes());
    out.extend_from_slice(&seq.0.to_le_bytes());
    out.extend_from_slice(payload);
}

fn checksum_of(seq: Seq, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seq.0.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn count_lost(rest: &[u8]) -> u64 {
    let (mut at, mut lost) = (0, 0);
    while at < rest.len() {
        lost += 1;
        let Some(length) = announced(&rest[at..]) else { break };
        at = at.saturating_add(RECORD_HEADER_BYTES).saturating_add(length);
    }
    lost
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(field, rest)| (*field, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_header(Header { first_seq: Seq(7), created_at: 5 }, &mut bytes);
        for (index, payload) in payloads.iter().enumerate() {
            encode(Seq(7 + index as u64), payload, &mut bytes);
        }
        bytes
    }

    #[test]
    fn a_segment_is_read_as_it_was_written() {
        let bytes = segment(&[b"one", b"", b"three"]);
        let found = scan(&bytes);
        assert_eq!(found.header, Some(Header { first_seq: Seq(7), created_at: 5 }));
        let payloads: Vec<_> = found.records.iter().map(|span| (span.seq.0, &bytes[span.payload.clone()])).collect();
        assert_eq!(payloads, [(7, &b"one"[..]), (8, b""), (9, b"three")]);
        assert_eq!((found.end, found.end_at, found.lost), (End::Clean, bytes.len(), 0));
    }

    #[test]
    fn a_segment_cut_at_any_byte_gives_its_whole_records() {
        let bytes = segment(&[b"one", b"two", b"three"]);
        let ends = [HEADER_BYTES, HEADER_BYTES + 19, HEADER_BYTES + 38, bytes.len()];
        for cut in 0..=bytes.len() {
            let found = scan(&bytes[..cut]);
            assert_eq!(found.records.len(), ends[1..].iter().filter(|end| **end <= cut).count(), "cut at {cut}");
            let clean = ends.contains(&cut);
            assert_eq!(found.end == End::Clean, clean, "cut at {cut}");
            assert_eq!(found.lost, u64::from(!clean && cut > 0), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_ends_the_scan_before_its_record() {
        let whole = segment(&[b"one", b"two", b"three"]);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = scan(&bytes);
            let intact = (bit / 8).saturating_sub(HEADER_BYTES).checked_div(19).unwrap_or(0).min(2);
            assert_eq!(found.records.len(), if bit / 8 < HEADER_BYTES { 0 } else { intact }, "bit {bit}");
            assert_ne!(found.end, End::Clean, "bit {bit}");
            assert!(found.lost >= 1, "bit {bit}");
        }
    }

    #[test]
    fn records_of_another_place_and_headers_of_another_version_are_told_apart() {
        let mut moved = segment(&[]);
        encode(Seq(8), b"late", &mut moved);
        assert_eq!(scan(&moved).end, End::WrongSequence);

        let mut newer = segment(&[]);
        newer[8] = 2;
        let checksum = crc32fast::hash(&newer[..HEADER_BYTES - 4]);
        newer[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(scan(&newer).end, End::Version(2));
    }
}
