//! Where a flight's bytes come from: the asking of an engine, then its answer's body.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::response::Parts;

use crate::exchange::record::Answerer;
use crate::exchange::{Attempt, Error, Judged, Record, Timings};

/// A body that an engine sends, on its way to several clients.
pub trait Generated: http_body::Body<Data = Bytes, Error = Error> + Unpin + Send {}

impl<B: http_body::Body<Data = Bytes, Error = Error> + Unpin + Send> Generated for B {}

/// The asking of an engine. It gives the answer with a record that belongs to no exchange:
/// only its arrival, engine, attempts and timings are read, for every participant to copy.
pub type Asking<B> = Pin<Box<dyn Future<Output = (Box<Record>, Result<(Parts, B), Error>)> + Send>>;

pub(super) enum Source<B> {
    Asking(Asking<B>),
    Flowing(B),
}

/// What came of polling a source.
pub(super) enum Progress<B> {
    Asked(Box<Record>, Result<(Parts, B), Error>),
    Piece { data: Bytes, is_last: bool },
    End(Result<(), Error>),
}

/// What the asking found out, on the clock of the record it was made with.
pub(super) struct Asked {
    arrived: Instant,
    engine: Option<Answerer>,
    attempts: Vec<Attempt>,
    admitted: Option<Duration>,
    sent: Option<Duration>,
    head: Option<Duration>,
    judged: Judged,
}

impl<B: Generated> Source<B> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Progress<B>> {
        loop {
            let body = match self {
                Self::Asking(asking) => {
                    let (record, begun) = ready!(asking.as_mut().poll(cx));
                    return Poll::Ready(Progress::Asked(record, begun));
                }
                Self::Flowing(body) => body,
            };
            let data = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Progress::End(Err(error))),
                None => return Poll::Ready(Progress::End(Ok(()))),
            };
            let is_last = body.is_end_stream();
            // Trailers, and pieces of nothing, are no progress.
            match data.is_empty() {
                false => return Poll::Ready(Progress::Piece { data, is_last }),
                true if is_last => return Poll::Ready(Progress::End(Ok(()))),
                true => {}
            }
        }
    }
}

impl Asked {
    pub(super) fn of(record: Record) -> Self {
        let Timings { admitted, sent, head, .. } = record.timings;
        let Record { request, engine, attempts, judged, .. } = record;
        Self { arrived: request.arrived, engine, attempts, admitted, sent, head, judged }
    }

    /// Copies it into a participant's record, whose clock began at its own arrival: what was
    /// before that is at its zero.
    pub(super) fn note(&self, record: &mut Record) {
        let arrived = record.request.arrived;
        let shift = |moment: Duration| (self.arrived + moment).saturating_duration_since(arrived);
        record.engine = self.engine.clone();
        record.attempts = self.attempts.clone();
        for attempt in &mut record.attempts {
            let over = shift(attempt.started + attempt.took);
            attempt.started = shift(attempt.started);
            attempt.took = over - attempt.started;
        }
        record.timings.admitted = self.admitted.map(shift);
        record.timings.sent = self.sent.map(shift);
        record.timings.head = self.head.map(shift);
        record.judged = self.judged.clone();
    }
}
