//! Words that an answer must not hold: names of competitors, of projects, of whatever an
//! operator lists.
//!
//! Terms are looked for as whole words without their case, all at once (Aho-Corasick); with
//! stemming (Snowball) their inflected forms too. In scripts that are written without blanks
//! a term is found within other words.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, MatchKind};
use rust_stemmers::{Algorithm, Stemmer};
use serde::{Deserialize, Serialize};

use super::words::{Class, fold, words};
use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip};

/// Terms that one critic may hold: far more is a classifier's work.
const MAX_TERMS: usize = 100_000;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The terms; a term may have several words. None by default.
    pub terms: Vec<String>,
    /// Languages in whose inflected forms terms of one word are also found; none by default.
    pub stem: Vec<Stemming>,
}

/// A language whose words are stemmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stemming {
    /// English (Porter 2).
    English,
    /// Russian.
    Russian,
}

/// The critic.
pub struct BannedTerms {
    terms: Option<AhoCorasick>,
    stems: Vec<Stems>,
    version: String,
}

/// Stems of the terms in one language.
struct Stems {
    stemmer: Stemmer,
    stems: HashSet<String>,
    /// First letters of the stems, sorted: other words are not stemmed.
    firsts: Vec<char>,
}

/// Finds terms in one text.
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[expect(clippy::derivable_impls, reason = "the defaults stand here for every kind of critic")]
impl Default for Config {
    fn default() -> Self {
        Self { terms: Vec::new(), stem: Vec::new() }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let fault = |problem: String, cure: &str| vec![Fault::new("terms", problem, cure)];
        if self.terms.is_empty() {
            return fault("is empty, nothing would be looked for".to_owned(), "name a term");
        }
        if self.terms.len() > MAX_TERMS {
            return fault(format!("has {} terms", self.terms.len()), "list at most 100000");
        }
        match self.terms.iter().position(|term| term.trim().is_empty()) {
            Some(at) => fault(format!("has an empty term at place {at}"), "take it out"),
            None => Vec::new(),
        }
    }
}

impl std::fmt::Debug for BannedTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BannedTerms").field("version", &self.version).finish_non_exhaustive()
    }
}

impl BannedTerms {
    /// A critic with these settings. Errors say which terms cannot be looked for.
    pub fn new(config: Config) -> Result<Self, String> {
        let terms: Vec<String> = config.terms.iter().map(|term| folded(term.trim())).collect();
        let terms: Vec<String> = terms.into_iter().filter(|term| !term.is_empty()).collect();
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true);
        let automaton = match terms.is_empty() {
            true => None,
            false => Some(builder.build(&terms).map_err(|fault| format!("terms cannot be looked for: {fault}"))?),
        };
        let stems = config.stem.iter().map(|language| Stems::of(*language, &terms)).collect();
        let version = format!("banned_terms-1-{:08x}", digest(&config));
        Ok(Self { terms: automaton, stems, version })
    }

    /// The terms in a text, in no certain order.
    pub(crate) fn find(&self, text: &str, mut found: impl FnMut(Found)) {
        let Some(terms) = &self.terms else { return };
        let copy;
        let view = match text.is_ascii() {
            true => text,
            false => {
                copy = folded(text);
                &copy
            }
        };
        for hit in terms.find_overlapping_iter(view).filter(|hit| is_whole(view, hit.start(), hit.end())) {
            found(Found { start: hit.start(), end: hit.end() });
        }
        if self.stems.is_empty() {
            return;
        }
        for word in words(view) {
            let lower = || folded(&view[word.start..word.end]);
            if self.stems.iter().any(|stems| stems.may_hold(&view[word.start..]) && stems.hold(&lower())) {
                found(Found { start: word.start, end: word.end });
            }
        }
    }

    /// The finding for a term at these bytes.
    pub(crate) fn finding(place: Place, text: &str, found: &Found) -> Finding {
        let message =
            format!("the answer holds `{}`, which it must not; say it without", &text[found.start..found.end]);
        Finding::new("banned_term", place, message).at(found.start..found.end)
    }
}

