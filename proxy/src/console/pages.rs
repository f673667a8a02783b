//! The pages for people. Each works without the store, and says calmly what is missing.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use minijinja::value::Value;
use uuid::Uuid;

use super::Console;
use super::detail::{Detail, Facts};
use super::error::Failure;
use super::filter::{Cursor, DEFAULT_RANGE, Filter, RANGES, Window};
use super::list;
use super::queries::{Direction, OneOf};
use super::view::Reader;
use crate::exchange::{Api, Kind, Outcome};

type Page = Result<Html<String>, Failure>;

/// Now, in microseconds since the Unix epoch.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Console {
    fn page(&self, name: &str, reader: &Reader, page: Value) -> Page {
        let (store_there, store_note) = self.store.state();
        let frame = context! {
            instance => &self.instance, version => &self.version, store_there, store_note,
        };
        let page = context! {..page, ..frame};
        self.view.render(name, reader, page)
    }

    /// A page that says what is wrong, with its status.
    fn failed(&self, reader: &Reader, failure: &Failure) -> Response {
        let page = context! {
            section => "", word => failure.word(), message => failure.to_string(), cure => failure.cure(),
        };
        let page = self.page("failure.html", reader, page);
        page.map_or_else(IntoResponse::into_response, |page| (failure.status(), page).into_response())
    }
}

fn value(facts: &impl serde::Serialize) -> Value {
    Value::from(minijinja::value::Serde(facts))
}

/// What is wrong, for a page that shows the rest all the same.
fn problem(failure: &Failure) -> Value {
    context! {word => failure.word(), message => failure.to_string(), cure => failure.cure()}
}

/// The frame with the figures of this moment in it; a script keeps them fresh.
pub(super) async fn overview(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    console.page("overview.html", &reader, context! {section => "overview", now => value(&console.now())})
}

/// Only the figures, as a piece of the page.
pub(super) async fn overview_now(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    console.page("overview_now.html", &reader, context! {now => value(&console.now())})
}

/// Estimated totals of the last day, as a piece of the page.
pub(super) async fn overview_totals(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    let to = now_us();
    let totals = console.store.totals(Window { from: to - 86_400_000_000, to }).await;
    let page = match &totals {
        Ok(totals) => context! {totals => value(totals), problem => ()},
        Err(failure) => context! {totals => (), problem => problem(failure)},
    };
    console.page("overview_totals.html", &reader, page)
}

/// The list with its filter.
pub(super) async fn exchanges(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Response {
    let window = match filter.window(now_us()) {
        Ok(window) => window,
        Err(failure) => return console.failed(&reader, &failure),
    };
    let asked =
        tokio::join!(console.lines(&filter, window), console.chart(&filter, window), console.store.choices(window),);
    let (lines, problem_of_lines) = match asked.0 {
        Ok(lines) => (Some(lines), None),
        Err(failure @ Failure::BadRequest { .. }) => return console.failed(&reader, &failure),
        Err(failure) => (None, Some(problem(&failure))),
    };
    let page = context! {
        section => "exchanges",
        lines => value(&lines),
        problem => problem_of_lines,
        chart => value(&asked.1.ok()),
        chart_box => value(&(list::WIDTH, list::HEIGHT)),
        choices => value(&asked.2.unwrap_or_default()),
        filter => value(&filter),
        query => filter.query(),
        narrowed => filter.is_narrowed(),
        ranges => value(&RANGES),
        range => if filter.range.is_empty() { DEFAULT_RANGE } else { &filter.range },
        window => context! {from => window.from, to => window.to},
        apis => value(&Api::ALL.map(Api::as_str)),
        outcomes => value(&Outcome::ALL.map(Outcome::as_str)),
        kinds => value(&Kind::ALL.map(Kind::as_str)),
    };
    console.page("exchanges.html", &reader, page).into_response()
}

/// Only the lines, as a piece of the page: for more lines and for the live tail.
pub(super) async fn exchange_rows(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Response {
    let lines = match filter.window(now_us()) {
        Ok(window) => console.lines(&filter, window).await,
        Err(failure) => Err(failure),
    };
    match lines {
        Ok(lines) => {
            let page = context! {lines => value(&lines), query => filter.query()};
            console.page("exchange_rows.html", &reader, page).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

/// One exchange.
pub(super) async fn exchange(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
) -> Response {
    match console.facts(&id).await.map(Detail::of) {
        Ok(detail) => {
            let at = Cursor { started_at: detail.whole.started_us, exchange_id: id.parse().unwrap_or_default() };
            let (newer, older) = tokio::join!(
                console.store.neighbour(&filter, at, Direction::Newer),
                console.store.neighbour(&filter, at, Direction::Older),
            );
            let page = context! {
                section => "exchanges",
                detail => value(&detail),
                query => filter.query(),
                newer => newer.unwrap_or_default(),
                older => older.unwrap_or_default(),
            };
            console.page("exchange.html", &reader, page).into_response()
        }
        Err(failure) => console.failed(&reader, &failure),
    }
}

impl Console {
    /// Everything that the store has of one exchange.
    pub(super) async fn facts(&self, id: &str) -> Result<Facts, Failure> {
        let id: Uuid = id.parse().map_err(|_| Failure::NoExchange)?;
        let (whole, texts) = tokio::join!(self.store.whole(id), self.store.texts(id));
        let whole = whole?;
        let fingerprint = match &*whole.fingerprint {
            "" => None,
            digest => self.store.fingerprint(digest).await?,
        };
        Ok(Facts { whole, texts: texts?, fingerprint })
    }
}

/// A body as it was recorded, as plain text that no browser takes for anything else.
pub(super) async fn exchange_body(
    State(console): State<Arc<Console>>,
    Path((id, body)): Path<(String, String)>,
) -> Response {
    let wanted = match body.as_str() {
        "request" => OneOf::Request,
        "response" => OneOf::Response,
        _ => return Failure::NoPage.into_response(),
    };
    let text = match id.parse::<Uuid>() {
        Ok(id) => console.store.one_text(id, wanted).await,
        Err(_) => Err(Failure::NoExchange),
    };
    let head = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    text.map_or_else(IntoResponse::into_response, |text| (head, text).into_response())
}

/// State of the parts, the store, what was lost, and the configuration in effect.
pub(super) async fn health(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    let asked = tokio::join!(console.store.gaps(), console.store.events(), console.store.sizes());
    let problem = asked.0.as_ref().err().map(problem);
    let page = context! {
        section => "health",
        parts => value(&(console.ready)()),
        settings => (console.settings)(),
        gaps => value(&asked.0.unwrap_or_default()),
        events => value(&asked.1.unwrap_or_default()),
        sizes => value(&asked.2.unwrap_or_default()),
        problem,
    };
    console.page("health.html", &reader, page)
}

/// Any other address.
pub(super) async fn not_found(State(console): State<Arc<Console>>, reader: Reader, uri: axum::http::Uri) -> Response {
    if uri.path().starts_with("/api/") {
        return Failure::NoPage.into_response();
    }
    let page = console.view.render("lost.html", &reader, context! {});
    page.map_or_else(IntoResponse::into_response, |page| (StatusCode::NOT_FOUND, page).into_response())
}
