//! Where the answer to one exchange comes from.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};

use super::flight::{Generated, Participant};
use super::{Rules, form_of};
use crate::exchange::completion::render::render;
use crate::exchange::{Caching, Error, Record};

/// The body of an answer that was not kept before.
pub enum Body<B> {
    /// A generation of its own.
    Own(B),
    /// A generation that others may share.
    Shared(Participant<B>),
    /// The whole of a shared one, in another form.
    Whole(Full<Bytes>),
}

impl<B: Generated> Body<B> {
    /// The answer's beginning for an exchange that takes part in a generation, in the form that
    /// it asked for; none where the generation cannot be given in that form after all. Errors
    /// are those of the generation, or the exchange's own deadline.
    pub async fn shared(
        mut participant: Participant<B>,
        record: &mut Record,
        rules: &Rules,
    ) -> Result<Option<(Parts, Self)>, Error> {
        let begun = participant.begun().await;
        participant.note(record);
        if record.cache.caching == Caching::Collapsed {
            // They are told once, by the exchange that they were made for.
            record.attempts.clear();
            if !participant.flight().was_handed_over() {
                record.judged.rounds.clear();
            }
        }
        let mut head = begun?;
        let is_private = rules.is_private(&head);
        if is_private {
            participant.flight().close();
        }
        if record.cache.caching == Caching::Collapsed && (is_private || !participant.flight().is_whole()) {
            // Made for another alone (RFC 9111, 4), or too large to be held for those who read
            // slowly: better an engine of its own.
            return Ok(None);
        }
        let (made, wanted) = (participant.flight().lane().form(), form_of(record));
        if made == wanted || head.status != StatusCode::OK {
            return Ok(Some((head, Self::Shared(participant))));
        }
        let Some(whole) = participant.whole().await? else { return Ok(None) };
        let Some(rendered) = render(record.request.api, &whole, made, wanted) else { return Ok(None) };
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Some((head, Self::Whole(Full::new(rendered)))))
    }
}

impl<B: Generated> http_body::Body for Body<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx),
            Self::Shared(participant) => Pin::new(participant).poll_frame(cx),
            Self::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Shared(participant) => participant.is_end_stream(),
            Self::Whole(full) => full.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Shared(_) => SizeHint::default(),
            Self::Whole(full) => full.size_hint(),
        }
    }
}
