//! The HTTP client under the span exporter: hyper, one connection per export.
//!
//! A batch leaves every few seconds, so keeping a connection would save nothing and would
//! have to be watched. Promises: an export ends within its timeout; a collector's answer is
//! read up to a limit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most bytes read of a collector's answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Sends exports to `http://` addresses.
#[derive(Debug)]
pub(super) struct Transport {
    timeout: Duration,
}

#[derive(Debug)]
struct NoHost;

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the collector's address lacks a host")
    }
}

impl std::error::Error for NoHost {}

impl Transport {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl HttpClient for Transport {
    // What `#[async_trait]` of the trait's crate expands to; written out to spare the dependency.
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { tokio::time::timeout(self.timeout, send(request)).await? })
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().ok_or(NoHost)?.clone();
    let stream = TcpStream::connect((host(&authority), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with this function, on whatever way it is left.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    parts.headers.insert(http::header::HOST, authority.as_str().parse()?);
    if let Some(target) = parts.uri.path_and_query().cloned() {
        parts.uri = target.into();
    }
    let (head, answer) = sender.send_request(Request::from_parts(parts, Full::new(body))).await?.into_parts();
    let answer = Limited::new(answer, MAX_ANSWER_BYTES).collect().await?.to_bytes();
    Ok(Response::from_parts(head, answer))
}

/// The host without the brackets that an IPv6 address has in a URL.
fn host(authority: &http::uri::Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}
