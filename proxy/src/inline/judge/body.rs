//! The body of an answer that critics have let through, or that is watched as it flows.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};

use super::Upstream;
use crate::exchange::Error;

/// An answer on its way from the engine.
pub enum Body<B> {
    /// As the engine sends it.
    Through(B),
    /// The same, with what was read of it before.
    Prefixed(Bytes, B),
    /// The whole of it, held until now, or an answer of Weir's own.
    Whole(Full<Bytes>),
}

impl<B> Body<B> {
    pub(super) fn whole(body: Bytes) -> Self {
        Self::Whole(Full::new(body))
    }

    pub(super) fn prefixed(read: Bytes, rest: B) -> Self {
        Self::Prefixed(read, rest)
    }
}

impl<B: Upstream> http_body::Body for Body<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Through(body) => Pin::new(body).poll_frame(cx),
            Self::Prefixed(read, body) if read.is_empty() => Pin::new(body).poll_frame(cx),
            Self::Prefixed(read, _) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(read))))),
            Self::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Through(body) => body.is_end_stream(),
            Self::Prefixed(read, body) => read.is_empty() && body.is_end_stream(),
            Self::Whole(full) => full.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Through(body) => body.size_hint(),
            Self::Whole(full) => full.size_hint(),
            Self::Prefixed(..) => SizeHint::default(),
        }
    }
}
