//! What the store holds, for people to see and search. Not for the request path: it looks
//! at many entries.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::entry::Entry;
use super::store::Store;
use crate::exchange::completion::render::Form;
use crate::exchange::{Api, ExchangeId, Name};

/// An entry as people see it. Holds the redacted beginning of the prompt, no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryView {
    /// Digest of its key in hex.
    pub digest: String,
    /// The exchange that made it; its record has the text.
    pub source: ExchangeId,
    /// Whose it is.
    pub tenant: Name,
    /// The route that took its request.
    pub route: Name,
    /// Its shape.
    pub api: Api,
    /// Model that answered.
    pub model: String,
    /// Redacted beginning of the last user message; empty where not kept.
    pub prompt: String,
    /// Whether it is kept as a stream.
    pub stream: bool,
    /// Prompt tokens that a hit saves.
    pub prompt_tokens: u32,
    /// Completion tokens that a hit saves.
    pub completion_tokens: u32,
    /// Engine time that a hit saves.
    pub engine_time: Duration,
    /// When it was made.
    pub made_at: SystemTime,
    /// Time since.
    pub age: Duration,
    /// Time that it is still good.
    pub remaining: Duration,
    /// Times it was given.
    pub hits: u64,
    /// Bytes that count against the ceiling.
    pub bytes: u32,
}

/// The entries that were looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Most given first; the newer first among equals.
    pub entries: Vec<EntryView>,
    /// How many fit, the ones beyond the limit included.
    pub matched: usize,
    /// Whether every entry was looked at.
    pub complete: bool,
}

/// Entries looked at for one listing: some tens of milliseconds.
const MAX_SCAN: usize = 100_000;

impl Store {
    /// Entries that can be given now and hold a text, in any case, in prompt, model, tenant,
    /// route or exchange id, or begin their digest with it; all of them for an empty text.
    pub fn entries(&self, text: &str, limit: usize, now: Instant) -> Listing {
        let text = text.trim().to_lowercase();
        let (mut scanned, mut found) = (0, Vec::new());
        for (_, entry) in self.entries.iter().take(MAX_SCAN + 1) {
            scanned += 1;
            if scanned <= MAX_SCAN && self.is_current(&entry) && entry.remaining(now).is_some() && fits(&entry, &text) {
                found.push((entry.hits(), entry));
            }
        }
        found.sort_by(|(a_hits, a), (b_hits, b)| b_hits.cmp(a_hits).then(b.answer.made.cmp(&a.answer.made)));
        let entries = found.iter().take(limit).map(|(hits, entry)| view(entry, *hits, now)).collect();
        Listing { entries, matched: found.len(), complete: scanned <= MAX_SCAN }
    }
}

fn fits(entry: &Arc<Entry>, text: &str) -> bool {
    let answer = &entry.answer;
    let holds = |field: &str| field.to_lowercase().contains(text);
    text.is_empty()
        || holds(&answer.about.prompt)
        || holds(&answer.about.model)
        || holds(answer.tenant.as_str())
        || holds(answer.route.as_str())
        || answer.about.source.to_string().contains(text)
        || hex(entry).starts_with(text)
}

fn hex(entry: &Entry) -> String {
    blake3::Hash::from_bytes(*entry.answer.key.digest()).to_hex().to_string()
}

fn view(entry: &Arc<Entry>, hits: u64, now: Instant) -> EntryView {
    let answer = &entry.answer;
    EntryView {
        digest: hex(entry),
        source: answer.about.source,
        tenant: answer.tenant.clone(),
        route: answer.route.clone(),
        api: answer.api,
        model: answer.about.model.clone(),
        prompt: answer.about.prompt.clone(),
        stream: answer.form != Form::Plain,
        prompt_tokens: answer.about.prompt_tokens,
        completion_tokens: answer.about.completion_tokens,
        engine_time: answer.about.engine_time,
        made_at: answer.made_at,
        age: entry.age(now),
        remaining: entry.remaining(now).unwrap_or_default(),
        hits,
        bytes: entry.weight(),
    }
}
