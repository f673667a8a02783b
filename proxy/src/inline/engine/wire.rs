//! One HTTP/1.1 connection to an engine, driven by the exchange that uses it.
//!
//! hyper's connection future is usually spawned as a task of its own. Here the exchange
//! polls it itself, for three reasons: pieces of a stream that are ready are joined without
//! a task switch between each; dropping the exchange closes the socket in the same poll, so
//! that the engine learns at once that the client left; and a connection costs no task.
//! A connection that lies idle in the pool is polled by nobody; the pool asks
//! [`Wire::is_alive`] before it gives one out.
//!
//! Must not know: replicas, retries, timeouts, API shapes.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Ready pieces are joined up to this many bytes before they go on.
const JOIN_BYTES: usize = 64 << 10;

/// An open connection.
pub struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// None once it is closed. Dropping it at that moment gives a request that was still
    /// queued inside back to the sender, which would wait for ever otherwise.
    connection: Option<Driven>,
    /// How the body ended, kept back while the pieces before it go on.
    ending: Option<hyper::Result<Piece>>,
}

type Driven = Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>;

/// A piece of an answer's body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes, as they came.
    Data(Bytes),
    /// The proper end of the body.
    End,
}

impl Wire {
    /// Speaks HTTP/1.1 over an open socket.
    pub async fn new(stream: TcpStream) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection: Some(Box::pin(connection)), ending: None })
    }

    /// Sends a request and waits for the head of its response. An error comes with the
    /// request where it was certainly not sent.
    pub async fn send(&mut self, request: http::Request<Full<Bytes>>) -> Result<http::Response<Incoming>, Unsent> {
        self.ending = None;
        // Unconstrained: tokio's budget would defer a wake to the silent waker below.
        let mut response = std::pin::pin!(tokio::task::unconstrained(self.sender.try_send_request(request)));
        // Only the connection, polled here, can complete the response: a wake of the
        // response's own would only wake this task once more for nothing.
        poll_fn(|cx| {
            drive(&mut self.connection, cx);
            response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
        .map_err(|mut fault| Unsent { request: fault.take_message(), error: fault.into_error() })
    }

    /// The next piece of the body that came over this connection. Joins what is ready.
    pub fn poll_piece(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<hyper::Result<Piece>> {
        if let Some(ending) = self.ending.take() {
            return Poll::Ready(ending);
        }
        let mut silent = Context::from_waker(Waker::noop());
        let mut joined = Joined::default();
        let mut driven = false;
        let ending = loop {
            match Pin::new(&mut *body).poll_frame(&mut silent) {
                Poll::Ready(Some(Ok(frame))) => {
                    driven = false;
                    // Trailers are dropped: the answer's head, already sent, did not announce them.
                    frame.into_data().into_iter().for_each(|data| joined.push(data));
                    if joined.len() >= JOIN_BYTES {
                        break None;
                    }
                }
                Poll::Ready(Some(Err(error))) => break Some(Err(error)),
                Poll::Ready(None) => break Some(Ok(Piece::End)),
                Poll::Pending if driven => break None,
                Poll::Pending => {
                    drive(&mut self.connection, cx);
                    driven = true;
                }
            }
        };
        match (joined.take(), ending) {
            (Some(data), ending) => {
                self.ending = ending;
                Poll::Ready(Ok(Piece::Data(data)))
            }
            (None, Some(ending)) => Poll::Ready(ending),
            (None, None) => Poll::Pending,
        }
    }

    /// Whether another request can be sent now: the last body has ended and, as far as the
    /// kernel knows, both ends are open.
    pub fn is_ready(&mut self) -> bool {
        drive(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// A request that failed before its response head, given back if no byte of it was sent.
#[derive(Debug)]
pub struct Unsent {
    /// The request, where it was certainly not sent.
    pub request: Option<http::Request<Full<Bytes>>>,
    /// What went wrong.
    pub error: hyper::Error,
}

fn drive(connection: &mut Option<Driven>, cx: &mut Context<'_>) {
    // A fault of the connection also reaches the response or the body, which report it.
    if connection.as_mut().is_some_and(|open| open.as_mut().poll(cx).is_ready()) {
        *connection = None;
    }
}

/// Pieces joined into one; a single piece is passed on without a copy.
#[derive(Default)]
struct Joined {
    first: Option<Bytes>,
    rest: BytesMut,
}

impl Joined {
    fn len(&self) -> usize {
        self.first.as_ref().map_or(self.rest.len(), Bytes::len)
    }

    fn push(&mut self, data: Bytes) {
        if let Some(first) = self.first.take() {
            self.rest.reserve(first.len() + data.len());
            self.rest.extend_from_slice(&first);
            self.rest.extend_from_slice(&data);
        } else if self.rest.is_empty() {
            self.first = Some(data);
        } else {
            self.rest.extend_from_slice(&data);
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let joined = self.first.take().unwrap_or_else(|| self.rest.split().freeze());
        (!joined.is_empty()).then_some(joined)
    }
}
