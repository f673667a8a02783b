//! The cache as people see it: what is in it now, what it did, and the two things that a
//! person may do to it, evict an entry and flush a route or a tenant.
//!
//! What is in it comes through [`CachePort`], which the wiring gives; what it did comes from
//! the store's rows. Either may be empty without the other. Views are plain copies: nothing
//! here holds an answer, only the redacted beginning of its prompt.

mod actions;
mod history;
pub(super) mod pages;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::exchange::ExchangeId;

/// The live cache of this instance. No call waits for anything but a short lock.
pub trait CachePort: Send + Sync {
    /// What it holds, and for whom.
    fn totals(&self) -> Totals;

    /// Entries that match, those with the most hits first; [`Listing::of`] picks them.
    fn entries(&self, filter: &EntryFilter, limit: usize) -> Listing;

    /// The entry whose answer was made for this exchange.
    fn entry(&self, source: ExchangeId) -> Option<EntryView>;

    /// Removes the entry whose answer was made for this exchange; false where there is none.
    fn evict(&self, source: ExchangeId) -> bool;

    /// Forgets everything of a route or a tenant; false where no such one has a cache.
    fn flush(&self, scope: &FlushScope) -> bool;
}

/// What the cache holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Entries that can be given.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Most bytes that they may take.
    pub ceiling_bytes: u64,
    /// Every route that has a cache, empty ones too; none means that nothing is ever cached.
    pub routes: Vec<Room>,
    /// Tenants with entries.
    pub tenants: Vec<Room>,
}

/// What one route or tenant takes of the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// Its entries.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

/// Entries that were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Most hits first, the youngest first among equals.
    pub entries: Vec<EntryView>,
    /// How many match, those beyond the limit too.
    pub matched: u64,
    /// Whether every entry was looked at.
    pub complete: bool,
}

/// One entry, as plain facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryView {
    /// The beginning of its key in hex, enough to tell entries apart.
    pub key: String,
    /// The exchange that the answer was made for.
    pub source: ExchangeId,
    /// Whose it is.
    pub tenant: String,
    /// The route that it was kept on.
    pub route: String,
    /// Model that answered.
    pub model: String,
    /// API shape.
    pub api: String,
    /// The beginning of the last user message, redacted; empty where it is not kept.
    pub prompt: String,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Times that it was given again.
    pub hits: u64,
    /// Time since it was made.
    #[serde(rename = "age_us", serialize_with = "micros")]
    pub age: Duration,
    /// Time until it expires.
    #[serde(rename = "left_us", serialize_with = "micros")]
    pub left: Duration,
    /// Prompt tokens that each hit saves.
    pub prompt_tokens: u32,
    /// Completion tokens that each hit saves.
    pub completion_tokens: u32,
}

/// What a reader looks for among the entries. Empty means "any".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Words, all of which must stand somewhere in prompt, model, tenant or route, or begin the
    /// source's id or the key; case does not count.
    words: Vec<String>,
    tenant: String,
    route: String,
    model: String,
}

/// Words of a search that count.
const MAX_WORDS: usize = 16;

/// What is flushed, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlushScope {
    /// Every entry of a route.
    Route(String),
    /// Every entry of a tenant.
    Tenant(String),
}

impl EntryFilter {
    /// Reads what a reader typed, beside exact names.
    pub fn new(text: &str, tenant: &str, route: &str, model: &str) -> Self {
        let words = text.split_whitespace().take(MAX_WORDS).map(str::to_lowercase).collect();
        Self { words, tenant: tenant.to_owned(), route: route.to_owned(), model: model.to_owned() }
    }

    /// Whether an entry is looked for.
    pub fn matches(&self, entry: &EntryView) -> bool {
        let is = |wanted: &str, name: &str| wanted.is_empty() || wanted == name;
        let named = is(&self.tenant, &entry.tenant) && is(&self.route, &entry.route) && is(&self.model, &entry.model);
        if !named || self.words.is_empty() {
            return named;
        }
        let texts = [&entry.prompt, &entry.model, &entry.tenant, &entry.route].map(|text| text.to_lowercase());
        let ids = [entry.source.to_string(), entry.key.to_lowercase()];
        let found = |word: &String| {
            texts.iter().any(|text| text.contains(word.as_str())) || ids.iter().any(|id| id.starts_with(word.as_str()))
        };
        self.words.iter().all(found)
    }
}

impl FlushScope {
    /// What kind of thing is flushed.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Route(_) => "route",
            Self::Tenant(_) => "tenant",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Route(name) | Self::Tenant(name) => name,
        }
    }
}

impl Listing {
    /// The `limit` matching entries with the most hits, of all there are. Holds no more than that
    /// many at a time.
    pub fn of(entries: impl Iterator<Item = EntryView>, filter: &EntryFilter, limit: usize) -> Self {
        let (mut best, mut matched) = (BinaryHeap::with_capacity(limit + 1), 0);
        for entry in entries.filter(|entry| filter.matches(entry)) {
            matched += 1;
            best.push(Reverse(Ranked(entry)));
            if best.len() > limit {
                best.pop();
            }
        }
        let entries = best.into_sorted_vec().into_iter().map(|Reverse(Ranked(entry))| entry).collect();
        Self { entries, matched, complete: true }
    }
}

/// What each name takes, by name: for [`Totals::routes`] and [`Totals::tenants`]. `names` are
/// those that are listed even where they take nothing; `taken` is name and bytes of each entry.
pub fn rooms<'a>(names: impl Iterator<Item = &'a str>, taken: impl Iterator<Item = (&'a str, u64)>) -> Vec<Room> {
    let mut rooms: BTreeMap<&str, (u64, u64)> = names.map(|name| (name, (0, 0))).collect();
    for (name, bytes) in taken {
        let room = rooms.entry(name).or_default();
        *room = (room.0 + 1, room.1 + bytes);
    }
    rooms.into_iter().map(|(name, (entries, bytes))| Room { name: name.to_owned(), entries, bytes }).collect()
}

/// An entry by its place in the list.
#[derive(PartialEq, Eq)]
struct Ranked(EntryView);

impl Ranked {
    fn rank(&self) -> (u64, Reverse<Duration>, &str) {
        (self.0.hits, Reverse(self.0.age), &self.0.key)
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn micros<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
pub(super) mod tests;
