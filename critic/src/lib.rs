//! Critics that judge text: rules, small models, references, verifiers, questions to an LLM.
//!
//! Promises: no HTTP, no store, no proxy; a critic is a pure function of its case, so that
//! what it says can be seen again. Critics that need an engine write [`Question`]s and read
//! the replies; who asks the engine is not their business.

pub mod case;
pub mod config;
pub mod critique;
pub mod judge;
pub mod panel;
pub mod personal_data;
pub mod reference;
pub mod rules;
pub mod verdict;
pub mod verifiers;

use std::fmt::Debug;

use serde_json::Value;

pub use case::{Answer, Case, Format, Passage, Role, Task, Token, Tool, ToolCall, Turn};
pub use verdict::{Finding, Judgement, Outcome, Place, Skip};

/// Judges a case by itself.
pub trait Critic: Debug + Send + Sync {
    /// Changes whenever the critic could judge a case otherwise: rules' revision, model's checksum.
    fn version(&self) -> &str;

    /// What it costs, which decides where it runs.
    fn effort(&self) -> Effort;

    /// Judges. Must not panic, and must not block except as [`Effort`] says.
    fn judge(&self, case: &Case) -> Judgement;

    /// Whether its judgement of a part of an answer means something, so that it can judge the
    /// windows of a stream: true for what is wrong wherever it stands, such as a leaked key.
    fn judges_parts(&self) -> bool {
        false
    }
}

/// What a critic costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Microseconds of processor time: it runs where the answer is.
    Rule,
    /// Milliseconds of processor time: it runs on threads of its own.
    Model,
    /// It waits: for a child process, say. It runs on threads of its own, few at a time.
    Slow,
}

/// Judges a case by asking an LLM.
pub trait Questioner: Debug + Send + Sync {
    /// Changes whenever it could judge a case otherwise: digest of its prompt and settings.
    fn version(&self) -> &str;

    /// What to ask; all questions may be asked at once. Empty where it does not judge this case.
    fn ask(&self, case: &Case) -> Vec<Question>;

    /// Judges by the replies, one for each question in order; none where the engine gave none.
    fn read(&self, case: &Case, replies: &[Option<Reply>]) -> Judgement;
}

/// A question to an LLM.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// A chat completion request without `model`: who asks adds it.
    pub body: Value,
}

/// What the LLM replied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The text of its first choice, with the tokens' log-probabilities where it told them.
    pub answer: Answer,
    /// Tokens that the engine read for it.
    pub prompt_tokens: u32,
    /// Tokens that the engine made for it.
    pub completion_tokens: u32,
}
