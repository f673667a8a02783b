//! A segment of the spool, read from any bytes: never a panic; what is read is in order,
//! whole and within the input; and reading the readable part again gives the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::background::spool::{End, HEADER_BYTES, RECORD_HEADER_BYTES, scan};

fuzz_target!(|bytes: &[u8]| {
    let found = scan(bytes);
    assert!(found.end_at <= bytes.len());
    assert_eq!(found.lost == 0, found.end_at == bytes.len(), "a rest means a loss, and no rest means none");
    let Some(header) = found.header else {
        assert!(found.records.is_empty());
        return;
    };
    let mut at = HEADER_BYTES;
    let mut seq = header.first_seq;
    for span in &found.records {
        assert_eq!((span.seq, span.payload.start), (seq, at + RECORD_HEADER_BYTES));
        at = span.payload.end;
        seq = seq.next();
    }
    assert_eq!(at, found.end_at);
    let again = scan(&bytes[..at]);
    assert_eq!((again.records, again.end, again.lost), (found.records, End::Clean, 0));
});
