//! What a text classifier sees of a text: its words and pieces of words, each hashed to a bucket.
//!
//! No dictionary is kept, so a model has one size whatever it was trained on, works in any
//! script, and still sees a word that is written wrong by its pieces. Two features may share
//! a bucket; with 2^16 buckets and a text of a hundred words one pair in some hundred does.
//! The hash is part of the artefact's format: it never changes for a revision of it.
//! Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// Words read of one text; what follows is not seen. A long text is judged in pieces by its critic.
pub const MAX_WORDS: usize = 2_000;

/// Characters of one word that are read: longer ones are no words.
const MAX_WORD_CHARACTERS: usize = 40;

/// Which features are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Logarithm to base 2 of the number of buckets: 10..=20.
    pub buckets_log2: u8,
    /// Longest run of words that is one feature: 1..=3.
    pub words: u8,
    /// Shortest piece of a word, in characters; 0 for no pieces.
    pub shortest_piece: u8,
    /// Longest piece of a word, in characters: at most 8.
    pub longest_piece: u8,
}

/// A bucket with how much of the text fell into it.
pub type Feature = (u32, f32);

impl Default for Shape {
    fn default() -> Self {
        Self { buckets_log2: 16, words: 2, shortest_piece: 2, longest_piece: 5 }
    }
}

impl Shape {
    /// Why features of this shape cannot be made; none where they can.
    pub fn fault(&self) -> Option<&'static str> {
        if !(10..=20).contains(&self.buckets_log2) {
            return Some("buckets_log2 must be 10..=20");
        }
        if !(1..=3).contains(&self.words) {
            return Some("words must be 1..=3");
        }
        let pieces = self.shortest_piece == 0 || self.shortest_piece <= self.longest_piece;
        (!pieces || self.longest_piece > 8).then_some("pieces must run from shortest to longest, at most 8 characters")
    }

    /// Number of buckets.
    pub fn buckets(&self) -> usize {
        1 << self.buckets_log2
    }

    /// Features of a text by bucket, each bucket once: 1 + ln(count), scaled to length 1.
    pub fn features(&self, text: &str) -> Vec<Feature> {
        let mut hashes = self.hashes(text);
        hashes.sort_unstable();
        let mut features: Vec<Feature> = Vec::with_capacity(hashes.len());
        for run in hashes.chunk_by(|a, b| a == b) {
            features.push((run[0], 1.0 + (run.len() as f32).ln()));
        }
        let length = features.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        for (_, value) in &mut features {
            *value /= length;
        }
        features
    }

    fn hashes(&self, text: &str) -> Vec<u32> {
        let lower = text.to_lowercase();
        let mask = (self.buckets() - 1) as u64;
        let mut hashes = Vec::with_capacity(lower.len() * 4);
        let mut earlier = [0u64; 2];
        for (index, word) in lower.unicode_words().take(MAX_WORDS).enumerate() {
            let own = hash(b'w', word.as_bytes());
            hashes.push((mix(own) & mask) as u32);
            let mut run = own;
            for before in earlier.iter().take(usize::from(self.words - 1).min(index)) {
                run = hash(b'+', &[run.to_le_bytes(), before.to_le_bytes()].concat());
                hashes.push((mix(run) & mask) as u32);
            }
            earlier = [own, earlier[0]];
            self.pieces(word, mask, &mut hashes);
        }
        hashes
    }

    /// Pieces of a word with its ends marked, so that a beginning is no middle.
    fn pieces(&self, word: &str, mask: u64, hashes: &mut Vec<u32>) {
        if self.shortest_piece == 0 {
            return;
        }
        let marked: String = std::iter::once('<').chain(word.chars().take(MAX_WORD_CHARACTERS)).chain(['>']).collect();
        let mut ends = [0usize; MAX_WORD_CHARACTERS + 3];
        let mut count = 0;
        for (at, _) in marked.char_indices() {
            ends[count] = at;
            count += 1;
        }
        ends[count] = marked.len();
        for from in 0..count {
            for length in usize::from(self.shortest_piece)..=usize::from(self.longest_piece) {
                if from + length <= count {
                    let piece = &marked.as_bytes()[ends[from]..ends[from + length]];
                    hashes.push((mix(hash(b'c', piece)) & mask) as u32);
                }
            }
        }
    }
}

/// FNV-1a, 64 bits, of a kind and its bytes.
pub(super) fn hash(kind: u8, bytes: &[u8]) -> u64 {
    let start = (0xcbf2_9ce4_8422_2325 ^ u64::from(kind)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(start, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads a hash over all its bits: FNV leaves the low ones alike for like endings.
pub(super) fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_marks_do_not_matter_but_order_of_words_does() {
        let shape = Shape::default();
        assert_eq!(shape.features("Привет, МИР!"), shape.features("привет мир"));
        assert_ne!(shape.features("dog bites man"), shape.features("man bites dog"));
        let single = Shape { words: 1, ..shape };
        assert_eq!(single.features("dog bites man"), single.features("man bites dog"));
    }

    #[test]
    fn a_text_without_words_has_no_features() {
        assert_eq!(Shape::default().features(" ...\n!"), []);
    }

    proptest! {
        #[test]
        fn any_text_gives_buckets_in_range_each_once_and_of_length_one(text in "\\PC{0,200}") {
            let shape = Shape { buckets_log2: 12, ..Shape::default() };
            let features = shape.features(&text);
            prop_assert!(features.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(features.iter().all(|(bucket, _)| (*bucket as usize) < shape.buckets()));
            let length: f32 = features.iter().map(|(_, value)| value * value).sum();
            prop_assert!(features.is_empty() || (length - 1.0).abs() < 1e-3);
        }
    }
}
