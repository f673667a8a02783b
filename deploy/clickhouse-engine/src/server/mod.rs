//! The child: boots the engine and serves ClickHouse's HTTP interface on
//! loopback until its standard input ends.
//!
//! Order of a life: read the spec, lock the data directory, boot the engine,
//! listen, announce the port; then, once standard input ends (the parent asked
//! for it or is gone, however it died), stop accepting, let running statements
//! finish, close the engine, `_exit`. A parent-death signal would not do: it
//! fires when the spawning *thread* ends.

mod answer;
mod boot;
mod execute;
mod failure;
mod forbidden;
mod gate;
mod request;
mod statement;

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::answer::{Answer, Served};
use self::execute::{Job, PIECES, Reply, Rows, Sessions};
use self::failure::{Failure, Refusal};
use self::gate::Gate;
use self::request::{Call, Rules};
use crate::library::{EngineError, exit_now, take_standard_input};
use crate::spec::{Announcement, Spec};

/// An unused kept-alive connection is closed after this.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);
/// Request line and headers together; an INSERT's text travels in the URL.
const HEADER_BYTES: usize = 256 << 10;
/// What is still read from a client whose request has already failed, so that
/// it sees the error and not a broken pipe.
const DISCARDED_BYTES: usize = 16 << 20;
/// A restarted child gets its port back within this.
const BIND_WITHIN: Duration = Duration::from_secs(5);
/// When no connection can be accepted (no file descriptors left), others must
/// end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The parent's one line; settings and a password fit many times over.
const SPEC_BYTES: u64 = 64 << 10;

/// Runs the child to its end, with exit code 0 after a clean stop and 1 when
/// it could not start.
///
/// Called by the hidden subcommand that [`crate::Options::args`] names, from
/// `main` and outside any Tokio runtime, as it builds its own. Reads
/// everything it needs from standard input and prints one JSON line on
/// standard output: `{"port":N}` when it serves, `{"error":"…"}` when it
/// cannot start. It does not return, the type only fits an exit code: it leaves
/// through `_exit`, as the engine's static destructors race its threads.
pub fn run_child() -> i32 {
    let code = match serve() {
        Ok(()) => 0,
        Err(reason) => {
            announce(&Announcement::Error(reason));
            1
        }
    };
    exit_now(code)
}

struct Shared {
    sessions: Sessions,
    setting_names: HashSet<String>,
    gate: Gate,
    user: String,
    password: String,
}

fn serve() -> Result<(), String> {
    let input = take_standard_input().map_err(|error| format!("standard input: {error}"))?;
    let mut input = BufReader::new(input);
    let spec = read_spec(&mut input)?;
    let stop = stop_on_end_of(input);
    let lock = boot::lock(&spec.data_dir, spec.limits.lock_wait)?;
    let engine = boot::boot(&spec)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(spec.limits.concurrent_queries as usize + 2)
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let shared = Arc::new(Shared {
        gate: Gate::new(&spec.limits),
        setting_names: engine.setting_names,
        sessions: engine.sessions,
        user: spec.user,
        password: spec.password,
    });
    runtime.block_on(async {
        let listener = bind(spec.port).await?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        announce(&Announcement::Port(port));
        accept(listener, &shared, stop).await;
        Ok::<_, String>(())
    })?;
    runtime.shutdown_background();
    drop(engine.anchor);
    drop(lock);
    Ok(())
}

fn read_spec(input: &mut impl BufRead) -> Result<Spec, String> {
    let mut line = String::new();
    input.take(SPEC_BYTES).read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    serde_json::from_str(&line)
        .map_err(|error| format!("standard input carries no spec ({error}); this subcommand is started by weir itself"))
}

/// The thread ends with the process; it owns nothing but the pipe.
fn stop_on_end_of(mut input: impl Read + Send + 'static) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    std::thread::spawn(move || {
        let mut rest = [0_u8; 64];
        while matches!(input.read(&mut rest), Ok(1..)) {}
        let _ = sender.send(true);
    });
    receiver
}

