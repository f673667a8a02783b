//! The console port: pages, JSON API, metrics and health.
//!
//! Promises: it reads and never writes what others own, but for the cache, where a person may
//! remove entries, and each removal is told with who did it; every answer carries a strict
//! content security policy; foreign text is never HTML; without the store it still
//! serves live figures. It must not know how anything it shows was made: it is given a
//! metrics registry, ClickHouse clients, the cache behind a port and a few closures ([`Parts`]).

mod api;
mod assets;
pub mod cache;
mod content;
mod detail;
mod error;
mod exchange;
mod filter;
mod format;
mod guard;
mod health;
mod host;
mod json_text;
mod judged;
mod list;
pub mod live;
pub mod login;
mod overview;
mod pages;
mod queries;
mod raw;
mod rows;
mod series;
mod sse_text;
mod statement;
mod store;
mod strings;
mod view;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::exchange::stored::StoredEvent;
use crate::exchange::{Fault, Period};

/// How the console is served.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port of the console. Loopback, because whoever reads the console reads prompts. Default `127.0.0.1:8081`.
    pub listen: SocketAddr,
    /// Host names that the console answers to besides loopback names and the address it listens on, without ports. Other names are refused, so that no page of another site can reach the console through a name of its own (DNS rebinding). Default: none.
    pub hosts: Vec<String>,
    /// Whether `/metrics` needs no login, so that a scraper can read it. It never holds prompt text. Default `true`.
    pub metrics_open: bool,
    /// Whether cookies are marked `Secure`: set it where a TLS proxy stands in front. Default `false`.
    pub secure_cookies: bool,
    /// How long a login lasts, so that a forgotten browser does not stay open. Default `12h`.
    pub session_ttl: Period,
    /// Most sessions at a time; the oldest ends when one more begins. Default `256`.
    pub max_sessions: usize,
    /// Refused logins per minute and address before further tries are refused unseen. Default `10`.
    pub login_attempts: u32,
    /// Longest time for one query of the store, so that a page never hangs. Default `10s`.
    pub query_limit: Period,
    /// Queries of the store at a time; more wait their turn, so that people cannot starve the sink. Default `8`.
    pub queries_in_flight: usize,
    /// Rows on one page of the list, 10 to 500. Default `100`.
    pub page_rows: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            hosts: Vec::new(),
            metrics_open: true,
            secure_cookies: false,
            session_ttl: Period::secs(12 * 3600),
            max_sessions: 256,
            login_attempts: 10,
            query_limit: Period::secs(10),
            queries_in_flight: 8,
            page_rows: 100,
        }
    }
}

impl Config {
    /// Everything that is wrong, with the key path under `path`.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let at_least_one = "write 1 or more";
        let checks = [
            (self.session_ttl.is_zero(), "session_ttl", "no login would ever hold", "write a period such as \"12h\""),
            (self.max_sessions == 0, "max_sessions", "nobody could log in", at_least_one),
            (self.login_attempts == 0, "login_attempts", "nobody could log in", at_least_one),
            (
                self.query_limit.is_zero(),
                "query_limit",
                "every query would be too late",
                "write a period such as \"10s\"",
            ),
            (self.queries_in_flight == 0, "queries_in_flight", "no query could ever run", at_least_one),
            (
                self.hosts.iter().any(|host| host.is_empty() || host.contains(['/', ':', '*', ' '])),
                "hosts",
                "is no list of plain host names",
                "write names without scheme, port or wildcard, such as [\"weir.example.org\"]",
            ),
            (!(10..=500).contains(&self.page_rows), "page_rows", "is out of range", "write 10 to 500"),
        ];
        let wrong = checks.into_iter().filter(|check| check.0);
        wrong.map(|(_, key, problem, cure)| Fault::new(format!("{path}.{key}"), problem, cure)).collect()
    }
}

