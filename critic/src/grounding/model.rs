//! The trained models in one file, with the card that says where they come from.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::reading::{ANSWER_FEATURES, Reading, Written, sentence_features};
use super::trees::{Trees, probability};
use super::vocabulary::Vocabulary;
use super::wording::Wording;

/// Shape of the file; another shape is refused.
pub(crate) const FORMAT: &str = "weir-grounding-2";

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
    /// What is known of words.
    pub(crate) vocabulary: Vocabulary,
    /// Risk of a sentence, from how it lies beside the context.
    pub(crate) sentence: Trees,
    /// Risk of a sentence, from how it puts things.
    pub(crate) wording: Wording,
    /// Risk of the whole.
    pub(crate) answer: Line,
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

/// A weighted sum that gives log-odds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// Weight of each value, none below 0.
    pub(crate) weights: [f32; ANSWER_FEATURES.len()],
    /// What is added.
    pub(crate) offset: f32,
}

impl Line {
    /// Log-odds for these values.
    pub(crate) fn margin(&self, values: &[f32; ANSWER_FEATURES.len()]) -> f32 {
        self.offset + self.weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<f32>()
    }
}

/// How likely an answer and its sentences have no support.
#[derive(Clone, Debug, PartialEq)]
pub struct Risk {
    /// Probability that something in the answer has no support.
    pub score: f64,
    /// Bytes of each sentence, and its risk.
    pub sentences: Vec<(Range<usize>, f32)>,
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

/// Names of what both models are told, as the card has them.
pub(crate) fn feature_names() -> Vec<String> {
    let sentences = sentence_features().into_iter().map(|(name, _)| name);
    sentences.chain(ANSWER_FEATURES.map(str::to_owned)).collect()
}

/// What the trees and the words have to say in a sentence's log-odds; chosen by cross-validation.
const SHARES: (f32, f32) = (0.8, 0.3);

/// Risk of each sentence.
pub(crate) fn risks(reading: &Reading, trees: &Trees, wording: &Wording) -> Vec<f32> {
    let both = reading.values.iter().zip(&reading.wording);
    both.map(|(values, words)| probability(SHARES.0 * trees.margin(values) + SHARES.1 * wording.margin(words)))
        .collect()
}

impl Artefact {
    /// Reads a file that [`Artefact::to_bytes`] wrote. Errors say what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let artefact: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("is no grounding model: {error}"))?;
        if artefact.format != FORMAT {
            return Err(format!("has the format {:?}, not {FORMAT:?}", artefact.format));
        }
        if artefact.card.features != feature_names() {
            return Err("was trained on other features than this program knows; train it anew".to_owned());
        }
        let fault = artefact.sentence.fault(sentence_features().len()).or_else(|| artefact.wording.fault());
        match fault {
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
    pub fn risk(&self, question: &str, passages: &[&str], answer: &str) -> Option<Risk> {
        let scored = self.score(&Written { question, answer, passages })?;
        let spans = scored.reading.sentences.iter().map(|sentence| sentence.span.clone());
        Some(Risk { score: scored.score, sentences: spans.zip(scored.risks).collect() })
    }

    /// Risk from which a sentence is named.
    pub fn sentence_threshold(&self) -> f64 {
        self.sentence_threshold
    }

    /// Scores an answer; none where it or the context has no words.
    pub(crate) fn score(&self, written: &Written) -> Option<Scored> {
        let reading = Reading::of(written, &self.vocabulary)?;
        let risks = risks(&reading, &self.sentence, &self.wording);
        let score = f64::from(probability(self.answer.margin(&Reading::answer_values(&risks))));
        Some(Scored { reading, risks, score })
    }
}
