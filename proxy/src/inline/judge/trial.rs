//! One exchange before its critics: every answer that was asked for is held here, judged, and
//! compared with the others, until one goes out.
//!
//! Promises: nothing of an answer goes out before its verdicts are in; what is held is taken
//! from the budget of all exchanges and bounded per answer; the best answer is kept.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderValue, StatusCode, header};
use weir_critic::{Case, Skip, critique};

use super::body::Body;
use super::held::{Collected, collect};
use super::matter::{Bench, Matter, Urgency};
use super::panel::Panel;
use super::watch::watched;
use super::{Upstream, before_last_event, verdict_comment};
use crate::exchange::case::{Given, read};
use crate::exchange::completion::render::{Form, Text, of_text};
use crate::exchange::completion::{Choice, Completion};
use crate::exchange::conversation::resend::{Critique, with_critique};
use crate::exchange::judged::{Decision, Handling, Judged, Round, Ruling, Spent, Verdict, Vote, Word};
use crate::exchange::record::{Answerer, is_event_stream};
use crate::exchange::{Error, Kind, Record, Request, Share};

/// The answers of one exchange that were judged.
pub struct Trial {
    panel: Arc<Panel>,
    share: Share,
    held: Vec<Candidate>,
    /// The request with the last answer and its critique; none where it is not to be sent.
    next: Option<Bytes>,
}

/// What came of asking an engine.
pub enum Heard<B> {
    /// An answer that was judged: what is said of it.
    Judged(Vote),
    /// One that is not to be judged: it goes out as it came.
    Unjudged(Parts, Body<B>),
    /// None, though an earlier one is here.
    Nothing,
}

/// An answer that was held.
struct Candidate {
    head: Parts,
    body: Bytes,
    completion: Option<Completion>,
    case: Option<Arc<Case>>,
    verdicts: Vec<Verdict>,
    ruling: Ruling,
    /// Who made it.
    engine: Option<Answerer>,
    judged_at: Duration,
    took: Duration,
}

impl Trial {
    /// A trial before that panel; what is held is taken from the share.
    pub fn new(panel: Arc<Panel>, share: Share, record: &mut Record) -> Self {
        // Critics read no compressed answers.
        record.request.headers.remove(header::ACCEPT_ENCODING);
        Self { panel, share, held: Vec::new(), next: None }
    }

    /// Takes what an engine gave, reads it whole and has it judged. Errors: the engine's, where
    /// there is no earlier answer to fall back to.
    pub async fn hear<B: Upstream>(
        &mut self,
        record: &mut Record,
        reply: Result<(Parts, B), Error>,
    ) -> Result<Heard<B>, Error> {
        let (head, body) = match reply {
            Ok(reply) => reply,
            Err(_) if !self.held.is_empty() => return Ok(Heard::Nothing),
            Err(error) => return Err(error),
        };
        if !(head.status.is_success() && self.holds(&head)) {
            let is_first = self.held.is_empty();
            if !is_first {
                return Ok(Heard::Nothing);
            }
            let body = Body::flowing(Some(&self.panel), record, &head, body, self.share.sibling());
            return Ok(Heard::Unjudged(head, body));
        }
        let admitted = record.timings.admitted.unwrap_or_default();
        let started = self.held.last().map_or(admitted, |last| last.judged_at);
        let limit = self.panel.policy.limits.held_bytes.bytes();
        let body = watched(&self.panel, record, &head, body);
        let (whole, stopped) = match collect(body, limit, &mut self.share).await {
            Collected::Whole(whole) => (whole, false),
            Collected::TooLarge(read, rest) => return Ok(self.too_large(record, head, Body::prefixed(read, rest))),
            // Stopped by the rules that watched it: an answer that is not good enough.
            Collected::Broken(read, error) if error.kind == Kind::Degenerate => (read, true),
            Collected::Broken(..) if !self.held.is_empty() => return Ok(Heard::Nothing),
            Collected::Broken(_, error) => return Err(error),
        };
        let (completion, case) = self.read(record, &head, &whole);
        let case = case.map(Arc::new);
        let mut verdicts = match stopped {
            true => self.panel.skip(Bench::Enforced, Skip::EarlyExit),
            false => self.panel.judge(Bench::Enforced, Urgency::Request, &matter(record, case.clone())).await,
        };
        verdicts.extend(record.judged.take_flowed().into_iter().flat_map(|flowed| flowed.verdicts));
        let ruling = self.panel.policy.combine.rule(&verdicts);
        let vote = ruling.decision;
        let judged_at = record.request.arrived.elapsed();
        let took = judged_at.saturating_sub(started);
        let engine = record.engine.clone();
        self.held.push(Candidate { head, body: whole, completion, case, verdicts, ruling, engine, judged_at, took });
        if vote == Vote::Fail && self.held.len() < self.panel.policy.retry.max_answers as usize {
            self.next = self.critique(record);
        }
        Ok(Heard::Judged(vote))
    }

