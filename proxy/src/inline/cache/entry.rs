//! One answer that is kept, in the form that it came in and in those that were asked for since.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::key::Key;
use crate::exchange::cached::{About, Evicted, Hit};
use crate::exchange::completion::render::{Form, render};
use crate::exchange::{Api, ExchangeId, Name};

/// A good answer, as it is handed to the store.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request that it answers.
    pub key: Key,
    /// `Content-Type` it came with.
    pub content_type: HeaderValue,
    /// Other headers to give again, see [`kept_headers`].
    pub headers: HeaderMap,
    /// Body as the engine sent it, in memory of its own: a piece of a larger buffer would hold it all.
    pub body: Bytes,
    /// The form that its request asked for.
    pub form: Form,
    /// Server-sent events in the body; 0 where it is no stream.
    pub events: u32,
    /// What is known of it.
    pub about: Arc<About>,
    /// The exchanges that shared it, by any of which it can be taken out.
    pub exchanges: Vec<ExchangeId>,
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
    /// The same answer in other forms, by [`place`]; none inside where it has no such form.
    rendered: [OnceLock<Option<Rendered>>; 3],
    /// Bytes of them that are held.
    rendered_bytes: AtomicUsize,
    /// Why it is being taken out, said just before by whoever does it.
    cause: OnceLock<Evicted>,
}

/// What an entry costs besides its bytes: its own fields, the store's node, timer and
/// frequency counters, the index, and what the allocator loses.
const OVERHEAD: usize = 1024;

/// What each exchange by which it can be found costs in the index.
const EXCHANGE: usize = 64;

/// The headers of an engine's answer that belong to it and not to one exchange: those by which
/// a browser lets a page read it. The `Origin` that they depend on is in the key.
pub(super) fn kept_headers(response: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in response.iter().filter(|(name, _)| name.as_str().starts_with("access-control-")) {
        // Copied: a clone would hold the connection's buffer that the value is a piece of.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            kept.append(name, value);
        }
    }
    kept
}

/// An answer in a form that it did not come in.
#[derive(Clone, Debug)]
struct Rendered {
    body: Bytes,
    events: u32,
}

impl Entry {
    /// Readies an answer for the store.
    pub(super) fn new(answer: Answer) -> Self {
        let (hits, rendered, rendered_bytes, cause) = Default::default();
        Self { answer, hits, rendered, rendered_bytes, cause }
    }

    /// Bytes that count against the ceilings.
    pub fn weight(&self) -> u32 {
        let Answer { key, body, about, exchanges, .. } = &self.answer;
        let about =
            about.prompt.len() + about.model.len() + about.finish_reasons.iter().map(String::len).sum::<usize>();
        let total = OVERHEAD + exchanges.len() * EXCHANGE + key.full().len() + body.len() + self.room() + about;
        u32::try_from(total).unwrap_or(u32::MAX)
    }

    /// Room that is paid for from the start, so that other forms cannot break the ceiling: a
    /// plain answer's text goes into few events, and a stream's text is a small part of it.
    fn room(&self) -> usize {
        match (self.answer.api, self.answer.form) {
            (Api::Embeddings, _) => 0,
            (_, Form::Stream { .. }) => self.answer.body.len() / 4 + 512,
            (_, Form::Plain) => self.answer.body.len() + 2048,
        }
    }

    /// The answer in a form, with its events; none where it cannot be had without inventing
    /// something. Rendered once and kept, as far as the room goes that was paid for.
    pub fn in_form(&self, form: Form) -> Option<(Bytes, u32)> {
        let answer = &self.answer;
        if form == answer.form {
            return Some((answer.body.clone(), answer.events));
        }
        let place = &self.rendered[place(form)];
        let rendered = match place.get() {
            Some(known) => known.clone(),
            None => {
                let rendered = render(answer.api, &answer.body, answer.form, form).map(|body| {
                    let events =
                        if form == Form::Plain { 0 } else { memchr::memmem::find_iter(&body, b"\n\n").count() };
                    Rendered { body: Bytes::from(body.to_vec().into_boxed_slice()), events: events as u32 }
                });
                let bytes = rendered.as_ref().map_or(0, |rendered| rendered.body.len());
                if self.rendered_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.room() {
                    // Another thread may have been first; both rendered the same.
                    let _ = place.set(rendered.clone());
                } else {
                    self.rendered_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
                rendered
            }
        };
        rendered.map(|rendered| (rendered.body, rendered.events))
    }

    /// `Content-Type` of a form.
    pub fn content_type(&self, form: Form) -> HeaderValue {
        match form {
            _ if form == self.answer.form => self.answer.content_type.clone(),
            Form::Plain => HeaderValue::from_static("application/json"),
            Form::Stream { .. } => HeaderValue::from_static("text/event-stream"),
        }
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

fn place(form: Form) -> usize {
    match form {
        Form::Plain => 0,
        Form::Stream { include_usage: false } => 1,
        Form::Stream { include_usage: true } => 2,
    }
}
