//! Training of the grounding critic, on one processor in a minute.
//!
//! Two models: the first tells bad sentences, from labelled spans; the second tells bad
//! answers, from what the first said of their sentences when it had not seen them. All
//! splits are by group, so that no source text stands on both sides, and all that is drawn
//! comes from the seed: the same examples and settings give the same bytes.

mod boost;
pub mod perturb;
mod wording;

use std::collections::HashMap;
use std::ops::Range;

use boost::{Growth, Random, Rows, grow};
use perturb::Change;
use weir_stats::confusion::Confusion;
use weir_stats::ranking::{Scored, at_prior, auroc, tables};
use weir_stats::reliability::expected_calibration_error;

use super::lexicon::fingerprint;
use super::model::{Artefact, Card, FORMAT, Line, feature_names, risks};
use super::reading::{ANSWER_FEATURES, Reading, Written, sentence_features};
use super::trees::{Trees, probability};
use super::vocabulary::Vocabulary;
use super::wording::Wording;

/// An answer with what is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    /// Source text that it comes from: examples of one group stay on one side of a split.
    pub group: String,
    /// The question; empty where there was none.
    pub question: String,
    /// The context.
    pub passages: Vec<String>,
    /// The answer.
    pub answer: String,
    /// Whether something in it has no support.
    pub bad: bool,
    /// Bytes of the answer that have none, where they are known.
    pub spans: Vec<Range<usize>>,
}

/// How to train.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Share of bad answers for which scores and threshold are made.
    pub prevalence: f64,
    /// Names of the data, with licences, for the card.
    pub data: Vec<String>,
    /// Weight of answers made by changes, beside 1 for those that were given.
    pub perturbed: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, prevalence: 0.18, data: Vec::new(), perturbed: 0.3 }
    }
}

/// Parts of the examples that take turns at being judged by models that have not seen them.
const FOLDS: usize = 5;

/// Examples that training needs at least.
const MIN_EXAMPLES: usize = 40;

/// Trains. `progress` hears the share that is done. Errors say what the examples lack.
pub fn train(examples: &[Example], settings: &Settings, progress: &dyn Fn(f64)) -> Result<Artefact, String> {
    let bad = examples.iter().filter(|example| example.bad).count();
    if examples.len() < MIN_EXAMPLES || bad < MIN_EXAMPLES / 4 || examples.len() - bad < MIN_EXAMPLES / 4 {
        return Err(format!(
            "{} examples, {bad} of them bad: give at least {MIN_EXAMPLES}, and a quarter of either kind",
            examples.len()
        ));
    }
    let rows = perturbed(examples, settings);
    let blank = Vocabulary::default();
    let given: Vec<(&Row, Reading)> =
        rows.iter().filter(|row| row.change.is_none()).filter_map(|row| Some((row, row.read(&blank)?))).collect();
    progress(0.1);
    let vocabularies: Vec<Vocabulary> = (0..=FOLDS).map(|fold| vocabulary(&given, |row| row.fold != fold)).collect();
    let read = |row: &Row| row.read(&vocabularies[row.fold]);
    let readings: Vec<Option<Reading>> = rows.iter().map(read).collect();
    progress(0.3);
    let kept: Vec<(&Row, &Reading)> =
        rows.iter().zip(&readings).filter_map(|(row, r)| Some((row, r.as_ref()?))).collect();
    let (sentence, wording, risks) = sentences(&kept, settings, progress);
    let (answer, scored) = answers(&kept, &risks, settings.prevalence);
    let threshold = threshold(&scored, settings.prevalence);
    let sentence_threshold = span_threshold(&kept, &risks);
    let card = card(examples, rows.len(), settings, &scored, threshold);
    progress(1.0);
    Ok(Artefact {
        format: FORMAT.to_owned(),
        card,
        threshold,
        sentence_threshold,
        vocabulary: vocabularies.into_iter().next_back().unwrap_or_default(),
        sentence,
        wording,
        answer,
    })
}