    /// Whether an answer is held whole: all but those that are streams, of routes that let
    /// streams flow.
    fn holds(&self, head: &Parts) -> bool {
        self.panel.policy.holds_streams() || !is_plain_stream(head)
    }

    /// What was spent so far.
    pub fn spent(&self, record: &Record) -> Spent {
        Spent {
            answers: self.answers(),
            elapsed: record.request.arrived.elapsed(),
            longest: self.held.iter().map(|held| held.took).max().unwrap_or_default(),
            tokens: self.held.iter().map(|held| u64::from(held.tokens())).sum(),
            can_resend: self.next.is_some(),
            left: time_left(record),
        }
    }

    /// Puts the last answer and what is wrong with it into the request that is asked next.
    pub fn send_back(&mut self, record: &mut Record) {
        record.request.again = self.next.take();
    }

    fn answers(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX)
    }

    /// The conversation, the last answer, and what is wrong with it; none where the request has
    /// no place for it.
    fn critique(&self, record: &Record) -> Option<Bytes> {
        let last = self.held.last()?;
        let case = last.case.as_ref()?;
        let retry = &self.panel.policy.retry;
        let said = critique::write(&retry.critique, case, &last.verdicts, self.answers());
        let failed = last.text();
        let critique = Critique { failed: &failed, critique: &said, temperature: retry.temperature };
        with_critique(record.request.api, &record.request.body, &critique)
    }

    /// The last answer goes out.
    pub fn pass<B>(mut self, record: &mut Record) -> Result<(Parts, Body<B>), Error> {
        record.request.again = None;
        if self.held.len() > 1 {
            self.panel.metrics().retries.with_label_values(&["repaired"]).inc();
        }
        let Some(last) = self.held.pop() else { return Err(nothing()) };
        Ok(self.give(record, last, Decision::Pass))
    }

    /// None was good enough.
    pub fn escalate<B>(mut self, record: &mut Record, handling: Handling) -> Result<(Parts, Body<B>), Error> {
        record.request.again = None;
        if self.held.len() > 1 {
            self.panel.metrics().retries.with_label_values(&["bad"]).inc();
        }
        let decision = Decision::Escalate(handling);
        let Some(best) = Ruling::best(self.held.iter().map(|held| &held.ruling)) else { return Err(nothing()) };
        if handling == Handling::Deliver {
            let best = self.held.remove(best);
            return Ok(self.give(record, best, decision));
        }
        self.panel.metrics().decision(decision);
        let verdicts = self.held[best].verdicts.clone();
        let rounds = self.held.into_iter().map(Candidate::into_round).collect();
        record.judged = Judged { decision, verdicts, rounds, word: Word::Fail, ..Judged::default() };
        let own = (handling == Handling::Fallback).then(|| fallback(record, &self.panel.policy.escalate.answer));
        own.flatten()
            .ok_or_else(|| Error::new(Kind::Rejected, "no answer was good enough for the critics of this route"))
    }

    fn give<B>(self, record: &mut Record, given: Candidate, decision: Decision) -> (Parts, Body<B>) {
        self.panel.metrics().decision(decision);
        let word = Word::of(&given.ruling);
        let comment = verdict_comment(word, &given.ruling);
        let Candidate { mut head, mut body, verdicts, engine, .. } = given;
        // An earlier answer may be the best.
        record.engine = engine;
        if is_plain_stream(&head) {
            body = before_last_event(&body, &comment).map_or(body, |(body, _)| body);
            head.headers.remove(header::CONTENT_LENGTH);
        }
        let rounds = self.held.into_iter().map(Candidate::into_round).collect();
        record.judged = Judged { decision, verdicts, rounds, word, ..Judged::default() };
        (head, Body::whole(body))
    }

    /// An answer of a size that nobody judges: skipped, which every critic's setting decides about.
    fn too_large<B>(&mut self, record: &mut Record, head: Parts, body: Body<B>) -> Heard<B> {
        let verdicts = self.panel.skip(Bench::Enforced, Skip::Unreadable);
        let ruling = self.panel.policy.combine.rule(&verdicts);
        if !self.held.is_empty() {
            return Heard::Nothing;
        }
        let delivers = self.panel.policy.escalate.handling == Handling::Deliver;
        if ruling.decision == Vote::Fail && !delivers {
            let (judged_at, took) = (record.request.arrived.elapsed(), Duration::ZERO);
            let (completion, case, body, engine) = (None, None, Bytes::new(), record.engine.clone());
            self.held.push(Candidate { head, body, completion, case, verdicts, ruling, engine, judged_at, took });
            return Heard::Judged(Vote::Fail);
        }
        let failed = ruling.decision == Vote::Fail;
        let decision = if failed { Decision::Escalate(Handling::Deliver) } else { Decision::Pass };
        // It is watched on.
        let flowing = std::mem::take(&mut record.judged.flowing);
        record.judged = Judged { decision, verdicts, word: Word::of(&ruling), flowing, ..Judged::default() };
        self.panel.metrics().decision(decision);
        Heard::Unjudged(head, body)
    }

    fn read(&self, record: &Record, head: &Parts, body: &[u8]) -> (Option<Completion>, Option<Case>) {
        let answer = Given {
            content_type: header_text(head, &header::CONTENT_TYPE),
            content_encoding: header_text(head, &header::CONTENT_ENCODING),
            body,
        };
        read(&record.request, &answer, &self.panel.policy.context)
    }
}

