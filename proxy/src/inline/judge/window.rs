//! A stream held in bounded windows: what is clean goes out, a violation ends it.
//!
//! Promises: no text goes out before critics have seen it together with what stands around it:
//! the last `overlap` letters of what is known always wait for what follows. The stream's end
//! waits for every enforced critic of the whole answer. What is held is bounded.
//!
//! ```text
//! released │ overlap │   window   │ overlap (held) │ to come
//!          └──────── judged together ─────────────┘
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use weir_critic::{Case, Skip};

use super::panel::{Bench, Matter, Panel, Urgency};
use super::{Upstream, before_last_event, verdict_comment};
use crate::exchange::completion::{Completion, Follower};
use crate::exchange::judged::{Flowed, Verdict, Vote, Word};
use crate::exchange::{Error, Kind, Record, case};

type Judging = Pin<Box<dyn Future<Output = Vec<Verdict>> + Send>>;

/// A stream under way, behind its windows.
pub struct Windowed<B> {
    /// None once the stream is over, or was stopped.
    upstream: Option<B>,
    panel: Arc<Panel>,
    follower: Follower,
    /// The case without answers.
    matter: Matter,
    /// Pieces that wait, each with the letters that had come with it.
    held: VecDeque<(Bytes, usize)>,
    held_bytes: usize,
    /// Letters that came, were judged, and went out.
    came: usize,
    judged: usize,
    /// Judges the whole answer, when it is whole.
    last: Option<Judging>,
    flowed: Arc<std::sync::OnceLock<Flowed>>,
    /// `max_tokens` of the request, for what a stop saves.
    max_tokens: u32,
    over: bool,
    /// Texts that came: about as many tokens.
    events: u32,
    /// Whether what went out ended with a whole event.
    stands_between_events: bool,
}

impl<B: Upstream> Windowed<B> {
    /// Holds a stream in windows; gives it back where its shape is not read.
    pub(super) fn new(upstream: B, panel: Arc<Panel>, record: &mut Record) -> Result<Self, B> {
        let request = &record.request;
        let Some(follower) = Follower::new(request.api, request.target.path()) else { return Err(upstream) };
        let empty = Completion::default();
        let case = Some(Arc::new(case::case(request.api, &request.body, &empty, &panel.policy.context)));
        let flowed = Arc::new(std::sync::OnceLock::new());
        record.judged.flowing = Some(flowed.clone());
        Ok(Self {
            upstream: Some(upstream),
            panel,
            follower,
            matter: Matter { id: request.id, case, model: request.facts.model.clone(), left: None },
            held: VecDeque::new(),
            held_bytes: 0,
            came: 0,
            judged: 0,
            last: None,
            flowed,
            max_tokens: request.facts.max_tokens.unwrap_or_default(),
            over: false,
            events: 0,
            stands_between_events: true,
        })
    }

