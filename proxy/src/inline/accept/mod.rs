//! The data port: connections, heads and bodies of requests, and their limits.
//!
//! Speaks HTTP/1.1. TLS and HTTP/2 belong in [`serve`], between the socket and hyper; the
//! handler behind it sees a request and its body either way.
//!
//! Must not know: tenants, routes, engines.

mod timer;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Opts, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use timer::HeadTimer;

use crate::exchange::{Budget, ByteSize, Error, Fault, Kind, Period, Share};

/// A client connection that is silent for so long is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Bodies up to this size are cheaper to copy than the read buffer they lie in is to replace.
const COPIED_BYTES: usize = 4 << 10;

/// hyper's own ceiling on a request head lies this far above ours, so that a head over our
/// limit is answered in the client's error shape and not cut off.
const HEAD_SLACK_BYTES: usize = 16 << 10;

/// The data port and its limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Open connections; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Largest request body; more is answered with 413.
    pub max_body_bytes: ByteSize,
    /// Largest header section; more is answered with 431.
    pub max_header_bytes: ByteSize,
    /// Bytes of request bodies and of answers copied for the record that all exchanges hold
    /// at one time; beyond it new requests are answered with 429 and copies end early.
    pub max_held_bytes: ByteSize,
    /// How long a client may take to send its headers, and how long its connection may lie
    /// idle between two requests. Keep it above the idle time of balancers in front.
    pub header_timeout: Period,
    /// How long a client may take to send its body.
    pub body_timeout: Period,
    /// How long a client may take to accept what was sent to it before its connection is cut,
    /// so that one that stopped reading does not hold its place for ever.
    pub stall_timeout: Period,
    /// How long answers under way may take to finish when Weir stops.
    pub drain_timeout: Period,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_connections: 8192,
            max_body_bytes: ByteSize::mib(32),
            max_header_bytes: ByteSize::kib(64),
            max_held_bytes: ByteSize::mib(512),
            header_timeout: Period::secs(90),
            body_timeout: Period::secs(60),
            stall_timeout: Period::secs(120),
            drain_timeout: Period::secs(30),
        }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.max_connections == 0 {
            faults.push(Fault::new(format!("{path}.max_connections"), "is 0, nobody could connect", "use 1 or more"));
        }
        if self.max_held_bytes < self.max_body_bytes {
            let cure = "make it at least as large as max_body_bytes";
            faults.push(Fault::new(format!("{path}.max_held_bytes"), "is smaller than one body may be", cure));
        }
        if self.max_header_bytes < ByteSize::kib(4) {
            let cure = "use \"4KiB\" or more";
            faults.push(Fault::new(format!("{path}.max_header_bytes"), "leaves no room for ordinary headers", cure));
        }
        faults
    }
}

/// Metrics of the data port.
#[derive(Clone, Debug)]
pub struct Metrics {
    connections: IntGauge,
    accept_faults: IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let connections = IntGauge::with_opts(Opts::new("weir_connections", "Open connections on the data port"))?;
        let accept_faults =
            IntCounter::with_opts(Opts::new("weir_accept_errors_total", "Connections that could not be accepted"))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(accept_faults.clone()))?;
        Ok(Self { connections, accept_faults })
    }
}

/// What all exchanges hold of their budget, looked at when asked.
struct Held {
    budget: Budget,
    bytes: IntGauge,
}

/// Registers what all exchanges hold of their budget.
pub fn register_budget(registry: &Registry, budget: Budget) -> prometheus::Result<()> {
    let bytes = IntGauge::new("weir_held_bytes", "Bytes of bodies that all exchanges hold, of server.max_held_bytes")?;
    registry.register(Box::new(Held { budget, bytes }))
}

impl Collector for Held {
    fn desc(&self) -> Vec<&Desc> {
        self.bytes.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.bytes.set(self.budget.held() as i64);
        self.bytes.collect()
    }
}

/// Opens the port: TCP_NODELAY is set on each connection, the address may be reused at once.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}

/// How far serving has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connections are taken.
    Open,
    /// No new connections; answers under way finish.
    Draining,
    /// What is still under way is cut.
    Closed,
}

