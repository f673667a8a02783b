//! What critics said of an exchange, and what was decided.
//!
//! Verdicts that the client waited for are here when the answer goes out; those of what was
//! watched while it flowed, when it is over; those of audits, when the background has asked.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
pub use weir_critic::panel::{Combine, Cost, Decision as Vote, Mode, OnSkip, Ruling, Verdict};

/// The critics' part of a record.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// What was decided.
    pub decision: Decision,
    /// Verdicts of the answer that the client was given, or of the last one where it was given none.
    pub verdicts: Vec<Verdict>,
    /// Answers that were not good enough, in order.
    pub rounds: Vec<Round>,
    /// Whether critics found the answer good; none where nobody judged it.
    pub word: Word,
    /// What was found in a stream while it flowed; set when it is over.
    pub flowing: Option<Arc<OnceLock<Flowed>>>,
}

/// What was decided of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Nothing was to be decided: no critic is enforced here, or there was no answer to judge.
    #[default]
    None,
    /// It goes out.
    Pass,
    /// It was not good enough, and what could be tried was tried.
    Escalate(Handling),
}

/// What the client gets when no answer was good enough.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// An error that says so.
    #[default]
    Refuse,
    /// The configured answer.
    Fallback,
    /// The best of the answers, flagged.
    Deliver,
}

/// What the critics say of an answer, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Word {
    /// No critic was asked, or none had anything to judge.
    #[default]
    None,
    /// Good.
    Pass,
    /// Bad.
    Fail,
    /// A critic that should have judged did not, and none found it bad.
    Skipped,
}

/// An answer that was not good enough.
#[derive(Clone, Debug)]
pub struct Round {
    /// The answer, as the engine sent it.
    pub body: Bytes,
    /// Its `Content-Type`.
    pub content_type: String,
    /// What critics said of it.
    pub verdicts: Vec<Verdict>,
    /// When it was judged, counted from arrival.
    pub judged_at: Duration,
    /// Tokens that the engine made for it.
    pub completion_tokens: u32,
}

/// What was found in a stream while it flowed.
#[derive(Clone, Debug, Default)]
pub struct Flowed {
    /// Verdicts of rules that watched it.
    pub verdicts: Vec<Verdict>,
    /// Whether the generation was stopped because of them.
    pub stopped: bool,
}

/// What was spent on an exchange's answers so far, for whoever decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Answers that were judged.
    pub answers: u32,
    /// Time since arrival.
    pub elapsed: Duration,
    /// The longest that one took, from asking to verdict: the next one will, too.
    pub longest: Duration,
    /// Tokens that the engine made.
    pub tokens: u64,
    /// Whether a critique can be put into the request.
    pub can_resend: bool,
}

impl Judged {
    /// Every verdict of the given answer, those found while it flowed included.
    pub fn all(&self) -> impl Iterator<Item = &Verdict> {
        let flowed = self.flowing.as_ref().and_then(|flowing| flowing.get());
        self.verdicts.iter().chain(flowed.into_iter().flat_map(|flowed| &flowed.verdicts))
    }

    /// Whether any critic, enforced or not, found the given answer bad.
    pub fn is_bad(&self) -> bool {
        self.all().any(|verdict| verdict.judgement.outcome == weir_critic::Outcome::Fail)
    }

    /// Whether any of its answers was not good enough: the given one, one that was not given, or
    /// one that was stopped.
    pub fn has_failed(&self) -> bool {
        let escalated = matches!(self.decision, Decision::Escalate(_));
        escalated || !self.rounds.is_empty() || self.word == Word::Fail || self.is_bad() || self.was_stopped()
    }

    /// Whether an answer was stopped while it flowed.
    pub fn was_stopped(&self) -> bool {
        self.flowing.as_ref().and_then(|flowing| flowing.get()).is_some_and(|flowed| flowed.stopped)
    }
}

impl Word {
    /// Every word, for tables of metrics and tests.
    pub const ALL: [Self; 4] = [Self::None, Self::Pass, Self::Fail, Self::Skipped];

    /// What a panel's ruling says.
    pub fn of(ruling: &Ruling) -> Self {
        match ruling.decision {
            Vote::Fail => Self::Fail,
            Vote::Pass if !ruling.is_whole() => Self::Skipped,
            Vote::Pass if ruling.judged == 0 => Self::None,
            Vote::Pass => Self::Pass,
        }
    }

    /// The word used in headers, labels and columns; empty where nobody judged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

impl Decision {
    /// The word used in labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pass => "pass",
            Self::Escalate(_) => "escalate",
        }
    }

    /// What the client got instead of a good answer; empty where it got one.
    pub fn handling(self) -> &'static str {
        match self {
            Self::None | Self::Pass => "",
            Self::Escalate(handling) => handling.as_str(),
        }
    }
}

impl Handling {
    /// Every handling, for tables of metrics and tests.
    pub const ALL: [Self; 3] = [Self::Refuse, Self::Fallback, Self::Deliver];

    /// The word used in settings, labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Fallback => "fallback",
            Self::Deliver => "deliver",
        }
    }
}
