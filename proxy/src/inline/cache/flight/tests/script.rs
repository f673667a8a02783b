//! A source that does what it is told, and clients that are polled only when woken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use uuid::Uuid;

use super::super::{Asking, Flight, Flights, Joined, Lane, Participant, Wanted, lock};
use crate::exchange::{Api, Budget, ByteSize, Error, ExchangeId, Facts, Kind, Name, Record, Request, TraceContext};

/// What a source does next.
#[derive(Clone)]
pub(super) enum Step {
    Head(u16),
    Piece(Bytes),
    End,
    Fail(Kind),
    /// Gives way: wakes at once and is not ready.
    Yield,
    /// Gives way, and lets something else happen before it is given back.
    YieldAnd(Arc<dyn Fn() + Send + Sync>),
    Panic,
    /// Lets something else happen while it is polled, as on another thread, and goes on.
    Meanwhile(Arc<dyn Fn() + Send + Sync>),
}

/// Tells a source what to do and sees what became of it.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    waker: Option<Waker>,
    busy: bool,
    dropped: bool,
    begun: bool,
    over: bool,
    failed: bool,
    given: Vec<u8>,
    polls: usize,
}

/// Sees the source go, before or after its head.
struct Presence(Script);

pub(super) struct Scripted(Presence);

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Self::default();
        lock(&script.0).steps.extend(steps);
        script
    }

    pub(super) fn tell(&self, step: Step) {
        let mut state = lock(&self.0);
        state.steps.push_back(step);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn tell_piece(&self, text: &str) {
        self.tell(Step::Piece(Bytes::from(text.to_owned())));
    }

    pub(super) fn is_dropped(&self) -> bool {
        lock(&self.0).dropped
    }

    /// Whether its end, good or bad, was given.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.0).over
    }

    pub(super) fn has_begun(&self) -> bool {
        lock(&self.0).begun
    }

    pub(super) fn has_failed(&self) -> bool {
        lock(&self.0).failed
    }

    /// Whether everything that it was told has been done.
    pub(super) fn is_done(&self) -> bool {
        lock(&self.0).steps.is_empty()
    }

    pub(super) fn given(&self) -> Vec<u8> {
        lock(&self.0).given.clone()
    }

    pub(super) fn polls(&self) -> usize {
        lock(&self.0).polls
    }

    pub(super) fn asking(&self) -> Asking<Scripted> {
        let presence = Presence(self.clone());
        Box::pin(async move {
            let begun = std::future::poll_fn(|cx| presence.0.next(cx)).await;
            let record = record();
            match begun {
                Step::Head(status) => {
                    let (mut head, ()) = http::Response::new(()).into_parts();
                    head.status = http::StatusCode::from_u16(status).unwrap();
                    (record, Ok((head, Scripted(presence))))
                }
                Step::Fail(kind) => (record, Err(Error::new(kind, "as told"))),
                step => panic!("{step:?} before the head"),
            }
        })
    }

    fn next(&self, cx: &mut Context<'_>) -> Poll<Step> {
        let mut state = lock(&self.0);
        assert!(!state.busy && !state.dropped, "polled by two, or after its end");
        state.polls += 1;
        match state.steps.pop_front() {
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Step::Yield) => {
                // Busy while the waker runs: nobody may poll from within it.
                state.busy = true;
                drop(state);
                cx.waker().wake_by_ref();
                lock(&self.0).busy = false;
                Poll::Pending
            }
            Some(Step::YieldAnd(happen)) => {
                state.busy = true;
                drop(state);
                cx.waker().wake_by_ref();
                happen();
                lock(&self.0).busy = false;
                Poll::Pending
            }
            Some(Step::Panic) => {
                drop(state);
                panic!("as told");
            }
            Some(Step::Meanwhile(happen)) => {
                state.busy = true;
                drop(state);
                happen();
                lock(&self.0).busy = false;
                self.next(cx)
            }
            Some(step) => {
                if let Step::Piece(piece) = &step {
                    state.given.extend_from_slice(piece);
                }
                state.begun |= matches!(step, Step::Head(_));
                state.failed |= matches!(step, Step::Fail(_));
                state.over |= matches!(step, Step::End | Step::Fail(_));
                Poll::Ready(step)
            }
        }
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(status) => write!(f, "Head({status})"),
            Self::Piece(piece) => write!(f, "Piece({})", piece.len()),
            Self::Fail(kind) => write!(f, "Fail({kind:?})"),
            Self::End => f.write_str("End"),
            Self::Yield => f.write_str("Yield"),
            Self::YieldAnd(_) => f.write_str("YieldAnd"),
            Self::Panic => f.write_str("Panic"),
            Self::Meanwhile(_) => f.write_str("Meanwhile"),
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.dropped = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.0.next(cx).map(|step| match step {
            Step::Piece(piece) => Some(Ok(Frame::data(piece))),
            Step::Fail(kind) => Some(Err(Error::new(kind, "as told"))),
            Step::End => None,
            step => panic!("{step:?} after the head"),
        })
    }

    /// Knows its end with its last piece, where it was told by then.
    fn is_end_stream(&self) -> bool {
        let mut state = lock(&self.0.0.0);
        let ends = matches!(state.steps.front(), Some(Step::End));
        state.over |= ends;
        if ends {
            state.steps.clear();
        }
        state.over && ends
    }
}

