//! A stream held in bounded windows: what is clean goes out, a violation ends it.
//!
//! Promises: no text goes out before critics have seen it together with what stands around it
//! ([`Lanes`](super::lanes)), and only whole events do. From the first finish reason on, all
//! waits for every enforced critic of the whole answer. What is held is bounded, and taken from
//! the budget of all exchanges; what is larger was not judged, and critics' settings decide.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use weir_critic::Skip;

use super::lanes::{Due, Lanes};
use super::matter::{Bench, Matter, Urgency};
use super::panel::Panel;
use super::trial::matter;
use super::{Upstream, before_last_event, last_boundary, verdict_comment};
use crate::exchange::case::{self, Growing};
use crate::exchange::completion::render::of_completion;
use crate::exchange::completion::{Channel, Completion, Follower};
use crate::exchange::judged::{Decision, Flowed, Handling, Round, Verdict, Vote, Word};
use crate::exchange::{Api, Error, Kind, Record, Share};

type Judging = Pin<Box<dyn Future<Output = Vec<Verdict>> + Send>>;

/// Pieces that are taken of a stream behind its end at one time.
const DRAINED: usize = 16;

/// A stream under way, behind its windows.
pub struct Windowed<B> {
    /// None once the stream is over, or was stopped.
    upstream: Option<B>,
    stage: Stage,
    panel: Arc<Panel>,
    follower: Follower,
    lanes: Lanes,
    growing: Growing,
    /// The case, whose answers are those of the window that is judged.
    matter: Matter,
    held: Held,
    /// What the last window's critics said.
    said: Vec<Verdict>,
    /// The whole answer, once it is judged.
    whole: Option<Completion>,
    flowed: Arc<OnceLock<Flowed>>,
    api: Api,
    arrived: Instant,
    /// `max_tokens` of the request, for what a stop saves.
    max_tokens: u32,
    /// Texts that came: about as many tokens.
    events: u32,
}

enum Stage {
    Flowing,
    /// The whole answer is judged.
    Ending(Judging),
    /// Too large to be judged, and let through.
    Through,
    /// Everything is said; the upstream's end is waited for, so that its connection is kept.
    Over,
}

/// What waits.
struct Held {
    units: VecDeque<Unit>,
    unit_bytes: usize,
    /// The beginning of an event whose end has not come.
    open: BytesMut,
    share: Share,
    /// Bytes that were taken from the share.
    taken: usize,
}

/// Whole events.
struct Unit {
    bytes: Bytes,
    /// How far which lanes must be judged before it goes out.
    marks: Vec<(usize, usize)>,
    /// It waits for the whole answer.
    is_last: bool,
}

impl<B: Upstream> Windowed<B> {
    /// Holds a stream in windows; gives it back where its shape is not read.
    pub(super) fn new(upstream: B, panel: Arc<Panel>, record: &mut Record, share: Share) -> Result<Self, B> {
        let request = &record.request;
        let limits = &panel.policy.limits;
        let Some(follower) = Follower::keeping(request.api, request.target.path(), limits.held_bytes.bytes()) else {
            return Err(upstream);
        };
        let case = case::case(request.api, &request.body, &Completion::default(), &panel.policy.context);
        let matter = matter(record, Some(Arc::new(case)));
        let lanes = Lanes::new(limits.window_chars, limits.overlap_chars);
        let flowed = Arc::new(OnceLock::new());
        let (api, arrived) = (request.api, request.arrived);
        let max_tokens = request.facts.max_tokens.unwrap_or_default();
        record.judged.flowing.push(flowed.clone());
        let held = Held { units: VecDeque::new(), unit_bytes: 0, open: BytesMut::new(), share, taken: 0 };
        let (upstream, stage, growing, said) = (Some(upstream), Stage::Flowing, Growing::default(), Vec::new());
        let (whole, events) = (None, 0);
        Ok(Self {
            upstream,
            stage,
            panel,
            follower,
            lanes,
            growing,
            matter,
            held,
            said,
            whole,
            flowed,
            api,
            arrived,
            max_tokens,
            events,
        })
    }

