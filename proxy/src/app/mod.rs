//! The composition root: builds every part, runs them, and stops them in order.
//!
//! Two runtimes, so that nothing in the background can delay an answer: one worker per core
//! for the request path, one for everything else. Stopping: no new connections, answers
//! under way finish within the grace period, then the records, then the store.

mod console;
mod observe;
mod request_path;
mod signals;
mod watch;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::runtime::Runtime;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

use crate::background::{Background, Settings};
use crate::config::{self, Config, Live, Sources};
use crate::exchange::outbox::outbox;
use crate::inline::identify::Tenants;
use crate::inline::{self, accept, admit, engine};
use crate::telemetry;

use request_path::{Builder, Built};

/// How long records may take to reach the disk when Weir stops.
const RECORDER_GRACE: Duration = Duration::from_secs(5);
/// How long the sink and the store may take each when Weir stops; the spool keeps the rest.
const STORE_GRACE: Duration = Duration::from_secs(10);
/// How often the configuration file is looked at.
const CONFIG_POLL: Duration = Duration::from_secs(3);

/// `weir serve`: runs until it is told to stop.
pub fn serve(sources: Sources) -> ExitCode {
    match run(sources) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("weir: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(sources: Sources) -> anyhow::Result<()> {
    let config = sources.load::<Config>().map_err(|faults| anyhow::anyhow!("{faults}"))?.settle();
    let logs = telemetry::logs::Logs::install(&config.telemetry.logs)?;
    let background_runtime = runtime(1, "weir-background")?;
    let app = background_runtime.block_on(async { App::start(config, sources, logs) })?;
    let path_runtime = runtime(std::thread::available_parallelism().map_or(2, usize::from), "weir-path")?;
    app.run(&path_runtime, &background_runtime)
}

fn runtime(workers: usize, name: &str) -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).thread_name(name).enable_all();
    builder.build().with_context(|| format!("the runtime {name} does not start"))
}

/// Everything that runs.
struct App {
    live: Arc<Live<Config>>,
    logs: telemetry::logs::Logs,
    registry: Registry,
    built: Arc<Mutex<Built>>,
    path: Arc<ArcSwap<inline::Path>>,
    builder: Arc<Builder>,
    background: Background,
    probes: Arc<watch::Probes>,
    /// Charged for tokens; follows the path in force.
    tenants: Arc<ArcSwap<Tenants>>,
    /// Sends spans, where a collector is configured.
    exporter: Option<JoinHandle<()>>,
    draining: channel::Sender<bool>,
}

