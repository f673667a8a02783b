//! HTTP/1.1 messages as bytes: read without changing them, so that a comparison byte for
//! byte is honest. Follows RFC 9112; forgives nothing that the tests do not need.

/// Start line and headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The whole head as it came, with the empty line.
    pub raw: Vec<u8>,
    /// The first line.
    pub start: String,
    /// Names as written, and values, in order.
    pub headers: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(usize),
    /// After the chunk of length 0.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

impl Head {
    /// The head at the beginning of `bytes`; none while its empty line has not come.
    ///
    /// # Panics
    /// Where it is not text, or a header has no colon.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&bytes[..end - 4]).expect("a head of these tests is text");
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("header without a colon: {line}"));
            (name.to_owned(), value.trim().to_owned())
        });
        Some(Self { raw: bytes[..end].to_vec(), start, headers: headers.collect() })
    }

    /// The first value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The status of a response; 0 where this is none.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// How the body of a request ends.
    pub fn request_framing(&self) -> Framing {
        self.announced().unwrap_or(Framing::Length(0))
    }

    /// How the body of a response ends.
    pub fn response_framing(&self) -> Framing {
        match self.status() {
            100..200 | 204 | 304 => Framing::Length(0),
            _ => self.announced().unwrap_or(Framing::UntilClose),
        }
    }

    fn announced(&self) -> Option<Framing> {
        if self.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().ends_with("chunked")) {
            return Some(Framing::Chunked);
        }
        self.header("content-length").and_then(|value| value.parse().ok()).map(Framing::Length)
    }
}

impl Framing {
    /// How many of the bytes that follow a head are its body; none while it is not whole.
    pub fn whole(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Length(length) => (bytes.len() >= length).then_some(length),
            Self::Chunked => match chunks(bytes) {
                (_, Some(end)) => Some(end),
                _ => None,
            },
            Self::UntilClose => None,
        }
    }

    /// The content within the bytes that follow a head, whole or not.
    pub fn content(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Length(length) => bytes[..length.min(bytes.len())].to_vec(),
            Self::Chunked => chunks(bytes).0.concat(),
            Self::UntilClose => bytes.to_vec(),
        }
    }
}

/// The contents of the chunks so far, the last perhaps in part, and where the body ends,
/// trailers included, once it does.
///
/// # Panics
/// Where a chunk's length is no hexadecimal number.
pub fn chunks(bytes: &[u8]) -> (Vec<&[u8]>, Option<usize>) {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = line_at(bytes, at) else { return (found, None) };
        let digits = std::str::from_utf8(line).unwrap_or("?").split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("'{digits}' is no chunk length"));
        at += line.len() + 2;
        if length == 0 {
            return (found, end_of_trailers(bytes, at));
        }
        let end = (at + length).min(bytes.len());
        if at < end {
            found.push(&bytes[at..end]);
        }
        at += length + 2;
        if at > bytes.len() {
            return (found, None);
        }
    }
}

/// Content as one chunk.
pub fn chunk(content: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", content.len()).into_bytes();
    framed.extend_from_slice(content);
    framed.extend_from_slice(b"\r\n");
    framed
}

fn end_of_trailers(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some(at);
        }
    }
}

fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    Some(&rest[..end])
}

/// Content in the gzip format (RFC 1952), stored rather than compressed.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = content.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).expect("a block has at most 65535 bytes");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_only_when_it_is_whole_and_keeps_order_and_case() {
        let raw = b"HTTP/1.1 200 OK\r\nX-B: 1\r\nx-A:  two \r\n\r\nbody";
        assert_eq!(Head::read(&raw[..20]), None);
        let head = Head::read(raw).unwrap();
        assert_eq!((head.status(), head.raw.len()), (200, raw.len() - 4));
        assert_eq!(head.headers, [("X-B".to_owned(), "1".to_owned()), ("x-A".to_owned(), "two".to_owned())]);
        assert_eq!(head.header("X-a"), Some("two"));
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let chunked: &[u8] = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\nHTTP";
        type Row<'a> = (Framing, &'a [u8], Option<usize>, &'a [u8]);
        let table: [Row<'_>; 7] = [
            (Framing::Length(3), b"abcd", Some(3), b"abc"),
            (Framing::Length(3), b"ab", None, b"ab"),
            (Framing::Chunked, chunked, Some(chunked.len() - 4), b"abcde"),
            (Framing::Chunked, &chunked[..7], None, b"abc"),
            (Framing::Chunked, &chunked[..5], None, b"ab"),
            (Framing::Chunked, &chunked[..23], None, b"abcde"),
            (Framing::UntilClose, b"abc", None, b"abc"),
        ];
        for (framing, bytes, whole, content) in table {
            assert_eq!((framing.whole(bytes), &framing.content(bytes)[..]), (whole, content), "{framing:?} {bytes:?}");
        }
        assert_eq!(chunk(b"abc"), b"3\r\nabc\r\n");
    }

    #[test]
    fn gzip_is_what_the_gzip_program_reads() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        for content in [Vec::new(), b"a weir".to_vec(), vec![b'x'; 200_000]] {
            let gunzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let mut gunzip = gunzip.expect("gzip is on every system");
            let mut input = gunzip.stdin.take().unwrap();
            let packed = gzip(&content);
            let writer = std::thread::spawn(move || input.write_all(&packed));
            let output = gunzip.wait_with_output().unwrap();
            writer.join().unwrap().unwrap();
            assert!(output.status.success() && output.stdout == content, "{} bytes", content.len());
        }
    }
}