fn announce(announcement: &Announcement) {
    let line = serde_json::to_string(announcement).unwrap_or_else(|_| r#"{"error":"unprintable"}"#.into());
    let mut out = io::stdout().lock();
    // A parent that no longer reads has closed standard input too.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn bind(port: u16) -> Result<TcpListener, String> {
    let began = Instant::now();
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if began.elapsed() > BIND_WITHIN => {
                return Err(format!("port {port} on loopback: {error}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn accept(listener: TcpListener, shared: &Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let limits = &shared.sessions.limits;
    let places = Arc::new(Semaphore::new(limits.connections.max(1) as usize));
    let mut open = JoinSet::new();
    while !*stop.borrow() {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = next => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let (shared, stop) = (shared.clone(), stop.clone());
                open.spawn(async move {
                    connection(stream, shared, stop).await;
                    drop(place);
                });
            }
            Some(_) = open.join_next() => {}
            _ = stop.changed() => {}
        }
    }
    drop(listener);
    let finished = shared.gate.drain(limits.drain).await;
    let written = tokio::time::timeout(Duration::from_secs(1), async { while open.join_next().await.is_some() {} });
    if !finished || written.await.is_err() {
        eprintln!("stopping with unfinished statements or open connections");
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    // Without it a small answer waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(shared.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is the client's business; it is told there.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Served {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/ping" || (parts.method == Method::GET && parts.uri.query().is_none()) {
        return Ok(answer::text("Ok.\n"));
    }
    if !request::authorised(&parts, &shared.user, &shared.password) {
        let failure = Refusal::Unauthenticated.because("wrong user or password");
        return Ok(answer::failed(&failure, ""));
    }
    if parts.uri.path() != "/" {
        let failure = Refusal::NotFound.because("only `/` and `/ping` are served");
        return Ok(answer::failed(&failure, ""));
    }
    if !matches!(parts.method, Method::GET | Method::POST | Method::HEAD) {
        let failure = Refusal::BadArguments.because("only GET and POST are served");
        return Ok(answer::failed(&failure, ""));
    }
    let limits = &shared.sessions.limits;
    let rules = Rules {
        setting_names: &shared.setting_names,
        statement_bytes: limits.statement_bytes,
        body_idle: limits.body_idle,
    };
    Ok(match request::read(&parts, body, &rules).await {
        Err(failure) => answer::failed(&failure, ""),
        Ok(call) => {
            let query_id = call.query_id.clone().unwrap_or_else(answer::tag);
            run(&shared, call, &query_id).await.unwrap_or_else(|failure| answer::failed(&failure, &query_id))
        }
    })
}

async fn run(shared: &Arc<Shared>, call: Call, query_id: &str) -> Result<Response<Answer>, Failure> {
    let began = Instant::now();
    let Call { data: body, .. } = call;
    let turn = match shared.gate.enter().await {
        Ok(turn) => turn,
        Err(failure) => {
            discard(body, shared).await;
            return Err(failure);
        }
    };
    let (rows, receiver) = body.is_some().then(|| mpsc::channel(PIECES)).unzip();
    let job = Job {
        sql: call.sql,
        statement: call.statement,
        settings: call.settings,
        params: call.params,
        database: call.database,
        default_format: call.default_format,
        rows: receiver,
    };
    let (reply, outcome) = oneshot::channel();
    let runner = shared.clone();
    tokio::task::spawn_blocking(move || {
        runner.sessions.run(job, reply);
        drop(turn);
    });
    if let (Some(body), Some(rows)) = (body, rows) {
        feed(body, rows, shared).await;
    }
    let broke_off = |_| Err(EngineError("the statement broke off, the store's log says more".into()).into());
    let reply: Reply = outcome.await.unwrap_or_else(broke_off)?;
    Ok(answer::result(reply, query_id, began.elapsed()))
}

/// Passes the body on; ends early when the insert has failed or the client
/// broke off, which discards the insert.
async fn feed(mut body: Incoming, rows: mpsc::Sender<Rows>, shared: &Shared) {
    loop {
        match request::next_frame(&mut body, shared.sessions.limits.body_idle).await {
            Ok(Some(data)) => {
                if rows.send(Rows::Data(data)).await.is_err() {
                    return discard(Some(body), shared).await;
                }
            }
            Ok(None) => {
                let _ = rows.send(Rows::End).await;
                return;
            }
            Err(_) => return,
        }
    }
}

async fn discard(body: Option<Incoming>, shared: &Shared) {
    let Some(mut body) = body else { return };
    let mut seen = 0;
    while let Ok(Some(data)) = request::next_frame(&mut body, shared.sessions.limits.body_idle).await {
        seen += data.len();
        if seen > DISCARDED_BYTES {
            return;
        }
    }
}
