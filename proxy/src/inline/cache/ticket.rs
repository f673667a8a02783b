//! The way of a finished answer into the store: its record carries a ticket, by which the
//! background tells what it read in the answer.
//!
//! Whether an answer is good can only be said once it was read whole, which is the
//! background's work. Until then those who ask the same share its flight, which the ticket
//! keeps open. What critics find bad, or did not judge where they should have, does not enter.

use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::HeaderValue;

use super::entry::Answer;
use super::flight::Flight;
use super::{Generated, Key, Rules, Store, admit, form_of};
use crate::exchange::cached::{About, Admit, Evicted, Reading, Rejected};
use crate::exchange::{Outcome, Record};

/// A finished exchange's claim that its answer be kept.
pub(super) struct Ticket<B> {
    store: Arc<Store>,
    rules: Arc<Rules>,
    key: Key,
    /// Those who share the answer; none where it was made for one alone.
    flight: Option<Arc<Flight<B>>>,
    /// Whether this exchange took over to answer for the engine's work, once that was asked.
    took_over: OnceLock<bool>,
}

impl<B> Ticket<B> {
    /// Of an exchange that had its engine alone.
    pub(super) fn alone(store: Arc<Store>, rules: Arc<Rules>, key: Key) -> Self {
        Self { store, rules, key, flight: None, took_over: OnceLock::new() }
    }

    /// Of an exchange that took part in a flight.
    pub(super) fn shared(store: Arc<Store>, rules: Arc<Rules>, key: Key, flight: Arc<Flight<B>>) -> Self {
        Self { store, rules, key, flight: Some(flight), took_over: OnceLock::new() }
    }

    /// Whether it is still to be decided. The first to decide decides for all who shared.
    fn decide(&self) -> bool {
        self.flight.as_ref().is_none_or(|flight| flight.decide())
    }

    /// Whether others have the whole of it, or may still.
    fn is_shared_still(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.participants() > 0 || flight.has_ended_well())
    }

    fn judge(&self, record: &Record, read: &Reading<'_>) -> Result<About, Rejected> {
        let about = admit::admissible(record, read, &self.rules.policy)?;
        if !record.judged.may_be_kept() {
            return Err(Rejected::Verdict);
        }
        let is_of_the_engine = record.engine.as_ref().is_some_and(|answerer| self.rules.engine.gave(answerer));
        if is_of_the_engine { Ok(about) } else { Err(Rejected::OtherEngine) }
    }

    fn keep(&self, record: &Record, about: About) -> Result<(), Rejected> {
        let now = (Instant::now(), SystemTime::now());
        // Its age counts from when the engine had made it, however late the background came to it.
        let since = record.request.arrived.elapsed().saturating_sub(record.timings.last_byte.unwrap_or_default());
        let answer = Answer {
            key: self.key.compact(),
            content_type: HeaderValue::from_str(&record.response.content_type).map_err(|_| Rejected::Unreadable)?,
            headers: record.cache.headers.clone(),
            body: Bytes::copy_from_slice(&record.response.body),
            form: form_of(record),
            events: record.response.events,
            about: Arc::new(about),
            exchanges: self.flight.as_ref().map_or_else(Vec::new, |flight| flight.exchanges()),
            tenant: record.tenant.clone(),
            route: record.route.clone(),
            api: record.request.api,
            made: now.0.checked_sub(since).unwrap_or(now.0),
            made_at: now.1.checked_sub(since).unwrap_or(now.1),
            ttl: *self.rules.policy.ttl,
        };
        self.store.insert(answer).map(drop)
    }
}

impl<B: Generated> Admit for Ticket<B> {
    fn admit(&self, record: &Record, read: &Reading<'_>) {
        if record.outcome == Outcome::ClientLeft && self.is_shared_still() {
            // Those who stayed will have the whole of it.
            return;
        }
        let judged = self.judge(record, read);
        if !self.decide() {
            // Another who shared it had it judged first, and perhaps otherwise.
            if matches!(judged, Err(Rejected::Verdict)) {
                self.store.evict(record.request.id, Evicted::Verdict);
            }
            return;
        }
        if let Err(cause) = judged.and_then(|about| self.keep(record, about)) {
            self.store.reject(cause);
        }
        // Not before it is in the store: at every moment it is found in one place or the other.
        self.flight.iter().for_each(|flight| flight.close());
    }

    fn goes_on(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.was_handed_over())
    }

    fn takes_over(&self, record: &Record) -> bool {
        *self.took_over.get_or_init(|| {
            let is_last = record.outcome != Outcome::ClientLeft || !self.is_shared_still();
            is_last && self.flight.as_ref().is_some_and(|flight| flight.take_bill())
        })
    }
}

/// The record was lost on its way: nobody will decide any more.
impl<B> Drop for Ticket<B> {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight
            && Arc::strong_count(flight) == 1
            && flight.decide()
        {
            self.store.reject(Rejected::Undecided);
        }
    }
}

impl<B> std::fmt::Debug for Ticket<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("key", &self.key).finish_non_exhaustive()
    }
}
