//! A stream that goes through as it comes, with rules that look at it on the way.
//!
//! Promises: bytes are passed on untouched and at once; a generation that has gone wrong beyond
//! repair is stopped where the route says so, and its engine's work with it. What is kept of a
//! stream for looking at it does not grow with it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use hyper::body::{Frame, SizeHint};
use weir_critic::stream::{Lane, Piece, Sighting, Watcher};
use weir_critic::{Finding, Judgement, Outcome};

use super::Upstream;
use super::config::Act;
use super::panel::Panel;
use super::trial::{is_judged, is_plain_stream};
use crate::exchange::completion::{Channel, Follower};
use crate::exchange::judged::{Cost, Decision, Flowed, Handling, Mode, OnSkip, Verdict, Word};
use crate::exchange::{Error, Kind, Record, case};

/// The watching rules' name among critics.
const NAME: &str = "stream";

/// Changes with the rules.
const VERSION: &str = "stream-1";

/// An answer from an engine, looked at where it is a stream that is watched.
pub struct Watched<B> {
    /// None once it is over, or was stopped.
    upstream: Option<B>,
    /// None where there is nothing more to look at.
    eyes: Option<Box<Eyes>>,
    /// The piece for which it was stopped, which did not go out.
    pub(super) withheld: Bytes,
}

struct Eyes {
    panel: Arc<Panel>,
    follower: Follower,
    watcher: Watcher,
    pieces: u32,
    found: Vec<Finding>,
    flowed: Arc<OnceLock<Flowed>>,
    max_tokens: u32,
}

/// Whether an answer is a stream that critics can read.
pub(super) fn is_read(record: &Record, head: &Parts) -> bool {
    head.status.is_success() && is_plain_stream(head) && is_judged(&record.request)
}

/// Has an engine's answer watched, where its route watches and it is a stream.
pub(super) fn watched<B: Upstream>(panel: &Arc<Panel>, record: &mut Record, head: &Parts, body: B) -> Watched<B> {
    let eyes = if is_read(record, head) { Eyes::open(panel, record) } else { None };
    Watched { upstream: Some(body), eyes, withheld: Bytes::new() }
}

impl<B: Upstream> http_body::Body for Watched<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { upstream, eyes, withheld } = self.get_mut();
        let Some(body) = upstream else { return Poll::Ready(None) };
        let next = ready!(Pin::new(body).poll_frame(cx));
        if let (Some(Ok(frame)), Some(open)) = (&next, eyes.as_mut()) {
            let looked = frame.data_ref().map_or(Ok(()), |piece| open.look(piece));
            // The end is told before it goes out: whoever has it asks for nothing more.
            if looked.is_err() || open.follower.is_over() {
                *eyes = None;
            }
            if let Err(error) = looked {
                // With the upstream its engine's work ends.
                *upstream = None;
                *withheld = next.and_then(Result::ok).and_then(|frame| frame.into_data().ok()).unwrap_or_default();
                return Poll::Ready(Some(Err(error)));
            }
        } else if !matches!(next, Some(Ok(_))) {
            (*upstream, *eyes) = (None, None);
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.upstream.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.upstream.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Eyes {
    fn open(panel: &Arc<Panel>, record: &mut Record) -> Option<Box<Self>> {
        let request = &record.request;
        let watch = panel.watch.as_ref()?;
        let follower = Follower::new(request.api, request.target.path())?;
        let watcher = watch.stream(&case::asked_format(request));
        let max_tokens = request.facts.max_tokens.unwrap_or_default();
        let flowed = Arc::new(OnceLock::new());
        record.judged.flowing.push(flowed.clone());
        panel.metrics().watched.inc();
        let (panel, pieces, found) = (panel.clone(), 0, Vec::new());
        Some(Box::new(Self { panel, follower, watcher, pieces, found, flowed, max_tokens }))
    }

    fn look(&mut self, piece: &[u8]) -> Result<(), Error> {
        let mut degenerate = false;
        let (watcher, pieces, found) = (&mut self.watcher, &mut self.pieces, &mut self.found);
        self.follower.push(piece, |delta, event| {
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
            metrics.saved_tokens.inc_by(self.max_tokens.saturating_sub(self.pieces).into());
            self.tell(true);
            return Err(Error::new(Kind::Degenerate, "the generation had gone wrong beyond repair and was stopped"));
        }
        Ok(())
    }

    fn tell(&mut self, stopped: bool) {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() {
            return;
        }
        let judgement = Judgement { outcome: Outcome::Fail, score: None, findings: found };
        let verdict = Verdict {
            critic: NAME.into(),
            version: VERSION.into(),
            mode: if stopped { Mode::Enforce } else { Mode::Audit },
            on_skip: OnSkip::Open,
            weight: 1.0,
            judgement,
            took: Duration::ZERO,
            cost: Cost::default(),
        };
        self.panel.metrics().verdict(&verdict);
        let ruled = stopped.then_some((Word::Fail, Decision::Escalate(Handling::Refuse)));
        // Told once: when it is stopped, at the end, or when it is dropped before.
        let _first = self.flowed.set(Flowed { verdicts: vec![verdict], stopped, ruled, rounds: Vec::new() });
    }
}

/// At the end, or when the client leaves.
impl Drop for Eyes {
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