/// An example to learn from, given or made.
struct Row {
    example: Example,
    fold: usize,
    change: Option<Change>,
    weight: f32,
}

impl Row {
    fn read(&self, vocabulary: &Vocabulary) -> Option<Reading> {
        let passages: Vec<&str> = self.example.passages.iter().map(String::as_str).collect();
        let Example { question, answer, .. } = &self.example;
        Reading::of(&Written { question, answer, passages: &passages }, vocabulary)
    }

    /// Whether the sentence says something that the example it was made from does not.
    fn teaches(&self, bad: bool, sentence: &Range<usize>) -> bool {
        match self.change {
            None => true,
            Some(Change::Neutral) => sentence.end + 2 > self.example.answer.len(),
            Some(Change::Context) => sentence.start.is_multiple_of(3),
            Some(_) => bad,
        }
    }

    /// Whether the bytes have a labelled span in them; unknown where there are no spans.
    fn labelled(&self, span: &Range<usize>) -> Option<bool> {
        let meets = |bad: &Range<usize>| {
            bad.start.max(span.start) + 2 < bad.end.min(span.end)
                || (bad.len() < 3 && bad.start < span.end && span.start < bad.end)
        };
        match (self.example.bad, self.example.spans.is_empty()) {
            (true, true) => None,
            _ => Some(self.example.spans.iter().any(meets)),
        }
    }
}

/// The fold of a group.
pub fn fold(group: &str, seed: u64) -> usize {
    Random::new(u64::from(fingerprint(group)) ^ seed).below(FOLDS)
}

/// The examples, and those that are made from them.
fn perturbed(examples: &[Example], settings: &Settings) -> Vec<Row> {
    let mut random = Random::new(settings.seed);
    let mut rows = Vec::new();
    for example in examples {
        let fold = fold(&example.group, settings.seed);
        rows.push(Row { example: example.clone(), fold, change: None, weight: 1.0 });
        if settings.perturbed <= 0.0 {
            continue;
        }
        for change in Change::ALL {
            let other = &examples[random.below(examples.len())];
            // Only what was good is known to be bad after a change.
            let fits = !example.bad || change == Change::Neutral;
            let changed = perturb::change(example, other, change, &mut random).filter(|_| fits);
            rows.extend(changed.map(|example| Row { example, fold, change: Some(change), weight: settings.perturbed }));
        }
    }
    rows
}

/// Texts that a word must stand in to be known.
const MIN_TEXTS: u32 = 5;

/// Sentences' worth of the average that a word's evidence is mixed with.
const PRIOR: f32 = 12.0;

/// What is known of words from the rows that `seen` lets through.
fn vocabulary(given: &[(&Row, Reading)], seen: impl Fn(&Row) -> bool) -> Vocabulary {
    let mut texts: HashMap<u32, u32> = HashMap::new();
    let mut evidence: HashMap<u32, [f32; 2]> = HashMap::new();
    let (mut all, mut totals) = (0u32, [0f32; 2]);
    for (row, reading) in given.iter().filter(|(row, _)| seen(row)) {
        all += 1;
        let mut prints = reading.prints.clone();
        prints.sort_unstable();
        prints.dedup();
        prints.iter().for_each(|print| *texts.entry(*print).or_insert(0) += 1);
        for (at, sentence) in reading.sentences.iter().enumerate() {
            let Some(bad) = row.labelled(&sentence.span) else { continue };
            let (tokens, marks) = reading.marks(at);
            for (token, mark) in tokens.zip(marks) {
                if mark.weight > 0.0 && !mark.present {
                    evidence.entry(reading.prints[token]).or_default()[usize::from(bad)] += 1.0;
                    totals[usize::from(bad)] += 1.0;
                }
            }
        }
    }
    let share = (totals[1] + 1.0) / (totals[0] + totals[1] + 2.0);
    let known = texts.into_iter().filter(|(_, count)| *count >= MIN_TEXTS);
    Vocabulary::new(known.map(|(print, count)| {
        let weight = ((all as f32 / count as f32).ln() / (all as f32 / MIN_TEXTS as f32).ln()).clamp(0.05, 1.0);
        let [good, bad] = evidence.get(&print).copied().unwrap_or_default();
        let odds = (bad + PRIOR * share) / (good + PRIOR * (1.0 - share));
        (print, rounded(weight), rounded((odds * (1.0 - share) / share).ln()))
    }))
}

