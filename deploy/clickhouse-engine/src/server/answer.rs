//! Replies in ClickHouse's HTTP protocol, and the only place that knows its
//! response headers and how an error is told after the first byte.
//!
//! A late error is one last chunk
//! `\r\n__exception__\r\n<tag>\r\n<text>\n<length> <tag>\r\n__exception__\r\n`
//! (the tag was promised in `X-ClickHouse-Exception-Tag`), and then the
//! connection breaks, so that no client takes a part for the whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use super::execute::{Piece, Reply};
use super::failure::Failure;
use crate::library::Output;

/// A body that is there, or one that still comes.
pub(crate) enum Answer {
    Whole(Option<Bytes>),
    Stream(Stream),
}

/// The rest of a result.
pub(crate) struct Stream {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Piece>,
    tag: String,
    ending: Ending,
}

/// The connection was broken on purpose after an error was told.
#[derive(Debug, thiserror::Error)]
#[error("the result ended with an error")]
pub(crate) struct Broken;

#[derive(PartialEq, Eq)]
enum Ending {
    NotYet,
    /// The error is told; one turn lets the connection write it out.
    Told,
    Flushed,
}

/// A plain text, as `/ping` answers.
pub(crate) fn text(body: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(Bytes::from_static(body.as_bytes()))));
    put(&mut response, header::CONTENT_TYPE, "text/plain; charset=UTF-8");
    response
}

/// An error before the first byte.
pub(crate) fn failed(failure: &Failure, query_id: &str) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Some(format!("{}\n", failure.text).into())));
    *response.status_mut() = failure.status();
    put(&mut response, header::CONTENT_TYPE, "text/plain; charset=UTF-8");
    put(&mut response, HeaderName::from_static("x-clickhouse-exception-code"), &failure.code.to_string());
    put(&mut response, HeaderName::from_static("x-clickhouse-query-id"), query_id);
    if failure.status() == StatusCode::SERVICE_UNAVAILABLE {
        put(&mut response, header::RETRY_AFTER, "1");
    }
    response
}

/// A result, whole or as a stream.
pub(crate) fn result(reply: Reply, query_id: &str, elapsed: Duration) -> Response<Answer> {
    let (format, summary, body) = match reply {
        Reply::Whole { format, output } => {
            let summary = summary(&output, elapsed);
            (format, Some(summary), Answer::Whole(Some(output.bytes).filter(|bytes| !bytes.is_empty())))
        }
        Reply::Stream { format, first, rest } => {
            let stream = Stream { first: Some(first), rest, tag: tag(), ending: Ending::NotYet };
            (format, None, Answer::Stream(stream))
        }
    };
    let tag = if let Answer::Stream(stream) = &body { stream.tag.clone() } else { tag() };
    let mut response = Response::new(body);
    put(&mut response, header::CONTENT_TYPE, content_type(&format));
    put(&mut response, HeaderName::from_static("x-clickhouse-format"), &format);
    put(&mut response, HeaderName::from_static("x-clickhouse-query-id"), query_id);
    put(&mut response, HeaderName::from_static("x-clickhouse-server-display-name"), "weir");
    put(&mut response, HeaderName::from_static("x-clickhouse-exception-tag"), &tag);
    if let Some(summary) = summary {
        put(&mut response, HeaderName::from_static("x-clickhouse-summary"), &summary);
    }
    response
}

/// A random id or tag of 16 hexadecimal digits.
pub(crate) fn tag() -> String {
    let mut bytes = [0_u8; 8];
    // Only uniqueness is asked of a tag: without randomness it is still valid.
    let _ = getrandom::fill(&mut bytes);
    format!("{:016x}", u64::from_le_bytes(bytes))
}

fn put(response: &mut Response<Answer>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn summary(output: &Output, elapsed: Duration) -> String {
    format!(
        r#"{{"read_rows":"{}","written_rows":"{}","written_bytes":"{}","elapsed_ns":"{}"}}"#,
        output.rows_read,
        output.rows_written,
        output.bytes_written,
        elapsed.as_nanos()
    )
}

fn content_type(format: &str) -> &'static str {
    match format {
        "JSON" | "JSONCompact" | "JSONColumns" => "application/json; charset=UTF-8",
        "JSONEachRow" | "JSONCompactEachRow" => "application/x-ndjson; charset=UTF-8",
        "CSV" | "CSVWithNames" => "text/csv; charset=UTF-8; header=absent",
        name if name.starts_with("RowBinary") || name == "Native" || name == "Parquet" => "application/octet-stream",
        _ => "text/tab-separated-values; charset=UTF-8",
    }
}

fn late(failure: &Failure, tag: &str) -> Bytes {
    let text = format!("{}\n", failure.text);
    let length = text.len();
    format!("\r\n__exception__\r\n{tag}\r\n{text}{length} {tag}\r\n__exception__\r\n").into()
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(bytes) => http_body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => http_body::SizeHint::default(),
        }
    }
}

impl Stream {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.ending {
            Ending::NotYet => {}
            Ending::Told => {
                self.ending = Ending::Flushed;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Ending::Flushed => return Poll::Ready(Some(Err(Broken))),
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.rest.poll_recv(context).map(|piece| match piece {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => None,
            Some(Piece::Failed(failure)) => {
                self.ending = Ending::Told;
                Some(Ok(Frame::data(late(&failure, &self.tag))))
            }
            None => Some(Err(Broken)),
        })
    }
}

/// Hyper's services want an error type; ours cannot fail.
pub(crate) type Served = Result<Response<Answer>, Infallible>;
