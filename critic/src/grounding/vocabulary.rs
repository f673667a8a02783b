//! What training learned of single words: how rare they are, and what it tells of a
//! sentence when one of them stands in the answer but not in the context.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What is known of words, by [`super::lexicon::fingerprint`] of their stems.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, f32, f32)>", into = "Vec<(u32, f32, f32)>")]
pub(crate) struct Vocabulary {
    words: HashMap<u32, (f32, f32)>,
}

/// Weight of a word that training never saw.
const RARE: f32 = 1.0;

impl Vocabulary {
    /// `(fingerprint, weight, evidence)` of each word.
    pub(crate) fn new(words: impl IntoIterator<Item = (u32, f32, f32)>) -> Self {
        Self { words: words.into_iter().map(|(print, weight, risk)| (print, (weight, risk))).collect() }
    }

    /// How much a word says: near 0 for one in every text, 1 for one that was never seen.
    pub(crate) fn weight(&self, print: u32) -> f32 {
        self.words.get(&print).map_or(RARE, |word| word.0)
    }

    /// Log-odds that the sentence has no support, where the word itself has none.
    pub(crate) fn risk(&self, print: u32) -> f32 {
        self.words.get(&print).map_or(0.0, |word| word.1)
    }
}

impl From<Vec<(u32, f32, f32)>> for Vocabulary {
    fn from(words: Vec<(u32, f32, f32)>) -> Self {
        Self::new(words)
    }
}

impl From<Vocabulary> for Vec<(u32, f32, f32)> {
    fn from(vocabulary: Vocabulary) -> Self {
        let mut words: Self = vocabulary.words.into_iter().map(|(print, word)| (print, word.0, word.1)).collect();
        words.sort_by_key(|word| word.0);
        words
    }
}
