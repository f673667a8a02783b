//! The list of escalated exchanges: what no answer was good enough for, newest first.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use minijinja::context;

use super::super::Console;
use super::super::error::Failure;
use super::super::filter::{Filter, RANGES};
use super::super::pages::{now_us, problem, value};
use super::super::view::Reader;

/// Range where none is given: they are few, and someone should look at each.
const DEFAULT_RANGE: &str = "7d";

/// The filter of this list, whatever else the address asks for.
fn escalated(filter: Filter) -> Filter {
    let range = if filter.range.is_empty() { DEFAULT_RANGE.to_owned() } else { filter.range.clone() };
    Filter { range, decision: "escalate".to_owned(), ..filter }
}

/// The list with its filter.
pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Response {
    let filter = escalated(filter);
    let window = match filter.window(now_us()) {
        Ok(window) => window,
        Err(failure) => return console.failed(&reader, &failure),
    };
    let (lines, choices) = tokio::join!(console.lines(&filter, window), console.store.choices(window));
    let (lines, problem_of_lines) = match lines {
        Ok(lines) => (Some(lines), None),
        Err(failure @ Failure::BadRequest { .. }) => return console.failed(&reader, &failure),
        Err(failure) => (None, Some(problem(&failure))),
    };
    let page = context! {
        section => "escalated",
        lines => value(&lines),
        problem => problem_of_lines,
        choices => value(&choices.unwrap_or_default()),
        filter => value(&filter),
        query => filter.query(),
        wider => filter.wider().map(|wider| context! {query => wider.query(), range => wider.range}),
        ranges => value(&RANGES),
        range => &filter.range,
    };
    console.page("escalated.html", &reader, page).into_response()
}

/// Only the lines, as a piece of the page: for more lines and for the live tail.
pub(in crate::console) async fn rows(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(filter): Query<Filter>,
) -> Response {
    let filter = escalated(filter);
    let lines = match filter.window(now_us()) {
        Ok(window) => console.lines(&filter, window).await,
        Err(failure) => Err(failure),
    };
    match lines {
        Ok(lines) => {
            let page = context! {lines => value(&lines), query => filter.query()};
            console.page("escalated_rows.html", &reader, page).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}
