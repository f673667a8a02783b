//! One answer read beside its context: what the two models are told.
//!
//! The first model sees each sentence, with a little of its neighbours and of the whole;
//! the second sees the whole, with what the first made of the sentences.

use std::collections::HashSet;
use std::ops::Range;

use super::align::{Aligned, Mark};
use super::features::{FEATURES, View};
use super::lexicon::Lexicon;
use super::source::Source;
use super::text::{Sentence, Text};
use super::vocabulary::Vocabulary;

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'a> {
    /// The last question.
    pub(crate) question: &'a str,
    /// The answer.
    pub(crate) answer: &'a str,
    /// The context.
    pub(crate) passages: &'a [&'a str],
}

/// One answer read.
pub(crate) struct Reading {
    /// Sentences of the answer.
    pub(crate) sentences: Vec<Sentence>,
    /// For each sentence, what the first model is told.
    pub(crate) values: Vec<Vec<f32>>,
    /// Features of the whole.
    whole: Vec<f32>,
    /// Words of the context and the question.
    sizes: [f32; 2],
    /// The words of the answer.
    pub(crate) aligned: Aligned,
    /// Fingerprints of the stems of the answer's words.
    pub(crate) prints: Vec<u32>,
}

/// Features that a sentence is told of the sentences before and after it.
const NEIGHBOURS: [&str; 4] = ["recall_weighted", "in_runs_of_3", "novel_weight", "window_recall"];

/// Features that a sentence is told of the whole answer.
const AROUND: [&str; 5] = ["recall_weighted", "in_runs_of_3", "passage_recall", "novel_evidence_mean", "window_recall"];

/// Features whose highest value over the sentences the whole is told.
const HIGHEST: [&str; 6] =
    ["novel_weight", "novel_unlike", "novel_evidence", "numbers_novel", "pairs_loose", "novel_not_asked"];

/// Features whose lowest value over the sentences the whole is told.
const LOWEST: [&str; 5] =
    ["recall_weighted", "window_recall", "in_runs_of_3", "numbers_bound_least", "names_bound_least"];

/// What the whole is told of the first model's opinions.
const OPINIONS: [(&str, i8); 11] = [
    ("risk_highest", 1),
    ("risk_second", 1),
    ("risk_third", 1),
    ("risk_mean", 1),
    ("risk_mean_by_words", 1),
    ("risk_any", 1),
    ("risk_sum", 1),
    ("risk_lowest", 1),
    ("risk_half_share", 1),
    ("risk_last", 1),
    ("sentences", 0),
];

fn place(name: &str) -> usize {
    FEATURES.iter().position(|(own, _)| *own == name).unwrap_or(0)
}

/// Names and directions of what the first model is told.
pub(crate) fn sentence_features() -> Vec<(String, i8)> {
    let sign = |name: &str| FEATURES[place(name)].1;
    let mut all: Vec<(String, i8)> = FEATURES.iter().map(|(name, sign)| ((*name).to_owned(), *sign)).collect();
    for side in ["before", "after"] {
        all.extend(NEIGHBOURS.iter().map(|name| (format!("{side}.{name}"), 0)));
    }
    all.extend(AROUND.iter().map(|name| (format!("whole.{name}"), sign(name))));
    all
}

/// Names and directions of what the second model is told.
pub(crate) fn answer_features() -> Vec<(String, i8)> {
    let sign = |name: &str| FEATURES[place(name)].1;
    let mut all: Vec<(String, i8)> = FEATURES.iter().map(|(name, sign)| ((*name).to_owned(), *sign)).collect();
    all.extend(OPINIONS.iter().map(|(name, sign)| ((*name).to_owned(), *sign)));
    all.extend(HIGHEST.iter().map(|name| (format!("highest.{name}"), sign(name))));
    all.extend(LOWEST.iter().map(|name| (format!("lowest.{name}"), sign(name))));
    all.extend(["context_words", "question_words"].map(|name| (name.to_owned(), 0)));
    all
}

impl Reading {
    /// Reads; none where the answer or the context has no words.
    pub(crate) fn of(written: &Written, vocabulary: &Vocabulary) -> Option<Self> {
        let sample = if written.answer.len() > 80 { written.answer } else { written.passages.first()? };
        let mut lexicon = Lexicon::of(sample);
        let source = Source::of(written.passages.iter().copied(), &mut lexicon, vocabulary);
        let question = Text::cut(written.question, &mut lexicon);
        let asked: HashSet<u32> = question.tokens.iter().map(|token| token.stem).collect();
        let text = Text::cut(written.answer, &mut lexicon);
        if text.sentences.is_empty() || source.text.sentences.is_empty() {
            return None;
        }
        let aligned = Aligned::of(text, &asked, &source, &lexicon, vocabulary);
        let view = View { answer: written.answer, aligned: &aligned, source: &source, lexicon: &lexicon };
        let count = aligned.text.sentences.len();
        let whole = view.features(0..count);
        let own: Vec<Vec<f32>> = (0..count).map(|at| view.features(at..at + 1)).collect();
        let values = (0..count).map(|at| beside(&own, at, &whole)).collect();
        let sizes = [source.text.tokens.len() as f32, question.tokens.len() as f32];
        let prints = aligned.text.tokens.iter().map(|token| lexicon.print(token.stem)).collect();
        Some(Self { sentences: aligned.text.sentences.clone(), values, whole, sizes, aligned, prints })
    }

    /// What the second model is told, with the first one's risk of each sentence.
    pub(crate) fn answer_values(&self, risks: &[f32]) -> Vec<f32> {
        let mut values = self.whole.clone();
        let mut sorted = risks.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let count = risks.len() as f32;
        let sum: f32 = risks.iter().sum();
        let words = |at: usize| self.sentences[at].tokens.len() as f32;
        let by_words: f32 = risks.iter().enumerate().map(|(at, risk)| risk * words(at)).sum();
        let all_words: f32 = (0..risks.len()).map(words).sum();
        let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
        let none: f32 = risks.iter().map(|risk| 1.0 - risk).product();
        values.extend([at(0), at(1), at(2), sum / count, by_words / all_words, 1.0 - none, sum]);
        values.push(at(risks.len() - 1));
        values.push(risks.iter().filter(|risk| **risk > 0.5).count() as f32 / count);
        values.extend([risks[risks.len() - 1], count]);
        let column = |name: &str| {
            let place = place(name);
            self.values.iter().map(move |row| row[place])
        };
        values.extend(HIGHEST.iter().map(|name| column(name).fold(f32::NEG_INFINITY, f32::max)));
        values.extend(LOWEST.iter().map(|name| column(name).fold(f32::INFINITY, f32::min)));
        values.extend(self.sizes);
        values
    }

    /// What is known of the words of a sentence.
    pub(crate) fn marks(&self, sentence: usize) -> (Range<usize>, &[Mark]) {
        let tokens = self.sentences[sentence].tokens.clone();
        (tokens.clone(), &self.aligned.marks[tokens])
    }
}

fn beside(own: &[Vec<f32>], at: usize, whole: &[f32]) -> Vec<f32> {
    let mut values = own[at].clone();
    for other in [at.checked_sub(1), Some(at + 1)] {
        let row = other.and_then(|other| own.get(other));
        values.extend(NEIGHBOURS.iter().map(|name| row.map_or(-1.0, |row| row[place(name)])));
    }
    values.extend(AROUND.iter().map(|name| whole[place(name)]));
    values
}
