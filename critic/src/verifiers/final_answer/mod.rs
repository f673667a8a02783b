//! Final answers: whether what the answer comes to is what is known to be right.
//!
//! Finds the final answer (`\boxed{}`, `#### 5`, `A: 5`, "the answer is 5", "Ответ: 5", else the
//! last number) and compares values: fractions, percentages, thousands separators, both decimal
//! marks, currencies and units, letters of options, yes and no, in English and Russian. No
//! algebra: `x = 2` and `2 = x` are different words.

mod value;

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip};
use value::Value;

/// How the final answer is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the last number of an answer that marks no final answer counts as such.
    pub last_number: bool,
}

/// The critic.
#[derive(Debug)]
pub struct FinalAnswer {
    config: Config,
}

/// Longest value that is compared, in bytes.
const MAX_VALUE_BYTES: usize = 1 << 10;
/// An answer of up to this many words may be nothing but a value.
const SHORT_WORDS: usize = 6;

impl Default for Config {
    fn default() -> Self {
        Self { last_number: true }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }
}

impl FinalAnswer {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Values that the text may come to, as written; the first is the likeliest.
    fn candidates<'t>(&self, text: &'t str) -> Vec<&'t str> {
        if let Some(marked) = marked(text) {
            return vec![marked];
        }
        let mut found = Vec::new();
        let text = text.trim();
        if text.split_whitespace().take(SHORT_WORDS + 1).count() <= SHORT_WORDS {
            found.push(text);
        }
        let is_number = found.first().is_some_and(|text| matches!(Value::of(text), Value::Number(_)));
        if self.config.last_number && !is_number {
            found.extend(last_number(text));
        }
        found.retain(|value| value.len() <= MAX_VALUE_BYTES);
        found
    }

    fn is_right(&self, answer: &str, references: &[String]) -> bool {
        let candidates: Vec<Value> = self.candidates(answer).into_iter().map(Value::of).collect();
        references.iter().any(|reference| {
            let known = Value::of(marked(reference).unwrap_or(reference));
            candidates.iter().any(|value| value.equals(&known))
        })
    }
}

impl Critic for FinalAnswer {
    fn version(&self) -> &str {
        "final_answer-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.references.is_empty() || case.answers.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let mut findings = Vec::new();
        for (choice, answer) in case.answers.iter().enumerate() {
            if self.is_right(&answer.text, &case.references) {
                continue;
            }
            // The right answer is not told: a retry would copy it.
            let (code, message) = match self.candidates(&answer.text).first() {
                Some(value) => ("wrong_answer", format!("the final answer, `{}`, is not the right one", value.trim())),
                None => ("no_final_answer", "the answer comes to no result; say it at the end".to_owned()),
            };
            findings.push(Finding::new(code, Place::Text { choice }, message));
        }
        Judgement::of(findings)
    }
}

/// The value that the text marks as its final answer.
fn marked(text: &str) -> Option<&str> {
    if let Some(boxed) = boxed(text) {
        return Some(boxed);
    }
    static MARKS: LazyLock<Regex> = LazyLock::new(|| {
        let words = r"####|\bA:|(?:\bthe\s+)?\b(?:final\s+)?answer\s*(?:is\b\s*:?|[:=])|(?:\b(?:итоговый|окончательный)\s+)?\bответ\s*[:=—–-]|\bитого\s*[:=—–-]";
        Regex::new(&format!(r"(?i)(?:{words})[*_\s]*")).expect("a constant that tests compile")
    });
    let mark = MARKS.find_iter(text).last()?;
    let rest = &text[mark.end()..];
    let value = rest.lines().next().unwrap_or_default().trim();
    // A sentence may go on behind its value.
    let end = value.match_indices(['.', '!', ';']).find(|(at, mark)| {
        let next = value[at + mark.len()..].chars().next();
        next.is_none_or(char::is_whitespace)
    });
    let value = value[..end.map_or(value.len(), |(at, _)| at)].trim().trim_matches(['*', '_']);
    (!value.is_empty() && value.len() <= MAX_VALUE_BYTES).then_some(value)
}

/// What the last `\boxed{...}` holds.
fn boxed(text: &str) -> Option<&str> {
    const MARK: &str = "\\boxed{";
    let start = text.rfind(MARK)? + MARK.len();
    let mut depth = 1_usize;
    for (at, c) in text[start..].char_indices().take(MAX_VALUE_BYTES) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(&text[start..start + at]);
        }
    }
    None
}

fn last_number(text: &str) -> Option<&str> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let digits = r"(?:\d{1,3}(?:[,\u{a0}\u{202f} ]\d{3})+|\d+)(?:[.,]\d+)?|\.\d+";
        let number = format!(r"(?:[-−][$€£]?)?[$€£]?(?:\d+ \d+/\d+|(?:{digits})(?:/\d+)?)");
        Regex::new(&format!(r"{number}(?:\s?(?:%|[^\W\d_]+))?")).expect("a constant that tests compile")
    });
    let found = NUMBER.find_iter(text).last()?;
    // `5-3`: the dash is a sign only where nothing stands before it.
    let before = text[..found.start()].chars().next_back();
    let value = found.as_str();
    Some(match before {
        Some(c) if c.is_alphanumeric() => value.trim_start_matches(['-', '−']),
        _ => value,
    })
}

#[cfg(test)]
mod tests;
