//! One keep-alive connection of the load: sends a request, reads the answer whole, notes
//! when its first content and each of its events came.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::engine::{find, number_after};

/// Nothing measured here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, opened again after a fault.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    heed: Heed,
}

/// What one exchange was like.
#[derive(Default)]
pub struct Seen {
    /// When the first content came.
    pub first: Option<Instant>,
    /// When the answer was whole.
    pub last: Option<Instant>,
    /// Pauses between events in nanoseconds; events that came in one read have none between.
    pub gaps: Vec<u64>,
    /// Events.
    pub events: u64,
    /// Where the answer came from.
    pub served: Served,
}

/// What a connection looks at in an answer's head beyond what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heed {
    /// Nothing.
    Answer,
    /// What a cache says of it.
    Cache,
}

/// Where an answer came from, as the proxy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Served {
    /// It says nothing.
    #[default]
    Unsaid,
    /// From the cache.
    Hit,
    /// From a call to the engine that another request made.
    Collapsed,
    /// From the engine, since the cache did not have it.
    Miss,
    /// From the engine, since the cache does not take such requests.
    Bypass,
}

impl Served {
    /// Kinds.
    pub const COUNT: usize = 5;

    /// Reads a head in small letters: `Cache-Status` (RFC 9211) or nginx's `X-Cache`.
    fn of(head: &[u8]) -> Self {
        let says = |words: &[u8]| find(head, words).is_some();
        if let Some(at) = find(head, b"\ncache-status:") {
            let line = head[at + 1..].split(|&byte| byte == b'\r').next().unwrap_or_default();
            let says = |wanted: &str| {
                line.split(|&byte| byte == b';').skip(1).any(|word| word.trim_ascii() == wanted.as_bytes())
            };
            return match () {
                () if says("hit") || says("hit=?1") => Self::Hit,
                () if says("collapsed") || says("collapsed=?1") => Self::Collapsed,
                () if says("fwd=bypass") || says("fwd=method") => Self::Bypass,
                () => Self::Miss,
            };
        }
        match () {
            () if says(b"\nx-cache: hit") => Self::Hit,
            () if says(b"\nx-cache: bypass") => Self::Bypass,
            () if says(b"\nx-cache: ") => Self::Miss,
            () => Self::Unsaid,
        }
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr, heed: Heed) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { address, stream, buffer: vec![0; 64 << 10], heed })
    }

    /// Connects anew.
    pub fn reopen(&mut self) -> Result<()> {
        self.stream = Self::open(self.address, self.heed)?.stream;
        Ok(())
    }

    /// One exchange. Anything but a whole 200 is an error.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Seen> {
        self.stream.write_all(request)?;
        let (head, filled) = self.head()?;
        if !self.buffer.starts_with(b"HTTP/1.1 200") {
            let line = String::from_utf8_lossy(&self.buffer[..head.min(60)]).into_owned();
            return Err(Error::new(ErrorKind::InvalidData, line));
        }
        let text = self.buffer[..head].to_ascii_lowercase();
        let served = if self.heed == Heed::Cache { Served::of(&text) } else { Served::Unsaid };
        let seen = match find(&text, b"transfer-encoding: chunked") {
            Some(_) => self.chunked(head, filled),
            None => self.counted(head..filled, number_after(&text, b"content-length: ")),
        };
        seen.map(|seen| Seen { served, ..seen })
    }

    /// Reads until the head is whole; says where it ends and how much was read.
    fn head(&mut self) -> Result<(usize, usize)> {
        let mut filled = 0;
        loop {
            filled += self.read(filled)?;
            if let Some(at) = find(&self.buffer[..filled], b"\r\n\r\n") {
                return Ok((at + 4, filled));
            }
            if filled == self.buffer.len() {
                return Err(Error::new(ErrorKind::InvalidData, "the response head is too large"));
            }
        }
    }

    fn counted(&mut self, mut range: std::ops::Range<usize>, length: usize) -> Result<Seen> {
        let (mut seen, mut have, mut before) = (Seen::default(), 0, 0);
        loop {
            for byte in &self.buffer[range.clone()] {
                // A stream that is given again comes in one piece: its events are told by their empty lines.
                seen.events += u64::from((before, *byte) == (b'\n', b'\n'));
                before = *byte;
            }
            have += range.len();
            if have > 0 {
                seen.first.get_or_insert_with(Instant::now);
            }
            if have >= length {
                seen.last = Some(Instant::now());
                return Ok(seen);
            }
            range = 0..self.read(0)?;
        }
    }

    fn chunked(&mut self, head: usize, filled: usize) -> Result<Seen> {
        let (mut seen, mut chunks) = (Seen::default(), Chunks::default());
        let mut before = None;
        let mut range = head..filled;
        loop {
            let events = chunks.push(&self.buffer[range.clone()])?;
            if events > 0 {
                let now = Instant::now();
                if let Some(before) = before.replace(now) {
                    seen.gaps.push(u64::try_from((now - before).as_nanos()).unwrap_or(u64::MAX));
                }
                seen.gaps.resize(seen.gaps.len() + events as usize - 1, 0);
                seen.first.get_or_insert(now);
                seen.events += events;
            }
            if chunks.state == State::Ended {
                seen.last = Some(Instant::now());
                return Ok(seen);
            }
            range = 0..self.read(0)?;
        }
    }

    fn read(&mut self, at: usize) -> Result<usize> {
        match self.stream.read(&mut self.buffer[at..])? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the answer broke off")),
            length => Ok(length),
        }
    }
}

