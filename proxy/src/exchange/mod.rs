//! The words that every part of Weir speaks.
//!
//! Promises: plain data and pure functions; no IO, no clock, no randomness of its own.
//! The one thing here that moves is [`outbox`], the bounded hand-over between the
//! request path and the background, the only place where the two meet.

pub mod api;
pub mod budget;
pub mod cached;
pub mod case;
pub mod completion;
pub mod conversation;
pub mod draft;
pub mod engine;
pub mod error;
pub mod fault;
pub mod id;
pub mod judged;
pub mod outbox;
pub mod record;
pub mod request;
pub mod stored;
pub mod trace;
pub mod tree;
pub mod units;

pub use api::Api;
pub use budget::{Budget, Share};
pub use cached::{Cached, Caching};
pub use draft::Draft;
pub use engine::{EngineKind, Fingerprint};
pub use error::{Error, Kind, Source};
pub use fault::Fault;
pub use id::{ExchangeId, Name};
pub use judged::Judged;
pub use outbox::{Outbox, Refused};
pub use record::{Attempt, Capture, Outcome, Record, Timings, TraceContext};
pub use request::{Facts, Request};
pub use units::{ByteSize, Period};
