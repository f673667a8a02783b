//! What a model is told of one sentence of an answer, or of the whole of it.
//!
//! Each feature has a name, for the model's card, and a direction: +1 where more of it must
//! never make the text look better supported, -1 where it must never make it look worse, 0
//! where training decides. Directions keep a model from learning a shortcut the wrong way; each
//! costs a little, so that they are given to what nobody would forgive: numbers, names, new words.

use std::collections::HashSet;
use std::ops::Range;

use super::align::{Aligned, Mark};
use super::lexicon::{Lexicon, class};
use super::source::Source;

/// Names and directions, in the order of the values.
pub(crate) const FEATURES: [(&str, i8); 61] = [
    ("words", 0),
    ("content_words", 0),
    ("content_weight", 0),
    ("recall_weighted", -1),
    ("recall_counted", 0),
    ("recall_near", 0),
    ("novel_words", 1),
    ("novel_weight", 1),
    ("novel_weight_most", 0),
    ("novel_not_asked", 0),
    ("novel_unlike", 0),
    ("novel_near_mean", 0),
    ("novel_repeated", 0),
    ("novel_evidence", 0),
    ("novel_evidence_most", 0),
    ("novel_evidence_mean", 0),
    ("stems_present", 0),
    ("in_runs_of_2", 0),
    ("in_runs_of_3", 0),
    ("in_runs_of_4", 0),
    ("in_runs_of_6", 0),
    ("longest_run", 0),
    ("longest_run_share", 0),
    ("sentence_recall", 0),
    ("window_recall", 0),
    ("window_lack", 0),
    ("passage_recall", 0),
    ("passage_lack", 0),
    ("passage_second", 0),
    ("sentence_share", 0),
    ("cited_lack", 0),
    ("numbers", 0),
    ("numbers_novel", 1),
    ("numbers_novel_not_asked", 1),
    ("numbers_bound_least", -1),
    ("names", 0),
    ("names_novel", 1),
    ("names_novel_not_asked", 1),
    ("names_bound_least", -1),
    ("anchors_loose", 0),
    ("negations", 0),
    ("denied", 1),
    ("affirmed", 1),
    ("pairs_loose", 0),
    ("pairs_loose_share", 0),
    ("asked_share", 0),
    ("asked_only", 0),
    ("hedges", 0),
    ("about_context", 0),
    ("lacking", 0),
    ("opener", 0),
    ("courtesy", 0),
    ("addressed", 0),
    ("item", 0),
    ("heading", 0),
    ("unended", 0),
    ("position", 0),
    ("sentences_after", 0),
    ("loose_stretch", 0),
    ("novel_within_8", 0),
    ("tail_recall", 0),
];

/// What of a text is looked at.
pub(crate) struct View<'a> {
    /// The answer's text.
    pub(crate) answer: &'a str,
    /// The answer beside its context.
    pub(crate) aligned: &'a Aligned,
    /// The context.
    pub(crate) source: &'a Source,
    /// Their words.
    pub(crate) lexicon: &'a Lexicon,
}

