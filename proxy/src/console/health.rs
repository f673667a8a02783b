//! What probes and scrapers read: `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};
use serde_json::json;

use super::Console;

/// The process answers: nothing else is looked at, so that no probe kills Weir for another's fault.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// 200 where every required part is ready, else 503; the body names each part.
pub(super) async fn readyz(State(console): State<Arc<Console>>) -> Response {
    let parts = (console.ready)();
    let ready = parts.iter().all(|part| part.ready || !part.required);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready, "instance": console.instance, "version": console.version, "parts": parts})))
        .into_response()
}

/// Prometheus text exposition, version 0.0.4.
pub(super) async fn metrics(State(console): State<Arc<Console>>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::with_capacity(64 << 10);
    match encoder.encode(&console.registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(fault) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be printed: {fault}\n")).into_response()
        }
    }
}
