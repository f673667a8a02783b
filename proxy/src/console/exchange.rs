//! The page of one exchange, and its parts that are fetched when a reader opens them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use minijinja::context;
use serde::Deserialize;
use uuid::Uuid;

use super::Console;
use super::cache::EntryView;
use super::content::Content;
use super::detail::{Detail, Facts};
use super::error::Failure;
use super::filter::{Cursor, Filter};
use super::judged::Judged;
use super::pages::{Page, value};
use super::queries::{Direction, OneOf};
use super::raw::{Raw, is_stream};
use super::rows::{OneText, Texts, Whole};
use super::view::Reader;
use crate::exchange::ExchangeId;

/// The page: figures, waterfall, and the conversation with long texts folded.
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
) -> Response {
    match console.facts(&id).await.map(Detail::of) {
        Ok(detail) => {
            let page = context! {
                section => if filter.decision == "escalate" { "escalated" } else { "exchanges" },
                detail => value(&detail),
                entry => value(&console.entry(&detail.whole)),
                query => filter.query(),
                list => if filter.decision == "escalate" { "escalated" } else { "exchanges" },
                steps => (),
            };
            console.page("exchange.html", &reader, page).into_response()
        }
        Err(failure) => console.failed(&reader, &failure),
    }
}

/// Arrival of the exchange whose neighbours are asked for, microseconds since the Unix epoch.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct At {
    at: i64,
}

/// The exchanges before and after it in the filter: a piece of the page, because a search
/// over days may take longer than the page itself.
pub(super) async fn steps(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(At { at }): Query<At>,
    Query(filter): Query<Filter>,
) -> Page {
    let at = Cursor { started_at: at, exchange_id: id.parse().map_err(|_| Failure::NoExchange)? };
    let (newer, older) = tokio::join!(
        console.store.neighbour(&filter, at, Direction::Newer),
        console.store.neighbour(&filter, at, Direction::Older),
    );
    let steps = context! {newer => newer?.unwrap_or_default(), older => older?.unwrap_or_default()};
    console.page("exchange_steps.html", &reader, context! {steps, query => filter.query()})
}

/// How a raw body is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Mode {
    mode: String,
}

/// A raw body, laid out or with `?mode=plain` as it is, as a piece of the page.
pub(super) async fn view(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path((id, body)): Path<(String, String)>,
    Query(Mode { mode }): Query<Mode>,
) -> Page {
    let OneText { text, media_type } = console.body(&id, &body).await?;
    let streamed = body == "response" && is_stream(&media_type);
    let raw = if mode == "plain" { Raw::plain(&text, streamed) } else { Raw::laid(&text, streamed) };
    console.page("exchange_raw.html", &reader, context! {body => value(&raw), id, name => body})
}

/// The answers read to their end, as a piece of the page: it has the ends of a long stream only.
pub(super) async fn answers(State(console): State<Arc<Console>>, reader: Reader, Path(id): Path<String>) -> Page {
    let content = console.content(&id).await?;
    console.page("exchange_answers.html", &reader, context! {c => value(&content), id})
}

/// One text in full, as a piece of the page.
pub(super) async fn piece(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path((id, said, piece)): Path<(String, usize, usize)>,
) -> Page {
    let content = console.content(&id).await?;
    let piece = content.piece(said, piece).ok_or(Failure::NoPage)?;
    console.page("exchange_piece.html", &reader, context! {piece => value(&piece)})
}

/// All texts of one message or answer, as they were written.
pub(super) async fn said(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path((id, said)): Path<(String, usize)>,
) -> Response {
    let content = console.content(&id).await;
    match content.and_then(|content| content.plain(said).ok_or(Failure::NoPage)) {
        Ok(text) => plain(text),
        Err(failure) => console.failed(&reader, &failure),
    }
}

/// A body as it was recorded.
pub(super) async fn body(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path((id, body)): Path<(String, String)>,
) -> Response {
    match console.body(&id, &body).await {
        Ok(body) => plain(body.text),
        Err(failure) => console.failed(&reader, &failure),
    }
}

/// Plain text that no browser takes for anything else: `nosniff` stands on every answer.
fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The exchange that has the texts of a hit.
fn source(whole: &Whole) -> Option<Uuid> {
    whole.cache_source.parse().ok().filter(|id: &Uuid| !id.is_nil())
}

impl Console {
    /// The entry that this exchange's answer is, or was given from.
    fn entry(&self, whole: &Whole) -> Option<EntryView> {
        let id = source(whole).or_else(|| whole.id.parse().ok())?;
        self.cache.entry(ExchangeId(id))
    }

    /// Everything that the store has of one exchange.
    pub(super) async fn facts(&self, id: &str) -> Result<Facts, Failure> {
        let id: Uuid = id.parse().map_err(|_| Failure::NoExchange)?;
        let (whole, told) = tokio::join!(self.store.whole(id), self.told(id));
        let whole = whole?;
        let Some(source) = source(&whole) else {
            let (texts, fingerprint, judged) = told?;
            return Ok(Facts { whole, source: None, texts, fingerprint, judged });
        };
        match tokio::join!(self.store.whole(source), self.told(source)) {
            (Ok(found), told) => {
                let (texts, fingerprint, judged) = told?;
                Ok(Facts { whole, source: Some(found), texts, fingerprint, judged })
            }
            // Not sampled, or its time to live is over: the hit's own figures are still worth a page.
            (Err(Failure::NoExchange), _) => {
                Ok(Facts { whole, source: None, texts: None, fingerprint: None, judged: Judged::default() })
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// What a hit shares with the exchange that its answer was made for.
    async fn told(&self, id: Uuid) -> Result<(Option<Texts>, Option<String>, Judged), Failure> {
        let store = &self.store;
        let asked = tokio::join!(store.texts(id), store.fingerprint(id), store.verdicts(id), store.rounds(id));
        let (texts, fingerprint, verdicts, rounds) = (asked.0?, asked.1?, asked.2?, asked.3?);
        let given = texts.as_ref().map(|texts| texts.completion_text.as_str());
        let judged = Judged::of(verdicts, rounds, given);
        Ok((texts, fingerprint, judged))
    }

    async fn content(&self, id: &str) -> Result<Content, Failure> {
        let id: Uuid = id.parse().map_err(|_| Failure::NoExchange)?;
        let (whole, texts) = tokio::join!(self.store.whole(id), self.store.texts(id));
        Ok(Content::of(&whole?, &texts?.ok_or(Failure::NoExchange)?))
    }

    async fn body(&self, id: &str, body: &str) -> Result<OneText, Failure> {
        let wanted = match body {
            "request" => OneOf::Request,
            "response" => OneOf::Response,
            _ => return Err(Failure::NoPage),
        };
        self.store.one_text(id.parse().map_err(|_| Failure::NoExchange)?, wanted).await
    }
}