impl Critic for BannedTerms {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judges_parts(&self) -> bool {
        true
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let mut findings: Vec<Finding> = Vec::new();
        for (place, text) in case.texts().filter(|_| self.terms.is_some()) {
            self.find(text, |found| {
                let span = Some(found.start..found.end);
                let known = findings.iter().any(|finding| finding.place == place && finding.span == span);
                if findings.len() < crate::verdict::MAX_FINDINGS && !known {
                    findings.push(Self::finding(place, text, &found));
                }
            });
        }
        Judgement::of(findings)
    }
}

impl Stems {
    fn of(language: Stemming, terms: &[String]) -> Self {
        let algorithm = match language {
            Stemming::English => Algorithm::English,
            Stemming::Russian => Algorithm::Russian,
        };
        let stemmer = Stemmer::create(algorithm);
        let single = terms.iter().filter(|term| words(term).count() == 1);
        let stems: HashSet<String> = single.map(|term| stemmer.stem(term).into_owned()).collect();
        let mut firsts: Vec<char> = stems.iter().filter_map(|stem| stem.chars().next()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        Self { stemmer, stems, firsts }
    }

    fn may_hold(&self, word: &str) -> bool {
        word.chars().next().is_some_and(|first| self.firsts.binary_search(&fold(first)).is_ok())
    }

    fn hold(&self, word: &str) -> bool {
        self.stems.contains(self.stemmer.stem(word).as_ref())
    }
}

fn folded(text: &str) -> String {
    text.chars().map(fold).collect()
}

/// Whether no word goes on over an end of `start..end`.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let joins = |a: Option<char>, b: Option<char>| match (a.map(Class::of), b.map(Class::of)) {
        (Some(Class::Letter | Class::Digit), Some(Class::Letter | Class::Digit)) => true,
        _ => a == Some('_') || b == Some('_'),
    };
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    !joins(before, text[start..].chars().next()) && !joins(text[..end].chars().next_back(), after)
}

/// Tells settings apart.
fn digest(config: &Config) -> u32 {
    let terms = config.terms.iter().flat_map(|term| term.bytes().chain([0]));
    let stems = config.stem.iter().map(|stem| *stem as u8 + 1);
    terms.chain(stems).fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome};

    fn judge(terms: &[&str], stem: &[Stemming], text: &str) -> Judgement {
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        let critic = BannedTerms::new(Config { terms, stem: stem.to_vec() }).unwrap();
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        critic.judge(&Case { answers: vec![answer], ..Case::default() })
    }

    #[test]
    fn terms_are_found_as_whole_words_in_any_case() {
        let terms = ["acme", "ёлка", "Project Blue", "黑名单"];
        let bad = ["Buy from ACME.", "Ёлка стоит", "ЕЛКА", "the project blue team", "这是黑名单吗", "(Acme)"];
        for text in bad {
            assert_eq!(judge(&terms, &[], text).outcome, Outcome::Fail, "{text}");
        }
        for text in ["acmeish", "pacme", "acme_x", "ёлкам", "projects blue", "黑名"] {
            assert_eq!(judge(&terms, &[], text).outcome, Outcome::Pass, "{text}");
        }
    }

    #[test]
    fn a_find_tells_its_bytes_also_behind_characters_that_fold_to_other_lengths() {
        let text = "İstanbul, ẞ: Acme";
        let judged = judge(&["acme"], &[], text);
        assert_eq!(judged.findings[0].span.clone().map(|span| &text[span]), Some("Acme"));
    }

    #[test]
    fn stems_find_inflected_forms() {
        let stem = [Stemming::English, Stemming::Russian];
        for text in ["two gambles", "he was gambling", "казино открыто", "нет ставки", "о ставках"]
        {
            assert_eq!(judge(&["gamble", "казино", "ставка"], &stem, text).outcome, Outcome::Fail, "{text}");
        }
        assert_eq!(judge(&["gamble"], &[], "two gambles").outcome, Outcome::Pass);
        assert_eq!(judge(&["gamble"], &stem, "a game of chess").outcome, Outcome::Pass);
    }

    #[test]
    fn other_terms_are_another_version() {
        let version = |terms: &[&str]| {
            let terms = terms.iter().map(|term| (*term).to_owned()).collect();
            BannedTerms::new(Config { terms, ..Config::default() }).unwrap().version().to_owned()
        };
        assert_ne!(version(&["ab", "c"]), version(&["a", "bc"]));
    }
}
