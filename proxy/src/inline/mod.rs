//! The request path: everything that a client waits for, on one screen.
//!
//! ```text
//! accept → identify → cache → admit → engine → judge → decide → answer
//!                                        ↑                 │
//!                                        └──── critique ───┘
//! ```
//!
//! The draft carries the record along: whoever holds it holds the exchange, and when it is
//! dropped, wherever that is, the record is offered to the outbox. Nothing here waits for
//! anything but the client, a place in flight, the engine and the critics of its route.

pub mod accept;
pub mod admit;
pub mod answer;
pub mod cache;
pub mod decide;
pub mod engine;
pub mod identify;
pub mod judge;

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::body::Incoming;
use uuid::{NoContext, Timestamp, Uuid};

use cache::{Found, Participant};
use decide::Step;
use judge::Heard;

use crate::exchange::cached::{Again, Miss};
use crate::exchange::draft::OnRefused;
use crate::exchange::{
    Api, Budget, Cached, Caching, Draft, Error, ExchangeId, Facts, Judged, Name, Outbox, Record, Request, Share,
    TraceContext,
};

/// Everything an exchange meets on its way. Replaced as a whole when the configuration changes.
pub struct Path {
    /// Limits of heads and bodies.
    pub accept: accept::Config,
    /// Bytes of bodies held by all exchanges.
    pub budget: Budget,
    /// Tenants and routes.
    pub directory: identify::Directory,
    /// Answers that are given again, and generations that are shared.
    pub cache: Arc<Cache>,
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
    /// Which are asked for a better answer.
    pub again: Arc<engine::Plan>,
    /// Whose judgement answers wait for; none where nobody's.
    pub panel: Option<Arc<judge::Panel>>,
    /// How far retries may go.
    pub retry: decide::Limits,
    /// Which answers are given again.
    pub cache: Arc<cache::Rules>,
    /// How the answer is relayed.
    pub settings: answer::Settings,
}

/// What an engine sends; a place in flight is held until it is over.
pub type Generation = admit::Held<judge::Body<engine::Body>>;
/// The cache of what engines send.
pub type Cache = cache::Cache<Generation>;
/// Body of every answer; the tenant's seat is held until it is over.
pub type Body = answer::Body<cache::Body<Generation>, identify::Seat>;

/// What the cache has for an exchange.
enum Looked {
    Again(Again),
    Share(Participant<Generation>),
    Ask,
}

/// How an engine, or another exchange's answer, begins.
type Begun<B> = Result<(http::response::Parts, B), Error>;

/// One exchange, from its head to its answer.
pub async fn exchange(path: Arc<Path>, incoming: http::Request<Incoming>) -> http::Response<Body> {
    let (head, body) = incoming.into_parts();
    let mut draft = path.open(head);
    let (policy, hold) = match path.let_in(&mut draft, body).await {
        Ok(let_in) => let_in,
        Err(error) => return answer::refuse(draft, error),
    };
    let streams = draft.request.facts.stream && draft.request.api != Api::Embeddings;
    let keep_alive = policy.settings.keep_alive.filter(|_| streams);
    let commit = keep_alive.map_or_else(engine::Commit::default, |_| engine::Commit::ahead());
    let shared = match look_up(&path, &policy, &mut draft, &commit) {
        Ok(Looked::Again(again)) => return answer::again(draft, again),
        Ok(Looked::Share(participant)) => Some(participant),
        Ok(Looked::Ask) => None,
        Err(error) => return answer::refuse(draft, error),
    };
    // Here a shadow copy will leave.
    let (id, caching, settings) = (draft.request.id, draft.cache.caching, policy.settings);
    let asking = generate(path, policy, draft, shared, commit.clone());
    let (draft, begun) = match keep_alive {
        None => asking.await,
        Some(period) => {
            let mut asking = Box::pin(asking);
            match tokio::time::timeout(period, &mut asking).await {
                Ok(begun) => begun,
                Err(_) => {
                    commit.pass();
                    return answer::wait(id, caching, asking, hold, settings);
                }
            }
        }
    };
    match begun {
        Ok((head, body)) => answer::pass(draft, head, body, hold, settings),
        Err(error) => answer::refuse(draft, error),
    }
}

/// cache: an answer that is there, a generation to share, or an engine to be asked.
fn look_up(path: &Arc<Path>, policy: &Policy, draft: &mut Draft, commit: &engine::Commit) -> Result<Looked, Error> {
    let shareable = match path.cache.find(draft, &policy.cache)? {
        Found::Again(again) => return Ok(Looked::Again(again)),
        Found::Nothing => return Ok(Looked::Ask),
        Found::Shareable(shareable) => shareable,
    };
    let (asked, by, commit) = (path.clone(), policy.clone(), commit.clone());
    let asking = |record| -> cache::Asking<Generation> { Box::pin(ask(asked, by, record, commit)) };
    let joined = path.cache.join(draft, &policy.cache, shareable, asking);
    Ok(joined.map_or_else(|again| Looked::Again(*again), Looked::Share))
}

