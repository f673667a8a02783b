//! Shows the cache to the console.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::request_path::Built;
use crate::console::cache::{CachePort, EntryFilter, EntryView, FlushScope, Listing, Totals, rooms};
use crate::exchange::cached::Evicted;
use crate::exchange::{ExchangeId, Name};
use crate::inline::Path;
use crate::inline::cache::Entry;

/// The answers that are kept, as the console sees them.
pub(super) struct Answers(Arc<Mutex<Built>>);

impl Answers {
    /// Those of the path in force.
    pub(super) fn new(built: Arc<Mutex<Built>>) -> Self {
        Self(built)
    }

    fn path(&self) -> Arc<Path> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).path.clone()
    }
}

impl CachePort for Answers {
    fn totals(&self) -> Totals {
        let path = self.path();
        let store = path.cache.store();
        let entries: Vec<_> = store.live(Instant::now()).collect();
        let by = |name: fn(&Entry) -> &Name| entries.iter().map(move |e| (name(e).as_str(), u64::from(e.weight())));
        let cached = path.directory.routes.iter().zip(&path.policies).filter(|(_, policy)| policy.cache.keeps());
        let held = store.totals();
        Totals {
            entries: held.entries,
            bytes: held.bytes,
            ceiling_bytes: held.max_bytes,
            routes: rooms(cached.map(|(route, _)| route.name.as_str()), by(|entry| &entry.answer.route)),
            tenants: rooms([].into_iter(), by(|entry| &entry.answer.tenant)),
        }
    }

    fn entries(&self, filter: &EntryFilter, limit: usize) -> Listing {
        let (path, now) = (self.path(), Instant::now());
        let store = path.cache.store();
        let views = store.live(now).map(|entry| view(&entry, now));
        Listing { complete: store.is_listed_whole(), ..Listing::of(views, filter, limit) }
    }

    fn entry(&self, source: ExchangeId) -> Option<EntryView> {
        let now = Instant::now();
        self.path().cache.store().made_by(source, now).map(|entry| view(&entry, now))
    }

    fn evict(&self, source: ExchangeId) -> bool {
        self.path().cache.store().evict(source, Evicted::Person)
    }

    fn flush(&self, scope: &FlushScope) -> bool {
        let path = self.path();
        let (store, Ok(name)) = (path.cache.store(), Name::new(scope.name())) else { return false };
        // An epoch is remembered for each name that is flushed: only those that are there.
        match scope {
            FlushScope::Route(_) if path.directory.routes.iter().any(|route| route.name == name) => {
                store.epochs().flush_route(&name);
            }
            FlushScope::Tenant(_)
                if self.tenants().contains(&name) || path.directory.tenants.named(&name).is_some() =>
            {
                store.epochs().flush_tenant(&name);
            }
            _ => return false,
        }
        true
    }
}

impl Answers {
    /// Tenants with entries, those that are no longer configured too.
    fn tenants(&self) -> BTreeSet<Name> {
        self.path().cache.store().live(Instant::now()).map(|entry| entry.answer.tenant.clone()).collect()
    }
}

fn view(entry: &Entry, now: Instant) -> EntryView {
    let answer = &entry.answer;
    EntryView {
        key: answer.key.short(),
        source: answer.about.source,
        tenant: answer.tenant.to_string(),
        route: answer.route.to_string(),
        model: answer.about.model.clone(),
        api: answer.api.as_str().to_owned(),
        prompt: answer.about.prompt.clone(),
        bytes: entry.weight().into(),
        hits: entry.hits(),
        age: entry.age(now),
        left: entry.remaining(now).unwrap_or_default(),
        prompt_tokens: answer.about.prompt_tokens,
        completion_tokens: answer.about.completion_tokens,
    }
}
