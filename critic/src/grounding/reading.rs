//! One answer read beside its context: what the two models are told.
//!
//! The first model sees each sentence, with a little of its neighbours and of the whole;
//! the second sees what the first made of them, and what has no support in the whole.

use std::collections::HashSet;
use std::ops::Range;

use super::align::{Aligned, Mark};
use super::features::{FEATURES, View};
use super::lexicon::Lexicon;
use super::source::Source;
use super::text::{Sentence, Text};
use super::vocabulary::Vocabulary;
use super::wording;

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
    /// The words of the answer.
    pub(crate) aligned: Aligned,
    /// Fingerprints of the stems of the answer's words.
    pub(crate) prints: Vec<u32>,
    /// For each sentence, what the model of words is told.
    pub(crate) wording: Vec<Vec<u32>>,
}

/// Features that a sentence is told of the sentences before and after it.
const NEIGHBOURS: [&str; 4] = ["recall_weighted", "in_runs_of_3", "novel_weight", "window_recall"];

/// Features that a sentence is told of the whole answer.
const AROUND: [&str; 5] = ["recall_weighted", "in_runs_of_3", "passage_recall", "novel_evidence_mean", "window_recall"];

/// Names of what the model of the whole is told; more of it must not make an answer look better.
pub(crate) const ANSWER_FEATURES: [&str; 1] = ["hazard_log"];

/// Power of hazards: 1 is the chance that any sentence is bad, were they independent; a high one the worst alone.
const POWER: f32 = 1.5;

fn place(name: &str) -> usize {
    FEATURES.iter().position(|(own, _)| *own == name).unwrap_or(0)
}

/// Names and directions of what the first model is told.
pub(crate) fn sentence_features() -> Vec<(String, i8)> {
    let mut all: Vec<(String, i8)> = FEATURES.iter().map(|(name, sign)| ((*name).to_owned(), *sign)).collect();
    for side in ["before", "after"] {
        all.extend(NEIGHBOURS.iter().map(|name| (format!("{side}.{name}"), 0)));
    }
    all.extend(AROUND.iter().map(|name| (format!("whole.{name}"), 0)));
    all.extend(["sentences", "context_words", "question_words"].map(|name| (name.to_owned(), 0)));
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
        let sizes = [count as f32, source.text.tokens.len() as f32, question.tokens.len() as f32];
        let values = (0..count).map(|at| beside(&own, at, &whole, &sizes)).collect();
        let prints: Vec<u32> = aligned.text.tokens.iter().map(|token| lexicon.print(token.stem)).collect();
        let sentences = aligned.text.sentences.clone();
        let wording =
            sentences.iter().map(|sentence| wording::features(&aligned, &prints, sentence.tokens.clone())).collect();
        Some(Self { sentences, values, aligned, prints, wording })
    }

    /// What the model of the whole is told, with the risk of each sentence: hazards, `-ln(1 - risk)`,
    /// summed by a power above 1, so that one bad sentence says more than many a little doubtful.
    pub(crate) fn answer_values(risks: &[f32]) -> [f32; ANSWER_FEATURES.len()] {
        let hazard = |risk: &f32| (-(1.0 - risk.min(0.9999)).ln()).powf(POWER);
        [risks.iter().map(hazard).sum::<f32>().max(1e-6).ln()]
    }

    /// What is known of the words of a sentence.
    pub(crate) fn marks(&self, sentence: usize) -> (Range<usize>, &[Mark]) {
        let tokens = self.sentences[sentence].tokens.clone();
        (tokens.clone(), &self.aligned.marks[tokens])
    }
}

fn beside(own: &[Vec<f32>], at: usize, whole: &[f32], sizes: &[f32]) -> Vec<f32> {
    let mut values = own[at].clone();
    for other in [at.checked_sub(1), Some(at + 1)] {
        let row = other.and_then(|other| own.get(other));
        values.extend(NEIGHBOURS.iter().map(|name| row.map_or(-1.0, |row| row[place(name)])));
    }
    values.extend(AROUND.iter().map(|name| whole[place(name)]));
    values.extend(sizes);
    values
}
