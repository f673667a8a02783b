//! Questions of critics on their way to an engine: few at a time.
//!
//! Promises: a question that nobody waits for is asked only while no user waits for a place in
//! flight and no question of a request waits for one here, and takes all places but one at
//! most, where there are two.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;
use weir_critic::{Answer, Question, Reply, Skip};

use crate::exchange::completion::{self, Completion};
use crate::exchange::{Api, ExchangeId, Facts, Name, Record, Request, TraceContext};
use crate::inline::judge::{Ask, Asked, Urgency};
use crate::inline::{admit, engine};

/// A reply larger than this is no verdict.
const REPLY_BYTES: usize = 1 << 20;

/// How often a question that gives way looks whether users still wait.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What the questions of all routes share.
#[derive(Clone)]
pub(super) struct Places {
    places: Arc<Semaphore>,
    /// Turns of questions that nobody waits for: one that has a turn looks for a place.
    turns: Arc<Semaphore>,
    queue: admit::Metrics,
    yield_at: usize,
    /// `model` of questions; the exchange's own where none.
    model: Option<String>,
}

/// A place at the engines, and the turn that led to it.
struct Place<'a> {
    _place: SemaphorePermit<'a>,
    _turn: Option<SemaphorePermit<'a>>,
}

/// Asks the engines of a plan.
pub(super) struct Questions {
    places: Places,
    plan: Arc<engine::Plan>,
    /// Stands for tenant and route: questions belong to none.
    nobody: Name,
}

impl Places {
    pub(super) fn new(config: &crate::inline::judge::Config, queue: admit::Metrics) -> Self {
        let places = Arc::new(Semaphore::new(config.questions));
        let turns = Arc::new(Semaphore::new(config.questions.saturating_sub(1).max(1)));
        Self { places, turns, queue, yield_at: config.yield_at, model: config.model.clone() }
    }

    /// None where there are no places any more.
    async fn take(&self, urgency: Urgency) -> Option<Place<'_>> {
        if urgency == Urgency::Request {
            return Some(Place { _place: self.places.acquire().await.ok()?, _turn: None });
        }
        let turn = self.turns.acquire().await.ok()?;
        loop {
            // What is given back goes to those that stand in line first: there is none to be
            // had here while a question of a request waits.
            if self.queue.waiting() < self.yield_at.max(1)
                && let Ok(place) = self.places.try_acquire()
            {
                return Some(Place { _place: place, _turn: Some(turn) });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Questions {
    pub(super) fn new(places: Places, plan: Arc<engine::Plan>, nobody: Name) -> Self {
        Self { places, plan, nobody }
    }

    async fn put(&self, question: Question, model: Option<&str>, urgency: Urgency) -> Result<(Reply, Duration), Skip> {
        let _place = self.places.take(urgency).await.ok_or(Skip::Failed)?;
        let mut body = question.body;
        if let Some(model) = self.places.model.as_deref().or(model) {
            body["model"] = model.into();
        }
        let record = Record::begin(request(&body)?, self.nobody.clone(), TraceContext::default());
        let begun = Instant::now();
        let (_, reply) = engine::ask(self.plan.clone(), Box::new(record), engine::Commit::default()).await;
        let reply = reply.map_err(|_| Skip::Failed)?;
        if !reply.head.status.is_success() {
            return Err(Skip::Failed);
        }
        let whole = Limited::new(reply.body, REPLY_BYTES).collect().await.map_err(|_| Skip::Failed)?.to_bytes();
        let read = completion::read(Api::Chat, "", false, &whole).ok_or(Skip::Failed)?;
        Ok((said(read, &whole), begun.elapsed()))
    }
}

impl Ask for Questions {
    fn ask<'a>(&'a self, question: Question, model: Option<&'a str>, urgency: Urgency) -> Asked<'a> {
        Box::pin(self.put(question, model, urgency))
    }
}

fn request(body: &serde_json::Value) -> Result<Request, Skip> {
    let body = serde_json::to_vec(body).map_err(|_| Skip::Failed)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    Ok(Request {
        id: ExchangeId(Uuid::now_v7()),
        received_at: SystemTime::now(),
        arrived: Instant::now(),
        api: Api::Chat,
        method: Method::POST,
        target: PathAndQuery::from_static("/v1/chat/completions"),
        headers,
        facts: Facts::read(&body).map_err(|_| Skip::Failed)?,
        body: Bytes::from(body),
        again: None,
        deadline: None,
    })
}

/// The first choice, with its tokens.
fn said(mut read: Completion, body: &[u8]) -> Reply {
    let tokens = completion::tokens(Api::Chat, "", false, body).into_iter().next().unwrap_or_default();
    let usage = read.usage.unwrap_or_default();
    let choice = if read.choices.is_empty() { completion::Choice::default() } else { read.choices.swap_remove(0) };
    let answer = Answer {
        text: choice.text,
        reasoning: choice.reasoning,
        refusal: choice.refusal,
        finish_reason: choice.finish_reason,
        tokens,
        ..Answer::default()
    };
    Reply { answer, prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use prometheus::Registry;

    use super::*;
    use crate::inline::judge::Config;

    fn places(questions: usize) -> Places {
        let queue = admit::Metrics::register(&Registry::new()).unwrap();
        Places::new(&Config { questions, ..Config::default() }, queue)
    }

    /// Whether it has what it asks for, at once.
    async fn has<T>(asking: &mut std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| {
            Poll::Ready(match asking.as_mut().poll(cx) {
                Poll::Ready(had) => Some(had),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn questions_of_requests_pass_those_that_nobody_waits_for() {
        let places = places(1);
        let first = places.take(Urgency::Request).await;
        let (mut audit, mut request) = (pin!(places.take(Urgency::Background)), pin!(places.take(Urgency::Request)));
        assert!(has(&mut audit).await.is_none() && has(&mut request).await.is_none());
        drop(first);
        tokio::time::advance(LOOK_AGAIN * 2).await;
        assert!(has(&mut audit).await.is_none(), "the place is the request's, which came later");
        let second = has(&mut request).await;
        assert!(second.is_some());
        drop(second);
        tokio::time::advance(LOOK_AGAIN * 2).await;
        assert!(has(&mut audit).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn audits_leave_a_place_to_requests_where_there_are_two() {
        for (questions, of_audits) in [(1, 1), (2, 1), (5, 4)] {
            let places = places(questions);
            let mut held = Vec::new();
            for _ in 0..of_audits {
                held.push(places.take(Urgency::Background).await);
            }
            let mut another = pin!(places.take(Urgency::Background));
            assert!(has(&mut another).await.is_none(), "{questions}");
            let mut request = pin!(places.take(Urgency::Request));
            assert_eq!(has(&mut request).await.is_some(), questions > 1, "{questions}");
        }
    }
}
