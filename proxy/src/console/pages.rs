//! The pages for people. Each works without the store, and says calmly what is missing.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use minijinja::value::Value;

use super::Console;
use super::error::Failure;
use super::filter::{DEFAULT_RANGE, Filter, RANGES, Window};
use super::guard::wants_page;
use super::list;
use super::view::Reader;
use crate::exchange::{Api, Kind, Outcome};

/// What the cache may do, as offered in the filter.
const CACHINGS: [&str; 4] = ["hit", "collapsed", "miss", "bypass"];

/// What critics may say, as offered in the filter.
const VERDICTS: [&str; 3] = ["pass", "fail", "skipped"];
/// What may follow from it.
const DECISIONS: [&str; 3] = ["pass", "repaired", "escalate"];

/// A page, or why there is none.
pub(super) type Page = Result<Html<String>, Failure>;

/// Now, in microseconds since the Unix epoch.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Console {
    pub(super) fn page(&self, name: &str, reader: &Reader, page: Value) -> Page {
        let (store_there, store_note) = self.store.state();
        let frame = context! {
            instance => &self.instance, version => &self.version, store_there, store_note,
        };
        let page = context! {..page, ..frame};
        self.view.render(name, reader, page)
    }

    /// A page that says what is wrong, with its status.
    pub(super) fn failed(&self, reader: &Reader, failure: &Failure) -> Response {
        let page = context! {
            section => "", word => failure.word(), message => failure.explanation(), cure => failure.cure(),
        };
        let page = self.page("failure.html", reader, page);
        page.map_or_else(IntoResponse::into_response, |page| (failure.status(), page).into_response())
    }

    /// A refusal before any page: HTML for who asks for a page, JSON for everyone else. It says
    /// nothing of what is inside, because who reads it may not be allowed in.
    pub(super) fn refuse(&self, headers: &HeaderMap, failure: Failure) -> Response {
        if !wants_page(headers) {
            return failure.into_response();
        }
        let page = context! {word => failure.word(), message => failure.explanation(), cure => failure.cure()};
        let page = self.view.render("refusal.html", &Reader::of(headers), page);
        page.map_or_else(IntoResponse::into_response, |page| (failure.status(), page).into_response())
    }
}

pub(super) fn value(facts: &impl serde::Serialize) -> Value {
    Value::from(minijinja::value::Serde(facts))
}

/// What is wrong, for a page that shows the rest all the same.
pub(super) fn problem(failure: &Failure) -> Value {
    context! {word => failure.word(), message => failure.explanation(), cure => failure.cure()}
}

/// The frame with the figures of this moment in it; a script keeps them fresh.
pub(super) async fn overview(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    console.page("overview.html", &reader, context! {section => "overview", now => value(&console.now())})
}

/// Only the figures, as a piece of the page.
pub(super) async fn overview_now(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    console.page("overview_now.html", &reader, context! {now => value(&console.now())})
}

/// Estimated totals and verdicts of the last day, as a piece of the page.
pub(super) async fn overview_totals(State(console): State<Arc<Console>>, reader: Reader) -> Page {
    let to = now_us();
    let last_day = Window { from: to - 86_400_000_000, to };
    let (totals, critics) = tokio::join!(console.store.totals(last_day), console.store.critics(last_day));
    let critics = value(&critics.unwrap_or_default());
    let page = match &totals {
        Ok(totals) => context! {totals => value(totals), critics, problem => ()},
        Err(failure) => context! {totals => (), critics, problem => problem(failure)},
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
    let is_judged = |lines: &list::Lines| lines.lines.iter().any(|shown| shown.is_judged());
    let judged = filter.asks_for_critics() || lines.as_ref().is_some_and(is_judged);
    let page = context! {
        section => "exchanges",
        lines => value(&lines),
        problem => problem_of_lines,
        chart => value(&asked.1.ok()),
        chart_box => value(&(list::WIDTH, list::HEIGHT)),
        choices => value(&asked.2.unwrap_or_default()),
        filter => value(&filter),
        filter_cache => &filter.cache,
        query => filter.query(),
        narrowed => filter.is_narrowed(),
        wider => filter.wider().map(|wider| context! {query => wider.query(), range => wider.range}),
        data_port => console.data_port.to_string(),
        part_of_text => filter.as_part_of_text().map(|filter| filter.query()),
        ranges => value(&RANGES),
        range => if filter.range.is_empty() { DEFAULT_RANGE } else { &filter.range },
        window => context! {from => window.from, to => window.to},
        apis => value(&Api::ALL.map(Api::as_str)),
        outcomes => value(&Outcome::ALL.map(Outcome::as_str)),
        kinds => value(&Kind::ALL.map(Kind::as_str)),
        cachings => value(&CACHINGS),
        verdicts => value(&VERDICTS),
        decisions => value(&DECISIONS),
        judged,
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
            let page = context! {lines => value(&lines), query => filter.query(), filter_cache => &filter.cache};
            console.page("exchange_rows.html", &reader, page).into_response()
        }
        Err(failure) => failure.into_response(),
    }
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
pub(super) async fn not_found(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    console.refuse(&headers, Failure::NoPage)
}
