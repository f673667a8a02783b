//! A stream that goes through as it comes, with rules that look at it on the way.
//!
//! Promises: bytes are passed on untouched and at once; a generation that has gone wrong beyond
//! repair is stopped where the route says so, and its engine's work with it. What is kept of a
//! stream for looking at it is bounded: a longer one goes on unwatched.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use weir_critic::stream::{Lane, Piece, Sighting, Watcher};
use weir_critic::{Finding, Judgement, Outcome};

use super::Upstream;
use super::config::Act;
use super::panel::Panel;
use crate::exchange::completion::{Channel, Follower};
use crate::exchange::judged::{Cost, Flowed, Mode, OnSkip, Verdict};
use crate::exchange::{Error, Kind, Record, case};

/// The watching rules' name among critics.
const NAME: &str = "stream";

/// Changes with the rules.
const VERSION: &str = "stream-1";

/// A stream under way.
pub struct Watched<B> {
    /// None once it is over, or was stopped.
    upstream: Option<B>,
    panel: Arc<Panel>,
    /// None where it went on unwatched.
    eyes: Option<Box<Eyes>>,
    found: Vec<Finding>,
    flowed: Arc<OnceLock<Flowed>>,
    max_tokens: u32,
}

struct Eyes {
    follower: Follower,
    watcher: Watcher,
    bytes: usize,
    pieces: u32,
}

impl<B: Upstream> Watched<B> {
    /// Watches a stream; gives it back where its shape is not read.
    pub(super) fn new(upstream: B, panel: Arc<Panel>, record: &mut Record) -> Result<Self, B> {
        let request = &record.request;
        let (Some(follower), Some(watch)) = (Follower::new(request.api, request.target.path()), panel.watch.as_ref())
        else {
            return Err(upstream);
        };
        let watcher = watch.stream(&case::asked_format(&request.body));
        let eyes = Some(Box::new(Eyes { follower, watcher, bytes: 0, pieces: 0 }));
        let flowed = Arc::new(OnceLock::new());
        let max_tokens = request.facts.max_tokens.unwrap_or_default();
        record.judged.flowing = Some(flowed.clone());
        panel.metrics().watched.inc();
        Ok(Self { upstream: Some(upstream), panel, eyes, found: Vec::new(), flowed, max_tokens })
    }

    /// The next bytes.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
        let next = ready!(Pin::new(upstream).poll_frame(cx));
        Poll::Ready(match next {
            Some(Ok(frame)) => {
                let piece = frame.into_data().unwrap_or_default();
                Some(self.look(&piece).map(|()| piece))
            }
            other => {
                self.over(false);
                other.and_then(Result::err).map(Err)
            }
        })
    }

    /// Whether nothing more comes.
    pub(super) fn is_done(&self) -> bool {
        self.upstream.as_ref().is_none_or(|upstream| upstream.is_end_stream())
    }

    fn look(&mut self, piece: &[u8]) -> Result<(), Error> {
        let Some(eyes) = &mut self.eyes else { return Ok(()) };
        eyes.bytes += piece.len();
        if eyes.bytes > self.panel.policy.limits.held_bytes.bytes() {
            self.eyes = None;
            return Ok(());
        }
        let mut degenerate = false;
        let (watcher, pieces, found) = (&mut eyes.watcher, &mut eyes.pieces, &mut self.found);
        eyes.follower.push(piece, |delta, event| {
            let lane = match delta.channel {
                Channel::Text => Lane::Text,
                Channel::Reasoning => Lane::Reasoning,
                Channel::Arguments { call } => Lane::ToolArguments { call },
                Channel::Refusal => return,
            };
            *pieces += 1;
            let piece = Piece { choice: delta.choice, lane, text: delta.text, logprob: logprob(event) };
            if let Some(Sighting { finding, degenerate: beyond_repair }) = watcher.push(piece) {
                degenerate |= beyond_repair;
                if found.len() < weir_critic::verdict::MAX_FINDINGS {
                    found.push(finding);
                }
            }
        });
        if degenerate && self.panel.policy.watch.act == Act::Abort {
            let metrics = self.panel.metrics();
            metrics.stopped.with_label_values(&["degenerate"]).inc();
            metrics.saved_tokens.inc_by(self.max_tokens.saturating_sub(eyes.pieces).into());
            self.over(true);
            return Err(Error::new(Kind::Degenerate, "the generation had gone wrong beyond repair and was stopped"));
        }
        Ok(())
    }

    /// Tells what was found; with the upstream its engine's work ends.
    fn over(&mut self, stopped: bool) {
        self.upstream = None;
        self.tell(stopped);
    }
}

impl<B> Watched<B> {
    fn tell(&mut self, stopped: bool) {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() {
            return;
        }
        let acts = self.panel.policy.watch.act == Act::Abort;
        let judgement = Judgement { outcome: Outcome::Fail, score: None, findings: found };
        let verdict = Verdict {
            critic: NAME.into(),
            version: VERSION.into(),
            mode: if acts { Mode::Enforce } else { Mode::Audit },
            on_skip: OnSkip::Open,
            weight: 1.0,
            judgement,
            took: Duration::ZERO,
            cost: Cost::default(),
        };
        self.panel.metrics().verdict(&verdict);
        // Told once: at the end, or when it is dropped before.
        let _first = self.flowed.set(Flowed { verdicts: vec![verdict], stopped });
    }
}

/// A client that leaves, or has its last event, does not ask for the end.
impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        self.tell(false);
    }
}

/// The log-probability of an event's one token, where the engine tells it.
fn logprob(event: &[u8]) -> Option<f32> {
    let at = memchr::memmem::find(event, b"\"logprob\":")? + b"\"logprob\":".len();
    let rest = std::str::from_utf8(event.get(at..)?).ok()?.trim_start();
    let end = rest.find([',', '}', ' ']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
