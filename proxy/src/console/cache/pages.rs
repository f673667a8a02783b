//! The page of the cache, its pieces, and its JSON API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use minijinja::context;
use minijinja::value::Value;
use serde::Deserialize;
use serde_json::json;

use super::actions::Actor;
use super::history::{Done, History};
use super::{EntryFilter, FlushScope, Listing, Room, Totals};
use crate::console::Console;
use crate::console::error::Failure;
use crate::console::filter::{DEFAULT_RANGE, Filter, RANGES};
use crate::console::guard::Means;
use crate::console::pages::{Page, now_us, problem, value};
use crate::console::rows::Choices;
use crate::console::view::Reader;
use crate::exchange::ExchangeId;

/// Entries on the page; a search finds the others.
const SHOWN: usize = 50;

impl EntryFilter {
    fn of(filter: &Filter) -> Self {
        Self::new(&filter.text, &filter.tenant, &filter.route, &filter.model)
    }
}

/// The page.
pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Response {
    let window = match filter.window(now_us()) {
        Ok(window) => window,
        Err(failure) => return console.failed(&reader, &failure),
    };
    let store = &console.store;
    let (history, events, choices, present) = tokio::join!(
        store.cache_steps(&filter, window),
        store.cache_events(),
        store.choices(window),
        console.present(&filter)
    );
    if let Err(failure @ Failure::BadRequest { .. }) = history {
        return console.failed(&reader, &failure);
    }
    let page = context! {
        section => "cache",
        range => if filter.range.is_empty() { DEFAULT_RANGE } else { &filter.range },
        ranges => value(&RANGES),
        window => context! {from => window.from, to => window.to},
        choices => value(&present.choices_beside(choices.unwrap_or_default())),
        query => filter.query(),
        filter => value(&filter),
    };
    let page = context! {..page, ..told(&events), ..past(&history), ..present.context(&filter)};
    console.page("cache.html", &reader, page).into_response()
}

/// Figures and reasons of the time range, as pieces of the page.
pub(in crate::console) async fn now(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Page {
    let window = filter.window(now_us())?;
    let (history, present) = tokio::join!(console.store.cache_steps(&filter, window), console.present(&filter));
    let frame = context! {
        window => context! {from => window.from, to => window.to},
        query => filter.query(),
    };
    let page = context! {..frame, ..past(&history), ..present.context(&filter)};
    console.page("cache_now.html", &reader, page)
}

/// What is in the cache now, as a piece of the page.
pub(in crate::console) async fn live(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Page {
    let present = console.present(&filter).await;
    console.page("cache_live.html", &reader, present.context(&filter))
}

/// What people did to the cache, as a piece of the page.
pub(in crate::console) async fn events(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    let events = console.store.cache_events().await;
    console.page("cache_events.html", &reader, told(&events))
}

/// `GET /api/cache`: what the cache holds, what it did in the time range of the filter
/// (`range`, `from`, `to`, `tenant`, `route`, `model`), and what people did to it. The last
/// two are null without the store.
pub(in crate::console) async fn api(
    State(console): State<Arc<Console>>,
    Query(filter): Query<Filter>,
) -> Result<Response, Failure> {
    let window = filter.window(now_us())?;
    let (history, events) = tokio::join!(console.store.cache_steps(&filter, window), console.store.cache_events());
    let body = json!({"live": console.present(&filter).await.totals, "history": history.ok(), "events": events.ok()});
    Ok(Json(body).into_response())
}

/// `GET /api/cache/entries`: the entries with the most hits; `text`, `tenant`, `route` and
/// `model` narrow them.
pub(in crate::console) async fn api_entries(
    State(console): State<Arc<Console>>,
    Query(filter): Query<Filter>,
) -> Response {
    Json(console.present(&filter).await.listing).into_response()
}

/// What is to be evicted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Evict {
    exchange: ExchangeId,
}

/// `POST /api/cache/evict` with `{"exchange": "<id>"}`: removes the answer made for it.
pub(in crate::console) async fn api_evict(
    State(console): State<Arc<Console>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    wanted: Result<Json<Evict>, JsonRejection>,
) -> Result<Response, Failure> {
    let Json(Evict { exchange }) = wanted.map_err(unread)?;
    console.evict(exchange, Actor { means: Means::of(&headers), peer: peer.ip() })?;
    Ok(Json(json!({"evicted": exchange})).into_response())
}

/// `POST /api/cache/flush` with `{"route": "<name>"}` or `{"tenant": "<name>"}`: forgets all of it.
pub(in crate::console) async fn api_flush(
    State(console): State<Arc<Console>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    wanted: Result<Json<FlushScope>, JsonRejection>,
) -> Result<Response, Failure> {
    let Json(scope) = wanted.map_err(unread)?;
    console.flush(&scope, Actor { means: Means::of(&headers), peer: peer.ip() })?;
    Ok(Json(json!({"flushed": {scope.kind(): scope.name()}})).into_response())
}

fn unread(rejection: JsonRejection) -> Failure {
    let cure =
        "send JSON: {\"exchange\": \"<id>\"} to evict, {\"route\": \"<name>\"} or {\"tenant\": \"<name>\"} to flush";
    Failure::BadRequest { what: rejection.body_text(), cure }
}

impl Console {
    /// What is in the cache now. It looks at every entry, so it must not hold up who runs beside it.
    async fn present(&self, filter: &Filter) -> Present {
        let (cache, wanted) = (self.cache.clone(), EntryFilter::of(filter));
        let look = move || Present { totals: cache.totals(), listing: cache.entries(&wanted, SHOWN) };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

/// What is in the cache now.
#[derive(Default)]
struct Present {
    totals: Totals,
    listing: Listing,
}

impl Present {
    fn context(&self, filter: &Filter) -> Value {
        let searched = [&filter.text, &filter.tenant, &filter.route, &filter.model].iter().any(|text| !text.is_empty());
        context! {live => value(&self.totals), listing => value(&self.listing), searched, range => &filter.range}
    }

    /// Names to choose from: those of the rows, and those that the cache has now.
    fn choices_beside(&self, stored: Choices) -> Choices {
        let totals = &self.totals;
        let join = |stored: Vec<String>, rooms: &[Room]| {
            let all: BTreeSet<_> = stored.into_iter().chain(rooms.iter().map(|room| room.name.clone())).collect();
            all.into_iter().collect()
        };
        Choices {
            routes: join(stored.routes, &totals.routes),
            tenants: join(stored.tenants, &totals.tenants),
            ..stored
        }
    }
}

/// What the store tells of the time range; where it cannot, what is wrong.
fn past(history: &Result<History, Failure>) -> Value {
    match history {
        Ok(history) => context! {history => value(history), series => series(history), problem => ()},
        Err(failure) => context! {history => (), series => "", problem => problem(failure)},
    }
}

/// The columns of the charts, for an attribute of the page that its script reads.
fn series(history: &History) -> String {
    serde_json::to_string(&history.series).unwrap_or_default()
}

fn told(events: &Result<Vec<Done>, Failure>) -> Value {
    match events {
        Ok(events) => context! {events => value(events), events_away => false},
        Err(_) => context! {events => (), events_away => true},
    }
}
