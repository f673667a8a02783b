//! Incremental reader of server-sent events (WHATWG HTML, section 9.2.6).
//!
//! Chunks may end anywhere: inside a line, a CRLF or a UTF-8 sequence. Fields are handed
//! out as bytes: JSON inside is validated by whoever parses it, and nothing is copied twice.
//! Memory is bounded: an event over the limit is dropped whole and counted, and so is
//! nothing else. An event that the stream's end cuts is never handed out, as the
//! specification wants. `retry` is ignored: nobody here reconnects.

use memchr::memchr2;

pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// One event. Borrowed from the reader for the length of the callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Value of the last `event` field; empty where none.
    pub name: &'a [u8],
    /// Values of the `data` fields, joined by LF.
    pub data: &'a [u8],
    /// Last `id` seen on the stream; empty where none.
    pub id: &'a [u8],
}

/// Reads a stream of events chunk by chunk.
#[derive(Debug)]
pub struct Reader {
    /// The longest line, and the most data of one event, that is kept.
    limit: usize,
    /// Start of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Data of the event so far, each line followed by LF.
    data: Vec<u8>,
    /// Name of the event so far.
    name: Vec<u8>,
    /// Last id; outlives events.
    id: Vec<u8>,
    /// The last byte was CR: an LF now belongs to it.
    after_cr: bool,
    /// No line has ended yet: a byte order mark may lead it.
    first_line: bool,
    /// The current line is over the limit: what comes until its end is thrown away.
    skips_line: bool,
    /// The current event is over the limit.
    overlong: bool,
    /// Events dropped for their size.
    dropped: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(Self::LIMIT_BYTES)
    }
}

impl Reader {
    /// Default limit of one line and of one event's data: larger than any tool call or image
    /// description seen, small enough to hold once per open stream.
    pub const LIMIT_BYTES: usize = 4 << 20;

