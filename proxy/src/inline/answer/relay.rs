//! The engine's answer on its way to the client: passed on as it comes, copied for the
//! record, timed, and never ended cleanly when the engine broke it.
//!
//! Promises: bytes are the engine's; only comments are added to a stream that is silent
//! (between two events), and an error event where it breaks. An event that the engine cut
//! is held back rather than passed on in part, so that the error event stays readable.
//! The record is offered when the last piece is handed to the client's connection, or as
//! "client left" when this is dropped before.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::{Instant, Sleep};

use super::{Upstream, event_of};
use crate::exchange::completion::Scanner;
use crate::exchange::record::is_event_stream;
use crate::exchange::{Api, Draft, Error, Kind, Outcome, Share};

/// What an engine client gives back: the draft, and the answer's head and body.
pub(super) type Asking<B> = Pin<Box<dyn Future<Output = (Draft, Result<(http::response::Parts, B), Error>)> + Send>>;

/// A cut event is held back up to this size; beyond it, it goes on as it is.
const HELD_BYTES: usize = 256 << 10;

const COMMENT: &[u8] = b": keep-alive\n\n";

/// How an answer is relayed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// So much of the answer is copied for the record.
    pub capture_bytes: usize,
    /// A stream silent for so long gets a comment; never where none.
    pub keep_alive: Option<Duration>,
}

/// An answer under way. `H` is whatever must be held until it is over.
pub struct Relay<B, H> {
    state: State<B>,
    copier: Copier,
    keep_alive: Option<Duration>,
    /// Armed lazily, like the limits of the engine's body.
    timer: Option<Pin<Box<Sleep>>>,
    last_sent: Instant,
    _hold: H,
}

enum State<B> {
    /// The head went out; the engine has not begun.
    Waiting(Asking<B>),
    Flowing(Flow<B>),
    Done,
}

/// Copies an answer for its record, as far as the route and the budget of all exchanges allow.
struct Copier {
    limit: usize,
    share: Share,
}

struct Flow<B> {
    /// Before the draft: whoever reads the record must not find this exchange among those who
    /// still take part in its generation.
    body: B,
    draft: Draft,
    /// Follows the events of a stream; none where the answer is plain.
    scanner: Option<Scanner>,
    /// The beginning of an event whose end has not come.
    held: BytesMut,
}

impl<B: Upstream, H> Relay<B, H> {
    /// Relays an answer that has begun.
    pub(super) fn new(draft: Draft, body: B, hold: (H, Share), settings: Settings) -> Self {
        let mut relay = Self::with(State::Done, hold, settings);
        relay.state = State::Flowing(Flow::new(draft, body));
        relay
    }

    /// Keeps the stream alive until the engine begins.
    pub(super) fn waiting(asking: Asking<B>, hold: (H, Share), settings: Settings) -> Self {
        let mut relay = Self::with(State::Waiting(asking), hold, settings);
        // The period has passed before the head could go out: the first comment goes with it.
        let due = settings.keep_alive.and_then(|period| relay.last_sent.checked_sub(period));
        relay.last_sent = due.unwrap_or(relay.last_sent);
        relay
    }

    fn with(state: State<B>, (hold, share): (H, Share), settings: Settings) -> Self {
        let copier = Copier { limit: settings.capture_bytes, share };
        let keep_alive = settings.keep_alive;
        Self { state, copier, keep_alive, timer: None, last_sent: Instant::now(), _hold: hold }
    }

    /// Whether comments or an error event may be added to what the engine sends.
    pub(super) fn may_add(&self) -> bool {
        matches!(&self.state, State::Flowing(flow) if flow.scanner.is_some())
    }

