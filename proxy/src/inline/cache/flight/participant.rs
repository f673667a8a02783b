//! One exchange's part in a flight: first the head, then the body piece by piece or at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::response::Parts;
use hyper::body::Frame;
use prometheus::IntGauge;
use tokio::time::{Instant, Sleep};

use super::core::Core;
use super::shared::Flight;
use super::source::Generated;
use crate::exchange::{Error, Kind, Record};

/// An exchange that takes part in a flight. Dropping it leaves; the last one out ends the
/// flight.
pub struct Participant<B> {
    flight: Arc<Flight<B>>,
    /// None once it left.
    seat: Option<usize>,
    deadline: Option<Instant>,
    /// Armed when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    /// It was given everything.
    spent: bool,
    /// Counts it until it leaves.
    count: IntGauge,
}

impl<B> Participant<B> {
    pub(super) fn new(flight: Arc<Flight<B>>, seat: usize, deadline: Option<Instant>, count: &IntGauge) -> Self {
        count.inc();
        Self { flight, seat: Some(seat), deadline, timer: None, spent: false, count: count.clone() }
    }

    /// The flight, to be held where its answer may be kept.
    pub fn flight(&self) -> &Arc<Flight<B>> {
        &self.flight
    }

    /// Copies what the asking found into this participant's record, see [`Flight::note`].
    pub fn note(&self, record: &mut Record) {
        self.flight.note(record);
    }

    /// Leaves before the end: nothing is kept for this participant any more.
    fn leave(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.flight.leave(seat);
            self.count.dec();
        }
        self.timer = None;
    }

    fn late(&mut self) -> Error {
        self.leave();
        Error::new(Kind::TotalTimeout, "the answer did not come in time")
    }
}

impl<B: Generated> Participant<B> {
    /// Waits for the head of the answer. Fails with what the asking failed with, or, at this
    /// participant's deadline, with [`Kind::TotalTimeout`].
    pub async fn begun(&mut self) -> Result<Parts, Error> {
        poll_fn(|cx| self.poll_begun(cx)).await
    }

    /// [`Self::begun`], to be polled.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<Parts, Error>> {
        self.poll(cx, |core, seat| Some((core.head()?, core.is_spent(seat)))).map(|found| {
            let (head, spent) = found?;
            self.spent = spent;
            head
        })
    }

    /// Waits for the end and gives the whole answer, also where pieces were given before. None
    /// as soon as it has become too long to be kept: then the engine is to be asked again.
    pub async fn whole(&mut self) -> Result<Option<Bytes>, Error> {
        let whole = poll_fn(|cx| self.poll(cx, |core, _| core.whole())).await?;
        self.leave();
        self.spent = true;
        whole
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        want: impl Fn(&mut Core<B>, usize) -> Option<T>,
    ) -> Poll<Result<T, Error>> {
        let Some(seat) = self.seat else {
            return Poll::Ready(Err(Error::new(Kind::Internal, "a fault of Weir ended the exchange")));
        };
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Poll::Ready(Err(self.late()));
        }
        if let Poll::Ready(found) = self.flight.poll(seat, cx, |core| want(core, seat)) {
            return Poll::Ready(Ok(found));
        }
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(self.late())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<B: Generated> http_body::Body for Participant<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.spent || self.seat.is_none() {
            return Poll::Ready(None);
        }
        let found = self.poll(cx, |core, seat| Some((core.piece(seat)?, core.is_spent(seat))));
        found.map(|found| {
            let (piece, spent) = match found {
                Ok(found) => found,
                Err(late) => return Some(Err(late)),
            };
            self.spent = spent;
            if !matches!(piece, Some(Ok(_))) {
                // Nothing more is to come: one that was cut keeps no engine at work.
                self.leave();
            }
            piece.map(|piece| piece.map(Frame::data))
        })
    }

    /// Whether everything was given and the source has ended, as of the last poll.
    fn is_end_stream(&self) -> bool {
        self.spent
    }
}

impl<B> Drop for Participant<B> {
    fn drop(&mut self) {
        self.leave();
    }
}