/// Woken or not.
#[derive(Default)]
pub(super) struct Flag {
    raised: AtomicBool,
    wakes: AtomicUsize,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.raised.store(true, Ordering::SeqCst);
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }
}

/// A client whose participant is polled only when it was woken and wants to read.
pub(super) struct Client {
    pub(super) participant: Option<Participant<Scripted>>,
    flag: Arc<Flag>,
    /// Pieces that it will still read; it ignores its waker where 0.
    pub(super) appetite: usize,
    pub(super) status: Option<Result<u16, Kind>>,
    pub(super) pieces: Vec<Bytes>,
    pub(super) end: Option<Result<(), Kind>>,
}

impl Client {
    pub(super) fn new(participant: Participant<Scripted>) -> Self {
        let client = Self {
            participant: Some(participant),
            flag: Arc::default(),
            appetite: usize::MAX,
            status: None,
            pieces: Vec::new(),
            end: None,
        };
        client.poke();
        client
    }

    /// Has it polled without being woken by the flight, as a socket that can be written again.
    pub(super) fn poke(&self) {
        self.flag.raised.store(true, Ordering::SeqCst);
    }

    pub(super) fn got(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    pub(super) fn wakes(&self) -> usize {
        self.flag.wakes.load(Ordering::SeqCst)
    }

    pub(super) fn is_woken(&self) -> bool {
        self.participant.is_some() && self.appetite > 0 && self.flag.raised.load(Ordering::SeqCst)
    }

    pub(super) fn leave(&mut self) {
        self.participant = None;
    }

    pub(super) fn flight(&self) -> &Arc<Flight<Scripted>> {
        self.participant.as_ref().unwrap().flight()
    }

    /// Reads all that is there, as hyper does, if it was woken.
    pub(super) fn run(&mut self) {
        if !self.is_woken() {
            return;
        }
        self.flag.raised.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.flag.clone());
        let mut cx = Context::from_waker(&waker);
        while self.end.is_none() && self.appetite > 0 && self.step(&mut cx).is_ready() {}
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let participant = self.participant.as_mut().unwrap();
        if self.status.is_none() {
            return participant.poll_begun(cx).map(|head| {
                self.end = head.as_ref().err().map(|error| Err(error.kind));
                self.status = Some(head.map(|head| head.status.as_u16()).map_err(|error| error.kind));
            });
        }
        Pin::new(participant).poll_frame(cx).map(|piece| match piece {
            Some(Ok(frame)) => {
                self.pieces.push(frame.into_data().unwrap());
                self.appetite -= 1;
            }
            Some(Err(error)) => self.end = Some(Err(error.kind)),
            None => self.end = Some(Ok(())),
        })
    }
}

/// Polls whoever was woken until nobody is.
pub(super) fn run_all(clients: &mut [Client]) {
    while clients.iter().any(|client| client.is_woken()) {
        clients.iter_mut().for_each(Client::run);
    }
}

pub(super) fn flights() -> Flights<Scripted> {
    Flights::new(Budget::new(ByteSize(1 << 30)), gauge())
}

pub(super) fn gauge() -> prometheus::IntGauge {
    prometheus::IntGauge::new("participants", "Those who take part").unwrap()
}

pub(super) fn wanted(key: &'static str) -> Wanted {
    let key = Bytes::from_static(key.as_bytes());
    Wanted {
        exchange: crate::exchange::ExchangeId(Uuid::nil()),
        digest: [7; 32],
        key,
        lanes: &[Lane::Stream],
        limit_bytes: 1 << 20,
        lag_bytes: 1 << 20,
        deadline: None,
    }
}

/// Joins; the script is the new source's, if there is one.
pub(super) fn join(flights: &Flights<Scripted>, wanted: Wanted, script: &Script) -> (bool, Client) {
    match flights.join(wanted, || script.asking()) {
        Joined::Lead(participant) => (true, Client::new(participant)),
        Joined::Follow(participant) => (false, Client::new(participant)),
    }
}

/// Joins one that must be there.
pub(super) fn follow(flights: &Flights<Scripted>, wanted: Wanted) -> Client {
    match flights.join(wanted, || panic!("asked an engine again")) {
        Joined::Lead(_) => panic!("led"),
        Joined::Follow(participant) => Client::new(participant),
    }
}

pub(super) fn record() -> Box<Record> {
    let nobody = Name::new("nobody").unwrap();
    let request = Request {
        id: ExchangeId(Uuid::nil()),
        received_at: SystemTime::UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Completions,
        method: http::Method::POST,
        target: http::uri::PathAndQuery::from_static("/v1/chat/completions"),
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        facts: Facts::default(),
        again: None,
        deadline: None,
    };
    Box::new(Record::begin(request, nobody, TraceContext::default()))
}
