//! W3C Trace Context, level 1: the `traceparent` header, read and written.
//!
//! <https://www.w3.org/TR/trace-context-1/#traceparent-header>: version, trace id, parent id
//! and flags as lower-case hex, joined by dashes, 55 bytes in version 00. A later version
//! may be longer; its first four fields are read as version 00's. Version `ff`, upper case
//! and all-zero ids are invalid, and an invalid header is as good as none.

use super::TraceContext;

/// Bytes of a version 00 header.
const LENGTH: usize = 55;
/// The flag "sampled".
const SAMPLED: u8 = 0x01;

impl TraceContext {
    /// Reads a `traceparent` header. The span of this exchange is not known yet: it is left
    /// zero for the caller to draw.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let (head, rest) = bytes.split_at_checked(LENGTH)?;
        let [version] = hex(&head[..2])?;
        let fits = match version {
            0xff => false,
            0 => rest.is_empty(),
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        if !fits || [2, 35, 52].iter().any(|at| head[*at] != b'-') {
            return None;
        }
        let trace_id: [u8; 16] = hex(&head[3..35])?;
        let parent_id: [u8; 8] = hex(&head[36..52])?;
        let [flags] = hex(&head[53..])?;
        if trace_id == [0; 16] || parent_id == [0; 8] {
            return None;
        }
        Some(Self { trace_id, parent_id, span_id: [0; 8], sampled: flags & SAMPLED != 0 })
    }

    /// Writes the `traceparent` header for the engine: this exchange's span is the parent there.
    pub fn format(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&self.trace_id, &mut text[3..35]);
        write_hex(&self.span_id, &mut text[36..52]);
        write_hex(&[if self.sampled { SAMPLED } else { 0 }], &mut text[53..]);
        text
    }

    /// An id as lower-case hex.
    pub fn hex(id: &[u8]) -> String {
        id.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
    }
}

/// Writes two digits a byte.
fn write_hex(bytes: &[u8], text: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Reads lower-case hex of exactly `N` bytes.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| DIGITS.iter().position(|known| *known == byte).and_then(|at| u8::try_from(at).ok());
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_good_header_is_read_and_goes_on_with_our_span() {
        let mut trace = TraceContext::parse(GOOD).unwrap();
        assert_eq!(TraceContext::hex(&trace.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(TraceContext::hex(&trace.parent_id), "b7ad6b7169203331");
        assert!(trace.sampled);
        trace.span_id = [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
        assert_eq!(trace.format(), *b"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
        trace.sampled = false;
        assert!(trace.format().ends_with(b"-00"));
    }

    #[test]
    fn unknown_flags_are_ignored_and_later_versions_are_read() {
        let table = [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fe", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-later", true),
        ];
        for (header, sampled) in table {
            assert_eq!(TraceContext::parse(header).map(|trace| trace.sampled), Some(sampled), "{header}");
        }
    }

    #[test]
    fn an_invalid_header_is_as_good_as_none() {
        let table = [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033é-01",
        ];
        for header in table {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) {
            proptest::prop_assume!(trace_id != [0; 16] && span_id != [0; 8]);
            let ours = TraceContext { trace_id, parent_id: [0; 8], span_id, sampled };
            let theirs = TraceContext { trace_id, parent_id: span_id, span_id: [0; 8], sampled };
            proptest::prop_assert_eq!(TraceContext::parse(std::str::from_utf8(&ours.format()).unwrap()), Some(theirs));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = TraceContext::parse(&text);
        }
    }
}
