//! The answer cache: good answers are kept and given again to the same request.
//!
//! Promises: one tenant never gets another's answer; two requests share an answer only where
//! every field that could change it is equal, compared in full on each hit; what is kept is
//! bounded in bytes and in time; nothing here waits.
//! Must not know: sockets, engines, status codes sent to clients.
//!
//! ```text
//! policy → key (canonical body) → control → lookup ─hit→ entry
//!                                              │miss
//!                                 engine ... → admissible → insert
//! ```

mod admit;
mod canonical;
mod config;
mod control;
mod entry;
mod epochs;
mod key;
mod listing;
mod metrics;
mod store;

pub use admit::admissible;
pub use canonical::{Unclear, canonical};
pub use config::{Config, Mode, RoutePolicy};
pub use control::{Control, forbids};
pub use entry::{Answer, Entry, kept_headers};
pub use epochs::Epochs;
pub use key::{Key, Scope, key, policy, variant};
pub use listing::{EntryView, Listing};
pub use metrics::Metrics;
pub use store::{Store, Totals};
