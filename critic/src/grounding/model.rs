//! The trained models in one file, with the card that says where they come from.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::reading::{Reading, Written, answer_features, sentence_features};
use super::trees::{Trees, probability};
use super::vocabulary::Vocabulary;

/// Shape of the file; another shape is refused.
pub(crate) const FORMAT: &str = "weir-grounding-1";

/// What training makes: models, thresholds and a card, as one JSON file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Shape of the file.
    pub(crate) format: String,
    /// Where it comes from.
    pub card: Card,
    /// Answers from this score on are not grounded.
    pub threshold: f64,
    /// Sentences from this risk on are named in findings.
    pub(crate) sentence_threshold: f64,
    /// Slope and offset that turn the second model's log-odds into a probability.
    pub(crate) calibration: (f32, f32),
    /// What is known of words.
    pub(crate) vocabulary: Vocabulary,
    /// Risk of a sentence.
    pub(crate) sentence: Trees,
    /// Risk of the whole.
    pub(crate) answer: Trees,
}

/// Where a model comes from and what it is worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Data it was trained on, with licences.
    pub data: Vec<String>,
    /// Answers it was trained on, and how many of them were bad.
    pub answers: (usize, usize),
    /// Answers made from them: swapped contexts, changed numbers and names, and so on.
    pub perturbed: usize,
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Share of bad answers for which score and threshold are made.
    pub prevalence: f64,
    /// Names of what the models are told.
    pub features: Vec<String>,
    /// Figures measured by cross-validation over groups, by name.
    pub measured: BTreeMap<String, f64>,
}

/// What the models say of an answer.
pub(crate) struct Scored {
    /// The answer read.
    pub(crate) reading: Reading,
    /// Risk of each sentence.
    pub(crate) risks: Vec<f32>,
    /// Probability that the answer is not grounded.
    pub(crate) score: f64,
}

impl Artefact {
    /// Reads a file that [`Artefact::to_bytes`] wrote. Errors say what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let artefact: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("is no grounding model: {error}"))?;
        if artefact.format != FORMAT {
            return Err(format!("has the format {:?}, not {FORMAT:?}", artefact.format));
        }
        let sentence = artefact.sentence.fault(sentence_features().len());
        match sentence.or_else(|| artefact.answer.fault(answer_features().len())) {
            Some(fault) => Err(format!("is damaged: {fault}")),
            None => Ok(artefact),
        }
    }

    /// One JSON document.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| format!("cannot be written: {error}"))
    }

    /// Probability that the answer is not grounded, and the risk of each of its sentences;
    /// none where it or the context has no words.
    pub fn risk(&self, question: &str, passages: &[&str], answer: &str) -> Option<(f64, Vec<(Range<usize>, f32)>)> {
        let scored = self.score(&Written { question, answer, passages })?;
        let spans = scored.reading.sentences.iter().map(|sentence| sentence.span.clone());
        Some((scored.score, spans.zip(scored.risks).collect()))
    }

    /// Risk from which a sentence is named.
    pub fn sentence_threshold(&self) -> f64 {
        self.sentence_threshold
    }

    /// Scores an answer; none where it or the context has no words.
    pub(crate) fn score(&self, written: &Written) -> Option<Scored> {
        let reading = Reading::of(written, &self.vocabulary)?;
        let risks: Vec<f32> = reading.values.iter().map(|values| probability(self.sentence.margin(values))).collect();
        let margin = self.answer.margin(&reading.answer_values(&risks));
        let score = f64::from(probability(self.calibration.0 * margin + self.calibration.1));
        Some(Scored { reading, risks, score })
    }
}
