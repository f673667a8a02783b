//! Asks each replica how it is and what it is: health, version and model, its own metrics.
//!
//! Runs in the background over connections of its own; the request path only reads what it
//! leaves in the [`Replica`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dialect::{self, Answer, Dialect, EngineState, Health};
use super::{Engine, Replica};
use crate::exchange::Fingerprint;

/// Answers to probes are read up to this size.
const ANSWER_BYTES: usize = 8 << 20;
/// Probes in a row that must fail before a replica counts as down: one may be lost to load.
const FAILURES: u32 = 2;
/// What a replica is, is asked again this often, and whenever it comes up.
const DISCOVERY: Duration = Duration::from_secs(30);

/// What a probe noticed.
#[derive(Clone, Debug)]
pub enum Noticed {
    /// The replica came up.
    Up,
    /// The replica went down.
    Down,
    /// It is not what it was: version, model, template or flags changed.
    Changed {
        /// What it was.
        before: Arc<Fingerprint>,
        /// What it is.
        after: Arc<Fingerprint>,
    },
}

/// Watches one replica for as long as it is polled.
pub async fn watch(engine: Arc<Engine>, replica: Arc<Replica>, noticed: impl Fn(&Replica, Noticed)) {
    let mut failures = 0;
    let mut known: Option<Instant> = None;
    let mut kind_known = engine.config.kind.is_some();
    loop {
        let dialect = dialect::of(**replica.kind.load());
        let limit = dialect.health_takes.max(*engine.config.connect_timeout);
        let health = get(&replica, dialect.health_path, limit).await;
        let ready = health.is_some_and(|(status, body)| dialect.health(status, &body) == Health::Ready);
        failures = if ready { 0 } else { failures + 1 };
        let was = replica.set_healthy(ready || (failures < FAILURES && known.is_some()));
        match (was, replica.is_healthy()) {
            (true, false) => noticed(&replica, Noticed::Down),
            (false, true) => noticed(&replica, Noticed::Up),
            _ => {}
        }
        if ready && known.is_none_or(|at| was != ready || at.elapsed() >= DISCOVERY) {
            kind_known = kind_known || detect(&replica, limit).await;
            discover(&replica, limit, &noticed).await;
            known = Some(Instant::now());
        }
        if ready {
            replica.set_state(state(&replica, dialect, limit).await);
        }
        replica.pool.sweep();
        tokio::time::sleep(*engine.config.probe_interval).await;
    }
}

async fn detect(replica: &Replica, limit: Duration) -> bool {
    let answers = get_all(replica, &dialect::DETECTION_PATHS, limit).await;
    let kind = dialect::detect(&borrowed(&answers));
    if let Some(kind) = kind {
        replica.kind.store(Arc::new(kind));
        tracing::info!(engine = %replica.engine, replica = %replica.authority, kind = kind.as_str(), "engine recognised");
    }
    kind.is_some()
}

async fn discover(replica: &Replica, limit: Duration, noticed: &impl Fn(&Replica, Noticed)) {
    let dialect = dialect::of(**replica.kind.load());
    let answers = get_all(replica, dialect.discovery, limit).await;
    let after = Arc::new(dialect.fingerprint(&borrowed(&answers)));
    // An engine too busy to say what it is has not become nothing.
    if *after == Fingerprint::default() {
        return;
    }
    let before = replica.set_fingerprint(after.clone());
    if *before == Fingerprint::default() {
        let Fingerprint { version, model, .. } = &*after;
        tracing::info!(engine = %replica.engine, replica = %replica.authority, version, model, "engine identified");
    }
    if *before != Fingerprint::default() && before != after {
        noticed(replica, Noticed::Changed { before, after });
    }
}

async fn state(replica: &Replica, dialect: &Dialect, limit: Duration) -> EngineState {
    if dialect.metrics_are_consumed {
        return EngineState::default();
    }
    for path in dialect.metrics_paths {
        if let Some((200, body)) = get(replica, path, limit).await {
            return dialect.state(&body);
        }
    }
    EngineState::default()
}

type Got<'a> = (&'a str, u16, Bytes);

async fn get_all<'a>(replica: &Replica, paths: &[&'a str], limit: Duration) -> Vec<Got<'a>> {
    let mut answers = Vec::new();
    for path in paths {
        if let Some((status, body)) = get(replica, path, limit).await {
            answers.push((*path, status, body));
        }
    }
    answers
}

fn borrowed<'a>(answers: &'a [Got<'a>]) -> Vec<Answer<'a>> {
    answers.iter().map(|(path, status, body)| Answer { path, status: *status, body }).collect()
}

/// Status and body of an answer; none for any fault: to a probe they are all the same.
async fn get(replica: &Replica, path: &str, limit: Duration) -> Option<(u16, Bytes)> {
    let asking = async {
        let stream = TcpStream::connect(&*replica.authority).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let request = replica.probe_request(path).ok()?;
        let exchange = async {
            let response = sender.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await.ok()?;
            Some((status, body.to_bytes()))
        };
        // A connection that closes after its answer has still given it.
        let driving = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = exchange => answer,
            () = driving => None,
        }
    };
    tokio::time::timeout(limit, asking).await.ok()?
}
