//! Settings of every kind of critic, and what is made of them.
//!
//! Each kind has its own settings beside its code; this is their list. A critic is named by
//! whoever configures it, so that there may be two of a kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::evaluate::Calibration;
use crate::{Critic, Questioner};
use crate::{grounding, judge, models, reference, rules, verifiers};

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
    /// Attempts to take over the LLM, in questions and in retrieved text.
    PromptInjection(models::prompt_injection::Config),
    /// Answers beside their question.
    #[cfg(feature = "onnx")]
    Relevance(models::relevance::Config),
    /// Questions out of the deployment's own topics.
    Topic(models::topic::Config),
    /// Toxic text.
    Toxicity(models::toxicity::Config),
    /// Whether the answer rests on its context.
    Grounding(grounding::Config),
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
            Self::PromptInjection(config) => config.faults(),
            #[cfg(feature = "onnx")]
            Self::Relevance(config) => config.faults(),
            Self::Topic(config) => config.faults(),
            Self::Toxicity(config) => config.faults(),
            Self::Grounding(config) => config.faults(),
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
            Self::PromptInjection(config) => {
                Built::Alone(Arc::new(models::prompt_injection::PromptInjection::new(config)))
            }
            #[cfg(feature = "onnx")]
            Self::Relevance(config) => Built::Alone(Arc::new(models::relevance::Relevance::new(config)?)),
            Self::Topic(config) => Built::Alone(Arc::new(models::topic::Topic::new(config)?)),
            Self::Toxicity(config) => Built::Alone(Arc::new(models::toxicity::Toxicity::new(config)?)),
            Self::Grounding(config) => Built::Alone(Arc::new(grounding::Grounding::new(config)?)),
        })
    }
}

impl Fault {
    /// A fault of that key.
    pub fn new(key: &'static str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { key, problem: problem.into(), cure: cure.into() }
    }
}

/// A critic under its name in a configuration file: its settings, and where its threshold came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Named {
    /// The settings of its kind.
    #[serde(flatten)]
    pub settings: Config,
    /// What `weir critic calibrate` wrote beside the threshold; people leave it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_critic_keeps_its_provenance_and_refuses_what_it_does_not_know() {
        let calibration = Calibration { method: "f1".to_owned(), cases: 7, ..Calibration::default() };
        let mut value = serde_json::json!({"kind": "personal_data", "allow_echo": false});
        value["calibration"] = serde_json::to_value(&calibration).unwrap();
        let named: Named = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(named.calibration, Some(calibration));
        assert_eq!(serde_json::from_value::<Named>(serde_json::to_value(&named).unwrap()).unwrap(), named);
        value["alow_echo"] = true.into();
        assert!(serde_json::from_value::<Named>(value).unwrap_err().to_string().contains("alow_echo"));
    }
}
