//! Gives the console what it shows.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::answers::Answers;
use super::{App, announce};
use crate::background::store;
use crate::config::{self, Config};
use crate::console::login::{FreshToken, Login};
use crate::console::{self, EngineFacts, PartState, Parts, Probe};
use crate::inline::accept::Phase;
use crate::inline::engine::{Engine, Replica};

/// Name of the file that holds the hash of the console's token.
const TOKEN_FILE: &str = "console-token";

/// The running console.
pub(super) struct Running {
    task: JoinHandle<Result<(), console::Error>>,
    stop: watch::Sender<bool>,
}

/// Starts the console and says where it is.
pub(super) async fn start(app: &App, config: &Config) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(config.console.listen).await.with_context(|| {
        format!("cannot listen on {}; is another Weir running? choose with --console-listen", config.console.listen)
    })?;
    let address = listener.local_addr()?;
    let data = config.data_dir.clone().unwrap_or_default();
    let token_file = data.join(TOKEN_FILE);
    let (login, fresh) = Login::load_or_create(&token_file)?;
    match fresh {
        Some(FreshToken(token)) => announce(&format!("console http://{address}/login?token={token}")),
        None => announce(&format!("console http://{address}/ (for a new token remove {})", token_file.display())),
    }
    let states = app.background.store();
    let parts = Parts {
        config: config.console.clone(),
        registry: app.registry.clone(),
        live: console::live::Live::default(),
        store: app.background.clients(),
        store_note: Arc::new(move || describe(&states.borrow())),
        cache: Arc::new(Answers::new(app.built.clone())),
        events: app.background.events(),
        login,
        engines: engines(app),
        ready: ready(app),
        settings: settings(app),
        data_port: config.server.listen,
        instance: config.instance.clone().unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (stop, mut stopped) = watch::channel(false);
    let shutdown = async move {
        // A dropped sender means the same.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    Ok(Running { task: tokio::spawn(console::serve(listener, parts, shutdown)), stop })
}

impl Running {
    /// Lets open pages finish and ends the console.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "the console ended badly"),
            Err(fault) => tracing::error!(%fault, "the console broke"),
        }
    }
}

fn describe(state: &store::State) -> String {
    match state {
        store::State::Absent { reason, how_to_get } => format!("{reason}; {how_to_get}"),
        store::State::Starting => "starting".to_owned(),
        store::State::Ready { version, embedded: true } => format!("embedded ClickHouse {version}"),
        store::State::Ready { version, embedded: false } => format!("ClickHouse {version}"),
        store::State::Failing { since, error } => format!("failing since {since}: {error}"),
    }
}

fn engines(app: &App) -> Probe<Vec<EngineFacts>> {
    let built = app.built.clone();
    Arc::new(move || {
        let built = built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        built.engines.values().flat_map(|engine| engine.replicas.iter().map(|r| facts(engine, r))).collect()
    })
}

fn facts(engine: &Engine, replica: &Replica) -> EngineFacts {
    let fingerprint = replica.fingerprint.load();
    EngineFacts {
        engine: engine.name.to_string(),
        replica: replica.authority.to_string(),
        kind: replica.kind.load().as_str().to_owned(),
        version: fingerprint.version.clone(),
        model: fingerprint.model.clone(),
        quantisation: fingerprint.quantisation.clone(),
        context_tokens: fingerprint.context_tokens,
        fingerprint: fingerprint.digest(),
    }
}

fn ready(app: &App) -> Probe<Vec<PartState>> {
    let (built, states, phase) = (app.built.clone(), app.background.store(), app.phase.subscribe());
    Arc::new(move || {
        let engines = built.lock().unwrap_or_else(std::sync::PoisonError::into_inner).engines.clone();
        let replicas: Vec<_> = engines.values().flat_map(|engine| engine.replicas.clone()).collect();
        let up = replicas.iter().filter(|replica| replica.is_healthy()).count();
        let state = states.borrow().clone();
        let stopping = *phase.borrow() != Phase::Open;
        vec![
            PartState {
                part: "data port".to_owned(),
                ready: !stopping,
                required: true,
                detail: if stopping { "draining" } else { "accepting" }.to_owned(),
            },
            PartState {
                part: "engines".to_owned(),
                ready: up > 0,
                required: true,
                detail: format!("{up} of {} replicas up", replicas.len()),
            },
            PartState {
                part: "store".to_owned(),
                ready: matches!(state, store::State::Ready { .. }),
                required: false,
                detail: describe(&state),
            },
        ]
    })
}

fn settings(app: &App) -> Probe<String> {
    let live = app.live.clone();
    Arc::new(move || {
        let shown = config::shown(&*live.load());
        // TOML has no null: what is not set is left out.
        toml::to_string_pretty(&without_nulls(shown)).unwrap_or_default()
    })
}

fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
