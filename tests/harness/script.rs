//! What a scripted engine does with one request: a list of steps, mostly bytes to send.

use std::time::Duration;

use bytes::Bytes;

use crate::wire;

/// One thing that an engine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes bytes in one call.
    Send(Bytes),
    /// Does nothing for a while, or until the client leaves.
    Pause(Duration),
    /// Does nothing until the client leaves.
    Stall,
    /// Closes the connection in order (FIN).
    Close,
    /// Cuts the connection (RST).
    Reset,
    /// Waits until the next request begins to arrive, then closes without an answer: the
    /// race of an engine whose keep-alive time is up.
    CloseOnNextRequest,
}

/// An engine's answer, well behaved or not. After its last step the connection is kept for
/// the next request, unless a step ended it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Answer {
    /// Bytes as they are; invalid HTTP too.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::default().send(bytes)
    }

    /// A whole answer with `Content-Length`.
    pub fn with(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let length = body.len().to_string();
        let mut bytes = head(status, headers, &[("Content-Length", &length)]);
        bytes.extend_from_slice(body);
        Self::raw(bytes)
    }

    /// JSON with status 200.
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, body)
    }

    /// JSON with any status.
    pub fn status(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::with(status, &[("Content-Type", "application/json")], body.as_ref())
    }

    /// JSON, compressed as the client may have allowed.
    pub fn gzip(body: impl AsRef<[u8]>) -> Self {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
        Self::with(200, &headers, &wire::gzip(body.as_ref()))
    }

    /// JSON whose end is the end of the connection.
    pub fn until_close(body: impl AsRef<[u8]>) -> Self {
        let mut bytes = head(200, &[("Content-Type", "application/json"), ("Connection", "close")], &[]);
        bytes.extend_from_slice(body.as_ref());
        Self::raw(bytes).close()
    }

    /// A chunked body, each piece written by itself. `content_type` decides what it is.
    pub fn chunked(content_type: &str, pieces: &[&[u8]]) -> Self {
        let begun = Self::begin_chunked(content_type);
        pieces.iter().fold(begun, |answer, piece| answer.piece(piece)).end_chunks()
    }

    /// Server-sent events, given with their empty lines, each written by itself.
    pub fn events<E: AsRef<[u8]>>(events: &[E]) -> Self {
        Self::paced_events(events, Duration::ZERO)
    }

    /// Server-sent events with a pause before each.
    pub fn paced_events<E: AsRef<[u8]>>(events: &[E], pause: Duration) -> Self {
        let mut answer = Self::begin_stream();
        for event in events {
            answer = answer.pause(pause).piece(event.as_ref());
        }
        answer.end_chunks()
    }

    /// The head of a stream; [`Self::piece`] and others follow.
    pub fn begin_stream() -> Self {
        Self::begin_chunked("text/event-stream")
    }

    /// The head of a chunked answer.
    pub fn begin_chunked(content_type: &str) -> Self {
        Self::raw(head(200, &[("Content-Type", content_type)], &[("Transfer-Encoding", "chunked")]))
    }

    /// Accepts the request and never says anything.
    pub fn silence() -> Self {
        Self::default().stall()
    }

    /// Adds a chunk.
    pub fn piece(self, content: &[u8]) -> Self {
        self.send(wire::chunk(content))
    }

    /// Adds the closing chunk.
    pub fn end_chunks(self) -> Self {
        self.send(Bytes::from_static(b"0\r\n\r\n"))
    }

    /// Adds bytes as they are.
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Adds a pause; none where it is zero.
    pub fn pause(self, pause: Duration) -> Self {
        if pause.is_zero() { self } else { self.then(Step::Pause(pause)) }
    }

    /// Says nothing more and keeps the connection open.
    pub fn stall(self) -> Self {
        self.then(Step::Stall)
    }

    /// Closes the connection in order.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Cuts the connection.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Closes the connection when the next request arrives.
    pub fn close_on_next_request(self) -> Self {
        self.then(Step::CloseOnNextRequest)
    }

    /// The same answer, begun only after a pause.
    pub fn after(mut self, pause: Duration) -> Self {
        self.steps.insert(0, Step::Pause(pause));
        self
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)], framing: &[(&str, &str)]) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Unknown"));
    for (name, value) in headers.iter().chain(framing) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
