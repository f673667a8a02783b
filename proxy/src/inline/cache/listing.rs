//! What the store holds, for people to see. Not for the request path: it looks at many entries.

use std::sync::Arc;
use std::time::Instant;

use super::entry::Entry;
use super::store::Store;

/// Entries looked at for one list: some tens of milliseconds.
const MAX_SCAN: usize = 100_000;

impl Store {
    /// The entries that can be given now, in no order; at most the first 100,000 are looked at.
    pub fn live(&self, now: Instant) -> impl Iterator<Item = Arc<Entry>> + '_ {
        let entries = self.entries.iter().take(MAX_SCAN).map(|(_, entry)| entry);
        entries.filter(move |entry| self.is_current(entry) && entry.remaining(now).is_some())
    }

    /// Whether [`Self::live`] looks at all of them.
    pub fn is_listed_whole(&self) -> bool {
        self.entries.entry_count() <= MAX_SCAN as u64
    }
}
