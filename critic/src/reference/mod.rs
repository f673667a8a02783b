//! References: how near an answer comes to one that is known to be right.
//!
//! The measures are those of the literature and give its numbers: BLEU and chrF are those of
//! sacrebleu, ROUGE-L that of rouge-score, exact match and token F1 those of SQuAD. Each is
//! a similarity, 0..=1, 1 for equal; with several references the best one counts. Nothing
//! here tells whether two texts mean the same.

pub mod bertscore;
pub mod bleu;
pub mod chrf;
pub mod rouge;
pub mod squad;

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Judgement, Place, Skip};

/// Longest text that is compared, in bytes: the longest common subsequence takes the product
/// of both lengths.
pub const MAX_TEXT_BYTES: usize = 32 << 10;

/// How answers are compared with references.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The measure; which one fits depends on how long right answers are and how freely worded.
    pub measure: Measure,
    /// Similarity, 0..=1, under which an answer is bad; what is usual differs by measure.
    pub at_least: f64,
}

/// A measure of similarity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Equal but for case, punctuation and English articles: for answers of a few words.
    ExactMatch,
    /// Words in common: for answers of some words.
    #[default]
    TokenF1,
    /// Word sequences in common: for translations.
    Bleu,
    /// Character sequences in common: for translations into languages with many word forms.
    Chrf,
    /// Longest common word sequence: for summaries.
    RougeL,
}

/// The critic. Its score is one minus the similarity, which is no probability until calibrated.
#[derive(Debug)]
pub struct Reference {
    config: Config,
    version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { measure: Measure::TokenF1, at_least: 0.5 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let cure = "give a similarity from 0 to 1";
        match (0.0..=1.0).contains(&self.at_least) {
            true => Vec::new(),
            false => vec![Fault::new("at_least", format!("{} is no similarity", self.at_least), cure)],
        }
    }
}

impl Measure {
    /// Every measure, for tables and tests.
    pub const ALL: [Self; 5] = [Self::ExactMatch, Self::TokenF1, Self::Bleu, Self::Chrf, Self::RougeL];

    /// The word used in settings and findings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactMatch => "exact_match",
            Self::TokenF1 => "token_f1",
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::RougeL => "rouge_l",
        }
    }

    /// Similarity of the text to the nearest reference, 0..=1; 0 where there is none.
    pub fn similarity(self, text: &str, references: &[&str]) -> f64 {
        let best = |one: fn(&str, &str) -> f64| references.iter().map(|r| one(text, r)).fold(0.0, f64::max);
        match self {
            Self::ExactMatch => best(|a, b| f64::from(squad::normalise(a) == squad::normalise(b))),
            Self::TokenF1 => best(squad::token_f1),
            // BLEU looks at all references at once: a word may come from any of them.
            Self::Bleu => bleu::sentence(text, references),
            Self::Chrf => chrf::sentence(text, references),
            Self::RougeL => best(|a, b| rouge::rouge_l(a, b).f1),
        }
    }
}

impl Reference {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        let version = format!("reference-1-{}-{}", config.measure.as_str(), config.at_least);
        Self { config, version }
    }

    fn finding(&self, choice: usize, similarity: f64) -> Finding {
        let (measure, least) = (self.config.measure.as_str(), self.config.at_least);
        let message = format!("the answer differs from the reference: {measure} is {similarity:.2}, under {least:.2}");
        Finding::new("differs", Place::Text { choice }, message)
    }
}

impl Critic for Reference {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Model
    }

    fn judge(&self, case: &Case) -> Judgement {
        let references: Vec<&str> = case.references.iter().map(String::as_str).collect();
        if references.is_empty() || case.answers.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let texts = || case.answers.iter().map(shown).chain(references.iter().copied());
        if texts().any(|text| text.len() > MAX_TEXT_BYTES) {
            return Judgement::skipped(Skip::Unreadable);
        }
        let similarities: Vec<f64> =
            case.answers.iter().map(|answer| self.config.measure.similarity(shown(answer), &references)).collect();
        let findings = similarities.iter().enumerate().filter(|(_, s)| **s < self.config.at_least);
        let findings: Vec<_> = findings.map(|(choice, s)| self.finding(choice, *s)).collect();
        let worst = similarities.iter().copied().fold(1.0, f64::min);
        Judgement { score: Some((1.0 - worst).clamp(0.0, 1.0)), ..Judgement::of(findings) }
    }
}

/// What stands for the answer: a refusal is an answer too, and a wrong one.
fn shown(answer: &Answer) -> &str {
    if answer.text.is_empty() { &answer.refusal } else { &answer.text }
}

/// Whitespace as Python's `str.split` sees it, which the published numbers rest on.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn case(answers: &[&str], references: &[&str]) -> Case {
        let answers = answers.iter().map(|text| Answer { text: (*text).to_owned(), ..Answer::default() });
        Case {
            answers: answers.collect(),
            references: references.iter().map(|text| (*text).to_owned()).collect(),
            ..Case::default()
        }
    }

    fn judge(measure: Measure, answers: &[&str], references: &[&str]) -> Judgement {
        Reference::new(Config { measure, at_least: 0.5 }).judge(&case(answers, references))
    }

    #[test]
    fn an_answer_passes_where_it_comes_near_to_any_reference() {
        for measure in Measure::ALL {
            let near = judge(measure, &["The cat sat on the mat."], &["Nothing alike", "the cat sat on the mat"]);
            assert_eq!(near.outcome, Outcome::Pass, "{measure:?}");
            let far = judge(measure, &["Совсем о другом"], &["the cat sat on the mat"]);
            assert_eq!((far.outcome, far.score), (Outcome::Fail, Some(1.0)), "{measure:?}");
        }
    }

    #[test]
    fn every_choice_is_compared_and_the_worst_one_scores() {
        let judged = judge(Measure::ExactMatch, &["Paris", "London"], &["Paris"]);
        assert_eq!((judged.findings.len(), judged.findings[0].place), (1, Place::Text { choice: 1 }));
        assert_eq!(judged.score, Some(1.0));
    }

    #[test]
    fn without_a_reference_or_over_the_limit_nothing_is_said() {
        assert_eq!(judge(Measure::Bleu, &["a"], &[]), Judgement::skipped(Skip::NotApplicable));
        let long = "a ".repeat(MAX_TEXT_BYTES);
        assert_eq!(judge(Measure::RougeL, &[&long], &["a"]), Judgement::skipped(Skip::Unreadable));
    }

    #[test]
    fn a_similarity_out_of_range_is_a_fault() {
        assert_eq!(Config { at_least: 50.0, ..Config::default() }.faults()[0].key, "at_least");
        assert!(Config::default().faults().is_empty());
    }
}
