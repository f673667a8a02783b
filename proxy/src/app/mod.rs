//! The composition root: builds every part, runs them, and stops them in order.
//!
//! The request path has a thread and a runtime per core, everything else one runtime of its
//! own, so that nothing in the background can delay an answer. Stopping: no new connections, answers
//! under way finish within the grace period, then the records, then the store.

mod answers;
mod audit;
mod console;
mod observe;
mod questions;
mod request_path;
mod signals;
mod watch;
mod workers;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

use crate::background::{Background, Settings};
use crate::config::{self, Config, Live, Sources};
use crate::exchange::Budget;
use crate::exchange::outbox::outbox;
use crate::inline::accept::Phase;
use crate::inline::identify::Tenants;
use crate::inline::{self, Cache, accept, admit, cache, engine, judge};
use crate::telemetry;

use request_path::{Builder, Built};
use workers::Workers;

/// How long records may take to reach the disk when Weir stops.
const RECORDER_GRACE: Duration = Duration::from_secs(5);
/// How long the sink and the store may take each when Weir stops; the spool keeps the rest.
const STORE_GRACE: Duration = Duration::from_secs(10);
/// How often answers whose time is up are taken out of a cache that nobody asks: their text
/// must not outlive it by much.
const CACHE_SWEEP: Duration = Duration::from_secs(5);
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
    let background_runtime = background_runtime()?;
    let app = background_runtime.block_on(async { App::start(config, sources, logs) })?;
    let workers = Workers::start()?;
    let stopped = app.run(workers.handles(), &background_runtime);
    workers.stop();
    stopped
}

fn background_runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("weir-background").enable_all();
    // Questions of audits have connections of their own.
    builder.on_thread_start(|| engine::set_worker(usize::MAX));
    builder.build().context("the background's runtime does not start")
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
    phase: channel::Sender<Phase>,
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
        let budget = Budget::new(config.server.max_held_bytes);
        accept::register_budget(&registry, budget.clone())?;
        let builder = Arc::new(Builder {
            outbox,
            on_refused: background.on_refused(),
            engine_metrics: engine::Metrics::register(&registry)?,
            admit_metrics: admit::Metrics::register(&registry)?,
            judges: Arc::new(judge::Judges::start(&config.judging, judge::Metrics::register(&registry)?)?),
            cache: Arc::new(Cache::new(&config.cache, budget.clone(), cache::Metrics::register(&registry)?)),
            budget,
        });
        let built = builder.build(&config, None)?;
        tenants.store(built.path.directory.tenants.clone());
        let path = Arc::new(ArcSwap::new(built.path.clone()));
        let runtime = tokio::runtime::Handle::current();
        background.audit(Arc::new(audit::Auditor::new(&config.judging, path.clone(), runtime)));
        let metrics = config::live::Metrics::register(&registry)?;
        let file = sources.file.clone();
        let load = move || sources.load::<Config>().map(Config::settle);
        let live = Arc::new(Live::new(config, file, load, config::NEEDS_RESTART, metrics));
        let probes = Arc::new(watch::Probes::new(background.events(), &instance));
        let exporter = exporter.map(|exporter| tokio::spawn(exporter.run()));
        let built = Arc::new(Mutex::new(built));
        let (phase, _) = channel::channel(Phase::Open);
        Ok(Self { live, logs, registry, built, path, builder, background, probes, tenants, exporter, phase })
    }

    fn run(self, workers: Vec<Handle>, background_runtime: &Runtime) -> anyhow::Result<()> {
        let config = self.live.load();
        let listener = {
            let _context = workers[0].enter();
            accept::listen(config.server.listen)
        };
        let listener = listener.with_context(|| {
            format!("cannot listen on {}; is another Weir running? choose with --listen", config.server.listen)
        })?;
        let address = listener.local_addr()?;
        let accept_metrics = accept::Metrics::register(&self.registry)?;
        let (path, server, phase) = (self.path.clone(), config.server.clone(), self.phase.subscribe());
        let serving = workers[0].clone().spawn(async move {
            let handle = move |request| inline::exchange(path.load_full(), request);
            accept::serve(listener, &server, accept_metrics, phase, &workers, handle).await;
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
        let sweeps = tokio::spawn(sweep(self.builder.cache.clone()));
        signals::stop_asked().await?;
        tracing::info!("stopping: answers under way may finish");
        self.phase.send_replace(Phase::Draining);
        let mut serving = serving;
        tokio::select! {
            _ = &mut serving => {}
            () = tokio::time::sleep(*config.server.drain_timeout) => tracing::warn!("some answers did not finish in time"),
            again = signals::stop_asked() => {
                again?;
                tracing::warn!("stopping at once");
            }
        }
        self.phase.send_replace(Phase::Closed);
        if !serving.is_finished() {
            // What is cut here still leaves its record.
            let _ = serving.await;
        }
        reloads.abort();
        sweeps.abort();
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

async fn sweep(cache: Arc<Cache>) {
    loop {
        tokio::time::sleep(CACHE_SWEEP).await;
        cache.store().sweep();
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
