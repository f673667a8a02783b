//! Serves the console with made-up traffic, for work on the pages and for browser tests.
//!
//! `cargo run -p weir --example console_demo -- <folder> [port] [rows|none]`: the store is
//! the embedded ClickHouse in `<folder>`, with real tables and made-up rows; `none` leaves
//! the store away. Prints the address with the token, then serves until interrupted.

mod rows;
mod shelf;
mod traffic;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::net::TcpListener;
use weir::background::store;
use weir::console::{self, EngineFacts, PartState, live, login};
use weir::exchange::stored::{Stored, StoredEvent};

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    if std::env::args().any(|argument| argument == "store-engine") {
        std::process::exit(weir_clickhouse_engine::run_child());
    }
    tokio::runtime::Runtime::new()?.block_on(serve())
}

async fn serve() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "console-demo".into()));
    let port: u16 = arguments.next().map_or(Ok(8081), |port| port.parse())?;
    let rows = arguments.next().unwrap_or_else(|| "400".into());
    std::fs::create_dir_all(&folder)?;
    let registry = prometheus::Registry::new();
    let mut traffic = traffic::Traffic::new(&registry)?;
    let live = live::Live::default();
    traffic.past_hour(&registry, &live);
    tokio::spawn(async move {
        loop {
            traffic.step(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let (made, now) = rows::exchanges(rows.parse().unwrap_or(400))?;
    let (clients, note) = open_store(&folder, rows != "none", &registry).await?;
    let (sender, events) = std::sync::mpsc::sync_channel(16);
    if let Some(client) = clients.borrow().clone() {
        rows::fill(&client, &made, now).await?;
    }
    keep_events(events, clients.clone());
    let (login, _) = login::Login::load_or_create(&folder.join("token"))?;
    let token = "demo";
    drop(login);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let parts = console::Parts {
        config: console::Config { login_attempts: 1000, ..console::Config::default() },
        registry,
        live,
        store: clients,
        cache: Arc::new(shelf::Shelf::of(&made, now)),
        events: sender,
        store_note: note,
        login: login::Login::of_token(token),
        engines: Arc::new(engines),
        ready: Arc::new(ready),
        settings: Arc::new(|| "[engines.main]\nurl = \"http://gpu-0:8000\"\napi_key = \"***\"\n".into()),
        data_port: SocketAddr::from(([127, 0, 0, 1], 8080)),
        instance: "demo".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    print(&format!("http://{}/login?token={token}\n", listener.local_addr()?))?;
    console::serve(listener, parts, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    Ok(())
}

fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes())
}

type Clients = tokio::sync::watch::Receiver<Option<clickhouse::Client>>;

async fn open_store(
    folder: &std::path::Path,
    wanted: bool,
    registry: &prometheus::Registry,
) -> Result<(Clients, console::Probe<String>), Fault> {
    if !wanted {
        let (sender, clients) = tokio::sync::watch::channel(None);
        std::mem::forget(sender);
        return Ok((clients, Arc::new(|| "no ClickHouse is configured in this demo".into())));
    }
    let config = store::Config { data_dir: folder.join("store"), ..store::Config::default() };
    let metrics = store::Metrics::register(registry)?;
    let store = store::Store::start(config, store::ChildProgram::default(), metrics);
    let mut clients = store.clients();
    let ready = tokio::time::timeout(Duration::from_secs(60), clients.wait_for(Option::is_some)).await;
    ready.map_err(|_| format!("{:?}", *store.state().borrow()))??;
    let state = store.state();
    // Kept until the process ends: dropping it would stop the store.
    std::mem::forget(store);
    Ok((clients, Arc::new(move || describe(&state.borrow()))))
}

/// Brings what people do to the store, as the recorder would.
fn keep_events(events: Receiver<StoredEvent>, clients: Clients) {
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        for event in events {
            let client = clients.borrow().clone();
            if let Some(client) = client
                && let Err(fault) = runtime.block_on(rows::bring(&client, &[Stored::Event(event)]))
            {
                tracing::warn!(%fault, "an event was lost");
            }
        }
    });
}

fn describe(state: &store::State) -> String {
    match state {
        store::State::Absent { reason, how_to_get } => format!("{reason}; {how_to_get}"),
        store::State::Starting => "starting".into(),
        store::State::Ready { version, embedded: true } => format!("ClickHouse {version}, embedded"),
        store::State::Ready { version, embedded: false } => format!("ClickHouse {version}"),
        store::State::Failing { since, error } => format!("failing since {since}: {error}"),
    }
}

fn engines() -> Vec<EngineFacts> {
    let vllm = EngineFacts {
        engine: "main".into(),
        replica: "gpu-0:8000".into(),
        kind: "vllm".into(),
        version: "0.11.2".into(),
        model: "Qwen/Qwen3-30B-A3B-Instruct".into(),
        quantisation: "fp8".into(),
        context_tokens: 32_768,
        fingerprint: "9f2c41d07ab35e18".into(),
    };
    let second = EngineFacts { replica: "gpu-1:8000".into(), ..vllm.clone() };
    let small = EngineFacts {
        engine: "small".into(),
        replica: "127.0.0.1:8090".into(),
        kind: "llama-cpp".into(),
        version: "b6840".into(),
        model: "SmolLM2-135M-Instruct".into(),
        quantisation: "Q4_1".into(),
        context_tokens: 8192,
        fingerprint: "41b7e00c9d3a6f52".into(),
    };
    vec![vllm, second, small]
}

fn ready() -> Vec<PartState> {
    let part = |part: &str, ready, required, detail: &str| PartState {
        part: part.into(),
        ready,
        required,
        detail: detail.into(),
    };
    vec![
        part("data port", true, true, "127.0.0.1:8080"),
        part("engines", true, true, "2 of 3 replicas up"),
        part("spool", true, true, "214 records, 1.2 MiB"),
        part("store", true, false, "embedded"),
    ]
}
