//! What critics said of an exchange, and what was decided.
//!
//! Verdicts that the client waited for are here when the answer goes out; those of what was
//! watched while it flowed, when it is over; those of audits, when the background has asked.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use weir_critic::Outcome;
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
    /// Whether the stream was ended because of what was found in it.
    pub stopped: bool,
    /// What was found in a stream while it flowed, by each who looked at it, those nearer to the
    /// engine first; set when it is over.
    pub flowing: Vec<Arc<OnceLock<Flowed>>>,
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
    /// The answer, as the engine sent it; of a stream that was stopped while it flowed what had
    /// come of it, as a plain body.
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
    /// What they say together, and what followed; none where nothing depended on them.
    pub ruled: Option<(Word, Decision)>,
    /// The answer that was stopped.
    pub rounds: Vec<Round>,
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
    /// Time until the client stops waiting; none where it did not say.
    pub left: Option<Duration>,
}

impl Judged {
    /// Takes in what was found while the answer flowed, now that it is over.
    pub fn settle(&mut self) {
        let flowed = self.take_flowed();
        if flowed.is_empty() {
            return;
        }
        let mut ruled = None;
        for flowed in flowed {
            self.stopped |= flowed.stopped;
            self.verdicts.extend(flowed.verdicts);
            self.rounds.extend(flowed.rounds);
            ruled = flowed.ruled.or(ruled);
        }
        match ruled {
            Some((word, decision)) => (self.word, self.decision) = (word, decision),
            None if self.decision == Decision::None => self.word = Word::of_audit(&self.verdicts),
            None => {}
        }
    }

    /// What was found so far by those who looked at a stream that has ended.
    pub fn take_flowed(&mut self) -> Vec<Flowed> {
        std::mem::take(&mut self.flowing).iter().filter_map(|flowing| flowing.get().cloned()).collect()
    }

    /// Leaves out what another exchange tells that shares the answer: the answers before it, and
    /// what its verdicts have cost.
    pub fn tell_elsewhere(&mut self) {
        self.rounds.clear();
        self.verdicts.iter_mut().for_each(|verdict| verdict.cost = Cost::default());
    }

    /// Whether any critic, enforced or not, found the given answer bad.
    pub fn is_bad(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.judgement.outcome == Outcome::Fail)
    }

    /// Whether any of its answers was not good enough: the given one, one that was not given, or
    /// one that was stopped.
    pub fn has_failed(&self) -> bool {
        let escalated = matches!(self.decision, Decision::Escalate(_));
        escalated || !self.rounds.is_empty() || self.word == Word::Fail || self.is_bad() || self.stopped
    }

    /// Verdicts of the given answer. Where none was given, those of the best of the rounds stand
    /// in for them, and are left out here: their round has them.
    pub fn own_verdicts(&self) -> impl Iterator<Item = &Verdict> {
        let withheld = matches!(self.decision, Decision::Escalate(Handling::Refuse | Handling::Fallback));
        let repeated = withheld && !self.rounds.is_empty();
        self.verdicts.iter().filter(move |verdict| !repeated || verdict.mode == Mode::Audit)
    }

    /// Whether the answer may be given again: nobody found it bad, and everybody whom it had to
    /// wait for has judged it.
    pub fn may_be_kept(&self) -> bool {
        let unjudged = self.decision != Decision::None && self.word == Word::Skipped;
        !(self.is_bad() || unjudged || matches!(self.decision, Decision::Escalate(_)))
    }

    /// Adds verdicts that nobody waited for. Where nothing was enforced, they give the word.
    pub fn add_audit(&mut self, verdicts: Vec<Verdict>) {
        self.verdicts.extend(verdicts);
        if self.decision == Decision::None {
            self.word = Word::of_audit(&self.verdicts);
        }
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

    /// What verdicts say that nothing depends on.
    fn of_audit(verdicts: &[Verdict]) -> Self {
        let word = |verdict: &Verdict| match verdict.judgement.outcome {
            Outcome::Fail => Self::Fail,
            Outcome::Skipped(skip) if skip.is_failure() => Self::Skipped,
            Outcome::Pass => Self::Pass,
            Outcome::Skipped(_) => Self::None,
        };
        let weight = |word: &Self| match word {
            Self::None => 0,
            Self::Pass => 1,
            Self::Skipped => 2,
            Self::Fail => 3,
        };
        verdicts.iter().map(word).max_by_key(weight).unwrap_or_default()
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
