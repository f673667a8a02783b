//! Reads an answer whole, as far as it may be held.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};

use super::Upstream;
use crate::exchange::{Error, Share};

/// What was read.
pub(super) enum Collected<B> {
    /// All of it.
    Whole(Bytes),
    /// As much as may be held, and the rest to come.
    TooLarge(Bytes, B),
}

/// Reads a body to its end, or to the limit or the end of the budget. Errors are the body's.
pub(super) async fn collect<B: Upstream>(mut body: B, limit: usize, share: &mut Share) -> Result<Collected<B>, Error> {
    let mut held = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(piece) = frame?.into_data() else { continue };
        let has_room = held.len() + piece.len() <= limit && share.grow(piece.len());
        held.extend_from_slice(&piece);
        if !has_room {
            return Ok(Collected::TooLarge(held.freeze(), body));
        }
    }
    Ok(Collected::Whole(held.freeze()))
}
