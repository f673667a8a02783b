//! The context, prepared so that an answer can be laid beside it.

use std::collections::HashSet;

use super::lexicon::{Lexicon, class};
use super::text::{MAX_TOKENS, Text, Token};
use super::vocabulary::Vocabulary;

/// The context of one case.
pub(crate) struct Source {
    /// Tokens and sentences of all passages.
    pub(crate) text: Text,
    /// Sentence of each token.
    pub(crate) sentence_of: Vec<u32>,
    /// Places of each stem, by its number in the lexicon when the context was read.
    places: Vec<Vec<u32>>,
    /// Values of numbers.
    numbers: HashSet<u64>,
    /// Distinct words that carry content, to find words like them.
    content: Vec<u32>,
    /// Weight of content in each sentence.
    pub(crate) weights: Vec<f32>,
    /// Passages, at least one.
    pub(crate) passages: usize,
}

/// Words of the context that a word is compared with to find one like it.
const MAX_CONTENT: usize = 2048;

/// Places of a stem that are looked at: more of them tell nothing new.
pub(crate) const MAX_PLACES: usize = 48;

/// What a token weighs: nothing for function words.
pub(crate) fn weight(token: &Token, lexicon: &Lexicon, vocabulary: &Vocabulary) -> f32 {
    let word = lexicon.get(token.word);
    match word.class & class::STOP != 0 {
        true => 0.0,
        false => vocabulary.weight(lexicon.print(token.stem)),
    }
}

impl Source {
    /// Prepares the passages, in order, as far as [`MAX_TOKENS`] words.
    pub(crate) fn of<'a>(
        passages: impl Iterator<Item = &'a str>,
        lexicon: &mut Lexicon,
        vocabulary: &Vocabulary,
    ) -> Self {
        let mut text = Text::default();
        for (index, passage) in passages.enumerate() {
            text.add(passage, index + 1, lexicon);
            if text.tokens.len() >= MAX_TOKENS {
                break;
            }
        }
        let mut source = Self {
            sentence_of: vec![0; text.tokens.len()],
            places: vec![Vec::new(); lexicon.stems()],
            numbers: HashSet::new(),
            content: Vec::new(),
            weights: Vec::new(),
            passages: text.sentences.iter().map(|s| s.passage).max().unwrap_or(1).max(1),
            text,
        };
        source.index(lexicon, vocabulary);
        source
    }

    fn index(&mut self, lexicon: &Lexicon, vocabulary: &Vocabulary) {
        let mut seen = HashSet::new();
        for (index, sentence) in self.text.sentences.iter().enumerate() {
            let mut total = 0.0;
            for at in sentence.tokens.clone() {
                let token = &self.text.tokens[at];
                let word = lexicon.get(token.word);
                self.sentence_of[at] = index as u32;
                let places = &mut self.places[token.stem as usize];
                if places.len() < MAX_PLACES {
                    places.push(at as u32);
                }
                self.numbers.extend(word.number);
                let own = weight(token, lexicon, vocabulary);
                total += own;
                if own > 0.0 && self.content.len() < MAX_CONTENT && seen.insert(token.word) {
                    self.content.push(token.word);
                }
            }
            self.weights.push(total);
        }
    }

    /// Places of a stem.
    pub(crate) fn places(&self, stem: u32) -> &[u32] {
        self.places.get(stem as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the context has that number, in digits or in words.
    pub(crate) fn has_number(&self, bits: u64) -> bool {
        self.numbers.contains(&bits)
    }

    /// Likeness of the likest word of the context.
    pub(crate) fn nearest(&self, word: u32, lexicon: &Lexicon) -> f32 {
        let trigrams = &lexicon.get(word).trigrams;
        let of = |other: &u32| super::lexicon::likeness(trigrams, &lexicon.get(*other).trigrams);
        self.content.iter().map(of).fold(0.0, f32::max)
    }

    /// Whether a negation stands within four words before the token, in its sentence.
    pub(crate) fn negated(&self, at: usize, lexicon: &Lexicon) -> bool {
        let sentence = &self.text.sentences[self.sentence_of[at] as usize];
        negated(&self.text.tokens[sentence.tokens.start..at], lexicon)
    }
}

/// Words before a word in which a negation concerns it.
const REACH: usize = 4;

/// Whether a negation stands near the end of these tokens.
pub(crate) fn negated(before: &[Token], lexicon: &Lexicon) -> bool {
    before.iter().rev().take(REACH).any(|token| lexicon.get(token.word).class & class::NEGATION != 0)
}
