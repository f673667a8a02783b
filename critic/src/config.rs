//! Settings of every kind of critic, and what is made of them.
//!
//! Each kind has its own settings beside its code; this is their list. A critic is named by
//! whoever configures it, so that there may be two of a kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::models;
use crate::rules;
use crate::{Critic, Questioner};

/// Settings of one critic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Config {
    /// Personal data and secrets that nobody gave.
    PersonalData(rules::personal_data::Config),
    /// Attempts to take over the LLM, in questions and in retrieved text.
    PromptInjection(models::prompt_injection::Config),
    /// Answers beside their question.
    #[cfg(feature = "onnx")]
    Relevance(models::relevance::Config),
    /// Questions out of the deployment's own topics.
    Topic(models::topic::Config),
    /// Toxic text.
    Toxicity(models::toxicity::Config),
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
            Self::PromptInjection(config) => config.faults(),
            #[cfg(feature = "onnx")]
            Self::Relevance(config) => config.faults(),
            Self::Topic(config) => config.faults(),
            Self::Toxicity(config) => config.faults(),
        }
    }

    /// Makes the critic. Errors say which file could not be read, or what in it is wrong.
    pub fn build(&self) -> Result<Built, String> {
        Ok(match self.clone() {
            Self::PersonalData(config) => Built::Alone(Arc::new(rules::personal_data::PersonalData::new(config))),
            Self::PromptInjection(config) => {
                Built::Alone(Arc::new(models::prompt_injection::PromptInjection::new(config)))
            }
            #[cfg(feature = "onnx")]
            Self::Relevance(config) => Built::Alone(Arc::new(models::relevance::Relevance::new(config)?)),
            Self::Topic(config) => Built::Alone(Arc::new(models::topic::Topic::new(config)?)),
            Self::Toxicity(config) => Built::Alone(Arc::new(models::toxicity::Toxicity::new(config)?)),
        })
    }
}

impl Fault {
    /// A fault of that key.
    pub fn new(key: &'static str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { key, problem: problem.into(), cure: cure.into() }
    }
}
