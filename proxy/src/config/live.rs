//! A configuration that can be replaced while it is in use.
//!
//! Promises: a reload checks the whole new configuration before it swaps; a faulty one
//! changes nothing and is counted; readers never wait. Reloads come from SIGHUP and from a
//! poll of the file, which also sees a replaced symbolic link (a mounted ConfigMap), where
//! file notification does not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use prometheus::{Gauge, IntCounterVec, Opts, Registry};
use serde::Serialize;
use serde_json::Value;

use super::place::{self, Faults};

/// Reads the configuration anew.
type Loader<T> = Box<dyn Fn() -> Result<T, Faults> + Send + Sync>;
/// Told of each new configuration.
type Subscriber<T> = Box<dyn Fn(&Arc<T>) + Send + Sync>;

/// The configuration in force.
pub struct Live<T> {
    current: ArcSwap<T>,
    /// Watched for changes; none where there is no file.
    file: Option<PathBuf>,
    /// The file as it was when `current` was read, so that a change before the watch began counts too.
    read_stamp: Stamp,
    loader: Loader<T>,
    needs_restart: &'static [&'static str],
    subscribers: Mutex<Vec<Subscriber<T>>>,
    metrics: Metrics,
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Key paths whose shown value changed; empty where the file says the same as before.
    pub changed: Vec<String>,
    /// Those of them that take effect after a restart only.
    pub needs_restart: Vec<String>,
}

/// What reloads show of themselves.
#[derive(Clone, Debug)]
pub struct Metrics {
    reloads: IntCounterVec,
    last_success: Gauge,
}

impl Metrics {
    /// Registers the metrics of reloads.
    ///
    /// # Errors
    /// Where a metric of the same name is there already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let reloads = IntCounterVec::new(
            Opts::new("weir_config_reloads_total", "Reloads of the configuration; a refused one changes nothing."),
            &["outcome"],
        )?;
        let last_success = Gauge::new(
            "weir_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read, Unix time.",
        )?;
        registry.register(Box::new(reloads.clone()))?;
        registry.register(Box::new(last_success.clone()))?;
        for outcome in ["applied", "unchanged", "refused"] {
            reloads.with_label_values(&[outcome]);
        }
        Ok(Self { reloads, last_success })
    }
}

impl<T: Serialize> Live<T> {
    /// Takes the configuration that Weir started with and the way to read it again.
    pub fn new(
        initial: T,
        file: Option<PathBuf>,
        loader: impl Fn() -> Result<T, Faults> + Send + Sync + 'static,
        needs_restart: &'static [&'static str],
        metrics: Metrics,
    ) -> Self {
        metrics.last_success.set(unix_seconds());
        Self {
            current: ArcSwap::from_pointee(initial),
            read_stamp: stamp(file.as_deref()),
            file,
            loader: Box::new(loader),
            needs_restart,
            subscribers: Mutex::new(Vec::new()),
            metrics,
        }
    }

    /// The configuration in force.
    pub fn load(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Has a function called with each new configuration; it must not wait.
    pub fn subscribe(&self, subscriber: impl Fn(&Arc<T>) + Send + Sync + 'static) {
        self.lock().push(Box::new(subscriber));
    }

    /// Reads the configuration again and puts it in force if it is good.
    ///
    /// # Errors
    /// All faults; the configuration in force stays.
    pub fn reload(&self) -> Result<Change, Faults> {
        // One reload at a time: a signal and the poll may come together.
        let subscribers = self.lock();
        let next = (self.loader)().inspect_err(|_| self.count("refused"))?;
        let change = self.compare(&next);
        let next = Arc::new(next);
        // Also where nothing seems changed: a secret shows as `***` in the comparison.
        self.current.store(next.clone());
        subscribers.iter().for_each(|subscriber| subscriber(&next));
        self.count(if change.changed.is_empty() { "unchanged" } else { "applied" });
        self.metrics.last_success.set(unix_seconds());
        Ok(change)
    }

    /// Reloads, and says in the log what came of it.
    pub fn reload_and_report(&self, cause: &str) {
        match self.reload() {
            Ok(change) if change.changed.is_empty() => tracing::info!(cause, "configuration read, nothing changed"),
            Ok(change) => {
                tracing::info!(cause, changed = change.changed.join(" "), "configuration reloaded");
                if !change.needs_restart.is_empty() {
                    let keys = change.needs_restart.join(" ");
                    tracing::warn!(keys, "these changes take effect after a restart only");
                }
            }
            Err(faults) => tracing::error!(cause, "configuration refused, the last good one stays:\n{faults}"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber<T>>> {
        // A subscriber that panicked has left the list itself whole.
        self.subscribers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn count(&self, outcome: &str) {
        self.metrics.reloads.with_label_values(&[outcome]).inc();
    }

    fn compare(&self, next: &T) -> Change {
        let tree = |config: &T| serde_json::to_value(config).unwrap_or(Value::Null);
        let mut changed = Vec::new();
        differences(&tree(&self.current.load()), &tree(next), "", &mut changed);
        let is_fixed = |path: &&String| self.needs_restart.iter().any(|fixed| is_below(path, fixed));
        let needs_restart = changed.iter().filter(is_fixed).cloned().collect();
        Change { changed, needs_restart }
    }
}

impl<T: Serialize + Send + Sync + 'static> Live<T> {
    /// Reloads at SIGHUP and when the file changes, until dropped. The caller owns the task.
    ///
    /// # Errors
    /// Where the signal cannot be listened to.
    pub async fn watch(self: Arc<Self>, every: Duration) -> std::io::Result<()> {
        let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        let mut poll = tokio::time::interval(every);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = self.read_stamp;
        loop {
            let cause = tokio::select! {
                signal = hangups.recv() => match signal {
                    Some(()) => "SIGHUP",
                    None => return Ok(()),
                },
                _ = poll.tick() => "file changed",
            };
            let now = stamp(self.file.as_deref());
            if cause == "SIGHUP" || now != seen {
                seen = now;
                let live = self.clone();
                // Reading and checking a file takes milliseconds: not on a thread that serves exchanges.
                let _ = tokio::task::spawn_blocking(move || live.reload_and_report(cause)).await;
            }
        }
    }
}

impl<T> std::fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The configuration holds secrets: it is never printed whole.
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

/// What a change of the file shows in: time of the last change and size.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(file: Option<&Path>) -> Stamp {
    let metadata = std::fs::metadata(file?).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64())
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Collects the paths of leaves that differ.
fn differences(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                differences(&side(old), &side(new), &place::join(path, key), found);
            }
        }
        _ if old != new => found.push(path.to_owned()),
        _ => {}
    }
}
