//! Reads an answer whole, as far as it may be held.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use super::Upstream;
use super::watch::Watched;
use crate::exchange::{Error, Share};

/// What was read.
pub(super) enum Collected<B> {
    /// All of it.
    Whole(Bytes),
    /// As much as may be held, and the rest to come.
    TooLarge(Bytes, B),
    /// What came before it broke off.
    Broken(Bytes, Error),
}

/// Reads a body to its end, or to the limit or the end of the budget.
pub(super) async fn collect<B: Upstream>(
    mut body: Watched<B>,
    limit: usize,
    share: &mut Share,
) -> Collected<Watched<B>> {
    let mut held = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                held.extend_from_slice(&body.withheld);
                return Collected::Broken(held.freeze(), error);
            }
        };
        let Ok(piece) = frame.into_data() else { continue };
        let has_room = held.len() + piece.len() <= limit && share.grow(piece.len());
        held.extend_from_slice(&piece);
        if !has_room {
            return Collected::TooLarge(held.freeze(), body);
        }
    }
    Collected::Whole(held.freeze())
}
