//! What goes to the client: the engine's answer as it came, or Weir's own refusal.
//!
//! The single owner of status codes and error bodies.
//!
//! Must not know: engines, routes, tenants.

mod failure;
mod relay;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};

pub use failure::{body_of, event_of, status_of};
pub use relay::{Relay, Settings};

use crate::exchange::cached::{Again, Bypass, Miss};
use crate::exchange::judged::Word;
use crate::exchange::{Caching, Draft, Error, ExchangeId, Kind, Outcome, Record, Share, Source};

/// The exchange's id, on every answer.
pub const EXCHANGE: HeaderName = HeaderName::from_static("x-weir-exchange");
/// How many attempts were made at an engine, where any was.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-weir-attempts");
/// What the cache did (RFC 9211).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What critics said of the answer, where any judged it before it went out.
pub const VERDICT: HeaderName = HeaderName::from_static("x-weir-verdict");

/// A body that an engine sends.
pub trait Upstream: http_body::Body<Data = Bytes, Error = Error> + Unpin {}

impl<B: http_body::Body<Data = Bytes, Error = Error> + Unpin> Upstream for B {}

/// Body of an answer: relayed, or written by Weir.
pub enum Body<B, H> {
    /// What the engine sends.
    Relay(Box<Relay<B, H>>),
    /// What Weir says.
    Own(Full<Bytes>),
}