    /// Whether nothing more will come.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The next bytes for the client.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let State::Waiting(asking) = &mut self.state {
            match asking.as_mut().poll(cx) {
                Poll::Ready((draft, begun)) => return self.begun(draft, begun, cx),
                Poll::Pending => return self.poll_keep_alive(cx),
            }
        }
        let State::Flowing(flow) = &mut self.state else { return Poll::Ready(None) };
        match flow.poll_piece(&mut self.copier, cx) {
            Poll::Pending => self.poll_keep_alive(cx),
            Poll::Ready(Some(piece)) => {
                self.last_sent = Instant::now();
                if flow.body.is_end_stream() && flow.is_whole() {
                    self.finish(None);
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(None) => {
                let fault = flow.fault_at_end();
                Poll::Ready(self.end(fault))
            }
        }
    }

    /// The engine began, or failed, after the head went out.
    fn begun(
        &mut self,
        mut draft: Draft,
        begun: Result<(http::response::Parts, B), Error>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        draft.status = 200;
        draft.response.content_type = "text/event-stream".to_owned();
        let fault = match begun {
            Ok((head, body)) if is_stream(&head) => {
                self.state = State::Flowing(Flow::new(draft, body));
                return self.poll_next(cx);
            }
            Ok((head, _)) if head.status.is_success() => {
                Error::new(Kind::EngineInvalid, "the engine answered a stream with something else")
            }
            Ok((head, _)) => Error::new(Kind::EngineStatus, format!("the engine answered with status {}", head.status)),
            Err(error) => error,
        };
        let event = Bytes::from(event_of(draft.request.api, &fault));
        self.copier.note(&mut draft, &event);
        self.state = State::Done;
        draft.finish(Outcome::Failed, Some(fault));
        Poll::Ready(Some(Ok(event)))
    }

    /// The end, proper or not.
    fn end(&mut self, fault: Option<Error>) -> Option<Result<Bytes, Error>> {
        let State::Flowing(flow) = &mut self.state else { return None };
        let Some(fault) = fault else {
            self.finish(None);
            return None;
        };
        // A broken plain answer has no way to say so: its connection is cut.
        let last = match &flow.scanner {
            Some(_) => {
                // Where a part of an overlong event went out, its line must end first.
                let gap = if flow.is_between_events() { "" } else { "\n\n" };
                let event = Bytes::from(format!("{gap}{}", event_of(flow.draft.request.api, &fault)));
                self.copier.note(&mut flow.draft, &event);
                Ok(event)
            }
            None => Err(fault.clone()),
        };
        self.finish(Some(fault));
        Some(last)
    }

    /// A comment, where the stream was silent for too long and stands between two events.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(period) = self.keep_alive else { return Poll::Pending };
        let fits = match &self.state {
            State::Waiting(_) => true,
            State::Flowing(Flow { scanner: Some(scanner), .. }) => scanner.at_boundary(),
            // A plain answer can take no comment: no timer for it.
            State::Flowing(_) | State::Done => return Poll::Pending,
        };
        loop {
            let due = self.last_sent + period;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= due && fits {
                self.last_sent = now;
                return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
            }
            timer.as_mut().reset(if now >= due { now + period } else { due });
        }
    }
}

impl<B, H> Relay<B, H> {
    fn finish(&mut self, fault: Option<Error>) {
        let State::Flowing(flow) = std::mem::replace(&mut self.state, State::Done) else { return };
        let said_error = flow.scanner.as_ref().is_some_and(Scanner::failed);
        let outcome = match &fault {
            Some(_) => Outcome::Broken,
            None if flow.draft.status >= 400 => Outcome::EngineError,
            None if said_error => Outcome::Broken,
            None => Outcome::Complete,
        };
        let Flow { body, draft, .. } = flow;
        drop(body);
        draft.finish(outcome, fault);
    }
}

/// Clients close when they have seen the end marker; that the engine's last chunk came later
/// does not make them leave early.
impl<B, H> Drop for Relay<B, H> {
    fn drop(&mut self) {
        if let State::Flowing(flow) = &self.state
            && flow.has_ended()
        {
            self.finish(None);
        }
    }
}

impl<B: Upstream> Flow<B> {
    fn new(draft: Draft, body: B) -> Self {
        let request = &draft.request;
        let follows = draft.response.is_stream() && draft.response.content_encoding.is_empty();
        let follows = follows && (request.api.owes_end() || request.api == Api::Opaque);
        let scanner = follows.then(|| Scanner::new(request.api, request.target.path()));
        Self { body, draft, scanner, held: BytesMut::new() }
    }