impl View<'_> {
    /// Values for the sentences of that range.
    pub(crate) fn features(&self, sentences: Range<usize>) -> Vec<f32> {
        let text = &self.aligned.text;
        let tokens = text.sentences[sentences.start].tokens.start..text.sentences[sentences.end - 1].tokens.end;
        let marks = &self.aligned.marks[tokens.clone()];
        let mut values = Vec::with_capacity(FEATURES.len());
        novelty(marks, &mut values);
        runs(marks, &mut values);
        self.places(tokens.clone(), &mut values);
        anchors(marks, &mut values);
        self.statements(tokens.clone(), &mut values);
        self.manner(sentences, tokens, &mut values);
        stretches(marks, &mut values);
        values
    }

    /// Where in the context the words stand together.
    fn places(&self, tokens: Range<usize>, values: &mut Vec<f32>) {
        let sentences = self.source.text.sentences.len();
        let mut alone = vec![0f32; sentences + 1];
        let mut window = vec![0f32; sentences + 1];
        let mut passage = vec![0f32; self.source.passages + 1];
        let mut total = 0.0;
        let mut seen = HashSet::new();
        for at in tokens.clone() {
            let (token, mark) = (&self.aligned.text.tokens[at], &self.aligned.marks[at]);
            if mark.weight <= 0.0 || !seen.insert(token.stem) {
                continue;
            }
            total += mark.weight;
            self.spread(token.stem, mark.weight, &mut alone, &mut window, &mut passage);
        }
        let best = |of: &[f32]| of.iter().copied().fold(0.0, f32::max);
        let share = |part: f32| if total > 0.0 { part / total } else { 1.0 };
        let present: f32 =
            share(best_total(&self.aligned.marks[tokens.clone()], &self.aligned.text.tokens[tokens.clone()]));
        let (one, two, of_passage) = (share(best(&alone)), share(best(&window)), share(best(&passage)));
        let mut others = passage.clone();
        others.sort_by(|a, b| b.total_cmp(a));
        let place = alone.iter().position(|&sum| sum == best(&alone)).unwrap_or(0);
        let theirs = self.source.weights.get(place).copied().unwrap_or(0.0);
        values.extend([one, two, present - two, of_passage, present - of_passage]);
        values.push(share(others.get(1).copied().unwrap_or(0.0)));
        values.push(if theirs > 0.0 { (best(&alone) / theirs).min(1.0) } else { 0.0 });
        values.push(
            self.cited(tokens).map_or(0.0, |cited| of_passage - share(passage.get(cited).copied().unwrap_or(0.0))),
        );
    }

    fn spread(&self, stem: u32, weight: f32, alone: &mut [f32], window: &mut [f32], passage: &mut [f32]) {
        let (mut last, mut last_window, mut passages) = (usize::MAX, usize::MAX, Vec::new());
        for &place in self.source.places(stem) {
            let sentence = self.source.sentence_of[place as usize] as usize;
            if sentence == last {
                continue;
            }
            last = sentence;
            alone[sentence] += weight;
            // A window is a sentence and the next; both that hold this sentence have the word.
            for start in [sentence.checked_sub(1), Some(sentence)].into_iter().flatten() {
                if last_window == usize::MAX || start > last_window {
                    window[start] += weight;
                    last_window = start;
                }
            }
            let of = self.source.text.sentences[sentence].passage;
            if !passages.contains(&of) {
                passages.push(of);
                passage[of] += weight;
            }
        }
    }

    /// The passage that the text names ("passage 2").
    fn cited(&self, tokens: Range<usize>) -> Option<usize> {
        let tokens = &self.aligned.text.tokens[tokens];
        tokens.windows(2).find_map(|pair| {
            let word = &self.answer[pair[0].start..pair[0].end];
            let number = self.answer[pair[1].start..pair[1].end].parse().ok()?;
            (word.eq_ignore_ascii_case("passage") && (1..=self.source.passages).contains(&number)).then_some(number)
        })
    }

    /// Negations, and neighbours that the context does not have together.
    fn statements(&self, tokens: Range<usize>, values: &mut Vec<f32>) {
        let marks = &self.aligned.marks[tokens.clone()];
        let negations = self.count(tokens.clone(), class::NEGATION);
        let denied = marks.iter().filter(|mark| mark.denied).count();
        let affirmed = marks.iter().filter(|mark| mark.affirmed).count();
        let (mut pairs, mut loose, mut before) = (0, 0, None);
        for at in tokens.filter(|&at| self.aligned.marks[at].weight > 0.0) {
            let present = self.aligned.marks[at].present;
            if let Some(other) = before.filter(|_| present) {
                pairs += 1;
                loose += usize::from(!self.together(other, at));
            }
            before = present.then_some(at);
        }
        values.extend([negations, denied as f32, affirmed as f32, loose as f32]);
        values.push(loose as f32 / (pairs as f32).max(1.0));
    }

    /// Whether two words of the answer stand near each other somewhere in the context.
    fn together(&self, a: usize, b: usize) -> bool {
        let stems = [a, b].map(|at| self.aligned.text.tokens[at].stem);
        let [first, second] = stems.map(|stem| self.source.places(stem));
        first.iter().any(|&a| second.iter().any(|&b| a.abs_diff(b) <= NEAR))
    }

    fn count(&self, tokens: Range<usize>, class: u8) -> f32 {
        let of = |token: &&super::text::Token| self.lexicon.get(token.word).class & class != 0;
        self.aligned.text.tokens[tokens].iter().filter(of).count() as f32
    }

    /// What kind of sentence it is.
    fn manner(&self, sentences: Range<usize>, tokens: Range<usize>, values: &mut Vec<f32>) {
        let marks = &self.aligned.marks[tokens.clone()];
        let content = marks.iter().filter(|mark| mark.weight > 0.0).count() as f32;
        let asked = marks.iter().filter(|mark| mark.weight > 0.0 && mark.asked);
        values.push(asked.clone().count() as f32 / content.max(1.0));
        values.push(asked.filter(|mark| !mark.present).count() as f32);
        for class in [class::HEDGE, class::ABOUT, class::LACKING] {
            values.push(self.count(tokens.clone(), class));
        }
        values.push(self.count(tokens.start..(tokens.start + 3).min(tokens.end), class::OPENER));
        values.push(self.count(tokens.clone(), class::COURTESY) / (tokens.len() as f32).max(1.0));
        let spoken = |at: &usize| ADDRESSED.contains(&self.answer[self.span(*at)].to_lowercase().as_str());
        values.push(tokens.filter(spoken).count() as f32);
        let all = &self.aligned.text.sentences;
        let own = &all[sentences.clone()];
        let ends = |ends: &[char]| own.iter().filter(|s| self.answer[s.span.clone()].ends_with(ends)).count() as f32;
        let count = own.len() as f32;
        values.push(own.iter().filter(|sentence| sentence.item).count() as f32 / count);
        values.push(ends(&[':']) / count);
        values.push(1.0 - ends(&['.', '!', '?', ':', ')', '"', '…', '»']) / count);
        values.push(sentences.start as f32 / all.len() as f32);
        values.push((all.len() - sentences.end) as f32);
    }

    fn span(&self, token: usize) -> Range<usize> {
        let token = &self.aligned.text.tokens[token];
        token.start..token.end
    }
}

