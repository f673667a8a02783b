//! What is to be judged, by whom of a panel, and how urgently.

use std::sync::Arc;
use std::time::Duration;

use weir_critic::Case;

use crate::exchange::ExchangeId;
use crate::exchange::judged::Mode;

/// Who asks: what the client waits for comes before what nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A client waits.
    Request,
    /// Nobody waits: user traffic goes first.
    Background,
}

/// Who of a panel judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// Those that the answer waits for.
    Enforced,
    /// Those that nothing waits for.
    Audit,
    /// All of them, and nothing waits for any: the route lets its streams through.
    Everybody,
}

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct Matter {
    /// The exchange, by which critics are drawn.
    pub id: ExchangeId,
    /// The case; none where the answer could not be read.
    pub case: Option<Arc<Case>>,
    /// `model` of the exchange, for questions where none is configured.
    pub model: Option<Box<str>>,
    /// Time until its client stops waiting; none where it did not say.
    pub left: Option<Duration>,
}

impl Bench {
    /// Whether critics of that mode sit on it.
    pub(super) fn has(self, mode: Mode) -> bool {
        match self {
            Self::Enforced => mode == Mode::Enforce,
            Self::Audit => mode == Mode::Audit,
            Self::Everybody => true,
        }
    }
}
