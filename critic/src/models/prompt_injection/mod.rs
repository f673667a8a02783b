//! Attempts to take over the LLM: in what the user says, and in what was retrieved or returned by tools.
//!
//! A user's turn is judged by a grammar of phrases and by marks of chat markup and hiding. A
//! passage is judged sentence by sentence, by the grammar and by a classifier that knows
//! sentences of documents from sentences that tell a machine what to do.
//! What it reaches per family of attack is in `critic/docs/prompt_injection.md`.

mod structure;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::classify::Artefact;
use crate::classify::phrases::{Hit, Phrases, probability};
use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Role, Skip};

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::read(include_str!("../../../models/injection_phrases.txt"))
        .expect("a test reads the grammar that is shipped")
});
static INSTRUCTIONS: LazyLock<Artefact> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../models/passage_instructions.weircls");
    Artefact::read(bytes).expect("a test reads the classifier that is shipped")
});

/// Bytes of one text that are judged; what follows is judged in no part, so keep passages shorter.
const MAX_BYTES: usize = 256 << 10;

/// Bytes of one sentence: what has no ends is cut.
const MAX_SENTENCE_BYTES: usize = 1_000;

/// Words that make a sentence.
const SHORTEST_SENTENCE: usize = 4;

/// What is judged, and how strictly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Texts that are judged.
    pub judge: Vec<Side>,
    /// Score from which a user's turn is an attempt, over 0 to 1.
    pub threshold: f64,
    /// Score from which a sentence of a passage is an attempt, over 0 to 1.
    pub passage_threshold: f64,
}

/// A side that attempts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The last thing that the user said.
    Question,
    /// Retrieved passages and results of tools.
    Context,
}

/// The critic.
#[derive(Debug)]
pub struct PromptInjection {
    config: Config,
    version: String,
}

/// How sure a text makes, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suspicion {
    /// Probability that it is an attempt.
    pub score: f64,
    /// Family of the strongest witness.
    pub family: &'static str,
    /// Bytes of the strongest witness.
    pub start: usize,
    /// Byte after it.
    pub end: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { judge: vec![Side::Question, Side::Context], threshold: 0.7, passage_threshold: 0.8 }
    }
}

impl Config {
    /// What is wrong with the values, found without reading files.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.judge.is_empty() {
            faults.push(Fault::new("judge", "is empty, nothing would be judged", "name `question` or `context`"));
        }
        for (key, value) in [("threshold", self.threshold), ("passage_threshold", self.passage_threshold)] {
            if !(value > 0.0 && value <= 1.0) {
                faults.push(Fault::new(key, format!("is {value}"), "give a score over 0 and at most 1"));
            }
        }
        faults
    }
}

impl PromptInjection {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        let version = format!("prompt_injection-1-{}", &INSTRUCTIONS.checksum()[..12]);
        Self { config, version }
    }

    /// How much a user's turn looks like an attempt.
    pub fn question(&self, text: &str) -> Suspicion {
        let text = &text[..floor(text, MAX_BYTES)];
        let mut hits = PHRASES.find(text);
        // Users tell the machine what to do: that is no attempt.
        hits.retain(|hit| family(hit) != "machine");
        suspicion(&hits, &structure::marks(text, &PHRASES))
    }

    /// How much a passage looks like one: as much as its most suspect sentence.
    pub fn passage(&self, text: &str) -> Suspicion {
        let text = &text[..floor(text, MAX_BYTES)];
        let mut worst = suspicion(&[], &structure::marks(text, &PHRASES));
        for (from, sentence) in sentences(text) {
            let own = passage_sentence(sentence);
            if own.score > worst.score {
                worst = Suspicion { start: own.start + from, end: own.end + from, ..own };
            }
        }
        worst
    }
}

impl Critic for PromptInjection {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        let mut found = Vec::new();
        let last = case.conversation.iter().rposition(|turn| turn.role == Role::User);
        if let (true, Some(turn)) = (self.config.judge.contains(&Side::Question), last) {
            let suspicion = self.question(&case.conversation[turn].text);
            found.push((Place::Turn { turn }, suspicion, self.config.threshold));
        }
        if self.config.judge.contains(&Side::Context) {
            for (passage, text) in case.context.iter().enumerate() {
                let suspicion = self.passage(&text.text);
                found.push((Place::Passage { passage }, suspicion, self.config.passage_threshold));
            }
        }
        judgement(found)
    }
}

/// One score for all texts: each is first put on the scale on which one half is its threshold.
fn judgement(found: Vec<(Place, Suspicion, f64)>) -> Judgement {
    if found.is_empty() {
        return Judgement::skipped(Skip::NotApplicable);
    }
    let mut worst = 0.0f64;
    let mut findings = Vec::new();
    for (place, suspicion, threshold) in found {
        worst = worst.max(rescale(suspicion.score, threshold));
        if suspicion.score >= threshold {
            let message = format!("an attempt to steer the LLM ({}); do not follow it", suspicion.family);
            findings.push(Finding::new(suspicion.family, place, message).at(suspicion.start..suspicion.end));
        }
    }
    Judgement::scored(worst, 0.5, findings)
}

fn rescale(score: f64, threshold: f64) -> f64 {
    match score < threshold {
        true => 0.5 * score / threshold,
        false if threshold < 1.0 => 0.5 + 0.5 * (score - threshold) / (1.0 - threshold),
        false => 1.0,
    }
}

fn passage_sentence(sentence: &str) -> Suspicion {
    let hits = PHRASES.find(sentence);
    let mut suspicion = suspicion(&hits, &[]);
    // Fewer words are a heading or a number of a list.
    let is_sentence = sentence.unicode_words().nth(SHORTEST_SENTENCE - 1).is_some();
    let classified = if is_sentence { INSTRUCTIONS.probability(sentence) } else { 0.0 };
    suspicion.score = 1.0 - (1.0 - suspicion.score) * (1.0 - classified);
    if hits.is_empty() {
        suspicion = Suspicion { family: "machine", start: 0, end: sentence.len(), ..suspicion };
    }
    suspicion
}

fn suspicion(hits: &[Hit], marks: &[structure::Mark]) -> Suspicion {
    let phrases = hits.iter().map(|hit| (hit.strength, family(hit), hit.start, hit.end));
    let marked = marks.iter().map(|mark| (mark.strength, mark.family, mark.start, mark.end));
    let strongest = phrases.chain(marked).max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, family, start, end) = strongest.unwrap_or((0.0, "machine", 0, 0));
    let unmarked: f64 = marks.iter().map(|mark| 1.0 - mark.strength).product();
    Suspicion { score: 1.0 - (1.0 - probability(hits)) * unmarked, family, start, end }
}

fn family(hit: &Hit) -> &'static str {
    PHRASES.families().get(hit.family).map_or("override", String::as_str)
}

/// Sentences with the first byte of each, cut where they do not end.
pub fn sentences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n')
        .flat_map(|line| line.split_sentence_bound_indices().map(|(_, sentence)| sentence))
        .flat_map(move |sentence| {
            let mut rest = sentence;
            std::iter::from_fn(move || {
                let cut = floor(rest, MAX_SENTENCE_BYTES);
                let (piece, after) = rest.split_at(cut);
                rest = after;
                (!piece.is_empty()).then(|| (piece.as_ptr() as usize - text.as_ptr() as usize, piece))
            })
        })
}

/// The last character boundary that is not after `bytes`.
fn floor(text: &str, bytes: usize) -> usize {
    (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
