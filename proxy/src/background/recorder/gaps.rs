//! The accounts of losses that the sink has not taken yet.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::Lost;
use crate::exchange::stored::StoredGap;

/// An account that was turned away for so long may take the room kept for accounts. A kill in
/// the meantime takes the account with it.
const LONG: Duration = Duration::from_secs(60);

/// Losses that the sink has not taken yet, by reason.
pub(super) struct Gaps {
    instance: String,
    open: [Open; Lost::ALL.len()],
}

#[derive(Default)]
struct Open {
    gap: Option<StoredGap>,
    tried: Option<Instant>,
    /// When it was first turned away.
    turned_away: Option<Instant>,
}

impl Gaps {
    /// No losses yet.
    pub(super) fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), open: Default::default() }
    }

    /// What is not taken yet.
    pub(super) fn still_open(&self) -> impl Iterator<Item = &StoredGap> {
        self.open.iter().filter_map(|open| open.gap.as_ref())
    }

    /// Whether this account has been turned away for long.
    pub(super) fn waits_long(&self, reason: Lost, now: Instant) -> bool {
        let since = self.open[reason as usize].turned_away;
        since.is_some_and(|since| now.saturating_duration_since(since) >= LONG)
    }

    pub(super) fn lose(&mut self, reason: Lost, n: u64, now: SystemTime) {
        let at = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        let gap = self.open[reason as usize].gap.get_or_insert_with(|| StoredGap {
            gap_id: Uuid::now_v7(),
            from_at: at,
            to_at: at,
            reason: reason.as_str().to_owned(),
            lost: 0,
            instance: self.instance.clone(),
        });
        gap.lost += n;
        gap.to_at = gap.to_at.max(at);
    }

    pub(super) fn due(&self, reason: Lost, now: Instant, every: Duration) -> Option<StoredGap> {
        let open = &self.open[reason as usize];
        let early = open.tried.is_some_and(|tried| now.saturating_duration_since(tried) < every);
        if early { None } else { open.gap.clone() }
    }

    pub(super) fn tried(&mut self, reason: Lost, now: Instant, taken: bool) {
        let open = &mut self.open[reason as usize];
        open.tried = Some(now);
        if taken {
            (open.gap, open.turned_away) = (None, None);
        } else {
            open.turned_away.get_or_insert(now);
        }
    }
}
