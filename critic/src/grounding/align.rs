//! The answer laid beside the context: what each of its words has for support.

use std::collections::HashSet;

use super::lexicon::{Lexicon, class};
use super::source::{MAX_PLACES, Source, negated, weight};
use super::text::{Text, Token};
use super::vocabulary::Vocabulary;

/// What is known of one token of the answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    /// What it says: 0 for a function word.
    pub(crate) weight: f32,
    /// Length in words of the longest run, shared with the context, that it stands in.
    pub(crate) run: u16,
    /// Whether its stem, or its value, is in the context.
    pub(crate) present: bool,
    /// Whether the question has it.
    pub(crate) asked: bool,
    /// Whether the answer had it before.
    pub(crate) repeated: bool,
    /// Likeness of the likest word of the context: 1 where it is present.
    pub(crate) near: f32,
    /// For numbers and names: the share of the words around it that stand around it in the context too.
    pub(crate) bound: Option<f32>,
    /// Evidence of the vocabulary, where it is not present.
    pub(crate) risk: f32,
    /// It is a number.
    pub(crate) number: bool,
    /// It is a name.
    pub(crate) name: bool,
    /// Negated here and nowhere in the context.
    pub(crate) denied: bool,
    /// Negated wherever the context has it, and not here.
    pub(crate) affirmed: bool,
}

/// An answer beside its context.
pub(crate) struct Aligned {
    pub(crate) text: Text,
    /// One for each token.
    pub(crate) marks: Vec<Mark>,
}

/// Words around a number or name, each side, that should stand around it in the context.
const AROUND: usize = 8;

/// Words each side in the context where they are looked for.
const WITHIN: usize = 14;

impl Aligned {
    /// Lays `text`, an answer to a question of these stems, beside the context.
    pub(crate) fn of(
        text: Text,
        asked: &HashSet<u32>,
        source: &Source,
        lexicon: &Lexicon,
        vocabulary: &Vocabulary,
    ) -> Self {
        let runs = runs(&text, source);
        let mut marks = vec![Mark::default(); text.tokens.len()];
        let mut earlier = HashSet::new();
        for sentence in &text.sentences {
            for at in sentence.tokens.clone() {
                let token = &text.tokens[at];
                let mark = &mut marks[at];
                mark.weight = weight(token, lexicon, vocabulary);
                mark.run = runs[at];
                mark.asked = asked.contains(&token.stem);
                mark.repeated = earlier.contains(&token.stem);
                present(mark, token, source, lexicon, vocabulary);
            }
            earlier.extend(text.tokens[sentence.tokens.clone()].iter().map(|token| token.stem));
        }
        let mut aligned = Self { text, marks };
        aligned.bind(source);
        aligned.negate(source, lexicon);
        aligned
    }

    fn bind(&mut self, source: &Source) {
        for sentence in &self.text.sentences {
            for at in sentence.tokens.clone() {
                let mark = &self.marks[at];
                if mark.present && (mark.number || mark.name) {
                    self.marks[at].bound = bound(at, sentence.tokens.clone(), self, source);
                }
            }
        }
    }

    fn negate(&mut self, source: &Source, lexicon: &Lexicon) {
        for sentence in &self.text.sentences {
            for at in sentence.tokens.clone() {
                if self.marks[at].weight <= 0.0 || !self.marks[at].present {
                    continue;
                }
                let here = negated(&self.text.tokens[sentence.tokens.start..at], lexicon);
                let places = source.places(self.text.tokens[at].stem);
                let there = places.iter().filter(|&&place| source.negated(place as usize, lexicon)).count();
                self.marks[at].denied = here && there == 0;
                self.marks[at].affirmed = !here && !places.is_empty() && there == places.len();
            }
        }
    }
}

fn present(mark: &mut Mark, token: &Token, source: &Source, lexicon: &Lexicon, vocabulary: &Vocabulary) {
    let word = lexicon.get(token.word);
    let number = word.number;
    mark.number = number.is_some();
    mark.name = token.name && !mark.number;
    mark.present = !source.places(token.stem).is_empty() || number.is_some_and(|bits| source.has_number(bits));
    mark.near = if mark.present { 1.0 } else { 0.0 };
    if !mark.present && mark.weight > 0.0 {
        mark.near = if word.digits { 0.0 } else { source.nearest(token.word, lexicon) };
        mark.risk = vocabulary.risk(lexicon.print(token.stem));
    }
    if word.class & class::STOP != 0 {
        mark.weight = 0.0;
    }
}

/// For each token, the longest run of stems around it that the context has too.
fn runs(text: &Text, source: &Source) -> Vec<u16> {
    let theirs = &source.text.tokens;
    let mut runs = vec![0u16; text.tokens.len()];
    for sentence in &text.sentences {
        let ours = &text.tokens[sentence.tokens.clone()];
        for (at, token) in ours.iter().enumerate() {
            let length = |place: &u32| {
                let rest = theirs[*place as usize..].iter().zip(&ours[at..]);
                rest.take_while(|(a, b)| a.stem == b.stem).count()
            };
            let longest = source.places(token.stem).iter().take(MAX_PLACES).map(length).max().unwrap_or(0);
            for run in &mut runs[sentence.tokens.start + at..sentence.tokens.start + at + longest] {
                *run = (*run).max(longest as u16);
            }
        }
    }
    runs
}

/// Share of the words around a token that stand around it somewhere in the context.
fn bound(at: usize, sentence: std::ops::Range<usize>, aligned: &Aligned, source: &Source) -> Option<f32> {
    let tokens = &aligned.text.tokens;
    let around = at.saturating_sub(AROUND).max(sentence.start)..(at + AROUND + 1).min(sentence.end);
    let around: Vec<(u32, f32)> = around
        .filter(|&other| other != at && aligned.marks[other].weight > 0.0)
        .map(|other| (tokens[other].stem, aligned.marks[other].weight))
        .collect();
    let total: f32 = around.iter().map(|(_, weight)| weight).sum();
    if total <= 0.0 {
        return None;
    }
    let share = |place: &u32| {
        let place = *place as usize;
        let there =
            &source.text.tokens[place.saturating_sub(WITHIN)..(place + WITHIN + 1).min(source.text.tokens.len())];
        let held = around.iter().filter(|(stem, _)| there.iter().any(|token| token.stem == *stem));
        held.map(|(_, weight)| weight).sum::<f32>() / total
    };
    source.places(tokens[at].stem).iter().map(share).reduce(f32::max)
}