    /// The next bytes that may go out.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(piece) = self.release() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Stage::Ending(judging) = &mut self.stage {
                let judged = judging.as_mut().poll(cx);
                self.drain(cx);
                let verdicts = ready!(judged);
                self.stage = Stage::Over;
                if let Err(error) = self.rule_whole(verdicts) {
                    return Poll::Ready(Some(Err(error)));
                }
                continue;
            }
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            let next = ready!(Pin::new(upstream).poll_frame(cx));
            let next = next.map(|next| next.map(|frame| frame.into_data().unwrap_or_default()));
            let taken = match (next, &self.stage) {
                (Some(Ok(piece)), Stage::Flowing) => self.take(&piece),
                (Some(Ok(piece)), Stage::Through) => return Poll::Ready(Some(Ok(piece))),
                (Some(Ok(_)), _) => Ok(()),
                (Some(Err(error)), Stage::Flowing) => {
                    // What was not judged does not go out, whoever broke it off.
                    self.stop();
                    Err(error)
                }
                (next, Stage::Flowing) => {
                    debug_assert!(next.is_none());
                    self.upstream = None;
                    let rest = self.held.open.split().freeze();
                    self.unit(rest);
                    self.judge_end()
                }
                (next, Stage::Through) => {
                    self.upstream = None;
                    next.map_or(Ok(()), |next| next.map(drop))
                }
                _ => {
                    self.upstream = None;
                    Ok(())
                }
            };
            if let Err(error) = taken {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Whether nothing more comes, as far as is known without a look.
    pub(super) fn is_done(&self) -> bool {
        let is_ended = self.upstream.as_ref().is_none_or(http_body::Body::is_end_stream);
        is_ended && self.held.units.is_empty() && matches!(self.stage, Stage::Through | Stage::Over)
    }

    /// What comes behind the stream's end is nobody's loss.
    fn drain(&mut self, cx: &mut Context<'_>) {
        for _ in 0..DRAINED {
            let Some(upstream) = &mut self.upstream else { return };
            match Pin::new(upstream).poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => self.upstream = None,
            }
        }
    }
}