impl App {
    /// Builds everything; needs the background runtime around it.
    fn start(config: Config, sources: Sources, logs: telemetry::logs::Logs) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let instance = config.instance.clone().unwrap_or_default();
        let (outbox, inbox) = outbox(config.outbox.max_records, config.outbox.max_bytes.bytes());
        let tenants = Arc::new(ArcSwap::from_pointee(Tenants::new(&config.tenants, request_path::default_name()?)));
        let trace_metrics = telemetry::traces::Metrics::register(&registry)?;
        let (tracer, exporter) = telemetry::traces::tracer(&config.telemetry.traces, &instance, trace_metrics)?;
        let observers = observe::Observers {
            metrics: telemetry::metrics::Metrics::register(&registry)?,
            tracer,
            tenants: tenants.clone(),
        };
        let settings = background_settings(&config, &instance);
        let gauge = outbox.gauge().clone();
        let background = Background::start(&settings, inbox, gauge, Arc::new(observers), &registry)?;
        let builder = Arc::new(Builder {
            outbox,
            on_refused: background.on_refused(),
            engine_metrics: engine::Metrics::register(&registry)?,
            admit_metrics: admit::Metrics::register(&registry)?,
        });
        let built = builder.build(&config, None)?;
        tenants.store(built.path.directory.tenants.clone());
        let path = Arc::new(ArcSwap::new(built.path.clone()));
        let metrics = config::live::Metrics::register(&registry)?;
        let file = sources.file.clone();
        let load = move || sources.load::<Config>().map(Config::settle);
        let live = Arc::new(Live::new(config, file, load, config::NEEDS_RESTART, metrics));
        let probes = Arc::new(watch::Probes::new(background.events(), &instance));
        let exporter = exporter.map(|exporter| tokio::spawn(exporter.run()));
        let built = Arc::new(Mutex::new(built));
        let (draining, _) = channel::channel(false);
        Ok(Self { live, logs, registry, built, path, builder, background, probes, tenants, exporter, draining })
    }

    fn run(self, path_runtime: &Runtime, background_runtime: &Runtime) -> anyhow::Result<()> {
        let config = self.live.load();
        let listener = path_runtime.block_on(async { accept::listen(config.server.listen) });
        let listener = listener.with_context(|| {
            format!("cannot listen on {}; is another Weir running? choose with --listen", config.server.listen)
        })?;
        let address = listener.local_addr()?;
        let accept_metrics = accept::Metrics::register(&self.registry)?;
        let (path, server, drain) = (self.path.clone(), config.server.clone(), self.draining.subscribe());
        let serving = path_runtime.spawn(async move {
            let handle = move |request| inline::exchange(path.load_full(), request);
            accept::serve(listener, &server, accept_metrics, drain, handle).await;
        });
        announce(&format!("listening {address}"));
        background_runtime.block_on(self.work(serving, &config))
    }

    /// Runs until told to stop, then stops everything in order.
    async fn work(self, serving: JoinHandle<()>, config: &Config) -> anyhow::Result<()> {
        self.follow_configuration();
        self.probes.follow(&self.engines());
        let console = console::start(&self, config).await?;
        let reloads = tokio::spawn(self.live.clone().watch(CONFIG_POLL));
        signals::stop_asked().await?;
        tracing::info!("stopping: answers under way may finish");
        self.draining.send_replace(true);
        let grace = *config.server.drain_timeout;
        tokio::select! {
            finished = tokio::time::timeout(grace, serving) => {
                if finished.is_err() {
                    tracing::warn!("some answers did not finish in time");
                }
            }
            again = signals::stop_asked() => {
                again?;
                tracing::warn!("stopping at once");
            }
        }
        reloads.abort();
        self.probes.stop();
        console.stop().await;
        // The last path holds the last outbox: without it the recorder sees that no more will come.
        self.background.stop(RECORDER_GRACE, STORE_GRACE).await;
        if let Some(exporter) = self.exporter {
            // Ends by itself once the recorder, which held the last tracer, is gone.
            let _ = tokio::time::timeout(RECORDER_GRACE, exporter).await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Puts each reloaded configuration in force.
    fn follow_configuration(&self) {
        let (logs, builder, built) = (self.logs.clone(), self.builder.clone(), self.built.clone());
        let (path, probes, tenants) = (self.path.clone(), self.probes.clone(), self.tenants.clone());
        let reload_rules = self.background.reloader();
        self.live.subscribe(move |config| {
            let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
            match builder.build(config, Some(&built)) {
                Ok(next) => {
                    tenants.store(next.path.directory.tenants.clone());
                    path.store(next.path.clone());
                    probes.follow(&next.engines.values().cloned().collect::<Vec<_>>());
                    *built = next;
                }
                Err(fault) => tracing::error!(%fault, "the new configuration could not be put in force"),
            }
            if let Err(fault) = reload_rules(&config.sample, &config.redact) {
                tracing::error!(%fault, "sampling and redaction stay as they were");
            }
            if let Err(fault) = logs.apply(&config.telemetry.logs) {
                tracing::error!(%fault, "the log level stays as it was");
            }
        });
    }

    fn engines(&self) -> Vec<Arc<engine::Engine>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner).engines.values().cloned().collect()
    }
}

fn background_settings<'a>(config: &'a Config, instance: &'a str) -> Settings<'a> {
    Settings {
        instance,
        sample: &config.sample,
        redact: &config.redact,
        digest: &config.digest,
        spool: &config.spool,
        sink: &config.sink,
        store: &config.store,
    }
}

/// One line for people and scripts on standard output.
#[allow(clippy::print_stdout, reason = "what a script waits for: where Weir listens")]
fn announce(line: &str) {
    println!("{line}");
}
