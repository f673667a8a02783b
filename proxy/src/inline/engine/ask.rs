//! The attempts at an engine: one exchange's way from a request to the head and first piece
//! of an answer.
//!
//! An answer counts as begun when its first piece is here, so an engine that accepts a
//! request and dies before its first token is still replaced by another without the client
//! noticing. A 5xx is given to the client as it came when nobody else is left to ask.

use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::header;
use http_body::Body as _;
use tokio::time::timeout;

use super::body::Body;
use super::pool::Checkout;
use super::replica::{Call, Replica, strip_hop_by_hop};
use super::{Engine, wire};
use crate::exchange::record::Answerer;
use crate::exchange::{Attempt, Error, Kind, Record, Source};

/// A reused connection that the engine had closed shows so within this time.
const STALE_WITHIN: Duration = Duration::from_millis(500);

/// Which engines to ask and how often.
#[derive(Clone)]
pub struct Plan {
    /// Engines in order of preference.
    pub engines: Vec<Arc<Engine>>,
    /// Most attempts, 1 or more.
    pub max_attempts: usize,
    /// Limit of the whole exchange; the engine's own where none.
    pub total_timeout: Option<Duration>,
}

/// Whether a byte went downstream already; after that nobody else is asked. Only a stream
/// that gets comments while it waits can pass this point before its engine begins.
#[derive(Clone, Debug, Default)]
pub struct Commit(Option<Arc<AtomicBool>>);

impl Commit {
    /// One that can be passed.
    pub fn ahead() -> Self {
        Self(Some(Arc::default()))
    }

    /// Marks the commit point.
    pub fn pass(&self) {
        self.0.iter().for_each(|passed| passed.store(true, Ordering::Release));
    }

    fn is_passed(&self) -> bool {
        self.0.as_ref().is_some_and(|passed| passed.load(Ordering::Acquire))
    }
}

/// A begun answer.
pub struct Reply {
    /// Head without hop-by-hop headers.
    pub head: http::response::Parts,
    /// Body from its first piece on.
    pub body: Body,
}

/// Asks the plan's engines until one begins an answer. The record comes back with its attempts.
pub async fn ask<R: DerefMut<Target = Record>>(
    plan: Arc<Plan>,
    mut record: R,
    commit: Commit,
) -> (R, Result<Reply, Error>) {
    let mut tried: Vec<Arc<Replica>> = Vec::new();
    let mut last = None;
    while tried.len() < plan.max_attempts {
        let Some((engine, replica)) = plan.choose(&tried) else { break };
        let outcome = attempt(engine, replica, plan.total_timeout, &mut record).await;
        tried.push(replica.clone());
        let may_go_on = || !commit.is_passed() && tried.len() < plan.max_attempts && plan.choose(&tried).is_some();
        match outcome {
            Ok(reply) if reply.head.status.is_server_error() && may_go_on() => {}
            Ok(reply) => return (record, Ok(reply)),
            // Out of time, or no fault of the engine: another one could only be blamed for it.
            Err(error) if error.is_replaceable() && may_go_on() => last = Some(error),
            Err(error) => return (record, Err(error)),
        }
    }
    let error = last.unwrap_or_else(|| plan.closed());
    (record, Err(error))
}

impl Plan {
    /// What the answer depends on besides the request: the engine asked first, as it told of
    /// itself. Replicas that differ, as in the middle of an upgrade, are an identity of their own.
    pub fn identity(&self) -> u64 {
        let mut replicas = self.engines.first().into_iter().flat_map(|engine| &engine.replicas);
        let first = replicas.next().map_or(0, |replica| replica.identity());
        // A sum, so that their order does not matter, of those that differ from the first.
        replicas.map(|replica| replica.identity()).filter(|id| *id != first).fold(first, u64::wrapping_add)
    }

    /// Whether the engine asked first gave that answer, as a replica that is still what it was.
    pub fn is_of_first(&self, answerer: &Answerer) -> bool {
        self.engines.first().is_some_and(|engine| {
            let is_same = |replica: &&Arc<Replica>| replica.authority == answerer.replica;
            let replica = engine.replicas.iter().find(is_same);
            engine.name == answerer.engine
                && replica.is_some_and(|replica| **replica.fingerprint.load() == *answerer.fingerprint)
        })
    }

    fn choose(&self, tried: &[Arc<Replica>]) -> Option<(&Engine, &Arc<Replica>)> {
        let now = Instant::now();
        self.engines.iter().find_map(|engine| Some((&**engine, engine.choose(tried, now)?)))
    }

    /// Nobody may be asked: every breaker is open.
    fn closed(&self) -> Error {
        let now = Instant::now();
        let waits = self.engines.iter().flat_map(|engine| &engine.replicas).map(|replica| replica.wait(now));
        let wait = waits.min().unwrap_or_default().max(Duration::from_secs(1));
        Error::new(Kind::BreakerOpen, "the engine keeps failing and is left alone for a moment; try again later")
            .retry_after(wait)
    }
}

