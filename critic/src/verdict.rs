//! What a critic says.
//!
//! A score is the probability, as far as the critic can tell, that the answer is bad: 0 is
//! good, 1 is bad, whatever the critic. A critic that cannot tell says so: an outcome is
//! never guessed. Messages of findings may quote the answer, so they are content: they
//! never go into labels or logs.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What a critic says of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether the answer is good.
    pub outcome: Outcome,
    /// Probability that it is bad, 0..=1; none where the critic has no scale.
    #[serde(default)]
    pub score: Option<f64>,
    /// What was found, most serious first; bounded by [`MAX_FINDINGS`].
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// Findings kept of one judgement: the rest adds nothing for a reader or a retry.
pub const MAX_FINDINGS: usize = 16;

/// Whether an answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The critic found it good.
    Pass,
    /// The critic found it bad.
    Fail,
    /// The critic did not say.
    Skipped(Skip),
}

/// Why a critic did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// There is nothing here that it judges: no context, no schema, another task.
    NotApplicable,
    /// It was not this exchange's turn.
    NotSampled,
    /// It could not tell, or its reply could not be parsed.
    Abstained,
    /// It was too late.
    TimedOut,
    /// It failed.
    Failed,
    /// It had too much to do, or gave way to users.
    Shed,
    /// A cheaper critic had already decided.
    EarlyExit,
    /// The answer could not be read: encoded, larger than what is judged, or of no known shape.
    Unreadable,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is, one word of a closed set per critic: `repetition_loop`, `email` ...
    pub code: Cow<'static, str>,
    /// For people and for the critique of a retry: what is wrong, and what to change.
    pub message: String,
    /// Where it is.
    pub place: Place,
    /// Bytes of the text at that place; none where it is the whole of it.
    #[serde(default)]
    pub span: Option<Range<usize>>,
}

/// A text of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The whole answer.
    Whole,
    /// Visible text of a choice.
    Text {
        /// Index of the choice.
        choice: usize,
    },
    /// Reasoning of a choice.
    Reasoning {
        /// Index of the choice.
        choice: usize,
    },
    /// Refusal of a choice.
    Refusal {
        /// Index of the choice.
        choice: usize,
    },
    /// Arguments of a tool call.
    ToolCall {
        /// Index of the choice.
        choice: usize,
        /// Index of the call within it.
        call: usize,
    },
    /// A message before the answer.
    Turn {
        /// Its index.
        turn: usize,
    },
    /// A passage of the context.
    Passage {
        /// Its index.
        passage: usize,
    },
}

impl Judgement {
    /// Nothing wrong was found.
    pub fn pass() -> Self {
        Self { outcome: Outcome::Pass, score: None, findings: Vec::new() }
    }

    /// Nothing is said.
    pub fn skipped(skip: Skip) -> Self {
        Self { outcome: Outcome::Skipped(skip), score: None, findings: Vec::new() }
    }

    /// Bad where something was found, good where not.
    pub fn of(mut findings: Vec<Finding>) -> Self {
        findings.truncate(MAX_FINDINGS);
        let outcome = if findings.is_empty() { Outcome::Pass } else { Outcome::Fail };
        Self { outcome, score: None, findings }
    }

    /// Bad from `threshold` on. The score must be a probability; what is none is an abstention.
    pub fn scored(score: f64, threshold: f64, mut findings: Vec<Finding>) -> Self {
        if !(0.0..=1.0).contains(&score) {
            return Self::skipped(Skip::Abstained);
        }
        findings.truncate(MAX_FINDINGS);
        let outcome = if score >= threshold { Outcome::Fail } else { Outcome::Pass };
        Self { outcome, score: Some(score), findings }
    }
}

impl Outcome {
    /// The word used in headers, labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped(_) => "skipped",
        }
    }
}

impl Skip {
    /// Every cause, for tables of metrics and tests.
    pub const ALL: [Self; 8] = [
        Self::NotApplicable,
        Self::NotSampled,
        Self::Abstained,
        Self::TimedOut,
        Self::Failed,
        Self::Shed,
        Self::EarlyExit,
        Self::Unreadable,
    ];

    /// The word used in headers, labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::NotSampled => "not_sampled",
            Self::Abstained => "abstained",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Shed => "shed",
            Self::EarlyExit => "early_exit",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether the critic should have said something and did not: then its fail-open or
    /// fail-closed decides. The others are no failure of the critic.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Abstained | Self::TimedOut | Self::Failed | Self::Shed | Self::Unreadable)
    }
}

impl Finding {
    /// A finding in the whole of a text.
    pub fn new(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into(), place, span: None }
    }

    /// The same, at these bytes of the text.
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}
