//! The request path: everything that a client waits for, on one screen.
//!
//! ```text
//! accept → identify → admit → (cache) → engine → (judge → decide) → answer
//! ```
//!
//! The draft carries the record along: whoever holds it holds the exchange, and when it is
//! dropped, wherever that is, the record is offered to the outbox. Nothing here waits for
//! anything but the client, a place in flight and the engine.

pub mod accept;
pub mod admit;
pub mod answer;
pub mod cache;
pub mod engine;
pub mod identify;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::body::Incoming;
use uuid::Uuid;

use crate::exchange::draft::OnRefused;
use crate::exchange::{
    Api, Budget, Cached, Capture, Draft, Error, ExchangeId, Facts, Name, Outbox, Outcome, Record, Request, Share,
    Timings, TraceContext,
};

/// Everything an exchange meets on its way. Replaced as a whole when the configuration changes.
pub struct Path {
    /// Limits of heads and bodies.
    pub accept: accept::Config,
    /// Bytes of bodies held by all exchanges.
    pub budget: Budget,
    /// Tenants and routes.
    pub directory: identify::Directory,
    /// Places in flight.
    pub admission: Arc<admit::Admission>,
    /// What each route does, by its position in the directory.
    pub policies: Vec<Policy>,
    /// Where records go.
    pub outbox: Outbox,
    /// Told of records that found no room.
    pub on_refused: OnRefused,
    /// Stands for tenant and route until they are known.
    pub nobody: Name,
}

/// What a route does with its exchanges.
#[derive(Clone)]
pub struct Policy {
    /// Which engines are asked.
    pub plan: Arc<engine::Plan>,
    /// How the answer is relayed.
    pub settings: answer::Settings,
}

/// Held until the exchange is over: a tenant's seat and a place in flight.
type Hold = (identify::Seat, admit::Place);
/// Body of every answer.
pub type Body = answer::Body<engine::Body, Hold>;

/// One exchange, from its head to its answer.
pub async fn exchange(path: Arc<Path>, incoming: http::Request<Incoming>) -> http::Response<Body> {
    let (head, body) = incoming.into_parts();
    let mut draft = path.open(head);
    let (policy, hold, share) = match path.let_in(&mut draft, body).await {
        Ok(let_in) => let_in,
        Err(error) => return answer::refuse(draft, error),
    };
    // Here a cached answer will be given, and a shadow copy will leave.
    let id = draft.request.id;
    let streams = draft.request.facts.stream && draft.request.api != Api::Embeddings;
    let keep_alive = policy.settings.keep_alive.filter(|_| streams);
    let commit = keep_alive.map_or_else(engine::Commit::default, |_| engine::Commit::ahead());
    let asking = engine::ask(policy.plan.clone(), draft, commit.clone());
    let (draft, begun) = match keep_alive {
        None => asking.await,
        Some(period) => {
            let mut asking = Box::pin(asking);
            match tokio::time::timeout(period, &mut asking).await {
                Ok(begun) => begun,
                Err(_) => {
                    commit.pass();
                    return answer::wait(id, Box::pin(async { apart(asking.await) }), (hold, share), policy.settings);
                }
            }
        }
    };
    // Here critics will judge, and decide between pass, retry and escalate.
    match begun {
        Ok(reply) => answer::pass(draft, reply.head, reply.body, (hold, share), policy.settings),
        Err(error) => answer::refuse(draft, error),
    }
}

impl Path {
    /// Begins the record of an exchange.
    fn open(&self, head: http::request::Parts) -> Draft {
        let id = ExchangeId(Uuid::now_v7());
        let trace = trace_of(id, head.headers.get("traceparent").and_then(|value| value.to_str().ok()));
        let target = head.uri.into_parts().path_and_query;
        let target = target.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        let request = Request {
            id,
            received_at: SystemTime::now(),
            arrived: Instant::now(),
            api: Api::of(&head.method, target.path()),
            method: head.method,
            target,
            headers: head.headers,
            body: Bytes::new(),
            facts: Facts::default(),
        };
        let record = Record {
            request,
            tenant: self.nobody.clone(),
            route: self.nobody.clone(),
            trace,
            engine: None,
            attempts: Vec::new(),
            outcome: Outcome::ClientLeft,
            error: None,
            status: 0,
            response: Capture::default(),
            timings: Timings::default(),
            cache: Cached::default(),
        };
        Draft::new(Box::new(record), self.outbox.clone(), self.on_refused.clone())
    }

    /// accept → identify → admit: finds the tenant, reads the body, finds the route, takes a place.
    async fn let_in(&self, draft: &mut Draft, body: Incoming) -> Result<(Policy, Hold, Share), Error> {
        accept::check_head(&draft.request.method, &draft.request.headers, &self.accept)?;
        let tenant = self.directory.tenant(&mut draft.request.headers)?;
        draft.tenant = tenant.name.clone();
        let (body, share) = accept::read_body(body, &self.accept, &self.budget).await?;
        draft.request.facts = match draft.request.api {
            api if api.takes_json() => Facts::read(&body)?,
            _ => Facts::read(&body).unwrap_or_default(),
        };
        draft.request.body = body;
        let (route, seat) = self.directory.route(&draft.request, &tenant)?;
        draft.route = self.directory.routes[route].name.clone();
        draft.timings.identified = Some(draft.elapsed());
        let place = self.admission.enter().await?;
        draft.timings.admitted = Some(draft.elapsed());
        Ok((self.policies[route].clone(), (seat, place), share))
    }
}

/// The caller's trace, or one that begins here: the exchange's id serves as trace id and its
/// random tail as our span's.
fn trace_of(id: ExchangeId, traceparent: Option<&str>) -> TraceContext {
    let mut trace = traceparent.and_then(TraceContext::parse).unwrap_or_else(|| TraceContext {
        trace_id: *id.0.as_bytes(),
        sampled: true,
        ..TraceContext::default()
    });
    trace.span_id.copy_from_slice(&id.0.as_bytes()[8..]);
    trace
}

fn apart(
    (draft, begun): (Draft, Result<engine::Reply, Error>),
) -> (Draft, Result<(http::response::Parts, engine::Body), Error>) {
    (draft, begun.map(|reply| (reply.head, reply.body)))
}
