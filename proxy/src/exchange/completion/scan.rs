//! The little that the live relay needs to know of each chunk of a stream.
//!
//! Promises: about one `memchr` pass and a look at the start of each line, no allocation,
//! no JSON; only until the first token are whole events kept and parsed. Memory is bounded.
//! It agrees with [`super::Assembler`] on what an end is: an event counts when its blank
//! line came, so a stream cut inside its end marker has not ended.

use memchr::memchr2;

use super::Assembler;
use super::sse::{BOM, Reader, split_field};
use crate::exchange::Api;

/// So much of a line decides what it is: `data: {"type":"response.incomplete"` fits.
const HEAD_BYTES: usize = 64;

/// An event before the first token that is larger than this is not looked into.
const FIRST_EVENTS_BYTES: usize = 256 << 10;

/// What an event line says, before the event is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    data: bool,
    end: bool,
    error: bool,
}

/// Follows a stream of server-sent events on its way downstream.
#[derive(Debug)]
pub struct Scanner {
    api: Api,
    /// Start of the current line, up to [`HEAD_BYTES`]; used where a line spans chunks.
    head: [u8; HEAD_BYTES],
    /// Length of the current line so far, all chunks together.
    line_bytes: usize,
    after_cr: bool,
    /// No line has ended yet: a byte order mark may lead it.
    first_line: bool,
    /// The event so far.
    mark: Mark,
    /// Whether a line of the current event, or a comment, came since the last blank line.
    inside: bool,
    events: u32,
    ended: bool,
    failed: bool,
    /// Looks for the first token; gone once it is found.
    first: Option<Box<(Reader, Assembler)>>,
}

impl Scanner {
    /// A scanner for a stream of that shape; `path` decides for engines' native streams.
    pub fn new(api: Api, path: &str) -> Self {
        let assembler = Assembler::new(api, path);
        Self {
            api,
            head: [0; HEAD_BYTES],
            line_bytes: 0,
            after_cr: false,
            first_line: true,
            mark: Mark::default(),
            inside: false,
            events: 0,
            ended: false,
            failed: false,
            first: assembler.map(|assembler| Box::new((Reader::new(FIRST_EVENTS_BYTES), assembler))),
        }
    }

    /// Takes the next chunk. True when it holds the first token: the first content,
    /// reasoning, refusal or tool call that is not empty.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        self.lines(chunk);
        let Some(first) = &mut self.first else { return false };
        let (reader, assembler) = &mut **first;
        // A chunk may hold thousands of events: those behind the first token are not parsed.
        reader.push(chunk, |event| {
            if !assembler.has_token() && !assembler.over() {
                assembler.event(event);
            }
        });
        let found = assembler.has_token();
        if found || assembler.over() {
            self.first = None;
        }
        found
    }

    /// Events seen, those without data not counted.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Whether the end that this shape owes was seen: `[DONE]`, `message_stop`,
    /// `response.completed`, `.failed` or `.incomplete`.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether this shape owes an end marker at all; native streams of engines do not.
    pub fn owes_end(&self) -> bool {
        self.api.owes_end()
    }

    /// Whether an error event was seen.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Whether everything so far is whole events: here a comment may be put in.
    pub fn at_boundary(&self) -> bool {
        !self.inside && self.line_bytes == 0 && !self.after_cr
    }

    fn lines(&mut self, chunk: &[u8]) {
        let mut rest = self.after_line_feed(chunk);
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (line, end) = rest.split_at(at);
            rest = &end[1..];
            if end[0] == b'\r' {
                self.after_cr = true;
                rest = self.after_line_feed(rest);
            }
            if self.line_bytes == 0 {
                self.end_line(line);
            } else {
                self.keep(line);
                let head = self.head;
                self.end_line(&head[..self.line_bytes.min(HEAD_BYTES)]);
                self.line_bytes = 0;
            }
        }
        self.keep(rest);
    }

    fn after_line_feed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.after_cr || bytes.is_empty() {
            return bytes;
        }
        self.after_cr = false;
        bytes.strip_prefix(b"\n").unwrap_or(bytes)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(room) = HEAD_BYTES.checked_sub(self.line_bytes) {
            let kept = room.min(bytes.len());
            self.head[self.line_bytes..][..kept].copy_from_slice(&bytes[..kept]);
        }
        self.line_bytes = self.line_bytes.saturating_add(bytes.len());
    }

    fn end_line(&mut self, line: &[u8]) {
        let first = std::mem::take(&mut self.first_line);
        let line = if first { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        if line.is_empty() {
            let mark = std::mem::take(&mut self.mark);
            self.inside = false;
            self.events = self.events.saturating_add(u32::from(mark.data));
            self.ended |= mark.data && mark.end;
            self.failed |= mark.error;
            return;
        }
        self.inside = true;
        // Cutting here keeps whole lines and lines across chunks alike.
        let (name, value) = split_field(&line[..line.len().min(HEAD_BYTES)]);
        match name {
            b"data" => {
                self.mark.data = true;
                let kind = json_type(value);
                self.mark.end |= value == b"[DONE]" && self.api.is_done_terminated() || self.is_end(kind);
                self.mark.error |= is_error(value, kind);
            }
            b"event" => {
                self.mark.end |= self.is_end(value);
                self.mark.error |= matches!(value, b"error" | b"response.failed");
            }
            // Older llama.cpp writes `error: {...}` where others write data.
            b"error" => self.mark.error = true,
            _ => {}
        }
    }

    fn is_end(&self, kind: &[u8]) -> bool {
        match self.api {
            Api::Messages => kind == b"message_stop",
            Api::Responses => {
                matches!(kind, b"response.completed" | b"response.failed" | b"response.incomplete")
            }
            _ => false,
        }
    }
}

impl Api {
    /// Whether streams of this shape, and opaque ones that know no better, end in `[DONE]`.
    fn is_done_terminated(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Opaque)
    }
}

/// The value of `type` where it leads the object; empty otherwise.
fn json_type(data: &[u8]) -> &[u8] {
    let Some(value) = leading_member(data, b"\"type\"") else { return b"" };
    let Some(text) = value.strip_prefix(b"\"") else { return b"" };
    memchr::memchr(b'"', text).map_or(b"", |end| &text[..end])
}

/// What follows the colon of the first member of an object, where its key (with quotes) is this.
fn leading_member<'a>(data: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let inner = data.strip_prefix(b"{")?.trim_ascii_start();
    let value = inner.strip_prefix(key)?.trim_ascii_start().strip_prefix(b":")?;
    Some(value.trim_ascii_start())
}

fn is_error(data: &[u8], kind: &[u8]) -> bool {
    let named = leading_member(data, b"\"error\"").is_some_and(|v| v.starts_with(b"{") || v.starts_with(b"\""));
    let object = leading_member(data, b"\"object\"").is_some_and(|v| v.starts_with(b"\"error\""));
    named || object || matches!(kind, b"error" | b"response.failed")
}