    /// The next bytes that may go out.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(piece) = self.release() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(last) = &mut self.last {
                let verdicts = ready!(last.as_mut().poll(cx));
                self.last = None;
                if let Err(error) = self.rule_whole(verdicts) {
                    return Poll::Ready(Some(Err(error)));
                }
                continue;
            }
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            match ready!(Pin::new(upstream).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let piece = frame.into_data().unwrap_or_default();
                    if let Err(error) = self.take(piece) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Some(Err(error)) => {
                    // What was not judged does not go out, whoever broke it off.
                    self.stop(Vec::new(), false);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.upstream = None;
                    self.judge_whole();
                }
            }
        }
    }

    /// Whether nothing more comes, as far as is known without a look.
    pub(super) fn is_done(&self) -> bool {
        self.upstream.is_none() && self.last.is_none() && self.held.is_empty()
    }

    /// Takes a piece, and judges a window where one is full.
    fn take(&mut self, piece: Bytes) -> Result<(), Error> {
        let (mut letters, mut events) = (0, 0);
        self.follower.push(&piece, |delta, _| {
            letters += delta.text.chars().count();
            events += 1;
        });
        self.came += letters;
        self.events += events;
        self.held_bytes += piece.len();
        self.held.push_back((piece, self.came));
        let limits = &self.panel.policy.limits;
        if self.held_bytes > limits.held_bytes.bytes() {
            let error = Error::new(Kind::Rejected, "the stream holds more between two texts than may be held");
            self.stop(self.panel.skip(Bench::Enforced, Skip::Unreadable), true);
            return Err(error);
        }
        if self.follower.is_over() {
            self.upstream = None;
            self.judge_whole();
            return Ok(());
        }
        if self.came - self.judged >= limits.window_chars + limits.overlap_chars {
            return self.judge_window();
        }
        Ok(())
    }

    /// Judges what came since the last window, with what stands before it.
    fn judge_window(&mut self) -> Result<(), Error> {
        let limits = &self.panel.policy.limits;
        let tail = self.came - self.judged + limits.overlap_chars;
        let Some(answer) = self.follower.so_far() else { return Ok(()) };
        let part = self.case_of(&answer, Some(tail));
        let verdicts = self.panel.judge_part(&Matter { case: part, ..self.matter.clone() });
        let ruling = self.panel.policy.combine.rule(&verdicts);
        if ruling.decision == Vote::Fail {
            return Err(self.violation(verdicts));
        }
        self.judged = self.came.saturating_sub(limits.overlap_chars);
        Ok(())
    }

    /// Has the whole answer judged; nothing that is still held goes out before.
    fn judge_whole(&mut self) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let whole = self.follower.so_far().and_then(|answer| self.case_of(&answer, None));
        let matter = Matter { case: whole, ..self.matter.clone() };
        let panel = self.panel.clone();
        self.last = Some(Box::pin(async move { panel.judge(Bench::Enforced, Urgency::Request, &matter).await }));
    }

    fn rule_whole(&mut self, verdicts: Vec<Verdict>) -> Result<(), Error> {
        let ruling = self.panel.policy.combine.rule(&verdicts);
        if ruling.decision == Vote::Fail {
            return Err(self.violation(verdicts));
        }
        let comment = verdict_comment(Word::of(&ruling), &ruling);
        // The verdict stands before what is last; a comment between two events harms none.
        let rest: Vec<Bytes> = self.held.drain(..).map(|(piece, _)| piece).collect();
        let rest = Bytes::from(rest.concat());
        let said = before_last_event(&rest, &comment).filter(|(_, at)| *at > 0 || self.stands_between_events);
        let rest = said.map_or(rest, |(said, _)| said);
        self.held_bytes = rest.len();
        self.held.push_back((rest, self.came));
        self.judged = usize::MAX;
        // Set once: nobody else sets it.
        let _first = self.flowed.set(Flowed { verdicts, stopped: false });
        Ok(())
    }

    /// The case with an answer, or with the last letters of each of its texts.
    fn case_of(&self, answer: &Completion, tail: Option<usize>) -> Option<Arc<Case>> {
        let mut case = (**self.matter.case.as_ref()?).clone();
        case.answers = case::answers(answer);
        let cut = |text: &mut String, letters: usize| {
            let at = text.char_indices().rev().nth(letters.saturating_sub(1)).map_or(0, |(at, _)| at);
            text.drain(..at);
        };
        let Some(letters) = tail else { return Some(Arc::new(case)) };
        for answer in &mut case.answers {
            cut(&mut answer.text, letters);
            cut(&mut answer.reasoning, letters);
            cut(&mut answer.refusal, letters);
            answer.tool_calls.iter_mut().for_each(|call| cut(&mut call.arguments, letters));
        }
        Some(Arc::new(case))
    }

    fn release(&mut self) -> Option<Bytes> {
        let judged = self.judged;
        let (piece, _) = self.held.pop_front_if(|(_, came)| *came <= judged)?;
        self.held_bytes -= piece.len();
        self.stands_between_events = ends_event(&piece);
        Some(piece)
    }

    fn violation(&mut self, verdicts: Vec<Verdict>) -> Error {
        self.panel.metrics().stopped.with_label_values(&["violation"]).inc();
        self.stop(verdicts, true);
        Error::new(Kind::Rejected, "the answer was stopped by the critics of this route")
    }

    /// Drops what is held, and with the upstream its engine's work.
    fn stop(&mut self, verdicts: Vec<Verdict>, stopped: bool) {
        if stopped && self.upstream.is_some() {
            let saved = self.max_tokens.saturating_sub(self.events);
            self.panel.metrics().saved_tokens.inc_by(saved.into());
        }
        self.upstream = None;
        self.last = None;
        self.held.clear();
        // The first to say why is right.
        let _first = self.flowed.set(Flowed { verdicts, stopped });
    }
}

fn ends_event(bytes: &[u8]) -> bool {
    [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"].iter().any(|end| bytes.ends_with(end))
}