/// What the wiring gives the console.
pub struct Parts {
    /// How to serve.
    pub config: Config,
    /// Every metric of the process; sampled for the charts and printed at `/metrics`.
    pub registry: prometheus::Registry,
    /// The last hour of metrics; [`live::Live::default`] begins an empty one.
    pub live: live::Live,
    /// The store's client with its database set; none while there is no store.
    pub store: watch::Receiver<Option<clickhouse::Client>>,
    /// State of the store for people: where it is, or why it is away.
    pub store_note: Probe<String>,
    /// The live cache.
    pub cache: Arc<dyn cache::CachePort>,
    /// Takes what people did, for the store.
    pub events: SyncSender<StoredEvent>,
    /// Who may come in.
    pub login: login::Login,
    /// What is known of each engine replica, read at each look.
    pub engines: Probe<Vec<EngineFacts>>,
    /// State of each part, for `/readyz`; ready means that all are.
    pub ready: Probe<Vec<PartState>>,
    /// The effective configuration as TOML, secrets already hidden.
    pub settings: Probe<String>,
    /// Where the data port listens, for the example on a page without exchanges.
    pub data_port: SocketAddr,
    /// Name of this Weir instance.
    pub instance: String,
    /// Version of Weir.
    pub version: String,
}

/// A closure of the wiring that reads a state without waiting.
pub type Probe<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// What is known of one engine replica beyond its gauges. Empty text means "not told".
#[derive(Clone, Debug, Default, Serialize)]
pub struct EngineFacts {
    /// Name of the engine in the configuration.
    pub engine: String,
    /// `host:port` of the replica.
    pub replica: String,
    /// Program that serves the model.
    pub kind: String,
    /// Version of the program.
    pub version: String,
    /// Model it serves.
    pub model: String,
    /// Quantisation.
    pub quantisation: String,
    /// Context length in tokens; 0 where unknown.
    pub context_tokens: u32,
    /// Digest of the fingerprint.
    pub fingerprint: String,
}

/// State of one part of Weir.
#[derive(Clone, Debug, Serialize)]
pub struct PartState {
    /// Name of the part.
    pub part: String,
    /// Whether it does its work.
    pub ready: bool,
    /// Whether Weir as a whole is unready without it. The store never is: traffic passes without it.
    pub required: bool,
    /// What there is to know, for people.
    pub detail: String,
}

