//! The answer cache: good answers are kept and given again to the same request, and equal
//! requests at one time share one generation.
//!
//! Promises: one tenant never gets another's answer; two requests share an answer only where
//! every field that could change it is equal, compared in full each time; what is kept is
//! bounded in bytes and in time; nothing here waits. An answer enters only after the
//! background has read it whole, see [`ticket`].
//! Must not know: sockets, engines, status codes sent to clients.
//!
//! ```text
//! policy → control → key (canonical body) → store ─hit→ again
//!                                             │miss
//!                                           flight → engine ... record → ticket → store
//! ```

mod admit;
mod body;
mod canonical;
mod config;
mod control;
mod entry;
mod epochs;
pub mod flight;
mod key;
mod listing;
mod metrics;
mod store;
mod ticket;

use std::sync::Arc;
use std::time::Instant;

use http::HeaderName;
use http::header;
use http::response::Parts;

pub use body::Body;
pub use canonical::canonical;
pub use config::{Config, Mode, RoutePolicy};
pub use control::Control;
pub use entry::{Answer, Entry};
pub use flight::{Asking, Generated, Participant};
pub use key::{Key, Scope, key};
pub use metrics::Metrics;
pub use store::{Store, Totals};

use crate::exchange::cached::{Again, Bypass, Hit, Miss, Rejected};
use crate::exchange::completion::render::Form;
use crate::exchange::record::Answerer;
use crate::exchange::{Api, Budget, Cached, Caching, Draft, Error, Kind, Record};
use flight::{Flights, Joined, Lane, Wanted};
use ticket::Ticket;

/// An answer too large to be kept is held for those who share it and read slowly, up to this.
const LAG_BYTES: usize = 4 << 20;

/// The cache. Lives as long as the process, through reloads too.
pub struct Cache<B> {
    store: Arc<Store>,
    flights: Flights<B>,
    max_request_bytes: usize,
    max_entry_bytes: usize,
}

/// What a route keeps, ready for use.
pub struct Rules {
    policy: RoutePolicy,
    vary: Vec<HeaderName>,
    /// Whether an answer made in one form is not given in another: where critics treat streams
    /// otherwise, what one form let through the other may have held back.
    forms_apart: bool,
    engine: Arc<dyn Engine>,
}

/// The engine that a route asks first.
pub trait Engine: Send + Sync {
    /// What the answer depends on besides the request; a part of every key.
    fn identity(&self) -> u64;
    /// Whether that engine, as it is now, gave an answer.
    fn gave(&self, answerer: &Answerer) -> bool;
}

/// What there is for an exchange.
pub enum Found {
    /// An answer, to be given again.
    Again(Again),
    /// Nothing, and the engine is asked for this exchange alone.
    Nothing,
    /// Nothing yet; its generation may be shared.
    Shareable(Shareable),
}

/// An exchange that may share a generation, see [`Cache::join`].
pub struct Shareable {
    key: Key,
    form: Form,
    control: Control,
    /// [`Store::inserts`] before the store was asked.
    inserts: u32,
}

impl Rules {
    /// The rules of a route that asks this engine first.
    pub fn new(policy: RoutePolicy, forms_apart: bool, engine: Arc<dyn Engine>) -> Self {
        Self { vary: policy.vary_names(), policy, forms_apart, engine }
    }

    /// Whether an answer may be given to nobody but its own client: its engine says so, or it
    /// is encoded as that one client asked.
    fn is_private(&self, head: &Parts) -> bool {
        let mut codings = head.headers.get_all(header::CONTENT_ENCODING).iter();
        codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
            || control::forbids(&head.headers, &self.vary)
    }

    /// Whether anything is kept.
    pub fn keeps(&self) -> bool {
        self.policy.mode != Mode::Off
    }
}