async fn attempt(
    engine: &Engine,
    replica: &Arc<Replica>,
    total: Option<Duration>,
    record: &mut Record,
) -> Result<Reply, Error> {
    // The time that the client took to send its request, and the queue, are not the engine's.
    let from = record.timings.admitted.unwrap_or_default();
    let limit = from + total.unwrap_or(*engine.config.total_timeout);
    let deadline = record.request.arrived + record.request.deadline.map_or(limit, |deadline| limit.min(deadline));
    if Instant::now() >= deadline {
        return Err(Error::new(Kind::TotalTimeout, "the engine did not answer in time"));
    }
    let started = record.request.arrived.elapsed();
    record.engine = Some(Answerer {
        engine: replica.engine.clone(),
        kind: **replica.kind.load(),
        replica: replica.authority.clone(),
        fingerprint: replica.fingerprint.load_full(),
    });
    // Stays so where the client leaves while the engine is waited for.
    record.attempts.push(Attempt {
        engine: replica.engine.clone(),
        replica: replica.authority.clone(),
        started,
        took: Duration::ZERO,
        status: 0,
        error: Some(Kind::ClientLeft),
    });
    let mut call = replica.begin();
    let begun = begin(engine, &mut call, deadline.into(), record).await;
    let (status, error) = match &begun {
        Ok((head, _)) => (head.status.as_u16(), head.status.is_server_error().then_some(Kind::EngineStatus)),
        Err(error) => (0, Some(error.kind)),
    };
    match error {
        Some(kind) if kind.source() == Source::Engine => call.failed(),
        Some(_) => {}
        None => call.began(),
    }
    let took = record.request.arrived.elapsed().saturating_sub(started);
    if let Some(attempt) = record.attempts.last_mut() {
        (attempt.took, attempt.status, attempt.error) = (took, status, error);
    }
    begun.map(|(head, body)| Reply { head, body: body.owned_by(call) })
}

/// Sends the request and waits for the head and the first piece.
async fn begin(
    engine: &Engine,
    call: &mut Call,
    deadline: tokio::time::Instant,
    record: &mut Record,
) -> Result<(http::response::Parts, Body), Error> {
    let config = &engine.config;
    let stream = record.request.facts.stream;
    let first = tokio::time::Instant::now() + *config.first_token_timeout;
    let (limit, late) = match stream && first < deadline {
        true => (first, Error::new(Kind::FirstTokenTimeout, "the engine did not begin its answer in time")),
        false => (deadline, Error::new(Kind::TotalTimeout, "the engine did not answer in time")),
    };
    let waiting = async {
        let (wire, response) = send(call, *config.connect_timeout, record).await?;
        record.timings.head = Some(record.request.arrived.elapsed());
        let (mut head, incoming) = response.into_parts();
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            // RFC 9112, 6.3: the chunks say where the body ends, and a length beside them lies.
            head.headers.remove(header::CONTENT_LENGTH);
        }
        strip_hop_by_hop(&mut head.headers);
        // The client's connection is HTTP/1.1 whatever the engine spoke: only its chunks can tell a cut from an end.
        head.version = http::Version::HTTP_11;
        let mut body = Body::new(wire, incoming, call.replica.clone(), *config.inter_token_timeout, deadline);
        body.first().await?;
        if stream && head.status == http::StatusCode::OK && record.request.api.owes_end() && body.is_end_stream() {
            return Err(Error::new(Kind::EngineBroke, "the engine ended its stream before it began"));
        }
        Ok((head, body))
    };
    timeout(limit.saturating_duration_since(tokio::time::Instant::now()), waiting).await.unwrap_or(Err(late))
}

/// Sends the request over an idle connection or a new one. An idle connection that the
/// engine closed in this very moment is replaced; that is no fault of the engine.
async fn send(
    call: &Call,
    connect_limit: Duration,
    record: &mut Record,
) -> Result<(wire::Wire, http::Response<hyper::body::Incoming>), Error> {
    let replica = &call.replica;
    let mut idle = replica.pool.reuse();
    loop {
        let Checkout { mut wire, reused } = match idle.take() {
            Some(checkout) => checkout,
            None => replica.pool.connect(connect_limit).await?,
        };
        record.timings.sent = Some(record.request.arrived.elapsed());
        let request = replica.outbound(&record.request, &record.trace)?;
        let sent = Instant::now();
        match wire.send(request).await {
            Ok(response) => return Ok((wire, response)),
            Err(unsent) if reused && unsent.request.is_some() => {}
            // An engine that worked on the request before it closed has failed.
            Err(unsent) if reused && sent.elapsed() < STALE_WITHIN && was_closed(&unsent.error) => {}
            Err(unsent) if unsent.error.is_parse() => {
                let error = Error::new(Kind::EngineInvalid, "the engine's answer is not valid HTTP");
                return Err(error.detail(unsent.error));
            }
            Err(unsent) => {
                let error = Error::new(Kind::EngineBroke, "the engine closed the connection before it answered");
                return Err(error.detail(unsent.error));
            }
        }
    }
}

/// Whether the connection was closed or cut before any byte of an answer: an engine that
/// closes while a long request is still coming in sends RST, not FIN.
fn was_closed(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let cut = cause.is_some_and(|io| matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset));
    error.is_incomplete_message() || cut
}
