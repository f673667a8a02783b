//! One answer that is kept, and which of its headers are given again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::key::Key;
use crate::exchange::cached::{About, Evicted, Hit};
use crate::exchange::{Api, Name};

/// A good answer, as it is handed to the store.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request that it answers.
    pub key: Key,
    /// Headers to give again, see [`kept_headers`].
    pub headers: HeaderMap,
    /// Body as the engine sent it. The store makes it as small as its bytes.
    pub body: Bytes,
    /// Whether the body is a stream of server-sent events.
    pub stream: bool,
    /// Whether its request asked for `stream_options.include_usage`.
    pub include_usage: bool,
    /// What is known of it.
    pub about: Arc<About>,
    /// Whose it is; as in the key, to flush and to show.
    pub tenant: Name,
    /// The route that took its request; as in the key, to flush and to show.
    pub route: Name,
    /// Its shape.
    pub api: Api,
    /// When its last byte came: its age counts from here.
    pub made: Instant,
    /// The same moment on the wall clock, to show to people.
    pub made_at: SystemTime,
    /// How long it is good.
    pub ttl: Duration,
}

/// An answer in the store.
#[derive(Debug)]
pub struct Entry {
    /// What was handed over.
    pub answer: Answer,
    /// Times it was given.
    hits: AtomicU64,
    /// The same answer as a stream where it is none, and the other way round; none inside
    /// where it has no such form.
    other: OnceLock<Option<Bytes>>,
    /// Why it is being taken out, said just before by whoever does it.
    cause: OnceLock<Evicted>,
}

/// What an entry costs besides its bytes: its own fields, the store's node, timer and
/// frequency counters, the index, and what the allocator loses.
const OVERHEAD: usize = 1024;

/// What a header costs besides its bytes.
const HEADER_OVERHEAD: usize = 80;

impl Entry {
    /// Readies an answer for the store.
    pub(super) fn new(mut answer: Answer) -> Self {
        // The body may be a piece of a larger buffer that it would hold.
        answer.body = Bytes::from(answer.body.to_vec().into_boxed_slice());
        Self { answer, hits: AtomicU64::new(0), other: OnceLock::new(), cause: OnceLock::new() }
    }

    /// Bytes that count against the ceilings.
    pub fn weight(&self) -> u32 {
        let Answer { key, headers, body, about, .. } = &self.answer;
        let headers: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum();
        let about =
            about.prompt.len() + about.model.len() + about.finish_reasons.iter().map(String::len).sum::<usize>();
        let total = OVERHEAD + key.full().len() + headers + body.len() + self.other_room() + about;
        u32::try_from(total).unwrap_or(u32::MAX)
    }

    /// Room that is paid for from the start, so that the other form cannot break the ceiling:
    /// a plain answer's text goes into few events, and a stream's text is a small part of it.
    fn other_room(&self) -> usize {
        match (self.answer.api, self.answer.stream) {
            (Api::Embeddings, _) => 0,
            (_, true) => self.answer.body.len() / 4 + 512,
            (_, false) => self.answer.body.len() + 2048,
        }
    }

    /// The answer in its other form. Rendered once and kept, unless it is larger than the
    /// room that was paid for: then it is rendered each time.
    pub fn other(&self, render: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
        if let Some(known) = self.other.get() {
            return known.clone();
        }
        let rendered = render().map(|body| Bytes::from(body.to_vec().into_boxed_slice()));
        if rendered.as_ref().map_or(0, Bytes::len) <= self.other_room() {
            // Another thread may have been first; both rendered the same.
            let _ = self.other.set(rendered.clone());
        }
        rendered
    }

    /// Time since it was made.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.answer.made)
    }

    /// Time that it is still good; none once that is over.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.answer.ttl.checked_sub(self.age(now)).filter(|left| !left.is_zero())
    }

    /// Counts that it is given, and tells of it for the record.
    pub fn hit(&self, now: Instant) -> Hit {
        self.hits.fetch_add(1, Ordering::Relaxed);
        Hit { about: self.answer.about.clone(), age: self.age(now) }
    }

    /// Times it was given.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Says why it is about to be taken out; the first word holds.
    pub(super) fn condemn(&self, cause: Evicted) {
        let _ = self.cause.set(cause);
    }

    /// Why it was taken out by hand.
    pub(super) fn cause(&self) -> Option<Evicted> {
        self.cause.get().copied()
    }
}

/// Headers that belong to one connection, one moment or one exchange, and not to the answer.
static NOT_KEPT: [HeaderName; 19] = [
    // One connection (RFC 9110, 7.6.1; RFC 9112).
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    // Said anew with each answer.
    header::CONTENT_LENGTH,
    header::DATE,
    header::AGE,
    header::SERVER,
    HeaderName::from_static("cache-status"),
    // One exchange and its client.
    header::SET_COOKIE,
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// The headers of an engine's answer that are given again with it: all but those of one
/// connection, one moment or one exchange.
pub fn kept_headers(response: &HeaderMap) -> HeaderMap {
    let named: Vec<&str> = response
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let is_kept = |name: &HeaderName| {
        !NOT_KEPT.contains(name)
            && !name.as_str().starts_with("x-weir-")
            && !named.iter().any(|other| name.as_str().eq_ignore_ascii_case(other))
    };
    // Built anew: a clone would hold the connection's buffer that the values are pieces of.
    let mut kept = HeaderMap::new();
    for (name, value) in response.iter().filter(|(name, _)| is_kept(name)) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            kept.append(name, value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_exchange_is_not_given_again() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("access-control-allow-origin", "*"),
            ("x-model", "a"),
            ("x-model", "b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("date", "Sun, 22 Nov 2026 16:00:00 GMT"),
            ("server", "uvicorn"),
            ("set-cookie", "a=b"),
            ("x-request-id", "r"),
            ("x-weir-exchange", "e"),
            ("traceparent", "00"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let kept = kept_headers(&headers);
        let mut names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["access-control-allow-origin", "content-type", "x-model"]);
        assert_eq!(kept.get_all("x-model").iter().count(), 2);
    }
}