/// Follows chunks (RFC 9112, 7.1) and counts the events in them.
#[derive(Default)]
struct Chunks {
    state: State,
    /// Content of the present chunk that is still to come, or its length as far as it was read.
    left: usize,
    /// The last byte of content was a line feed.
    after_line_feed: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Length,
    Content,
    AfterContent,
    /// After the chunk of length 0.
    Trailer,
    Ended,
}

impl Chunks {
    /// Takes bytes; says how many events ended in them.
    fn push(&mut self, mut bytes: &[u8]) -> Result<u64> {
        let mut events = 0;
        while let Some(&byte) = bytes.first() {
            if self.state == State::Content {
                let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
                events += self.count(content);
                self.left -= content.len();
                bytes = rest;
                if self.left == 0 {
                    self.state = State::AfterContent;
                }
                continue;
            }
            bytes = &bytes[1..];
            self.state = match (self.state, byte) {
                (state, b'\r') => state,
                (State::Length, b'\n') if self.left == 0 => State::Trailer,
                (State::Length, b'\n') => State::Content,
                (State::Length, digit) => {
                    let value = (digit as char).to_digit(16);
                    let value = value.ok_or_else(|| Error::new(ErrorKind::InvalidData, "bad chunk length"))?;
                    self.left = self.left * 16 + value as usize;
                    State::Length
                }
                (State::AfterContent, _) => State::Length,
                (State::Trailer, b'\n') => State::Ended,
                (state, _) => state,
            };
        }
        Ok(events)
    }

    fn count(&mut self, content: &[u8]) -> u64 {
        let mut events = 0;
        for &byte in content {
            if byte == b'\n' && self.after_line_feed {
                events += 1;
            }
            self.after_line_feed = byte == b'\n' && !self.after_line_feed;
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_where_its_answer_came_from() {
        let cases = [
            ("cache-status: weir; hit", Served::Hit),
            ("cache-status: weir;hit; ttl=30", Served::Hit),
            ("cache-status: weir; fwd=uri-miss; stored", Served::Miss),
            ("cache-status: weir; fwd=uri-miss; collapsed", Served::Collapsed),
            ("cache-status: weir; fwd=uri-miss; collapsed=?0", Served::Miss),
            ("cache-status: weir; fwd=request", Served::Miss),
            ("cache-status: weir; fwd=bypass; detail=hit", Served::Bypass),
            ("x-cache: hit", Served::Hit),
            ("x-cache: expired", Served::Miss),
            ("x-cache: bypass", Served::Bypass),
            ("x-other: weir; hit", Served::Unsaid),
        ];
        for (line, served) in cases {
            let head = format!("http/1.1 200 ok\r\n{line}\r\ncontent-length: 2\r\n\r\n");
            assert_eq!(Served::of(head.as_bytes()), served, "{line}");
        }
    }

    #[test]
    fn events_are_counted_wherever_the_bytes_are_cut() {
        let stream = b"9\r\ndata: 1\n\n\r\n14\r\ndata: 2\n\ndata: 33\n\n\r\n0\r\n\r\n";
        for cut in 1..stream.len() {
            let mut chunks = Chunks::default();
            let events = chunks.push(&stream[..cut]).unwrap() + chunks.push(&stream[cut..]).unwrap();
            assert!(events == 3 && chunks.state == State::Ended, "cut at {cut}: {events}");
        }
    }
}
