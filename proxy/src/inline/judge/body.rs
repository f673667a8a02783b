//! The body of an answer that critics have let through, or that is watched as it flows.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::response::Parts;
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};

use super::Upstream;
use super::config::Stream;
use super::panel::Panel;
use super::watch::{Watched, is_read, watched};
use super::window::Windowed;
use crate::exchange::judged::Mode;
use crate::exchange::{Error, Record, Share};

/// An answer on its way from the engine.
pub enum Body<B> {
    /// As the engine sends it.
    Through(B),
    /// As it comes, with rules that look at it.
    Watched(Watched<B>),
    /// The same, with what was read of it before.
    Prefixed(Bytes, Watched<B>),
    /// In windows that critics found clean.
    Windowed(Box<Windowed<Watched<B>>>),
    /// The whole of it, held until now, or an answer of Weir's own.
    Whole(Full<Bytes>),
}

impl<B> Body<B> {
    pub(super) fn whole(body: Bytes) -> Self {
        Self::Whole(Full::new(body))
    }

    pub(super) fn prefixed(read: Bytes, rest: Watched<B>) -> Self {
        Self::Prefixed(read, rest)
    }
}

impl<B: Upstream> Body<B> {
    /// An answer that is not held whole, as its route lets it through. What is held of it is
    /// taken from the share.
    pub fn flowing(panel: Option<&Arc<Panel>>, record: &mut Record, head: &Parts, body: B, share: Share) -> Self {
        let Some(panel) = panel.filter(|_| is_read(record, head)) else { return Self::Through(body) };
        let body = watched(panel, record, head, body);
        if panel.policy.stream != Stream::Window || !panel.has(Mode::Enforce) {
            return Self::Watched(body);
        }
        match Windowed::new(body, panel.clone(), record, share) {
            Ok(windowed) => Self::Windowed(Box::new(windowed)),
            Err(body) => Self::Watched(body),
        }
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
            Self::Watched(watched) => Pin::new(watched).poll_frame(cx),
            Self::Windowed(windowed) => windowed.poll_next(cx).map(|next| next.map(|piece| piece.map(Frame::data))),
            Self::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Through(body) => body.is_end_stream(),
            Self::Prefixed(read, body) => read.is_empty() && body.is_end_stream(),
            Self::Watched(watched) => watched.is_end_stream(),
            Self::Windowed(windowed) => windowed.is_done(),
            Self::Whole(full) => full.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Through(body) => body.size_hint(),
            Self::Watched(watched) => watched.size_hint(),
            Self::Whole(full) => full.size_hint(),
            Self::Prefixed(..) | Self::Windowed(_) => SizeHint::default(),
        }
    }
}