impl<B> Windowed<B> {
    /// Takes a piece, and judges windows where they are full.
    fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        // The end of an event is four bytes at most.
        let seen = self.held.open.len().saturating_sub(3);
        self.held.open.extend_from_slice(piece);
        if !self.has_room() {
            return self.too_large();
        }
        let end = last_boundary(&self.held.open[seen..]);
        if end > 0 {
            let unit = self.held.open.split_to(seen + end).freeze();
            self.unit(unit);
        }
        if !self.has_room() {
            return self.too_large();
        }
        if self.follower.is_over() {
            return self.judge_end();
        }
        self.lanes.due().into_iter().try_for_each(|due| self.judge_part(due))
    }

    /// Takes events.
    fn unit(&mut self, bytes: Bytes) {
        let Self { follower, lanes, growing, events, .. } = self;
        let mut marks: Vec<(usize, usize)> = Vec::new();
        follower.push(&bytes, |delta, _| {
            *events += 1;
            match delta.channel {
                Channel::Text => growing.text(delta.choice, delta.text),
                Channel::Arguments { .. } => growing.calls = true,
                Channel::Reasoning | Channel::Refusal => {}
            }
            let Some((lane, came)) = lanes.push(&delta) else { return };
            match marks.iter_mut().find(|(known, _)| *known == lane) {
                Some(mark) => mark.1 = came,
                None => marks.push((lane, came)),
            }
        });
        let is_last = self.follower.is_ending();
        self.held.push(Unit { bytes, marks, is_last });
    }

    /// Whether all that is kept may be kept.
    fn has_room(&mut self) -> bool {
        let needs = self.held.unit_bytes + self.held.open.len() + self.follower.kept_bytes();
        let more = needs.saturating_sub(self.held.taken);
        let fits = needs <= self.panel.policy.limits.held_bytes.bytes() && !self.lanes.is_full;
        let fits = fits && (more == 0 || self.held.share.grow(more));
        self.held.taken += if fits { more } else { 0 };
        fits
    }

    /// More than is judged: the critics are skipped, which every critic's setting decides about.
    fn too_large(&mut self) -> Result<(), Error> {
        let verdicts = self.panel.skip(Bench::Enforced, Skip::Unreadable);
        let ruling = self.panel.policy.combine.rule(&verdicts);
        if ruling.decision == Vote::Fail {
            return Err(self.violation(verdicts));
        }
        let word = Word::of(&ruling);
        self.held.push(Unit::free(verdict_comment(word, &ruling).into()));
        let open = self.held.open.split().freeze();
        self.held.push(Unit::free(open));
        self.stage = Stage::Through;
        self.pass(verdicts, word);
        Ok(())
    }

    /// Judges what came of a lane since its last window, with what stands before it.
    fn judge_part(&mut self, due: Due) -> Result<(), Error> {
        if let Some(case) = self.matter.case.as_mut().and_then(Arc::get_mut) {
            case.task = self.growing.task(&case.format);
            case.answers = vec![self.lanes.part(due)];
        }
        let mut verdicts = self.panel.judge_part(&self.matter);
        verdicts.iter_mut().for_each(|verdict| self.lanes.place(due, &mut verdict.judgement));
        if self.panel.policy.combine.rule(&verdicts).decision == Vote::Fail {
            verdicts.iter().for_each(|verdict| self.panel.metrics().verdict(verdict));
            return Err(self.violation(verdicts));
        }
        self.lanes.passed(due);
        self.said = verdicts;
        Ok(())
    }

    /// Judges what no window has, and has the whole answer judged.
    fn judge_end(&mut self) -> Result<(), Error> {
        self.lanes.rest().into_iter().try_for_each(|due| self.judge_part(due))?;
        let answer = self.follower.take();
        let case = self.matter.case.take().and_then(|mut case| {
            let (completion, tokens) = answer?;
            case::answered(Arc::get_mut(&mut case)?, &completion, tokens);
            self.whole = Some(completion);
            Some(case)
        });
        let matter = Matter { case, ..self.matter.clone() };
        let panel = self.panel.clone();
        let judging = async move { panel.judge(Bench::Enforced, Urgency::Request, &matter).await };
        self.stage = Stage::Ending(Box::pin(judging));
        Ok(())
    }

    fn rule_whole(&mut self, verdicts: Vec<Verdict>) -> Result<(), Error> {
        let ruling = self.panel.policy.combine.rule(&verdicts);
        if ruling.decision == Vote::Fail {
            return Err(self.violation(verdicts));
        }
        let word = Word::of(&ruling);
        // The verdict stands before what is last; a comment between two events harms none.
        let rest: Vec<Bytes> = self.held.units.drain(..).map(|unit| unit.bytes).collect();
        let rest = Bytes::from(rest.concat());
        let said = before_last_event(&rest, &verdict_comment(word, &ruling));
        self.held.unit_bytes = 0;
        self.held.push(Unit::free(said.map_or(rest, |(said, _)| said)));
        self.pass(verdicts, word);
        Ok(())
    }

    fn release(&mut self) -> Option<Bytes> {
        let all = matches!(self.stage, Stage::Through | Stage::Over);
        let lanes = &self.lanes;
        let unit = self.held.units.pop_front_if(|unit| all || !unit.is_last && lanes.are_clean(&unit.marks))?;
        self.held.unit_bytes -= unit.bytes.len();
        Some(unit.bytes)
    }

    fn pass(&mut self, verdicts: Vec<Verdict>, word: Word) {
        self.panel.metrics().decision(Decision::Pass);
        self.tell(Flowed { verdicts, ruled: Some((word, Decision::Pass)), ..Flowed::default() });
    }

    /// Keeps what there is of the answer for the record, and lets nothing more of it out.
    fn violation(&mut self, verdicts: Vec<Verdict>) -> Error {
        let metrics = self.panel.metrics();
        metrics.stopped.with_label_values(&["violation"]).inc();
        if self.upstream.is_some() && matches!(self.stage, Stage::Flowing) && !self.follower.is_over() {
            metrics.saved_tokens.inc_by(self.max_tokens.saturating_sub(self.events).into());
        }
        let decision = Decision::Escalate(Handling::Refuse);
        metrics.decision(decision);
        let answer = self.whole.take().or_else(|| Some(self.follower.take()?.0));
        let round = Round {
            body: answer.and_then(|answer| of_completion(self.api, &answer)).unwrap_or_default(),
            content_type: "application/json".to_owned(),
            verdicts: verdicts.clone(),
            judged_at: self.arrived.elapsed(),
            completion_tokens: self.events,
        };
        self.stop();
        let ruled = Some((Word::Fail, decision));
        self.tell(Flowed { verdicts, stopped: true, ruled, rounds: vec![round] });
        Error::new(Kind::Rejected, "the answer was stopped by the critics of this route")
    }

    /// Drops what is held, and with the upstream its engine's work.
    fn stop(&mut self) {
        self.upstream = None;
        self.stage = Stage::Over;
        self.held.units.clear();
        self.held.unit_bytes = 0;
        self.held.open.clear();
    }

    fn tell(&self, flowed: Flowed) {
        // The first to say why is right.
        let _first = self.flowed.set(flowed);
    }
}

/// A client that leaves, or an engine that broke off: what was judged of the answer is known.
impl<B> Drop for Windowed<B> {
    fn drop(&mut self) {
        let verdicts = std::mem::take(&mut self.said);
        self.tell(Flowed { verdicts, ..Flowed::default() });
    }
}

impl Held {
    fn push(&mut self, unit: Unit) {
        if !unit.bytes.is_empty() {
            self.unit_bytes += unit.bytes.len();
            self.units.push_back(unit);
        }
    }
}

impl Unit {
    fn free(bytes: Bytes) -> Self {
        Self { bytes, marks: Vec::new(), is_last: false }
    }
}
