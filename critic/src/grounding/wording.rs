//! How a sentence puts what it says: its words and neighbours, each with the support it has.
//!
//! Some words betray what was added ("such as", "important") where the context lacks them,
//! others do not. Words and pairs are told apart by hashes, a byte of weight each.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::align::{Aligned, Mark};

/// Weights, a power of two.
pub(crate) const BUCKETS: usize = 1 << BITS;

const BITS: u32 = 15;

/// Words at the beginning of a sentence that count for where they stand.
const OPENING: usize = 3;

/// A linear model of hashed features: what it gives is a log-odds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wording {
    /// Log-odds before any feature.
    pub(crate) offset: f32,
    /// What 1 of a weight stands for.
    pub(crate) step: f32,
    /// A weight for each bucket.
    pub(crate) weights: Vec<i8>,
}

impl Wording {
    /// Log-odds for these features.
    pub(crate) fn margin(&self, features: &[u32]) -> f32 {
        let sum: i32 = features.iter().map(|at| i32::from(self.weights[*at as usize])).sum();
        self.offset + self.step * sum as f32
    }

    /// What is wrong with a model that was read.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self.weights.len() == BUCKETS && self.offset.is_finite() && self.step.is_finite() {
            true => None,
            false => Some("the weights of words are not as many as they must be, or no numbers"),
        }
    }
}

/// Buckets of the features of a sentence, each once.
pub(crate) fn features(aligned: &Aligned, prints: &[u32], tokens: Range<usize>) -> Vec<u32> {
    let mut found = Vec::with_capacity(2 * tokens.len() + OPENING);
    let mut before: Option<(u32, bool)> = None;
    for (place, at) in tokens.enumerate() {
        let mark = &aligned.marks[at];
        let word = if mark.number { 0 } else { prints[at] };
        let copied = mark.run >= COPIED;
        let own = mix(word, support(mark));
        if !copied {
            found.push(bucket(own, 0));
        }
        if let Some((other, _)) = before.filter(|(_, other_copied)| !(copied && *other_copied)) {
            found.push(bucket(mix(other, own), 1));
        }
        if place < OPENING {
            found.push(bucket(word, 2 + place as u32));
        }
        before = Some((own, copied));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Words of a run that count as copied from the context.
const COPIED: u16 = 3;

fn support(mark: &Mark) -> u32 {
    match (mark.run >= COPIED, mark.present, mark.asked) {
        (true, ..) => 3,
        (_, true, _) => 2,
        (_, _, true) => 1,
        _ => 0,
    }
}

fn bucket(value: u32, kind: u32) -> u32 {
    mix(value, kind) >> (32 - BITS)
}

/// A hash of both (the finalizer of MurmurHash3, by A. Appleby).
fn mix(a: u32, b: u32) -> u32 {
    let mut hash = a.rotate_left(13) ^ b.wrapping_mul(0x9e37_79b1);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_another_size_is_refused() {
        let whole = Wording { weights: vec![0; BUCKETS], ..Wording::default() };
        assert_eq!(whole.fault(), None);
        assert!(Wording { weights: vec![0; 7], ..whole.clone() }.fault().is_some());
        assert!(Wording { step: f32::NAN, ..whole }.fault().is_some());
    }

    #[test]
    fn what_is_copied_counts_only_where_it_meets_what_is_not() {
        let text = "alpha beta gamma delta";
        let mut lexicon = super::super::lexicon::Lexicon::of(text);
        let text = super::super::text::Text::cut(text, &mut lexicon);
        let marks = |runs: [u16; 4]| runs.map(|run| Mark { run, present: run > 0, ..Mark::default() }).to_vec();
        let prints = [1, 2, 3, 4];
        let of = |runs| {
            let tokens = text.tokens.clone();
            let text = super::super::text::Text { tokens, sentences: Vec::new() };
            features(&Aligned { text, marks: marks(runs) }, &prints, 0..4).len()
        };
        assert_eq!([of([4, 4, 4, 4]), of([3, 3, 3, 0]), of([0, 0, 0, 0])], [3, 5, 10]);
    }
}
