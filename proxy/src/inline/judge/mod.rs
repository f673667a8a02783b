//! Critics on the request path: who judges an answer, when, and what is said of it.
//!
//! Promises: an answer with an enforced critic waits for its verdicts and for nothing else;
//! every critic of a panel gives one verdict, *skipped* where it did not speak; what is held
//! is bounded; models and questions run elsewhere, few at a time.
//! Must not know: engines, the cache, what the client is told beyond the answer's bytes.

pub mod ask;
mod body;
mod config;
mod held;
mod lanes;
mod matter;
mod metrics;
mod panel;
mod pool;
mod trial;
mod watch;
mod window;

use bytes::Bytes;

pub use ask::{Ask, Asked};
pub use body::Body;
pub use config::{Act, Config, Critics, Escalate, Limits, Member, Retry, RoutePolicy, Stream, Watch};
pub use matter::{Bench, Matter, Urgency};
pub use metrics::Metrics;
pub use panel::Panel;
pub use pool::Pool;
pub use trial::{Heard, Trial};

use crate::exchange::Error;
use crate::exchange::judged::{Ruling, Word};

/// A body that an engine sends.
pub trait Upstream: http_body::Body<Data = Bytes, Error = Error> + Unpin + Send {}

impl<B: http_body::Body<Data = Bytes, Error = Error> + Unpin + Send> Upstream for B {}

/// What the critics of all routes share.
#[derive(Debug)]
pub struct Judges {
    /// Threads for models.
    pub models: Pool,
    /// Threads for critics that wait.
    pub slow: Pool,
    /// What is counted.
    pub metrics: Metrics,
}

impl Judges {
    /// Starts the threads. Errors are the system's.
    pub fn start(config: &Config, metrics: Metrics) -> std::io::Result<Self> {
        let models = Pool::start("critic", config.threads, config.queue)?;
        let slow = Pool::start("critic-slow", config.slow_threads, config.queue)?;
        Ok(Self { models, slow, metrics })
    }
}

/// What a stream says of its verdict, as a comment.
fn verdict_comment(word: Word, ruling: &Ruling) -> String {
    let list = |key: &str, names: &[std::sync::Arc<str>]| match names.is_empty() {
        true => String::new(),
        false => format!("; {key}={}", names.join(",")),
    };
    let word = if word == Word::None { "none" } else { word.as_str() };
    format!(": x-weir-verdict: {word}{}{}\n\n", list("failed", &ruling.failed), list("skipped", &ruling.skipped))
}

/// A stream with a comment before its last event, the one that ends it, and where that begins;
/// none where no event ends it.
fn before_last_event(stream: &[u8], comment: &str) -> Option<(Bytes, usize)> {
    let end = stream.trim_ascii_end().len();
    if end == 0 {
        return None;
    }
    let at = last_boundary(&stream[..end]);
    Some(([&stream[..at], comment.as_bytes(), &stream[at..]].concat().into(), at))
}

/// Where the last whole event ends; 0 where none does.
fn last_boundary(stream: &[u8]) -> usize {
    let ends: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\r\r"];
    let last = |end: &&[u8]| Some(memchr::memmem::rfind(stream, end)? + end.len());
    ends.iter().filter_map(last).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_stands_before_the_event_that_ends_the_stream() {
        let of = |stream: &str| before_last_event(stream.as_bytes(), ": c\n\n").unwrap().0;
        assert_eq!(of("data: 1\n\ndata: [DONE]\n\n"), "data: 1\n\n: c\n\ndata: [DONE]\n\n");
        assert_eq!(of("data: 1\r\n\r\ndata: 2\r\n\r\n"), "data: 1\r\n\r\n: c\n\ndata: 2\r\n\r\n");
        assert_eq!(of("data: [DONE]\n\n"), ": c\n\ndata: [DONE]\n\n");
    }
}
