//! Settings of every kind of critic, and what is made of them.
//!
//! Each kind has its own settings beside its code; this is their list. A critic is named by
//! whoever configures it, so that there may be two of a kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Critic, Questioner};
use crate::{judge, reference, rules, verifiers};

/// Settings of one critic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Config {
    /// Personal data and secrets that nobody gave.
    PersonalData(rules::personal_data::Config),
    /// Nearness to an answer that is known to be right.
    Reference(reference::Config),
    /// A program of the operator's own.
    Command(verifiers::command::Config),
    /// Sums in the answer.
    Arithmetic(verifiers::arithmetic::Config),
    /// The final answer against one that is known to be right.
    FinalAnswer(verifiers::final_answer::Config),
    /// Written criteria, judged by an LLM.
    Rubric(judge::rubric::Config),
    /// Two answers, compared by an LLM in both orders.
    Pairwise(judge::pairwise::Config),
    /// What an LLM finds wrong with task, plan, steps and answer.
    Reflection(judge::reflection::Config),
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key within the critic's settings.
    pub key: &'static str,
    /// What is wrong with its value.
    pub problem: String,
    /// What to change.
    pub cure: String,
}

/// A critic that is ready to judge.
#[derive(Clone, Debug)]
pub enum Built {
    /// Judges by itself.
    Alone(Arc<dyn Critic>),
    /// Asks an LLM.
    Asking(Arc<dyn Questioner>),
}

impl Config {
    /// What is wrong with the values, found without reading files.
    pub fn faults(&self) -> Vec<Fault> {
        match self {
            Self::PersonalData(config) => config.faults(),
            Self::Reference(config) => config.faults(),
            Self::Command(config) => config.faults(),
            Self::Arithmetic(config) => config.faults(),
            Self::FinalAnswer(config) => config.faults(),
            Self::Rubric(config) => config.faults(),
            Self::Pairwise(config) => config.faults(),
            Self::Reflection(config) => config.faults(),
        }
    }

    /// Makes the critic. Errors say which file could not be read, or what in it is wrong.
    pub fn build(&self) -> Result<Built, String> {
        Ok(match self.clone() {
            Self::PersonalData(config) => Built::Alone(Arc::new(rules::personal_data::PersonalData::new(config))),
            Self::Reference(config) => Built::Alone(Arc::new(reference::Reference::new(config))),
            Self::Command(config) => Built::Alone(Arc::new(verifiers::command::Command::new(config)?)),
            Self::Arithmetic(config) => Built::Alone(Arc::new(verifiers::arithmetic::Arithmetic::new(config))),
            Self::FinalAnswer(config) => Built::Alone(Arc::new(verifiers::final_answer::FinalAnswer::new(config))),
            Self::Rubric(config) => Built::Asking(Arc::new(judge::rubric::Rubric::new(config))),
            Self::Pairwise(config) => Built::Asking(Arc::new(judge::pairwise::Pairwise::new(config))),
            Self::Reflection(config) => Built::Asking(Arc::new(judge::reflection::Reflection::new(config))),
        })
    }
}

impl Fault {
    /// A fault of that key.
    pub fn new(key: &'static str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { key, problem: problem.into(), cure: cure.into() }
    }
}
