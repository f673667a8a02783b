//! Made-up entries of a cache, those of the made-up rows, and what the cache did with each row.

use std::sync::Mutex;
use std::time::Duration;

use weir::console::cache::{CachePort, EntryFilter, EntryView, FlushScope, Listing, Totals, rooms};
use weir::exchange::ExchangeId;
use weir::exchange::stored::StoredExchange;

/// Entries kept of the made-up rows.
const ENTRIES: usize = 240;
const ROUTES: [&str; 3] = ["default", "embeddings", "support"];

pub(crate) struct Shelf(Mutex<Vec<EntryView>>);

impl Shelf {
    pub(crate) fn of(rows: &[StoredExchange], now: i64) -> Self {
        let kept = rows.iter().filter(|row| row.cache == "miss").take(ENTRIES);
        Self(Mutex::new(kept.enumerate().map(|(i, row)| entry(i as u64, row, now)).collect()))
    }
}

fn entry(i: u64, row: &StoredExchange, now: i64) -> EntryView {
    let age = Duration::from_micros(u64::try_from(now - row.started_at).unwrap_or(0));
    EntryView {
        key: format!("{:016x}", (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        source: ExchangeId(row.exchange_id),
        tenant: row.tenant.clone(),
        route: row.route.clone(),
        model: row.model_answered.clone(),
        api: row.api.clone(),
        prompt: row.prompt_text.chars().take(160).collect(),
        bytes: row.request_bytes + row.response_bytes + 900,
        hits: 900 / (i * i + 3) + i % 4,
        age,
        left: Duration::from_secs(86_400).saturating_sub(age),
        prompt_tokens: row.prompt_tokens,
        completion_tokens: row.completion_tokens,
    }
}

/// Gives rows their part of the cache; a hit loses its texts to the row that it repeats.
pub(crate) fn cache(rows: &mut [StoredExchange]) {
    for i in 0..rows.len() {
        if rows[i].outcome != "complete" {
            continue;
        }
        let source = rows.get(i + 8).filter(|source| source.outcome == "complete").cloned();
        let row = &mut rows[i];
        let told = |row: &mut StoredExchange, cache: &str, reason: &str| {
            (row.cache, row.cache_reason) = (cache.into(), reason.into());
        };
        match (i % 3, source) {
            (1, Some(source)) if !i.is_multiple_of(11) => hit(row, &source),
            (1, _) => told(row, "collapsed", ""),
            (0, _) => told(row, "miss", ["absent", "absent", "absent", "stale", "no_cache", "form"][i / 3 % 6]),
            _ => {
                let reasons = ["sampled", "sampled", "sampled", "choices", "no_store", "stateful", "api", "too_large"];
                told(row, "bypass", reasons[i / 3 % 8]);
            }
        }
    }
}

fn hit(row: &mut StoredExchange, source: &StoredExchange) {
    (row.cache, row.cache_source) = ("hit".into(), source.exchange_id);
    row.cache_age_us = u64::try_from(row.started_at - source.started_at).unwrap_or(0);
    row.saved_prompt_tokens = source.prompt_tokens;
    row.saved_completion_tokens = source.completion_tokens;
    row.saved_engine_us = source.total_us;
    row.attempts.clear();
    (row.prompt_tokens, row.completion_tokens, row.cached_tokens) = (0, 0, 0);
    (row.engine, row.engine_kind, row.replica, row.fingerprint) = Default::default();
    (row.admitted_us, row.sent_us, row.head_us, row.longest_gap_us) = (0, 0, 0, 0);
    (row.first_byte_us, row.last_byte_us, row.total_us) = (410, 520, 560);
    row.first_token_us = if row.stream { 410 } else { 0 };
    (row.request_body, row.response_body, row.prompt_text, row.completion_text) = Default::default();
    row.usage_source.clear();
    row.request_headers.clear();
}

impl CachePort for Shelf {
    fn totals(&self) -> Totals {
        let entries = self.lock();
        let of = |name: fn(&EntryView) -> &String| entries.iter().map(move |entry| (name(entry).as_str(), entry.bytes));
        Totals {
            entries: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            ceiling_bytes: 4 << 20,
            routes: rooms(ROUTES.into_iter(), of(|entry| &entry.route)),
            tenants: rooms([].into_iter(), of(|entry| &entry.tenant)),
        }
    }

    fn entries(&self, filter: &EntryFilter, limit: usize) -> Listing {
        Listing::of(self.lock().iter().cloned(), filter, limit)
    }

    fn entry(&self, source: ExchangeId) -> Option<EntryView> {
        self.lock().iter().find(|entry| entry.source == source).cloned()
    }

    fn evict(&self, source: ExchangeId) -> bool {
        let mut entries = self.lock();
        let before = entries.len();
        entries.retain(|entry| entry.source != source);
        entries.len() < before
    }

    fn flush(&self, scope: &FlushScope) -> bool {
        let mut entries = self.lock();
        let before = entries.len();
        match scope {
            FlushScope::Route(route) => entries.retain(|entry| entry.route != *route),
            FlushScope::Tenant(tenant) => entries.retain(|entry| entry.tenant != *tenant),
        }
        entries.len() < before || ROUTES.contains(&scope.name())
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<EntryView>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
