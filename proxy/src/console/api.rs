//! The JSON API: the same facts as the pages, for programs.
//!
//! Times are microseconds or, where the name says so, milliseconds since the Unix epoch.
//! Errors are `{"error": {"kind", "message", "cure"}}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Console;
use super::detail::{Facts, Timings, fingerprint_fields};
use super::error::Failure;
use super::filter::{Filter, Window};
use super::overview::Now;
use super::pages::now_us;
use super::series::{Series, series};

/// `GET /api/overview`: the figures of this moment, and of the last day the estimated totals and verdicts.
pub(super) async fn overview(State(console): State<Arc<Console>>) -> Response {
    let to = now_us();
    let last_day = Window { from: to - 86_400_000_000, to };
    let (totals, critics) = tokio::join!(console.store.totals(last_day), console.store.critics(last_day));
    let (totals, critics) = (totals.ok(), critics.ok());
    Json(json!({"now": console.now(), "totals_last_day": totals, "critics_last_day": critics})).into_response()
}

/// `GET /api/live?since=`: points after that moment (milliseconds) for the charts.
pub(super) async fn live(State(console): State<Arc<Console>>, Query(asked): Query<Asked>) -> Json<Fresh> {
    let samples = console.live.samples();
    Json(Fresh { now: console.now(), series: series(&samples, asked.since) })
}

/// Moment of the newest point that the caller has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    since: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Fresh {
    now: Now,
    series: Series,
}

/// `GET /api/exchanges`: one page of the list; `next` is the `before` of the page after it.
pub(super) async fn exchanges(
    State(console): State<Arc<Console>>,
    Query(filter): Query<Filter>,
) -> Result<Response, Failure> {
    let window = filter.window(now_us())?;
    Ok(Json(console.lines(&filter, window).await?).into_response())
}

/// `GET /api/exchange/{id}`: metadata, timings, attempts and texts of one exchange.
/// Texts of a hit are those of the exchange named by its `cache_source`.
pub(super) async fn exchange(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Result<Response, Failure> {
    let Facts { whole, texts, fingerprint, judged, .. } = console.facts(&id).await?;
    let Timings { class, phases, attempts, .. } = Timings::of(&whole);
    let fingerprint = fingerprint.as_deref().map(fingerprint_fields).unwrap_or_default();
    Ok(Json(json!({"exchange": whole, "class": class, "timings": phases, "attempts": attempts,
        "fingerprint": fingerprint, "texts": texts, "judged": judged}))
    .into_response())
}