/// Why the console cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A metric could not be registered.
    #[error("a metric of the console is refused: {0}")]
    Metric(#[from] prometheus::Error),
    /// A template or table of strings that is built in is broken.
    #[error("the built-in pages are broken: {0}")]
    Pages(String),
    /// The listener failed.
    #[error("the console port failed: {0}")]
    Listener(#[from] std::io::Error),
}

/// Figures of the console about itself.
#[derive(Clone, Debug)]
pub struct Metrics {
    queries: prometheus::HistogramVec,
    refused: prometheus::IntCounter,
    actions: prometheus::IntCounterVec,
    untold: prometheus::IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let queries = prometheus::HistogramOpts::new("weir_console_query_seconds", "Time of a query of the store.")
            .buckets(vec![0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let queries = prometheus::HistogramVec::new(queries, &["query", "outcome"])?;
        let refused = prometheus::IntCounter::new("weir_console_logins_refused_total", "Logins refused.")?;
        let actions = prometheus::Opts::new("weir_console_cache_actions_total", "What people did to the cache.");
        let actions = prometheus::IntCounterVec::new(actions, &["action", "outcome"])?;
        let untold = prometheus::IntCounter::new(
            "weir_console_events_lost_total",
            "Events of what people did that found no room on their way to the store; the log has them.",
        )?;
        registry.register(Box::new(actions.clone()))?;
        registry.register(Box::new(untold.clone()))?;
        registry.register(Box::new(queries.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self { queries, refused, actions, untold })
    }
}

/// Everything a handler needs.
struct Console {
    config: Config,
    /// Where it really listens: the port in the configuration may be 0.
    address: SocketAddr,
    metrics: Metrics,
    registry: prometheus::Registry,
    store: store::Access,
    cache: Arc<dyn cache::CachePort>,
    events: SyncSender<StoredEvent>,
    login: login::Login,
    live: live::Live,
    engines: Probe<Vec<EngineFacts>>,
    ready: Probe<Vec<PartState>>,
    settings: Probe<String>,
    data_port: SocketAddr,
    instance: String,
    version: String,
    view: view::View,
}

/// Serves the console until `shutdown` resolves; open requests get [`GRACE`] to end.
pub async fn serve(
    listener: TcpListener,
    parts: Parts,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let console = Arc::new(Console::new(parts, listener.local_addr()?)?);
    let sampler = tokio::spawn(live::sample(console.live.clone(), console.registry.clone()));
    let app = router(console).into_make_service_with_connect_info::<SocketAddr>();
    let (stop, mut stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        shutdown.await;
        drop(stop);
    });
    let overdue = async {
        // The sender is dropped, never used: an error is the signal.
        let _ = stopped.changed().await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = server.into_future() => served,
        () = overdue => Ok(()),
    };
    sampler.abort();
    let _ = sampler.await;
    served.map_err(Error::from)
}

/// Time that open requests get when the console stops.
const GRACE: Duration = Duration::from_secs(2);

/// Largest body of a request to the console: a login form or an action.
const BODY_LIMIT: usize = 16 << 10;

impl Console {
    fn new(parts: Parts, address: SocketAddr) -> Result<Self, Error> {
        let metrics = Metrics::register(&parts.registry)?;
        Ok(Self {
            store: store::Access::new(parts.store, parts.store_note, &parts.config, metrics.clone()),
            metrics,
            cache: parts.cache,
            events: parts.events,
            live: parts.live,
            view: view::View::new().map_err(Error::Pages)?,
            config: parts.config,
            address,
            registry: parts.registry,
            login: parts.login,
            engines: parts.engines,
            ready: parts.ready,
            settings: parts.settings,
            data_port: parts.data_port,
            instance: parts.instance,
            version: parts.version,
        })
    }
}

/// Every path of the console. What needs a login stands in `inside`.
fn router(console: Arc<Console>) -> axum::Router {
    let inside = axum::Router::new()
        .route("/", get(pages::overview))
        .route("/overview/now", get(pages::overview_now))
        .route("/overview/totals", get(pages::overview_totals))
        .route("/exchanges", get(pages::exchanges))
        .route("/exchanges/rows", get(pages::exchange_rows))
        .route("/escalated", get(judged::pages::page))
        .route("/escalated/rows", get(judged::pages::rows))
        .route("/exchange/{id}", get(exchange::page))
        .route("/exchange/{id}/answers", get(exchange::answers))
        .route("/exchange/{id}/steps", get(exchange::steps))
        .route("/exchange/{id}/said/{said}", get(exchange::said))
        .route("/exchange/{id}/piece/{said}/{piece}", get(exchange::piece))
        .route("/exchange/{id}/view/{body}", get(exchange::view))
        .route("/exchange/{id}/{body}", get(exchange::body))
        .route("/cache", get(cache::pages::page))
        .route("/cache/now", get(cache::pages::now))
        .route("/cache/live", get(cache::pages::live))
        .route("/cache/events", get(cache::pages::events))
        .route("/health", get(pages::health))
        .route("/api/overview", get(api::overview))
        .route("/api/live", get(api::live))
        .route("/api/exchanges", get(api::exchanges))
        .route("/api/exchange/{id}", get(api::exchange))
        .route("/api/cache", get(cache::pages::api))
        .route("/api/cache/entries", get(cache::pages::api_entries))
        .route("/api/cache/evict", post(cache::pages::api_evict))
        .route("/api/cache/flush", post(cache::pages::api_flush))
        .route_layer(middleware::from_fn_with_state(console.clone(), guard::require_login));
    let metrics = axum::Router::new()
        .route("/metrics", get(health::metrics))
        .route_layer(middleware::from_fn_with_state(console.clone(), guard::require_login_for_metrics));
    axum::Router::new()
        .merge(inside)
        .merge(metrics)
        .route("/login", get(guard::login_page).post(guard::login))
        .route("/logout", post(guard::logout))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/assets/{*path}", get(assets::serve))
        .fallback(pages::not_found)
        .layer(middleware::from_fn_with_state(console.clone(), guard::same_origin))
        .layer(middleware::from_fn_with_state(console.clone(), guard::own_host))
        .layer(middleware::from_fn(guard::headers))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(console)
}

#[cfg(test)]
mod tests;