impl Candidate {
    fn tokens(&self) -> u32 {
        let Some(completion) = &self.completion else { return 0 };
        let bytes = |choice: &Choice| {
            let calls: usize = choice.tool_calls.iter().map(|call| call.arguments.len()).sum();
            choice.text.len() + choice.reasoning.len() + calls
        };
        // Streams tell no usage unless asked: then it is estimated, at four bytes a token.
        let estimate = || completion.choices.iter().map(bytes).sum::<usize>() / 4;
        let estimate = || u32::try_from(estimate()).unwrap_or(u32::MAX);
        completion.usage.map_or_else(estimate, |usage| usage.completion_tokens)
    }

    /// The answer as text: what a critique speaks of.
    fn text(&self) -> String {
        let Some(choice) = self.case.as_ref().and_then(|case| self.failing(case)) else { return String::new() };
        let calls = choice.tool_calls.iter().map(|call| format!("{}({})", call.name, call.arguments));
        let parts = [choice.text.clone(), choice.refusal.clone()].into_iter().chain(calls);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// The choice that the findings speak of; the first where they speak of all.
    fn failing<'c>(&self, case: &'c Case) -> Option<&'c weir_critic::Answer> {
        use weir_critic::Place;
        let findings = self.verdicts.iter().flat_map(|verdict| &verdict.judgement.findings);
        let named = findings.into_iter().find_map(|finding| match finding.place {
            Place::Text { choice } | Place::Reasoning { choice } | Place::Refusal { choice } => Some(choice),
            Place::ToolCall { choice, .. } => Some(choice),
            Place::Whole | Place::Turn { .. } | Place::Passage { .. } => None,
        });
        case.answers.get(named.unwrap_or_default())
    }

    fn into_round(self) -> Round {
        let content_type = header_text(&self.head, &header::CONTENT_TYPE).to_owned();
        let completion_tokens = self.tokens();
        Round { body: self.body, content_type, verdicts: self.verdicts, judged_at: self.judged_at, completion_tokens }
    }
}

/// Whether the answer to a request is text that critics are to judge.
pub(super) fn is_judged(request: &Request) -> bool {
    request.api.writes_text(&request.method, request.target.path())
}

/// Whether a head begins a stream of events that can be read.
pub(super) fn is_plain_stream(head: &Parts) -> bool {
    let encoding = header_text(head, &header::CONTENT_ENCODING);
    is_event_stream(header_text(head, &header::CONTENT_TYPE))
        && (encoding.is_empty() || encoding.eq_ignore_ascii_case("identity"))
}

pub(super) fn matter(record: &Record, case: Option<Arc<Case>>) -> Matter {
    let left = time_left(record);
    Matter { id: record.request.id, case, model: record.request.facts.model.clone(), left }
}

/// Time until the client stops waiting, where it said so.
fn time_left(record: &Record) -> Option<Duration> {
    Some(record.request.deadline?.saturating_sub(record.request.arrived.elapsed()))
}

fn nothing() -> Error {
    Error::new(Kind::Internal, "a fault of Weir: there was no answer to decide about")
}

fn header_text<'h>(head: &'h Parts, name: &header::HeaderName) -> &'h str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The configured answer, in the shape and form that the client asked for.
fn fallback<B>(record: &Record, text: &str) -> Option<(Parts, Body<B>)> {
    let request = &record.request;
    let id = format!("weir-{}", request.id.0.as_simple());
    let created = request.received_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let model = request.facts.model.as_deref().unwrap_or_default();
    let form = match request.facts.stream {
        true => Form::Stream { include_usage: request.facts.include_usage },
        false => Form::Plain,
    };
    let body = of_text(request.api, &Text { model, id: &id, created, text }, form)?;
    let mut response = http::Response::new(());
    *response.status_mut() = StatusCode::OK;
    let kind = if form == Form::Plain { "application/json" } else { "text/event-stream" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Some((response.into_parts().0, Body::whole(body)))
}