impl<B: Generated + 'static> Cache<B> {
    /// An empty cache; what is being generated is held from `budget`.
    pub fn new(config: &Config, budget: Budget, metrics: Metrics) -> Self {
        Self {
            flights: Flights::new(budget, metrics.participants.clone()),
            store: Arc::new(Store::new(config, metrics)),
            max_request_bytes: config.max_request_bytes(),
            max_entry_bytes: config.max_entry_bytes.bytes(),
        }
    }

    /// What is kept.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Looks for an answer to a record's request, and notes in the record what came of it.
    ///
    /// Errors: [`Kind::NotCached`], where the client takes nothing else.
    pub fn find(&self, record: &mut Record, rules: &Arc<Rules>) -> Result<Found, Error> {
        if !rules.keeps() {
            return Ok(Found::Nothing);
        }
        let mut control = Control::of(&record.request.headers);
        // Entries know the time that held when they were made; the route's may be shorter by now.
        control.max_age = Some(control.max_age.map_or(*rules.policy.ttl, |age| age.min(*rules.policy.ttl)));
        let form = form_of(record);
        let found = self.key(record, rules, &control).map(|key| {
            let inserts = self.store.inserts(&key);
            (self.again(&key, form, &control), key, inserts)
        });
        let found = match found {
            Ok((Ok((again, hit)), ..)) => {
                record.cache = Cached { caching: Caching::Hit, hit: Some(hit), ..Cached::default() };
                return Ok(Found::Again(again));
            }
            Ok((Err(miss), key, inserts)) => {
                record.cache.caching = Caching::Miss(miss);
                if miss == Miss::NoCache {
                    // The client wants an answer of its own; others may have it afterwards.
                    record.cache.ticket = Some(Arc::new(Ticket::<B>::alone(self.store.clone(), rules.clone(), key)));
                    Found::Nothing
                } else {
                    Found::Shareable(Shareable { key, form, control, inserts })
                }
            }
            Err(cause) => {
                record.cache.caching = Caching::Bypass(cause);
                Found::Nothing
            }
        };
        match control.only_if_cached {
            true => Err(Error::new(Kind::NotCached, "there is no cached answer, and `only-if-cached` takes no other")),
            false => Ok(found),
        }
    }

    /// Shares the generation that an exchange may share, or leads it: then `ask` says how its
    /// engine is asked, with a record of nobody's. Gives the answer instead where it has come
    /// into the store since [`Self::find`] looked.
    pub fn join(
        &self,
        draft: &mut Draft,
        rules: &Arc<Rules>,
        Shareable { key, form, control, inserts }: Shareable,
        ask: impl FnOnce(Box<Record>) -> Asking<B>,
    ) -> Result<Participant<B>, Box<Again>> {
        // A client may say more seconds than a clock can count: then it has no deadline.
        let deadline = draft.request.deadline.and_then(|deadline| draft.request.arrived.checked_add(deadline));
        let wanted = Wanted {
            exchange: draft.request.id,
            digest: *key.digest(),
            key: key.full_shared(),
            lanes: if rules.forms_apart { own_lane(form) } else { lanes(draft.request.api, form) },
            limit_bytes: self.max_entry_bytes,
            lag_bytes: LAG_BYTES.max(self.max_entry_bytes),
            deadline: deadline.map(Into::into),
        };
        let joined = self.flights.join(wanted, || ask(draft.for_asking()));
        let participant = match joined {
            Joined::Lead(participant) => {
                // A flight that ended in between was in the store before it left its place, and
                // nothing is asked before the participant is polled.
                if self.store.inserts(&key) != inserts
                    && let Ok((again, hit)) = self.again(&key, form, &control)
                {
                    draft.cache = Cached { caching: Caching::Hit, hit: Some(hit), ..Cached::default() };
                    return Err(Box::new(again));
                }
                participant
            }
            Joined::Follow(participant) => {
                draft.cache.caching = Caching::Collapsed;
                participant
            }
        };
        let ticket = Ticket::shared(self.store.clone(), rules.clone(), key, participant.flight().clone());
        draft.cache.ticket = Some(Arc::new(ticket));
        Ok(participant)
    }

    /// Looks at how an answer begins: its engine may forbid to keep it.
    pub fn begun(&self, record: &mut Record, rules: &Rules, begun: &Result<(Parts, Body<B>), Error>) {
        let Ok((head, _)) = begun else { return };
        if record.cache.ticket.is_none() {
            return;
        }
        if !control::forbids(&head.headers, &rules.vary) {
            record.cache.headers = entry::kept_headers(&head.headers);
            return;
        }
        record.cache.ticket = None;
        if record.cache.caching != Caching::Collapsed {
            self.store.reject(Rejected::Forbidden);
        }
    }

    fn key(&self, record: &Record, rules: &Rules, control: &Control) -> Result<Key, Bypass> {
        key::policy(&record.request, &rules.policy)?;
        if control.no_store {
            return Err(Bypass::NoStore);
        }
        let epochs = self.store.epochs();
        let scope = Scope {
            tenant: &record.tenant,
            route: &record.route,
            tenant_epoch: epochs.tenant(&record.tenant),
            route_epoch: epochs.route(&record.route),
            engine: rules
                .engine
                .identity()
                .wrapping_add(u64::from(rules.forms_apart && form_of(record) != Form::Plain)),
            variant: key::variant(&record.request, &rules.policy),
            keep_cut: rules.policy.keep_cut,
            vary: &rules.vary,
            max_request_bytes: self.max_request_bytes,
        };
        key(&record.request, &scope)
    }

    fn again(&self, key: &Key, form: Form, control: &Control) -> Result<(Again, Hit), Miss> {
        let now = Instant::now();
        let entry = self.store.lookup(key, now, control)?;
        let (body, events) = entry.in_form(form).ok_or(Miss::Form)?;
        let left = entry.remaining(now).unwrap_or_default();
        let (content_type, headers) = (entry.content_type(form), entry.answer.headers.clone());
        Ok((Again { content_type, headers, body, events, left }, entry.hit(now)))
    }
}

/// The form that a record's request asks for.
fn form_of(record: &Record) -> Form {
    let facts = &record.request.facts;
    match record.request.api {
        Api::Embeddings => Form::Plain,
        _ if !facts.stream => Form::Plain,
        // The other shapes always tell the usage.
        api => Form::Stream { include_usage: facts.include_usage && matches!(api, Api::Chat | Api::Completions) },
    }
}

/// The generation of a form's own.
fn own_lane(form: Form) -> &'static [Lane] {
    match form {
        Form::Plain => &[Lane::Plain],
        Form::Stream { include_usage: false } => &[Lane::Stream],
        Form::Stream { include_usage: true } => &[Lane::StreamWithUsage],
    }
}

/// The generations that serve a form, the one that is led for it last. A stream shares its like
/// only: a plain generation has no live tokens to give, and a chunk with the usage comes or does
/// not. A plain answer can be made of a stream that tells its usage.
fn lanes(api: Api, form: Form) -> &'static [Lane] {
    match form {
        Form::Stream { include_usage: false } => &[Lane::Stream],
        Form::Stream { include_usage: true } => &[Lane::StreamWithUsage],
        Form::Plain => match api {
            Api::Chat | Api::Completions => &[Lane::StreamWithUsage, Lane::Plain],
            Api::Responses | Api::Messages => &[Lane::Stream, Lane::Plain],
            Api::Embeddings | Api::Models | Api::Opaque => &[Lane::Plain],
        },
    }
}
