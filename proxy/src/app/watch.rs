//! Keeps a probe running for each replica, and writes down what the probes notice.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::exchange::stored::StoredEvent;
use crate::inline::engine::probe::{self, Noticed};
use crate::inline::engine::{Engine, Replica};

/// The running probes.
pub(super) struct Probes {
    events: SyncSender<StoredEvent>,
    instance: String,
    runtime: Handle,
    running: Mutex<Vec<Watched>>,
}

/// An engine and the probes of its replicas.
type Watched = (Arc<Engine>, Vec<JoinHandle<()>>);

impl Probes {
    /// No probes yet; needs the background runtime around it.
    pub(super) fn new(events: SyncSender<StoredEvent>, instance: &str) -> Self {
        Self { events, instance: instance.to_owned(), runtime: Handle::current(), running: Mutex::default() }
    }

    /// Probes exactly these engines from now on; those that are known go on as they are.
    pub(super) fn follow(&self, engines: &[Arc<Engine>]) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(engine, tasks)| {
            let stays = engines.iter().any(|wanted| Arc::ptr_eq(wanted, engine));
            if !stays {
                tasks.iter().for_each(JoinHandle::abort);
            }
            stays
        });
        for engine in engines {
            if !running.iter().any(|(known, _)| Arc::ptr_eq(known, engine)) {
                running.push((engine.clone(), self.start(engine)));
            }
        }
    }

    /// Ends all probes.
    pub(super) fn stop(&self) {
        self.follow(&[]);
    }

    fn start(&self, engine: &Arc<Engine>) -> Vec<JoinHandle<()>> {
        let probe = |replica: &Arc<Replica>| {
            let (events, instance) = (self.events.clone(), self.instance.clone());
            let noticed = move |replica: &Replica, noticed: Noticed| {
                let event = event(replica, &noticed, &instance);
                tracing::warn!(engine = event.engine, replica = %replica.authority, kind = event.kind, "engine");
                // Full means that the recorder is far behind; the log line above stays.
                let _ = events.try_send(event);
            };
            self.runtime.spawn(probe::watch(engine.clone(), replica.clone(), noticed))
        };
        engine.replicas.iter().map(probe).collect()
    }
}

fn event(replica: &Replica, noticed: &Noticed, instance: &str) -> StoredEvent {
    let (kind, detail) = match noticed {
        Noticed::Up => ("engine_up", json!({})),
        Noticed::Down => ("engine_down", json!({})),
        Noticed::Changed { before, after } => ("engine_changed", json!({ "before": **before, "after": **after })),
    };
    let mut detail = detail;
    detail["replica"] = json!(&*replica.authority);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    StoredEvent {
        event_id: Uuid::now_v7(),
        at: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
        kind: kind.to_owned(),
        engine: replica.engine.to_string(),
        detail: detail.to_string(),
        instance: instance.to_owned(),
        ..StoredEvent::default()
    }
}