    /// A reader that drops events whose line or data is longer than so many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit: limit_bytes,
            partial: Vec::new(),
            data: Vec::new(),
            name: Vec::new(),
            id: Vec::new(),
            after_cr: false,
            first_line: true,
            skips_line: false,
            overlong: false,
            dropped: 0,
        }
    }

    /// Takes the next bytes of the stream and hands out every event that they complete.
    pub fn push(&mut self, chunk: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut rest = self.after_line_feed(chunk);
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (line, end) = rest.split_at(at);
            rest = &end[1..];
            if end[0] == b'\r' {
                self.after_cr = true;
                rest = self.after_line_feed(rest);
            }
            if self.partial.is_empty() && !self.skips_line {
                self.end_line(line, &mut on_event);
            } else {
                self.extend(line);
                let mut whole = std::mem::take(&mut self.partial);
                self.end_line(&whole, &mut on_event);
                whole.clear();
                self.partial = whole;
            }
        }
        self.extend(rest);
    }

    /// How many events were dropped for their size.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the LF off that belongs to a CR before it.
    fn after_line_feed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.after_cr || bytes.is_empty() {
            return bytes;
        }
        self.after_cr = false;
        bytes.strip_prefix(b"\n").unwrap_or(bytes)
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.skips_line || bytes.is_empty() {
            return;
        }
        if bytes.len() > self.limit.saturating_sub(self.partial.len()) {
            self.skips_line = true;
            let starts_comment = self.partial.first().or(bytes.first()) == Some(&b':');
            self.overlong |= !starts_comment;
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let first = std::mem::take(&mut self.first_line);
        if std::mem::take(&mut self.skips_line) {
            return;
        }
        if line.len() > self.limit {
            self.overlong |= line[0] != b':';
            return;
        }
        let line = if first { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        if line.is_empty() {
            self.dispatch(on_event);
        } else {
            self.field(line);
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = split_field(line);
        match name {
            b"data" if value.len() >= self.limit.saturating_sub(self.data.len()) => self.overlong = true,
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => value.clone_into(&mut self.name),
            b"id" if !value.contains(&0) => value.clone_into(&mut self.id),
            _ => {}
        }
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        if std::mem::take(&mut self.overlong) {
            self.dropped += 1;
        } else if let Some((_, data)) = self.data.split_last() {
            on_event(Event { name: &self.name, data, id: &self.id });
        }
        self.data.clear();
        self.name.clear();
    }
}

/// Name and value of a line; a comment has an empty name.
pub(super) fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        Some(at) => {
            let value = &line[at + 1..];
            (&line[..at], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (String, String, String);

    fn events(reader: &mut Reader, chunks: &[&[u8]]) -> Vec<Owned> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut seen = Vec::new();
        for chunk in chunks {
            reader.push(chunk, |e| seen.push((text(e.name), text(e.data), text(e.id))));
        }
        seen
    }

    #[test]
    fn a_stream_is_read_as_the_specification_says() {
        let e = |name: &str, data: &str, id: &str| (name.to_owned(), data.to_owned(), id.to_owned());
        let table: [(&str, Vec<Owned>); 14] = [
            ("data: a\n\n", vec![e("", "a", "")]),
            ("\u{feff}data: a\n\n", vec![e("", "a", "")]),
            ("data:a\r\rdata:b\r\n\r\n", vec![e("", "a", ""), e("", "b", "")]),
            ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![e("", "YHOO\n+2\n10", "")]),
            (": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n", {
                vec![e("", "first", "1"), e("", "second", ""), e("", " third", "")]
            }),
            ("data\n\ndata\ndata\n\ndata:", vec![e("", "", ""), e("", "\n", "")]),
            ("data:test\n\ndata: test\n\n", vec![e("", "test", ""), e("", "test", "")]),
            ("event: x\ndata: 1\n\ndata: 2\n\n", vec![e("x", "1", ""), e("", "2", "")]),
            ("event: x\n\ndata: 2\n\n", vec![e("", "2", "")]),
            ("id: 7\n\ndata: a\n\nid: 8\0\ndata: b\n\n", vec![e("", "a", "7"), e("", "b", "7")]),
            ("retry: 10\nunknown: 1\nDATA: no\n\n", vec![]),
            ("data: a\n", vec![]),
            ("data: a\n\n\n\n\r\n", vec![e("", "a", "")]),
            ("data: é\u{1F980}\n\n", vec![e("", "é\u{1F980}", "")]),
        ];
        for (stream, expected) in table {
            assert_eq!(events(&mut Reader::default(), &[stream.as_bytes()]), expected, "{stream:?}");
        }
    }

    #[test]
    fn an_event_over_the_limit_is_dropped_and_counted_and_the_next_one_is_read() {
        for long in
            ["data: 0123456789abcdef\n\n", "data: 012345678\ndata: 0123456\n\n", "x0123456789abcdef\ndata: a\n\n"]
        {
            let stream = format!("{long}: comment longer than the limit\ndata: ok\n\n");
            for size in 1..stream.len() {
                let mut reader = Reader::new(16);
                let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                let seen = events(&mut reader, &chunks);
                assert_eq!(seen.len(), 1, "{stream:?} by {size}");
                assert_eq!((seen[0].1.as_str(), reader.dropped()), ("ok", 1));
            }
        }
    }

    #[test]
    fn memory_stays_bounded_on_a_line_that_never_ends() {
        let mut reader = Reader::new(1024);
        for _ in 0..10_000 {
            reader.push(&[b'x'; 100], |_| unreachable!());
        }
        assert!(reader.partial.capacity() <= 4096);
    }

    proptest! {
        #[test]
        fn where_chunks_end_makes_no_difference(
            stream in "(\u{feff})?(data|event|id|:|é|x| |:|\r|\n|\r\n|\n\n){0,60}",
            cuts in proptest::collection::vec(0usize..400, 0..12),
            limit in 4usize..40,
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let (mut whole, mut pieces) = (Reader::new(limit), Reader::new(limit));
            prop_assert_eq!(events(&mut whole, &[bytes]), events(&mut pieces, &chunks));
            prop_assert_eq!(whole.dropped(), pieces.dropped());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(chunks in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut reader = Reader::new(32);
            for chunk in &chunks {
                reader.push(chunk, |event| assert!(event.data.len() <= 32));
            }
        }
    }
}