/// Words of the context between two that belong together.
const NEAR: u32 = 12;

/// Words that speak of or to the reader.
const ADDRESSED: [&str; 8] = ["i", "you", "your", "we", "я", "вы", "вам", "вас"];

/// Weight of the distinct stems that the context has.
fn best_total(marks: &[Mark], tokens: &[super::text::Token]) -> f32 {
    let mut seen = HashSet::new();
    let present =
        marks.iter().zip(tokens).filter(|(mark, token)| mark.present && mark.weight > 0.0 && seen.insert(token.stem));
    present.map(|(mark, _)| mark.weight).sum()
}

fn novelty(marks: &[Mark], values: &mut Vec<f32>) {
    let content: Vec<&Mark> = marks.iter().filter(|mark| mark.weight > 0.0).collect();
    let novel: Vec<&&Mark> = content.iter().filter(|mark| !mark.present).collect();
    let total: f32 = content.iter().map(|mark| mark.weight).sum();
    let share = |part: f32, all: f32| if all > 0.0 { part / all } else { 1.0 };
    let lost: f32 = novel.iter().map(|mark| mark.weight).sum();
    let near: f32 = content.iter().map(|mark| mark.weight * if mark.near > 0.45 { mark.near } else { 0.0 }).sum();
    let count = novel.len() as f32;
    let mean = |sum: f32| if novel.is_empty() { 0.0 } else { sum / count };
    let risk: f32 = novel.iter().map(|mark| mark.risk).sum();
    values.extend([marks.len() as f32, content.len() as f32, total]);
    values.extend([share(total - lost, total), share(content.len() as f32 - count, content.len() as f32)]);
    values.extend([share(near, total), count, lost]);
    values.push(novel.iter().map(|mark| mark.weight).fold(0.0, f32::max));
    values.push(novel.iter().filter(|mark| !mark.asked).count() as f32);
    values.push(novel.iter().filter(|mark| !mark.asked && mark.near < 0.5).count() as f32);
    values.push(if novel.is_empty() { 1.0 } else { mean(novel.iter().map(|mark| mark.near).sum()) });
    values.push(mean(novel.iter().filter(|mark| mark.repeated).count() as f32));
    values.extend([risk, novel.iter().map(|mark| mark.risk).fold(-1.0, f32::max), mean(risk)]);
}

fn runs(marks: &[Mark], values: &mut Vec<f32>) {
    let all = (marks.len() as f32).max(1.0);
    let least = |least: u16| marks.iter().filter(|mark| mark.run >= least).count() as f32 / all;
    let longest = f32::from(marks.iter().map(|mark| mark.run).max().unwrap_or(0));
    values.extend([least(1), least(2), least(3), least(4), least(6), longest, longest / all]);
}

/// What is bad in a part of a sentence: most often its end was added.
fn stretches(marks: &[Mark], values: &mut Vec<f32>) {
    let (mut longest, mut now) = (0, 0);
    for mark in marks {
        now = if mark.run < 3 { now + 1 } else { 0 };
        longest = longest.max(now);
    }
    let lost = |mark: &Mark| if mark.present { 0.0 } else { mark.weight };
    let within = marks.windows(marks.len().clamp(1, 8)).map(|near| near.iter().map(lost).sum::<f32>());
    let tail = &marks[marks.len() * 2 / 3..];
    let said: f32 = tail.iter().map(|mark| mark.weight).sum();
    let tail_lost: f32 = tail.iter().map(lost).sum();
    values.extend([longest as f32, within.fold(0.0, f32::max)]);
    values.push(if said > 0.0 { 1.0 - tail_lost / said } else { 1.0 });
}

fn anchors(marks: &[Mark], values: &mut Vec<f32>) {
    let mut kind = |is: fn(&Mark) -> bool| {
        let own: Vec<&Mark> = marks.iter().filter(|mark| is(mark)).collect();
        let novel = own.iter().filter(|mark| !mark.present);
        let fresh = novel.clone().filter(|mark| !mark.asked).count();
        let least = own.iter().filter_map(|mark| mark.bound).fold(1.0, f32::min);
        values.extend([own.len() as f32, novel.count() as f32, fresh as f32, least]);
    };
    kind(|mark| mark.number);
    kind(|mark| mark.name);
    values.push(marks.iter().filter(|mark| mark.bound.is_some_and(|bound| bound < 0.34)).count() as f32);
}