/// Serves connections, shared out evenly over `workers`, for as long as `phase` says.
pub async fn serve<H, F, B>(
    listener: TcpListener,
    config: &Config,
    metrics: Metrics,
    mut phase: watch::Receiver<Phase>,
    workers: &[Handle],
    handle: H,
) where
    H: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = http::Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = Error> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut http = http1::Builder::new();
    http.header_read_timeout(*config.header_timeout)
        .max_buf_size((config.max_header_bytes.bytes() + HEAD_SLACK_BYTES).max(8192))
        .half_close(false);
    let mut connections = tokio::task::JoinSet::new();
    for worker in workers.iter().cycle() {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places, *config.stall_timeout) => accepted,
            _ = phase.wait_for(|phase| *phase != Phase::Open) => break,
        };
        let Ok((stream, place)) = accepted else {
            // Out of file descriptors, mostly: others must finish first.
            metrics.accept_faults.inc();
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (mut http, handle, open, mut phase) =
            (http.clone(), handle.clone(), Open::new(&metrics.connections), phase.clone());
        http.timer(HeadTimer::default());
        let serving = async move {
            let _held = (place, open);
            // Registers the socket with the worker that will serve it.
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), infallible(handle)));
            let finished = tokio::select! {
                biased;
                result = connection.as_mut() => Some(result),
                _ = phase.wait_for(|phase| *phase != Phase::Open) => None,
            };
            // A connection's own faults (resets, bad requests) say nothing beyond the records.
            if finished.is_none() {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        };
        connections.spawn_on(serving, worker);
    }
    // Nobody is left waiting in a queue that is not served any more.
    drop(listener);
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        _ = phase.wait_for(|phase| *phase == Phase::Closed) => {}
    }
    connections.shutdown().await;
}

/// An open connection, counted until dropped.
struct Open(IntGauge);

impl Open {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn infallible<H, F, B>(
    handle: H,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<B>,
    Error = std::convert::Infallible,
    Future = impl Future<Output = Result<http::Response<B>, std::convert::Infallible>>,
>
where
    H: Fn(http::Request<Incoming>) -> F,
    F: Future<Output = http::Response<B>>,
    B: Body,
{
    service_fn(move |request| {
        let answer = handle(request);
        async move { Ok(answer.await) }
    })
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stall: Duration,
) -> std::io::Result<(std::net::TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    // Also finds clients that vanished without a word while an engine works for them.
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(stall))?;
    Ok((stream.into_std()?, place))
}

/// Checks the head before the body is read.
pub fn check_head(method: &http::Method, headers: &http::HeaderMap, config: &Config) -> Result<(), Error> {
    if method == http::Method::CONNECT {
        return Err(Error::new(Kind::InvalidRequest, "CONNECT is not served; this is no forward proxy"));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes <= config.max_header_bytes.bytes() {
        return Ok(());
    }
    let message = format!("the headers have {bytes} bytes; at most {} are taken", config.max_header_bytes.0);
    Err(Error::new(Kind::HeadersTooLarge, message))
}

/// Reads a request body whole. A body in one piece is not copied.
pub async fn read_body(body: Incoming, config: &Config, budget: &Budget) -> Result<(Bytes, Share), Error> {
    let mut share = budget.share();
    if body.is_end_stream() {
        return Ok((Bytes::new(), share));
    }
    let limit = config.max_body_bytes.bytes();
    let announced = body.size_hint().lower() as usize;
    if announced > limit {
        return Err(too_large(limit));
    }
    let reading = collect(body, limit, &mut share);
    let late = || Error::new(Kind::RequestTimeout, "the request body did not arrive in time");
    let body = tokio::time::timeout(*config.body_timeout, reading).await.unwrap_or_else(|_| Err(late()))?;
    Ok((body, share))
}

async fn collect(mut body: Incoming, limit: usize, share: &mut Share) -> Result<Bytes, Error> {
    let announced = body.size_hint().exact().map_or(0, |n| n as usize);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let left = |fault| Error::new(Kind::ClientLeft, "the request body broke off").detail(fault);
        let Ok(data) = frame.map_err(left)?.into_data() else { continue };
        if !share.grow(data.len()) {
            let message = "too much data is being worked on; try again shortly";
            return Err(Error::new(Kind::Overloaded, message).retry_after(Duration::from_secs(1)));
        }
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(announced.max(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { own(first) } else { rest.freeze() })
}

/// A small body is copied out of the connection's read buffer: the record holds it for longer
/// than the exchange lasts, and the connection would need a new buffer for its next request.
fn own(body: Bytes) -> Bytes {
    if body.len() <= COPIED_BYTES { Bytes::copy_from_slice(&body) } else { body }
}

fn too_large(limit: usize) -> Error {
    let message = format!("the request body is larger than the {limit} bytes that are taken here");
    Error::new(Kind::BodyTooLarge, message)
}