fn rounded(value: f32) -> f32 {
    (value * 1000.0).round() / 1000.0
}

/// The models of sentences, and their risks of all sentences by models that had not seen them.
fn sentences(
    kept: &[(&Row, &Reading)],
    settings: &Settings,
    progress: &dyn Fn(f64),
) -> (Trees, Wording, Vec<Vec<f32>>) {
    let signs = sentence_features().iter().map(|(_, sign)| *sign).collect();
    let mut all = Table { signs, ..Table::default() };
    for (row, reading) in kept {
        for (at, sentence) in reading.sentences.iter().enumerate() {
            let Some(bad) = row.labelled(&sentence.span).filter(|bad| row.teaches(*bad, &sentence.span)) else {
                continue;
            };
            all.values.push(reading.values[at].clone());
            all.wording.push(reading.wording[at].clone());
            all.labels.push(f32::from(bad));
            all.weights.push(row.weight);
            all.folds.push(row.fold);
        }
    }
    let mut models = all.models(settings.seed, |done| progress(0.3 + 0.6 * done));
    let judged = kept.iter().map(|(row, reading)| risks(reading, &models[row.fold].0, &models[row.fold].1)).collect();
    let (trees, wording) = models.pop().unwrap_or_default();
    (trees, wording, judged)
}

/// Rows of the models of sentences.
#[derive(Default)]
struct Table {
    values: Vec<Vec<f32>>,
    wording: Vec<Vec<u32>>,
    labels: Vec<f32>,
    weights: Vec<f32>,
    folds: Vec<usize>,
    signs: Vec<i8>,
}

impl Table {
    /// Both models for each fold, which have not seen it, and last those that have seen all.
    fn models(&self, seed: u64, progress: impl Fn(f64)) -> Vec<(Trees, Wording)> {
        let growth =
            Growth { trees: 300, leaves: 24, rate: 0.04, least: 8.0, ridge: 4.0, rows: 0.7, features: 0.3, seed };
        let model = |fold: usize| {
            progress(fold as f64 / (FOLDS + 1) as f64);
            let weights =
                self.weights.iter().zip(&self.folds).map(|(weight, own)| if *own == fold { 0.0 } else { *weight });
            let weights: Vec<f32> = weights.collect();
            let rows = Rows { values: &self.values, labels: &self.labels, weights: &weights, signs: &self.signs };
            let words = wording::Rows { features: &self.wording, labels: &self.labels, weights: &weights, seed };
            (grow(&rows, &growth), wording::learn(&words))
        };
        (0..=FOLDS).map(model).collect()
    }
}

/// Numbers of the regression: weights, and what is added.
const NUMBERS: usize = ANSWER_FEATURES.len() + 1;