/// A refusal or failure before the commit point: in the error shape of the client's API,
/// with `Retry-After` where waiting may help. Offers the record.
pub fn refuse<B, H>(mut draft: Draft, error: Error) -> http::Response<Body<B, H>> {
    let status = status_of(error.kind);
    let body = Bytes::from(body_of(draft.request.api, &error));
    draft.status = status.as_u16();
    draft.response.content_type = "application/json".to_owned();
    draft.response.total_bytes = body.len() as u64;
    draft.response.body.extend_from_slice(&body);
    let mut response = http::Response::new(Body::Own(Full::new(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = error.retry_after {
        // Rounded up: a client that is told too little comes back too soon.
        headers.insert(header::RETRY_AFTER, HeaderValue::from((wait.as_secs_f64().ceil() as u64).max(1)));
    }
    if error.kind == Kind::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    sign(headers, Signed::of(&draft));
    let outcome = match error.kind.source() {
        Source::Client if error.kind == Kind::ClientLeft => Outcome::ClientLeft,
        Source::Client => Outcome::Refused,
        Source::Weir if draft.attempts.is_empty() => Outcome::Refused,
        _ => Outcome::Failed,
    };
    draft.finish(outcome, Some(error));
    response
}

/// The engine's answer: head as it came, body through `relay`. What must be held until it is
/// over comes with the exchange's share of the budget.
pub fn pass<B: Upstream, H>(
    mut draft: Draft,
    mut head: http::response::Parts,
    body: B,
    hold: (H, Share),
    settings: Settings,
) -> http::Response<Body<B, H>> {
    if body.is_end_stream() {
        return pass_empty(draft, head);
    }
    draft.status = head.status.as_u16();
    let text = |name| head.headers.get(&name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    draft.response.content_type = text(header::CONTENT_TYPE);
    draft.response.content_encoding = text(header::CONTENT_ENCODING);
    let signed = Signed::of(&draft);
    let relay = Relay::new(draft, body, hold, settings);
    if relay.may_add() {
        // A length that the engine announced would cut off what comes after an added comment.
        head.headers.remove(header::CONTENT_LENGTH);
    }
    let mut response = http::Response::from_parts(head, Body::Relay(Box::new(relay)));
    sign(response.headers_mut(), signed);
    response
}

/// An answer without a body, as to HEAD: hyper would never ask the relay for its end.
fn pass_empty<B, H>(mut draft: Draft, head: http::response::Parts) -> http::Response<Body<B, H>> {
    draft.status = head.status.as_u16();
    let mut response = http::Response::from_parts(head, Body::Own(Full::default()));
    sign(response.headers_mut(), Signed::of(&draft));
    let outcome = if draft.status >= 400 { Outcome::EngineError } else { Outcome::Complete };
    draft.finish(outcome, None);
    response
}

/// A stream that begins before its engine does: comments keep the connection alive until
/// `asking` gives the answer.
pub fn wait<B: Upstream, H>(
    id: ExchangeId,
    caching: Caching,
    asking: relay::Asking<B>,
    hold: (H, Share),
    settings: Settings,
) -> http::Response<Body<B, H>> {
    let mut response = http::Response::new(Body::Relay(Box::new(Relay::waiting(asking, hold, settings))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    sign(response.headers_mut(), Signed { id, caching, attempts: 1, verdict: Word::None });
    response
}

/// Gives an answer again that was made before. The record says which, and how old it is.
pub fn again<B, H>(mut draft: Draft, again: Again) -> http::Response<Body<B, H>> {
    draft.status = 200;
    draft.response.content_type = again.content_type.to_str().unwrap_or_default().to_owned();
    draft.response.total_bytes = again.body.len() as u64;
    draft.response.events = again.events;
    let now = Some(draft.elapsed());
    (draft.timings.first_byte, draft.timings.last_byte) = (now, now);
    let mut response = http::Response::new(Body::Own(Full::new(again.body)));
    *response.headers_mut() = again.headers;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, again.content_type);
    headers.insert(header::AGE, draft.cache.hit.as_ref().map_or(0, |hit| hit.age.as_secs()).into());
    sign(headers, Signed::of(&draft));
    if let Ok(value) = HeaderValue::try_from(format!("weir; hit; ttl={}", again.left.as_secs())) {
        headers.append(CACHE_STATUS, value);
    }
    draft.finish(Outcome::Complete, None);
    response
}

/// What every answer says of its exchange.
struct Signed {
    id: ExchangeId,
    caching: Caching,
    attempts: usize,
    verdict: Word,
}

impl Signed {
    fn of(record: &Record) -> Self {
        let (id, caching, attempts) = (record.request.id, record.cache.caching, record.attempts.len());
        Self { id, caching, attempts, verdict: record.judged.word }
    }
}

fn sign(headers: &mut HeaderMap, signed: Signed) {
    let mut text = [0; 36];
    let text = signed.id.0.as_hyphenated().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        headers.insert(EXCHANGE, value);
    }
    if signed.attempts > 0 {
        headers.insert(ATTEMPTS, HeaderValue::from(signed.attempts));
    }
    if signed.verdict != Word::None {
        headers.insert(VERDICT, HeaderValue::from_static(signed.verdict.as_str()));
    }
    if let Some(status) = cache_status(signed.caching) {
        // A cache of the engine's has said its part before.
        headers.append(CACHE_STATUS, HeaderValue::from_static(status));
    }
}

/// What the cache did, as RFC 9211 says it; a hit says more, by itself.
fn cache_status(caching: Caching) -> Option<&'static str> {
    Some(match caching {
        Caching::Off | Caching::Hit => return None,
        Caching::Collapsed => "weir; fwd=miss; collapsed",
        Caching::Miss(Miss::Absent) => "weir; fwd=miss",
        Caching::Miss(Miss::NoCache) => "weir; fwd=request; detail=no_cache",
        Caching::Miss(Miss::Stale) => "weir; fwd=stale",
        Caching::Miss(Miss::Form) => "weir; fwd=miss; detail=form",
        Caching::Bypass(Bypass::Api) => "weir; fwd=bypass; detail=api",
        Caching::Bypass(Bypass::Sampled) => "weir; fwd=bypass; detail=sampled",
        Caching::Bypass(Bypass::Choices) => "weir; fwd=bypass; detail=choices",
        Caching::Bypass(Bypass::Stateful) => "weir; fwd=bypass; detail=stateful",
        Caching::Bypass(Bypass::NoStore) => "weir; fwd=request; detail=no_store",
        Caching::Bypass(Bypass::Unclear) => "weir; fwd=bypass; detail=unclear",
        Caching::Bypass(Bypass::TooLarge) => "weir; fwd=bypass; detail=too_large",
    })
}

impl<B, H> http_body::Body for Body<B, H>
where
    B: Upstream,
    H: Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Relay(relay) => relay.poll_next(cx).map(|next| next.map(|piece| piece.map(Frame::data))),
            Self::Own(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Relay(relay) => relay.is_done(),
            Self::Own(full) => full.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Relay(_) => SizeHint::default(),
            Self::Own(full) => full.size_hint(),
        }
    }
}
