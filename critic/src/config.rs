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
    /// Words that an answer must not hold.
    BannedTerms(rules::banned_terms::Config),
    /// Answers copied from the system prompt or the question.
    CopiedPrompt(rules::copied_prompt::Config),
    /// Answers with nothing in them.
    Empty(rules::empty::Config),
    /// JSON and tool calls that do not fit what was asked for.
    Json(rules::json::Config),
    /// Answers in another language than the question.
    LanguageFlip(rules::language_flip::Config),
    /// Marks of the chat template.
    LeakedTokens(rules::leaked_tokens::Config),
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
    /// Refusals.
    Refusal(rules::refusal::Config),
    /// Answers that run in circles.
    RepetitionLoop(rules::repetition_loop::Config),
    /// Answers that the LLM itself held unlikely.
    TokenProbability(rules::token_probability::Config),
    /// Answers that stop before they end.
    Truncated(rules::truncated::Config),
    /// Links that the context does not hold.
    UnsupportedLinks(rules::unsupported_links::Config),
    /// Numbers that the context does not hold.
    UnsupportedNumbers(rules::unsupported_numbers::Config),
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
            Self::BannedTerms(config) => config.faults(),
            Self::CopiedPrompt(config) => config.faults(),
            Self::Empty(config) => config.faults(),
            Self::Json(config) => config.faults(),
            Self::LanguageFlip(config) => config.faults(),
            Self::LeakedTokens(config) => config.faults(),
            Self::PersonalData(config) => config.faults(),
            Self::Reference(config) => config.faults(),
            Self::Command(config) => config.faults(),
            Self::Arithmetic(config) => config.faults(),
            Self::FinalAnswer(config) => config.faults(),
            Self::Rubric(config) => config.faults(),
            Self::Pairwise(config) => config.faults(),
            Self::Reflection(config) => config.faults(),
            Self::Refusal(config) => config.faults(),
            Self::RepetitionLoop(config) => config.faults(),
            Self::TokenProbability(config) => config.faults(),
            Self::Truncated(config) => config.faults(),
            Self::UnsupportedLinks(config) => config.faults(),
            Self::UnsupportedNumbers(config) => config.faults(),
        }
    }

    /// Makes the critic. Errors say which file could not be read, or what in it is wrong.
    pub fn build(&self) -> Result<Built, String> {
        Ok(match self.clone() {
            Self::BannedTerms(config) => Built::Alone(Arc::new(rules::banned_terms::BannedTerms::new(config)?)),
            Self::CopiedPrompt(config) => Built::Alone(Arc::new(rules::copied_prompt::CopiedPrompt::new(config))),
            Self::Empty(config) => Built::Alone(Arc::new(rules::empty::Empty::new(config))),
            Self::Json(config) => Built::Alone(Arc::new(rules::json::Json::new(config))),
            Self::LanguageFlip(config) => Built::Alone(Arc::new(rules::language_flip::LanguageFlip::new(config))),
            Self::LeakedTokens(config) => Built::Alone(Arc::new(rules::leaked_tokens::LeakedTokens::new(config))),
            Self::PersonalData(config) => Built::Alone(Arc::new(rules::personal_data::PersonalData::new(config))),
            Self::Reference(config) => Built::Alone(Arc::new(reference::Reference::new(config))),
            Self::Command(config) => Built::Alone(Arc::new(verifiers::command::Command::new(config)?)),
            Self::Arithmetic(config) => Built::Alone(Arc::new(verifiers::arithmetic::Arithmetic::new(config))),
            Self::FinalAnswer(config) => Built::Alone(Arc::new(verifiers::final_answer::FinalAnswer::new(config))),
            Self::Rubric(config) => Built::Asking(Arc::new(judge::rubric::Rubric::new(config))),
            Self::Pairwise(config) => Built::Asking(Arc::new(judge::pairwise::Pairwise::new(config))),
            Self::Reflection(config) => Built::Asking(Arc::new(judge::reflection::Reflection::new(config))),
            Self::Refusal(config) => Built::Alone(Arc::new(rules::refusal::Refusal::new(config))),
            Self::RepetitionLoop(config) => Built::Alone(Arc::new(rules::repetition_loop::RepetitionLoop::new(config))),
            Self::TokenProbability(config) => {
                Built::Alone(Arc::new(rules::token_probability::TokenProbability::new(config)))
            }
            Self::Truncated(config) => Built::Alone(Arc::new(rules::truncated::Truncated::new(config))),
            Self::UnsupportedLinks(config) => {
                Built::Alone(Arc::new(rules::unsupported_links::UnsupportedLinks::new(config)))
            }
            Self::UnsupportedNumbers(config) => {
                Built::Alone(Arc::new(rules::unsupported_numbers::UnsupportedNumbers::new(config)))
            }
        })
    }
}

impl Fault {
    /// A fault of that key.
    pub fn new(key: &'static str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { key, problem: problem.into(), cure: cure.into() }
    }
}
