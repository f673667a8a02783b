//! Arithmetic: every chain `a op b = c` in an answer is computed again.
//!
//! Knows `+ - * / ^`, brackets, percentages, LaTeX fractions, both decimal marks, units. It
//! rather misses a wrong sum than doubts a right one: algebra, sums of unlike units, factors in
//! words and approximations are left alone, and rounding is allowed. It does not know whether
//! the right numbers were used, nor that a sum is quoted as an example of a mistake.

mod equations;
mod parser;
mod tokens;

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip, Task};
pub(in crate::verifiers) use equations::plain_number;

/// Which texts are computed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether reasoning is computed too. Reasoning may take back what it wrote, so by default
    /// only what is said in the answer counts.
    pub reasoning: bool,
}

/// The critic.
#[derive(Debug)]
pub struct Arithmetic {
    config: Config,
}

/// Longest line that is read, in bytes: nobody writes a sum that long.
const MAX_LINE_BYTES: usize = 4 << 10;

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }
}

impl Arithmetic {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Critic for Arithmetic {
    fn version(&self) -> &str {
        "arithmetic-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if matches!(case.task, Task::Code | Task::Json | Task::Tools) {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let (mut steps, mut findings) = (0, Vec::new());
        for (place, text) in case.texts() {
            match place {
                Place::Text { .. } | Place::Refusal { .. } => {}
                Place::Reasoning { .. } if self.config.reasoning => {}
                _ => continue,
            }
            steps += check(text, place, &mut findings);
        }
        if steps == 0 { Judgement::skipped(Skip::NotApplicable) } else { Judgement::of(findings) }
    }
}

/// How many steps were computed.
fn check(text: &str, place: Place, findings: &mut Vec<Finding>) -> usize {
    let (mut at, mut steps, mut fenced) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.len() > MAX_LINE_BYTES || !line.contains('=') {
            continue;
        }
        let checked = equations::check(&tokens::tokens(list_item(line).1, start + list_item(line).0));
        steps += checked.steps;
        for wrong in checked.wrong {
            let step = text[wrong.span.clone()].trim();
            let message = format!("`{step}` is wrong: the left side is {}; compute again", shown(wrong.value));
            findings.push(Finding::new("wrong_arithmetic", place, message).at(wrong.span));
        }
    }
    steps
}

/// The line without the mark of a list, and how long the mark is.
fn list_item(line: &str) -> (usize, &str) {
    let indent = line.len() - line.trim_start().len();
    let rest = &line[indent..];
    let mark = rest.strip_prefix(['-', '*', '•', '–']).filter(|rest| rest.starts_with(' '));
    let kept = mark.unwrap_or(rest);
    (line.len() - kept.len(), kept)
}

/// A number without a tail of float noise.
fn shown(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
