//! Answers that refuse.
//!
//! An LLM says that it refuses in the first sentences of its answer, as its own speech: later,
//! or in quotation marks, the same words are somebody else's. So only the lead is read. An
//! answer counts as a refusal where its lead denies the request, or lectures in its place,
//! and the answer itself does not follow after all; where the engine says that a filter
//! stopped it; and where the API's own field for refusals is used. What an answer cannot find
//! in its context is no refusal: that the text does not say it is an answer.
//!
//! Whether a refusal is right is not judged here.

mod english;
mod lead;
mod opening;
mod phrases;
mod russian;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Judgement, Place, Skip};
use lead::Lead;
use opening::Openings;

/// What counts as a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether an engine's word that a filter stopped the answer counts; true by default.
    pub finish_reason: bool,
    /// Whether a lecture in place of an answer counts ("Stealing is illegal and ..."); true by default.
    pub lectures: bool,
    /// Length over which a lecture counts as an answer of its own. In bytes, 1,500 by default.
    pub max_lecture_bytes: usize,
    /// Phrases of refusal of your own models, looked for in the first sentences; none by default.
    pub phrases: Vec<String>,
}

/// The critic.
#[derive(Debug)]
pub struct Refusal {
    config: Config,
    own: Vec<String>,
}

/// Words of engines and APIs for "a filter stopped it".
const FILTERS: [&str; 6] =
    ["content_filter", "refusal", "safety", "guardrail_intervened", "content_filtered", "blocklist"];

/// All phrases, as one automaton.
static PHRASES: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(phrases::phrases()).ok());

/// Those of them that ASCII text can hold.
static OPENINGS: LazyLock<Openings> = LazyLock::new(|| Openings::of(phrases::phrases()));

/// Lectures and, after them, what is one only where a machine speaks.
static LECTURES: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().build(phrases::LECTURES.iter().chain(&phrases::MACHINE_LECTURES)).ok());

impl Default for Config {
    fn default() -> Self {
        Self { finish_reason: true, lectures: true, max_lecture_bytes: 1500, phrases: Vec::new() }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        match self.phrases.iter().any(|phrase| phrase.trim().is_empty()) {
            true => vec![Fault::new("phrases", "has an empty phrase, which every answer holds", "take it out")],
            false => Vec::new(),
        }
    }
}

impl Refusal {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        let own = config.phrases.iter().map(|phrase| lead::plain(phrase.trim(), usize::MAX)).collect();
        Self { config, own }
    }

    fn look(&self, question: &str, choice: usize, answer: &Answer) -> Option<Finding> {
        let message = "the answer refuses; answer the question as far as it may be answered";
        if !answer.refusal.trim().is_empty() {
            return Some(Finding::new("refusal", Place::Refusal { choice }, message));
        }
        let place = Place::Text { choice };
        if self.config.finish_reason && FILTERS.contains(&answer.finish_reason.to_ascii_lowercase().as_str()) {
            return Some(Finding::new("filtered", place, "a content filter stopped the answer; ask in another way"));
        }
        // A call of a tool acts on the request.
        if answer.text.is_empty() || !answer.tool_calls.is_empty() {
            return None;
        }
        let lead = Lead::of(&answer.text);
        if (self.denies(&lead) && !takes_back(&lead)) || lacks(&lead) {
            return Some(Finding::new("refusal", place, message).at(0..lead.bytes.min(answer.text.len())));
        }
        let short = answer.text.len() <= self.config.max_lecture_bytes;
        if self.config.lectures && short && lectures(&lead, question) {
            return Some(Finding::new("lecture", place, message).at(0..lead.bytes.min(answer.text.len())));
        }
        None
    }

    fn denies(&self, lead: &Lead) -> bool {
        if self.own.iter().any(|phrase| lead.text.contains(phrase.as_str())) {
            return true;
        }
        let phrase = match lead.text.is_ascii() {
            true => OPENINGS.hits(&lead.text).any(|at| lead.is_own_speech(at)),
            false => PHRASES.as_ref().is_some_and(|phrases| {
                phrases
                    .find_iter(&lead.text)
                    .any(|hit| lead.is_own_speech(hit.start()) && begins_word(&lead.text, hit.start()))
            }),
        };
        let russian = || lead.text.contains("не ") && lead.sentences().any(russian::denies);
        phrase || lead.sentences().any(|sentence| english::denies(sentence, lead.has_no)) || russian()
    }
}

impl Critic for Refusal {
    fn version(&self) -> &str {
        "refusal-2"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let question = case.question();
        let answers = case.answers.iter().enumerate();
        Judgement::of(answers.filter_map(|(choice, answer)| self.look(question, choice, answer)).collect())
    }
}

/// Scripts without blanks have no beginnings of words.
fn begins_word(text: &str, at: usize) -> bool {
    let first = text[at..].chars().next().unwrap_or(' ');
    let signs =
        super::words::Class::of(first) == super::words::Class::Sign || ('\u{AC00}'..='\u{D7A3}').contains(&first);
    signs || !text[..at].chars().next_back().is_some_and(char::is_alphanumeric)
}

/// Whether the answer follows after all.
fn takes_back(lead: &Lead) -> bool {
    lead.sentences().skip(1).any(|sentence| phrases::TURNS.iter().any(|turn| sentence.starts_with(turn)))
}

/// Whether the lead says what a machine has not, and nothing turns to an answer: an LLM that
/// has no opinions of its own often tells those of others.
fn lacks(lead: &Lead) -> bool {
    let mut sentences = lead.sentences();
    let Some(first) = sentences.find(|sentence| lead.has_no && english::lacks(sentence)) else { return false };
    let next = sentences.next().unwrap_or_default();
    let turns = ["however", "but ", "nevertheless", "nonetheless", "that said", "here", "generally", "the "];
    !first.contains(" but ") && !first.contains("however") && !turns.iter().any(|turn| next.starts_with(turn))
}

/// Whether the first sentences lecture where the question did not ask for a judgement.
fn lectures(lead: &Lead, question: &str) -> bool {
    let lectures = |sentence: &str| {
        LECTURES.as_ref().is_some_and(|lectures| {
            lectures.find_iter(sentence).any(|hit| {
                let plain = hit.pattern().as_usize() < phrases::LECTURES.len();
                plain || english::is_machine(sentence) || sentence.contains("my purpose")
            })
        })
    };
    let corrects = |sentence: &str| phrases::CORRECTIONS.iter().any(|words| sentence.contains(words));
    if !lead.sentences().take(2).any(lectures) {
        let begins = question.trim_start().get(..24).unwrap_or(question.trim_start()).to_lowercase();
        let argue = phrases::ARGUE.iter().any(|words| begins.starts_with(words));
        return argue && lead.sentences().any(corrects);
    }
    let question = lead::plain(question, 400);
    !question.is_empty() && !phrases::MORAL_QUESTIONS.iter().any(|words| question.contains(words))
}

#[cfg(test)]
mod tests;