/// Shares a generation where one may be shared, and has its own where not.
async fn generate(
    path: Arc<Path>,
    policy: Policy,
    mut draft: Draft,
    shared: Option<Participant<Generation>>,
    commit: engine::Commit,
) -> (Draft, Begun<cache::Body<Generation>>) {
    if let Some(participant) = shared {
        if let Some(begun) = cache::Body::shared(participant, &mut draft, &policy.cache).await.transpose() {
            path.cache.begun(&mut draft, &policy.cache, &begun);
            return (draft, begun);
        }
        draft.cache = Cached { caching: Caching::Miss(Miss::Form), ..Cached::default() };
        draft.judged = Judged::default();
    }
    let rules = policy.cache.clone();
    let (mut draft, begun) = ask(path.clone(), policy, draft, commit).await;
    let begun = begun.map(|(head, body)| (head, cache::Body::Own(body)));
    path.cache.begun(&mut draft, &rules, &begun);
    (draft, begun)
}

/// admit → engine → judge → decide: takes a place and asks until an answer may go out.
async fn ask<R: DerefMut<Target = Record>>(
    path: Arc<Path>,
    policy: Policy,
    mut record: R,
    commit: engine::Commit,
) -> (R, Begun<Generation>) {
    let place = match path.admission.enter().await {
        Ok(place) => place,
        Err(error) => return (record, Err(error)),
    };
    record.timings.admitted = Some(record.request.arrived.elapsed());
    let Some(panel) = policy.panel.as_ref().filter(|panel| panel.holds(&record.request)) else {
        let (mut record, reply) = engine::ask(policy.plan, record, commit).await;
        let flowing = |reply: engine::Reply| {
            let share = path.budget.share();
            let body = judge::Body::flowing(policy.panel.as_ref(), &mut record, &reply.head, reply.body, share);
            (reply.head, place.held_by(body))
        };
        let begun = reply.map(flowing);
        return (record, begun);
    };
    let mut trial = judge::Trial::new(panel.clone(), path.budget.share(), &mut record);
    let mut plan = policy.plan;
    loop {
        let reply;
        (record, reply) = engine::ask(plan, record, commit.clone()).await;
        let heard = trial.hear(&mut record, reply.map(|reply| (reply.head, reply.body))).await;
        let step = match heard {
            Ok(Heard::Judged(vote)) => decide::decide(vote, &trial.spent(&record), &policy.retry),
            Ok(Heard::Nothing) => Step::Escalate(policy.retry.handling),
            Ok(Heard::Unjudged(head, body)) => return (record, Ok((head, place.held_by(body)))),
            Err(error) => return (record, Err(error)),
        };
        let given = match step {
            Step::Retry => {
                trial.send_back(&mut record);
                plan = policy.again.clone();
                continue;
            }
            Step::Pass => trial.pass(&mut record),
            Step::Escalate(handling) => trial.escalate(&mut record, handling),
        };
        return (record, given.map(|(head, body)| (head, place.held_by(body))));
    }
}

impl Path {
    /// Begins the record of an exchange.
    fn open(&self, head: http::request::Parts) -> Draft {
        let received_at = SystemTime::now();
        let since_epoch = received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let moment = Timestamp::from_unix(NoContext, since_epoch.as_secs(), since_epoch.subsec_nanos());
        let id = ExchangeId(Uuid::new_v7(moment));
        let trace = trace_of(id, head.headers.get("traceparent").and_then(|value| value.to_str().ok()));
        let target = head.uri.into_parts().path_and_query;
        let target = target.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        let request = Request {
            id,
            received_at,
            arrived: Instant::now(),
            api: Api::of(&head.method, target.path()),
            method: head.method,
            target,
            headers: head.headers,
            body: Bytes::new(),
            again: None,
            facts: Facts::default(),
            deadline: None,
        };
        let record = Record::begin(request, self.nobody.clone(), trace);
        Draft::new(Box::new(record), self.outbox.clone(), self.on_refused.clone())
    }

    /// accept → identify: finds the tenant, reads the body, finds the route.
    async fn let_in(&self, draft: &mut Draft, body: Incoming) -> Result<(Policy, (identify::Seat, Share)), Error> {
        accept::check_head(&draft.request.method, &draft.request.headers, &self.accept)?;
        draft.request.deadline = identify::deadline(&mut draft.request.headers)?;
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
        Ok((self.policies[route].clone(), (seat, share)))
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
