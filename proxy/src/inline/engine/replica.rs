//! One replica of an engine: its connections, its breaker, its load and what it is.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http_body_util::Full;

use super::breaker::{self, Event, State};
use super::config::{Address, Config};
use super::dialect::EngineState;
use super::metrics::ReplicaMetrics;
use super::pool::Pool;
use crate::exchange::{EngineKind, Error, Fingerprint, Kind, Name, Request, TraceContext};

/// One replica.
pub struct Replica {
    /// Name of its engine.
    pub engine: Name,
    /// `host:port`.
    pub authority: Arc<str>,
    /// Idle connections.
    pub pool: Pool,
    /// What it is, as far as it told; set by the probe through [`Self::set_fingerprint`].
    pub fingerprint: ArcSwap<Fingerprint>,
    /// The first bits of BLAKE3 over its engine's name and its fingerprint: who reads it on every
    /// exchange needs no text.
    identity: AtomicU64,
    /// Its program: configured, or found out by the probe.
    pub kind: ArcSwap<EngineKind>,
    /// Whether the last probes reached it; taken for granted until the first one says otherwise.
    healthy: AtomicBool,
    metrics: ReplicaMetrics,
    in_flight: AtomicUsize,
    breaker: Mutex<State>,
    breaker_config: breaker::Config,
    prefix: String,
    host: HeaderValue,
    api_key: Option<HeaderValue>,
}

impl Replica {
    /// A replica at an address that [`Config::faults`] found good.
    pub fn new(engine: Name, config: &Config, address: Address, metrics: ReplicaMetrics) -> Result<Self, Error> {
        let internal = |fault: http::header::InvalidHeaderValue| {
            Error::new(Kind::Internal, "the engine's host or key is no header value").detail(fault)
        };
        let identity = AtomicU64::new(identity(&engine, &address.authority, &Fingerprint::default()));
        let key = config.api_key_env.as_ref().and_then(|name| std::env::var(name).ok());
        Ok(Self {
            engine,
            authority: address.authority.as_str().into(),
            pool: Pool::new(address.authority.clone(), config.max_idle_connections, *config.idle_timeout),
            fingerprint: ArcSwap::default(),
            identity,
            kind: ArcSwap::from_pointee(config.kind.unwrap_or_default()),
            healthy: AtomicBool::new(true),
            metrics,
            in_flight: AtomicUsize::new(0),
            breaker: Mutex::default(),
            breaker_config: config.breaker.clone(),
            prefix: address.prefix,
            host: HeaderValue::try_from(address.authority).map_err(internal)?,
            api_key: key.map(|key| HeaderValue::try_from(format!("Bearer {key}"))).transpose().map_err(internal)?,
        })
    }

    /// Whether a call may be made now: its breaker admits one.
    pub fn admits(&self, now: Instant) -> bool {
        self.breaker().admits(&self.breaker_config, now)
    }

    /// How long until a call may be made.
    pub fn wait(&self, now: Instant) -> Duration {
        self.breaker().wait(&self.breaker_config, now)
    }

    /// Exchanges that wait for this replica now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Begins a call; the guard must be told how it went.
    pub fn begin(self: &Arc<Self>) -> Call {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.metrics.in_flight.inc();
        self.report(Event::Call);
        Call { replica: self.clone(), reported: false }
    }

    /// The request as this replica gets it: the client's bytes, its headers without the
    /// hop-by-hop ones (RFC 9110, 7.6.1), our trace context and the engine's own key.
    pub fn outbound(&self, request: &Request, trace: &TraceContext) -> Result<http::Request<Full<Bytes>>, Error> {
        let mut outbound = http::Request::new(Full::new(request.again.as_ref().unwrap_or(&request.body).clone()));
        *outbound.method_mut() = request.method.clone();
        *outbound.uri_mut() = self.target(&request.target)?.into();
        let mut headers = request.headers.clone();
        strip_hop_by_hop(&mut headers);
        headers.insert(header::HOST, self.host.clone());
        headers.insert(TRACEPARENT, traceparent(trace));
        if let Some(key) = &self.api_key {
            headers.insert(header::AUTHORIZATION, key.clone());
        }
        if let Some(again) = &request.again {
            headers.insert(header::CONTENT_LENGTH, again.len().into());
        }
        *outbound.headers_mut() = headers;
        Ok(outbound)
    }

