//! How a fault looks to the client: its status, its body, its event within a stream.
//!
//! OpenAI shape: `{"error": {"message", "type", "param", "code"}}`; Anthropic shape:
//! `{"type": "error", "error": {"type", "message"}}`. Both official clients read them.

use http::StatusCode;
use serde_json::json;

use crate::exchange::{Api, Error, Kind};

/// The status of a fault.
pub fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidRequest => StatusCode::BAD_REQUEST,
        Kind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::RequestTimeout | Kind::SlowReader => StatusCode::REQUEST_TIMEOUT,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::NoRoute => StatusCode::NOT_FOUND,
        Kind::RateLimited | Kind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        // Never sent: nobody is there to read it. nginx's 499 keeps it apart in records.
        Kind::ClientLeft => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Kind::Draining | Kind::BreakerOpen => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Unreachable | Kind::EngineStatus | Kind::EngineBroke | Kind::EngineInvalid => StatusCode::BAD_GATEWAY,
        // Not a 5xx: official clients try those again by themselves, each time with every attempt.
        Kind::Rejected | Kind::Degenerate => StatusCode::UNPROCESSABLE_ENTITY,
        // RFC 9111, 5.2.1.7.
        Kind::NotCached => StatusCode::GATEWAY_TIMEOUT,
        Kind::ConnectTimeout | Kind::FirstTokenTimeout | Kind::InterTokenTimeout | Kind::TotalTimeout => {
            StatusCode::GATEWAY_TIMEOUT
        }
    }
}

/// The body of a refusal, as the client's API would write it.
pub fn body_of(api: Api, error: &Error) -> String {
    match api {
        Api::Messages => anthropic(error).to_string(),
        _ => json!({ "error": openai(error) }).to_string(),
    }
}

/// The event that ends a stream which cannot go on: an error, never a proper end.
pub fn event_of(api: Api, error: &Error) -> String {
    match api {
        Api::Messages => format!("event: error\ndata: {}\n\n", anthropic(error)),
        Api::Responses => {
            let event = json!({
                "type": "error", "code": error.kind.as_str(), "message": error.message,
                "param": null, "sequence_number": 0,
            });
            format!("event: error\ndata: {event}\n\n")
        }
        _ => format!("data: {}\n\n", json!({ "error": openai(error) })),
    }
}

fn openai(error: &Error) -> serde_json::Value {
    let class = match status_of(error.kind).as_u16() {
        401 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "message": error.message, "type": class, "param": null, "code": error.kind.as_str() })
}

fn anthropic(error: &Error) -> serde_json::Value {
    let class = match status_of(error.kind).as_u16() {
        401 => "authentication_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    };
    json!({ "type": "error", "error": { "type": class, "message": error.message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_looks_like_the_end_of_a_good_stream() {
        for kind in Kind::ALL {
            for api in Api::ALL {
                let event = event_of(api, &Error::new(kind, "text\nwith a line break"));
                assert!(event.ends_with("\n\n") && event.contains("error"));
                assert!(!event.contains("[DONE]") && !event.contains("message_stop"));
                assert_eq!(event.matches("\n\n").count(), 1, "one event: {event}");
            }
        }
    }

    #[test]
    fn every_fault_has_an_error_status() {
        for kind in Kind::ALL {
            assert!(status_of(kind).as_u16() >= 400, "{kind:?}");
        }
    }
}
