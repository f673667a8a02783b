//! Whether an answer is about its question.
//!
//! A logistic function of two numbers: the cosine of the two texts' vectors, and the share of the
//! question's longer words that the answer says again. Its three weights were fitted on questions
//! of HaluEval and RAGTruth (both MIT) with their own answers against answers of other questions.
//! It sees what the answer is about, not whether it is right, complete or polite.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::config::Fault;
use crate::embed::{Config as Embedding, Refused, Service, cosine};
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip, Task};

/// Characters from which a word may carry a subject.
const SHORTEST_WORD: usize = 4;

/// Bytes of an answer that are read: what it is about shows early.
const ANSWER_BYTES: usize = 600;

/// Bytes of a question that are read.
const QUESTION_BYTES: usize = 600;

/// Words of a question under which it asks for nothing that could be compared: "go on", "why?".
const SHORTEST_QUESTION: usize = 3;

/// Weights of the cosine and of the shared words, and what is added.
const WEIGHTS: (f64, f64, f64) = (-17.7, -2.1, 5.4);

/// How strictly an answer is held to its question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Score from which an answer is beside its question, over 0 to 1.
    pub threshold: f64,
    /// The model that makes vectors.
    pub embedding: Embedding,
}

/// The critic.
#[derive(Debug)]
pub struct Relevance {
    config: Config,
    service: Arc<Service>,
    version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { threshold: 0.8, embedding: Embedding::default() }
    }
}

impl Config {
    /// What is wrong with the values, found without reading files.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.embedding.faults();
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            faults.push(Fault::new("threshold", format!("is {}", self.threshold), "give a score over 0 and at most 1"));
        }
        faults
    }
}

impl Relevance {
    /// A critic with these settings. Starts the model where it does not run yet.
    pub fn new(config: Config) -> Result<Self, String> {
        let service = config.embedding.service()?;
        let version = format!("relevance-1-{}", config.embedding.checksum());
        Ok(Self { config, service, version })
    }

    /// Probability that an answer is beside its question.
    pub fn score(&self, question: &str, answer: &str) -> Result<f64, Refused> {
        let (question, answer) = (cut(question, QUESTION_BYTES), cut(answer, ANSWER_BYTES));
        let near = cosine(&self.service.embed(question)?, &self.service.embed(answer)?);
        let logit = WEIGHTS.0 * f64::from(near) + WEIGHTS.1 * shared(question, answer) + WEIGHTS.2;
        Ok(1.0 / (1.0 + (-logit).exp()))
    }
}

impl Critic for Relevance {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Model
    }

    fn judge(&self, case: &Case) -> Judgement {
        let question = case.question();
        let is_asked = question.unicode_words().nth(SHORTEST_QUESTION - 1).is_some();
        let texts: Vec<(usize, &str)> = case
            .answers
            .iter()
            .map(|answer| answer.text.as_str())
            .enumerate()
            .filter(|(_, text)| !text.is_empty())
            .collect();
        if !is_asked || texts.is_empty() || case.task != Task::Prose {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let (mut worst, mut findings) = (0.0f64, Vec::new());
        for (choice, text) in texts {
            let score = match self.score(question, text) {
                Ok(score) => score,
                Err(Refused::Full | Refused::Ended) => return Judgement::skipped(Skip::Shed),
                Err(Refused::Failed(_)) => return Judgement::skipped(Skip::Failed),
            };
            worst = worst.max(score);
            if score >= self.config.threshold {
                findings.push(Finding::new(
                    "beside_the_question",
                    Place::Text { choice },
                    "the answer is about something else; answer what was asked",
                ));
            }
        }
        Judgement::scored(worst, self.config.threshold, findings)
    }
}

/// Share of the question's longer words that the answer has.
fn shared(question: &str, answer: &str) -> f64 {
    let words = |text: &str| -> HashSet<String> {
        text.unicode_words().filter(|word| word.chars().count() >= SHORTEST_WORD).map(str::to_lowercase).collect()
    };
    let (asked, said) = (words(question), words(answer));
    asked.intersection(&said).count() as f64 / asked.len().max(1) as f64
}

fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_words_are_counted_by_the_question() {
        assert_eq!(shared("Where does the Danube begin?", "The Danube begins where it is cold"), 2.0 / 4.0);
        assert_eq!(shared("Где начинается Дунай?", "дунай течёт на восток"), 0.5);
        assert_eq!(shared("why?", "because"), 0.0);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((cut("дунай", 3), cut("ab", 9)), ("д", "ab"));
    }
}
