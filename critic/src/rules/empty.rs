//! Answers with nothing in them for the client.
//!
//! A choice is empty when it has no visible text, no refusal and no tool call. Reasoning alone
//! is no answer; neither are blanks and characters that nobody sees.

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Judgement, Place, Skip};

/// What counts as an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Visible characters from which a text counts as an answer: more than one where a lone
    /// full stop should not pass. In characters, 1 by default.
    pub min_characters: usize,
}

/// The critic.
#[derive(Debug)]
pub struct Empty {
    config: Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { min_characters: 1 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        match self.min_characters {
            0 => vec![Fault::new("min_characters", "is 0, so that nothing would be empty", "set it to 1 or more")],
            _ => Vec::new(),
        }
    }
}

impl Empty {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn look(&self, choice: usize, answer: &Answer) -> Option<Finding> {
        let full = |text: &str| text.chars().filter(|c| is_seen(*c)).nth(self.config.min_characters - 1).is_some();
        if full(&answer.text) || !answer.tool_calls.is_empty() || !answer.refusal.trim().is_empty() {
            return None;
        }
        let message = match answer.reasoning.is_empty() {
            true => "the answer is empty; answer the question",
            false => "the answer holds nothing but reasoning; say the answer itself",
        };
        Some(Finding::new("empty", Place::Text { choice }, message))
    }
}

impl Critic for Empty {
    fn version(&self) -> &str {
        "empty-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() || self.config.min_characters == 0 {
            return Judgement::skipped(Skip::NotApplicable);
        }
        Judgement::of(
            case.answers.iter().enumerate().filter_map(|(choice, answer)| self.look(choice, answer)).collect(),
        )
    }
}

/// Whether a reader sees the character.
fn is_seen(c: char) -> bool {
    let unseen = matches!(c, '\u{AD}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}');
    !(c.is_whitespace() || c.is_control() || unseen || matches!(c, '\u{2060}'..='\u{206F}' | '\u{FEFF}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, ToolCall};

    #[test]
    fn blanks_and_reasoning_alone_are_no_answer() {
        let call = ToolCall { name: "f".to_owned(), arguments: String::new() };
        let table = [
            (Answer::default(), Outcome::Fail),
            (Answer { text: " \n\u{200B}\u{FEFF}".to_owned(), ..Answer::default() }, Outcome::Fail),
            (Answer { reasoning: "let me see".to_owned(), ..Answer::default() }, Outcome::Fail),
            (Answer { text: "7".to_owned(), ..Answer::default() }, Outcome::Pass),
            (Answer { text: "Да".to_owned(), ..Answer::default() }, Outcome::Pass),
            (Answer { refusal: "I cannot".to_owned(), ..Answer::default() }, Outcome::Pass),
            (Answer { tool_calls: vec![call], ..Answer::default() }, Outcome::Pass),
        ];
        for (answer, outcome) in table {
            let case = Case { answers: vec![answer], ..Case::default() };
            assert_eq!(Empty::new(Config::default()).judge(&case).outcome, outcome, "{case:?}");
        }
    }

    #[test]
    fn one_empty_choice_among_many_is_found_where_it_is() {
        let full = Answer { text: "yes".to_owned(), ..Answer::default() };
        let case = Case { answers: vec![full, Answer::default()], ..Case::default() };
        assert_eq!(Empty::new(Config::default()).judge(&case).findings[0].place, Place::Text { choice: 1 });
    }

    #[test]
    fn a_case_without_choices_is_not_judged() {
        let judged = Empty::new(Config::default()).judge(&Case::default());
        assert_eq!(judged.outcome, Outcome::Skipped(Skip::NotApplicable));
    }
}
