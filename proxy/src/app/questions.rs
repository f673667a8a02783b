//! Questions of critics on their way to an engine: few at a time, and those that nobody waits
//! for only while no user waits for a place in flight.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, Limited};
use tokio::sync::Semaphore;
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
    queue: admit::Metrics,
    yield_at: usize,
    /// `model` of questions; the exchange's own where none.
    model: Option<String>,
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
        Self { places, queue, yield_at: config.yield_at, model: config.model.clone() }
    }
}

impl Questions {
    pub(super) fn new(places: Places, plan: Arc<engine::Plan>, nobody: Name) -> Self {
        Self { places, plan, nobody }
    }

    async fn put(&self, question: Question, model: Option<&str>, urgency: Urgency) -> Result<(Reply, Duration), Skip> {
        if urgency == Urgency::Background {
            while self.places.queue.waiting() >= self.places.yield_at.max(1) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        // Never closed.
        let _place = self.places.places.acquire().await.map_err(|_| Skip::Failed)?;
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