    /// A GET of the probe's.
    pub fn probe_request(&self, path: &str) -> Result<http::Request<Full<Bytes>>, Error> {
        let path =
            PathAndQuery::try_from(path).map_err(|fault| Error::new(Kind::Internal, "bad probe path").detail(fault))?;
        let mut request = http::Request::new(Full::default());
        *request.uri_mut() = self.target(&path)?.into();
        request.headers_mut().insert(header::HOST, self.host.clone());
        if let Some(key) = &self.api_key {
            request.headers_mut().insert(header::AUTHORIZATION, key.clone());
        }
        Ok(request)
    }

    /// Tells the breaker what happened.
    pub fn report(&self, event: Event) {
        let (before, after) = {
            let mut state = self.breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let before = *state;
            *state = breaker::step(before, event, Instant::now(), &self.breaker_config);
            (before, *state)
        };
        // Outside the lock: writing a log line may block.
        if before.gauge() != after.gauge() {
            self.metrics.breaker.set(after.gauge());
            tracing::warn!(engine = %self.engine, replica = %self.authority, ?before, ?after, "breaker changed");
        }
    }

    /// Notes what it is; tells what was noted before.
    pub(super) fn set_fingerprint(&self, fingerprint: Arc<Fingerprint>) -> Arc<Fingerprint> {
        self.identity.store(identity(&self.engine, &self.authority, &fingerprint), Ordering::Relaxed);
        self.fingerprint.swap(fingerprint)
    }

    /// Equal for replicas of one engine that told the same of themselves.
    pub(super) fn identity(&self) -> u64 {
        self.identity.load(Ordering::Relaxed)
    }

    /// Whether the last probes reached it.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Notes what a probe found; tells what was noted before.
    pub(super) fn set_healthy(&self, healthy: bool) -> bool {
        self.metrics.up.set(i64::from(healthy));
        self.healthy.swap(healthy, Ordering::Relaxed)
    }

    /// Notes what the engine says of its load.
    pub(super) fn set_state(&self, state: EngineState) {
        self.metrics.set_state(&state);
    }

    fn breaker(&self) -> State {
        *self.breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn target(&self, target: &PathAndQuery) -> Result<PathAndQuery, Error> {
        if self.prefix.is_empty() {
            return Ok(target.clone());
        }
        PathAndQuery::try_from(format!("{}{target}", self.prefix))
            .map_err(|fault| Error::new(Kind::InvalidRequest, "the path is not valid").detail(fault))
    }
}

/// An engine that tells nothing of itself is known by where it is.
fn identity(engine: &Name, authority: &str, fingerprint: &Fingerprint) -> u64 {
    let told = if *fingerprint == Fingerprint::default() { authority.to_owned() } else { fingerprint.digest() };
    let hash = blake3::hash(format!("{engine}\n{told}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// A call under way. Dropped without a word, it says nothing about the engine.
pub struct Call {
    /// The replica that is called.
    pub replica: Arc<Replica>,
    reported: bool,
}

impl Call {
    /// The engine began its answer.
    pub fn began(&mut self) {
        self.replica.report(Event::Began);
    }

    /// The engine answered properly.
    pub fn succeeded(&mut self) {
        self.settle(Event::Success);
    }

    /// The engine failed.
    pub fn failed(&mut self) {
        self.settle(Event::Failure);
    }

    fn settle(&mut self, event: Event) {
        if !std::mem::replace(&mut self.reported, true) {
            self.replica.report(event);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.settle(Event::Withdrawn);
        self.replica.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.replica.metrics.in_flight.dec();
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

fn traceparent(trace: &TraceContext) -> HeaderValue {
    HeaderValue::from_bytes(&trace.format()).expect("hex digits and dashes are a header value")
}

const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    // Answered by us already.
    header::EXPECT,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes the headers that belong to one connection: the known ones and those that
/// `Connection` names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
    }
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_headers_go_and_all_others_stay() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-connection", "keep-alive"),
            ("x-unknown", "stays"),
            ("content-type", "application/json"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-type", "x-unknown"]);
    }
}
