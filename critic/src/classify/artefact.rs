//! A trained text classifier as a file.
//!
//! ```text
//! 8 bytes   "WEIRCLS1"
//! 4 bytes   length of the card, little-endian
//! card      JSON: what it is, how it was made, how good it was (the model card)
//! weights   one signed byte per bucket and output, outputs of a bucket side by side
//! ```
//!
//! A weight is its byte times the scale of its output. The checksum is SHA-256 of the whole
//! file. What is read is foreign: sizes are checked before anything is believed.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::features::Shape;

/// First bytes of a file; the digit is the revision of the format and of the features' hash.
const MAGIC: &[u8; 8] = b"WEIRCLS1";

/// Labels that one model may tell apart.
pub const MAX_LABELS: usize = 1_000;

/// Bytes of a card that are read.
const MAX_CARD_BYTES: usize = 1 << 20;

/// What a classifier is and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What it is called.
    pub name: String,
    /// Labels; of two the second is the one whose probability is said.
    pub labels: Vec<String>,
    /// Its features.
    pub shape: Shape,
    /// One for each output: one output where there are two labels, else one per label.
    pub outputs: Vec<Output>,
    /// How its decision values become probabilities.
    pub calibration: Calibration,
    /// How it was made.
    pub training: Provenance,
    /// How good it was on rows that it was not trained on.
    pub quality: Quality,
}

/// What one output of the model adds and multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Decision value of a text without features.
    pub bias: f32,
    /// What a weight's byte is multiplied with.
    pub scale: f32,
}

/// A line through decision values whose logistic function is the probability (Platt 1999).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Factor of the decision value.
    pub slope: f64,
    /// What is added.
    pub offset: f64,
}

/// How a classifier was made, so that it can be made again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Where the rows came from, with their licences.
    pub sources: Vec<String>,
    /// Rows trained on.
    pub rows: usize,
    /// Rows of each label, in the order of the labels.
    pub rows_by_label: Vec<usize>,
    /// Groups of rows that were kept on one side of every split.
    pub groups: usize,
    /// Seed of order and splits.
    pub seed: u64,
    /// Passes over the rows.
    pub epochs: u32,
}

/// How good a classifier was, each row judged by a model trained on other groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Splits.
    pub folds: usize,
    /// Share of rows whose likeliest label is right.
    pub accuracy: f64,
    /// Two labels: area under the ROC curve. More: area for "the likeliest label is right" by its score.
    pub auroc: f64,
    /// Two labels: F1 of the second at probability .5. More: mean F1 over labels.
    pub f1: f64,
    /// Expected calibration error over ten equal bins.
    pub calibration_error: f64,
}

/// A classifier that is ready.
#[derive(Clone, Debug)]
pub struct Artefact {
    card: Card,
    weights: Box<[i8]>,
    checksum: String,
}

/// Why a file is no classifier.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not begin as one.
    #[error("is no text classifier of this revision: make it anew with `weir critic train`")]
    Foreign,
    /// The file ends early, or has more than it says.
    #[error("has {found} bytes of weights where its card says {expected}: fetch or make it anew")]
    Size {
        /// Bytes there are.
        found: usize,
        /// Bytes that the card calls for.
        expected: usize,
    },
    /// The card cannot be read.
    #[error("has an unreadable card: {0}")]
    Card(String),
}

impl Artefact {
    /// Reads a file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Error::Foreign)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(Error::Foreign)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_CARD_BYTES || length > rest.len() {
            return Err(Error::Card(format!("it would be {length} bytes long")));
        }
        let (card, weights) = rest.split_at(length);
        let card: Card = serde_json::from_slice(card).map_err(|fault| Error::Card(fault.to_string()))?;
        card.check()?;
        let expected = card.shape.buckets() * card.outputs.len();
        if weights.len() != expected {
            return Err(Error::Size { found: weights.len(), expected });
        }
        let weights = weights.iter().map(|byte| i8::from_le_bytes([*byte])).collect();
        Ok(Self { card, weights, checksum: checksum(bytes) })
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&self.card, &self.weights)
    }

    /// Of a card and weights that fit it.
    pub(super) fn new(card: Card, weights: Box<[i8]>) -> Self {
        let checksum = checksum(&encode(&card, &weights));
        Self { card, weights, checksum }
    }

    /// What it is and where it comes from.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// SHA-256 of its file, in lower-case hexadecimal digits.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Decision values of the outputs: what is over 0 speaks for the label.
    pub fn decide(&self, text: &str) -> Vec<f32> {
        let outputs = self.card.outputs.len();
        let mut sums = vec![0.0f32; outputs];
        for (bucket, value) in self.card.shape.features(text) {
            let from = bucket as usize * outputs;
            for (sum, weight) in sums.iter_mut().zip(&self.weights[from..from + outputs]) {
                *sum += value * f32::from(*weight);
            }
        }
        self.card.outputs.iter().zip(sums).map(|(output, sum)| sum * output.scale + output.bias).collect()
    }

    /// Two labels: the probability of the second. More: that the likeliest label is right.
    pub fn probability(&self, text: &str) -> f64 {
        self.likeliest(text).1
    }

    /// The likeliest label's index and the probability that it is right; of two labels always
    /// the second, with its probability.
    pub fn likeliest(&self, text: &str) -> (usize, f64) {
        let decided = self.decide(text);
        let (best, value) = super::largest(&decided);
        let index = if decided.len() == 1 { 1 } else { best };
        (index, self.card.calibration.probability(f64::from(value)))
    }
}

impl Calibration {
    /// The probability that belongs to a decision value.
    pub fn probability(&self, value: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * value + self.offset)).exp())
    }
}

impl Card {
    fn check(&self) -> Result<(), Error> {
        let labels = self.labels.len();
        if let Some(fault) = self.shape.fault() {
            return Err(Error::Card(fault.to_owned()));
        }
        if !(2..=MAX_LABELS).contains(&labels) {
            return Err(Error::Card(format!("it has {labels} labels, not 2 to {MAX_LABELS}")));
        }
        let outputs = if labels == 2 { 1 } else { labels };
        if self.outputs.len() != outputs {
            return Err(Error::Card(format!("it has {} outputs for {labels} labels", self.outputs.len())));
        }
        let finite = self.outputs.iter().all(|output| output.bias.is_finite() && output.scale.is_finite());
        match finite && self.calibration.slope.is_finite() && self.calibration.offset.is_finite() {
            true => Ok(()),
            false => Err(Error::Card("it has numbers that are none".to_owned())),
        }
    }
}

/// SHA-256 in lower-case hexadecimal digits.
pub fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(card: &Card, weights: &[i8]) -> Vec<u8> {
    let card = serde_json::to_vec(card).expect("a card has string keys and finite numbers only");
    let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + card.len() + weights.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(card.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&card);
    bytes.extend(weights.iter().map(|weight| weight.to_le_bytes()[0]));
    bytes
}
