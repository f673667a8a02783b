//! The body of an engine's answer, with its time limits.
//!
//! Promises: a body that ends early is an error, never an end; the pause between two pieces
//! and the whole answer are limited; dropping it closes the connection; its proper end
//! gives the connection back to the pool.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::replica::{Call, Replica};
use super::wire::{Piece, Wire};
use crate::exchange::{Error, Kind};

/// The body of an answer that has begun.
pub struct Body {
    wire: Option<Wire>,
    incoming: Incoming,
    /// The first piece, taken before the answer was given out.
    first: Option<Bytes>,
    replica: Arc<Replica>,
    /// The call that this answer belongs to, told how it ended.
    call: Option<Call>,
    last_piece: Instant,
    inter_token: Duration,
    deadline: Instant,
    /// Armed lazily: a piece only moves `last_piece`, the timer is set again when it fires.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body {
    pub(super) fn new(
        wire: Wire,
        incoming: Incoming,
        replica: Arc<Replica>,
        inter_token: Duration,
        deadline: Instant,
    ) -> Self {
        let last_piece = Instant::now();
        let (first, call, timer) = (None, None, None);
        Self { wire: Some(wire), incoming, first, replica, call, last_piece, inter_token, deadline, timer }
    }

    /// Waits for the first piece and keeps it.
    pub(super) async fn first(&mut self) -> Result<(), Error> {
        self.first = poll_fn(|cx| self.poll_wire(cx)).await?;
        Ok(())
    }

    /// Binds the call, which hears from now on how the answer goes.
    pub(super) fn owned_by(mut self, mut call: Call) -> Self {
        if self.wire.is_none() {
            call.succeeded();
        }
        self.call = Some(call);
        self
    }

    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(None)) };
        match ready!(wire.poll_piece(&mut self.incoming, cx)) {
            Ok(Piece::Data(data)) => {
                self.last_piece = Instant::now();
                if self.incoming.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Ok(Some(data)))
            }
            Ok(Piece::End) => {
                self.end();
                Poll::Ready(Ok(None))
            }
            Err(fault) => {
                let error = Error::new(Kind::EngineBroke, "the engine broke off within its answer");
                Poll::Ready(Err(self.fail(error.detail(fault))))
            }
        }
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let limit = self.deadline.min(self.last_piece + self.inter_token);
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(limit)));
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            let late = if now >= self.deadline {
                Error::new(Kind::TotalTimeout, "the engine did not finish its answer in time")
            } else if now >= self.last_piece + self.inter_token {
                Error::new(Kind::InterTokenTimeout, "the engine paused too long within its answer")
            } else {
                timer.as_mut().reset(self.deadline.min(self.last_piece + self.inter_token));
                continue;
            };
            return Poll::Ready(self.fail(late));
        }
    }

    /// Gives the connection back and tells the breaker.
    fn end(&mut self) {
        self.wire.take().into_iter().for_each(|wire| self.replica.pool.give_back(wire));
        self.call.iter_mut().for_each(Call::succeeded);
    }

    /// Closes the connection and tells the breaker.
    fn fail(&mut self, error: Error) -> Error {
        self.wire = None;
        self.call.iter_mut().for_each(Call::failed);
        error
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match self.poll_wire(cx) {
            Poll::Ready(Ok(piece)) => Poll::Ready(piece.map(|data| Ok(Frame::data(data)))),
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Pending => self.poll_limits(cx).map(|late| Some(Err(late))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_none() && self.first.is_none()
    }

    /// Exact where the engine announced a length.
    fn size_hint(&self) -> SizeHint {
        let held = self.first.as_ref().map_or(0, |first| first.len() as u64);
        self.incoming.size_hint().exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + held))
    }
}
