//! What people may do to the cache. Every action that did something is told twice, with who
//! did it and from where: as an event to the store, and as a line of the log.

use std::net::IpAddr;
use std::sync::mpsc::TrySendError;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use uuid::Uuid;

use super::FlushScope;
use super::history::{EVICTED, FLUSHED};
use crate::console::Console;
use crate::console::error::Failure;
use crate::console::guard::Means;
use crate::exchange::ExchangeId;
use crate::exchange::stored::StoredEvent;

/// Who the console knows people as: there is one login.
const ADMIN: &str = "admin";

/// Who does something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    pub(super) means: Means,
    pub(super) peer: IpAddr,
}

impl Console {
    /// Removes the entry whose answer was made for an exchange.
    pub(super) fn evict(&self, source: ExchangeId, actor: Actor) -> Result<(), Failure> {
        let entry = self.cache.entry(source);
        if !self.cache.evict(source) {
            self.metrics.actions.with_label_values(&["evict", "nothing"]).inc();
            return Err(Failure::NotCached("no answer of this exchange is in the cache".to_owned()));
        }
        self.metrics.actions.with_label_values(&["evict", "complete"]).inc();
        let (tenant, route) = entry.map(|entry| (entry.tenant, entry.route)).unwrap_or_default();
        tracing::info!(who = ADMIN, by = actor.means.as_str(), from = %actor.peer, exchange = %source, tenant, route, "cache: a person evicted an answer");
        self.tell(StoredEvent {
            exchange_id: source.0,
            tenant,
            route,
            ..self.event(EVICTED, actor, json!({"what": "entry"}))
        });
        Ok(())
    }

    /// Forgets everything of a route or a tenant.
    pub(super) fn flush(&self, scope: &FlushScope, actor: Actor) -> Result<(), Failure> {
        let (kind, name) = (scope.kind(), scope.name());
        if !self.cache.flush(scope) {
            self.metrics.actions.with_label_values(&["flush", "nothing"]).inc();
            return Err(Failure::NotCached(format!("there is no {kind} '{name}' with a cache")));
        }
        self.metrics.actions.with_label_values(&["flush", "complete"]).inc();
        tracing::info!(who = ADMIN, by = actor.means.as_str(), from = %actor.peer, what = kind, name, "cache: a person flushed");
        let mut event = self.event(FLUSHED, actor, json!({"what": kind}));
        match scope {
            FlushScope::Route(name) => event.route.clone_from(name),
            FlushScope::Tenant(name) => event.tenant.clone_from(name),
        }
        self.tell(event);
        Ok(())
    }

    fn event(&self, kind: &str, actor: Actor, what: serde_json::Value) -> StoredEvent {
        let mut detail = what;
        detail["who"] = json!(ADMIN);
        detail["by"] = json!(actor.means.as_str());
        detail["from"] = json!(actor.peer);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        StoredEvent {
            event_id: Uuid::now_v7(),
            at: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
            kind: kind.to_owned(),
            detail: detail.to_string(),
            instance: self.instance.clone(),
            ..StoredEvent::default()
        }
    }

    /// Full means that the recorder is far behind; nobody here may wait for it.
    fn tell(&self, event: StoredEvent) {
        if let Err(TrySendError::Full(event) | TrySendError::Disconnected(event)) = self.events.try_send(event) {
            self.metrics.untold.inc();
            tracing::warn!(kind = event.kind, "the store will not hear of this: there is no room for its event");
        }
    }
}