    /// The next piece to pass on; none at the end. A fault is kept in the draft.
    fn poll_piece(&mut self, copier: &mut Copier, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let piece = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                // The end was here already: what comes after it is nobody's loss.
                Some(Err(_)) if self.has_ended() => return Poll::Ready(None),
                Some(Err(error)) => {
                    self.draft.error = Some(error);
                    return Poll::Ready(None);
                }
                None => return Poll::Ready(self.release_at_end(copier)),
            };
            self.stamp(&piece);
            let piece = self.whole_events(piece);
            if !piece.is_empty() {
                copier.note(&mut self.draft, &piece);
                return Poll::Ready(Some(piece));
            }
        }
    }

    /// Notes when the piece came and what it completes.
    fn stamp(&mut self, piece: &Bytes) {
        let now = self.draft.elapsed();
        let timings = &mut self.draft.timings;
        if timings.first_byte.is_none() {
            timings.first_byte = Some(now);
        }
        let gap = timings.last_byte.map_or(Duration::ZERO, |before| now - before);
        timings.longest_gap = timings.longest_gap.max(gap);
        timings.last_byte = Some(now);
        if let Some(scanner) = &mut self.scanner {
            if scanner.push(piece) {
                self.draft.timings.first_token = Some(now);
            }
            self.draft.response.events = scanner.events();
        }
    }

    /// Holds back an event that is not whole yet.
    fn whole_events(&mut self, piece: Bytes) -> Bytes {
        let Some(scanner) = &self.scanner else { return piece };
        if scanner.at_boundary() && self.held.is_empty() {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        let end = match scanner.at_boundary() || self.held.len() > HELD_BYTES {
            true => self.held.len(),
            false => last_boundary(&self.held),
        };
        self.held.split_to(end).freeze()
    }

    /// What was held back goes out at a proper end: it is the engine's, if odd.
    fn release_at_end(&mut self, copier: &mut Copier) -> Option<Bytes> {
        if self.held.is_empty() || self.breaks_off() {
            return None;
        }
        let rest = self.held.copy_to_bytes(self.held.len());
        copier.note(&mut self.draft, &rest);
        Some(rest)
    }

    fn breaks_off(&self) -> bool {
        self.scanner.as_ref().is_some_and(|s| s.owes_end() && !s.ended() && !s.failed()) && self.draft.status < 400
    }

    /// Whether an event may be put in without breaking another.
    fn is_between_events(&self) -> bool {
        !self.held.is_empty() || self.scanner.as_ref().is_some_and(Scanner::at_boundary)
    }

    /// Whether everything that came went on and nothing is owed.
    fn is_whole(&self) -> bool {
        self.held.is_empty() && self.draft.error.is_none() && !self.breaks_off()
    }

    /// Why the answer is no proper one, now that it is over.
    fn fault_at_end(&mut self) -> Option<Error> {
        if let Some(error) = self.draft.error.take() {
            return Some(error);
        }
        let fault = || Error::new(Kind::EngineBroke, "the engine ended its stream without finishing the answer");
        self.breaks_off().then(fault)
    }
}

impl<B> Flow<B> {
    /// Whether the stream's end marker went out.
    fn has_ended(&self) -> bool {
        self.held.is_empty() && self.scanner.as_ref().is_some_and(Scanner::ended)
    }
}

/// Whether a head begins a stream that the client, who was promised one, can read.
fn is_stream(head: &http::response::Parts) -> bool {
    let value = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    head.status.is_success()
        && is_event_stream(value(http::header::CONTENT_TYPE))
        && value(http::header::CONTENT_ENCODING).is_empty()
}

impl Copier {
    /// Copies a piece, up to the limits.
    fn note(&mut self, draft: &mut Draft, piece: &Bytes) {
        let capture = &mut draft.response;
        capture.total_bytes += piece.len() as u64;
        let wanted = piece.len().min(self.limit.saturating_sub(capture.body.len()));
        if self.share.grow(wanted) {
            capture.body.extend_from_slice(&piece[..wanted]);
        } else {
            // A copy with a hole would lie: what comes after is not copied either.
            self.limit = 0;
        }
    }
}

/// Where the last whole event ends; 0 where none does.
fn last_boundary(bytes: &[u8]) -> usize {
    let ends: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\r\r"];
    let last = |end: &&[u8]| memchr::memmem::rfind(bytes, end).map(|at| at + end.len());
    ends.iter().filter_map(last).max().unwrap_or(0)
}