/// The model of answers: logistic regression on the given ones at the prevalence, weights
/// held at 0 or above; and the scores of those answers, by sentences' models that had not seen them.
fn answers(kept: &[(&Row, &Reading)], risks: &[Vec<f32>], prevalence: f64) -> (Line, Vec<Scored>) {
    let given: Vec<([f32; ANSWER_FEATURES.len()], &Example)> = kept
        .iter()
        .zip(risks)
        .filter(|((row, _), _)| row.change.is_none())
        .map(|((row, _), risks)| (Reading::answer_values(risks), &row.example))
        .collect();
    let bad = given.iter().filter(|(_, example)| example.bad).count() as f64;
    let good = given.len() as f64 - bad;
    let weight = |is: bool| if is { prevalence / bad } else { (1.0 - prevalence) / good };
    let mut line = Line::default();
    for _ in 0..STEPS {
        let mut slopes = [0.0f64; NUMBERS];
        let mut curves = [1e-6f64; NUMBERS];
        for (values, example) in &given {
            let p = f64::from(probability(line.margin(values)));
            let own = weight(example.bad);
            let (error, curve) = (own * (p - f64::from(u8::from(example.bad))), own * p * (1.0 - p));
            for (at, value) in values.iter().copied().chain([1.0]).map(f64::from).enumerate() {
                slopes[at] += error * value;
                // Bounds the curvature of all together, so that no step goes too far.
                curves[at] += NUMBERS as f64 * curve * value * value;
            }
        }
        for (at, own) in line.weights.iter_mut().enumerate() {
            *own = (*own - (slopes[at] / curves[at]) as f32).max(0.0);
        }
        line.offset -= (slopes[NUMBERS - 1] / curves[NUMBERS - 1]) as f32;
    }
    let scored = given.iter().map(|(values, example)| Scored {
        score: f64::from(probability(line.margin(values))),
        bad: example.bad,
        weight: 1.0,
        group: fingerprint(&example.group),
    });
    (line, scored.collect())
}

/// Steps of the regression: so few numbers settle in far fewer.
const STEPS: usize = 400;

/// The risk from which a sentence is named: highest F1 over characters of bad answers and good.
fn span_threshold(kept: &[(&Row, &Reading)], risks: &[Vec<f32>]) -> f64 {
    let at = |threshold: f32| {
        let (mut found, mut named, mut labelled) = (0, 0, 0);
        for ((row, reading), risks) in kept.iter().zip(risks).filter(|((row, _), _)| row.change.is_none()) {
            labelled += row.example.spans.iter().map(Range::len).sum::<usize>();
            for (sentence, _) in reading.sentences.iter().zip(risks).filter(|(_, risk)| **risk >= threshold) {
                named += sentence.span.len();
                found += row.example.spans.iter().map(|bad| overlap(bad, &sentence.span)).sum::<usize>();
            }
        }
        2.0 * found as f64 / (named + labelled).max(1) as f64
    };
    let best = (2..19).map(|step| step as f32 / 20.0).max_by(|a, b| at(*a).total_cmp(&at(*b)));
    f64::from(best.unwrap_or(0.5))
}

/// Bytes in both.
fn overlap(a: &Range<usize>, b: &Range<usize>) -> usize {
    a.end.min(b.end).saturating_sub(a.start.max(b.start))
}

/// The threshold of highest F1 as if `prevalence` of all were bad: the mean of all
/// thresholds within .005 of the best, since the peak itself is chance.
fn threshold(scored: &[Scored], prevalence: f64) -> f64 {
    let all = tables(&at_prior(scored, prevalence).unwrap_or_default());
    let f1 = |table: &Confusion| table.f1().unwrap_or(0.0);
    let best = all.iter().map(|(_, table)| f1(table)).fold(0.0, f64::max);
    let near: Vec<f64> =
        all.iter().filter(|(at, table)| at.is_finite() && f1(table) >= best - 0.005).map(|(at, _)| *at).collect();
    near.iter().sum::<f64>() / near.len().max(1) as f64
}

fn card(examples: &[Example], rows: usize, settings: &Settings, scored: &[Scored], threshold: f64) -> Card {
    let as_if = at_prior(scored, settings.prevalence).unwrap_or_default();
    let f1 = |cases: &[Scored]| {
        let mut table = Confusion::default();
        cases.iter().for_each(|case| table.add(case.score >= threshold, case.bad, case.weight));
        table.f1()
    };
    let figures = [
        ("auroc", auroc(scored)),
        ("f1_as_given", f1(scored)),
        ("f1_at_prevalence", f1(&as_if)),
        ("calibration_error_at_prevalence", expected_calibration_error(&as_if, 10)),
    ];
    Card {
        data: settings.data.clone(),
        answers: (examples.len(), examples.iter().filter(|example| example.bad).count()),
        perturbed: rows - examples.len(),
        seed: settings.seed,
        prevalence: settings.prevalence,
        features: feature_names(),
        measured: figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
    }
}
