//! Personal data and secrets in what the client would see.
//!
//! Finds what [`crate::personal_data`] finds. An address or key that the conversation or its
//! context already holds is no leak, so it is not reported.

use serde::{Deserialize, Serialize};

use crate::personal_data::{Kind, find};
use crate::{Case, Critic, Effort, Finding, Judgement};

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kinds of data that an answer must not hold.
    pub kinds: Vec<Kind>,
    /// Whether what the client itself sent may be said back.
    pub allow_echo: bool,
}

/// The critic.
#[derive(Debug)]
pub struct PersonalData {
    config: Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { kinds: Kind::ALL.to_vec(), allow_echo: true }
    }
}

impl Config {
    /// What is wrong with the values: `(key, what is wrong, what to change)`.
    pub fn faults(&self) -> Vec<crate::config::Fault> {
        match self.kinds.is_empty() {
            true => vec![crate::config::Fault::new("kinds", "is empty, nothing would be looked for", "name a kind")],
            false => Vec::new(),
        }
    }
}

impl PersonalData {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn code(kind: Kind) -> &'static str {
        kind.as_str()
    }
}

impl Critic for PersonalData {
    fn version(&self) -> &str {
        "personal_data-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judges_parts(&self) -> bool {
        true
    }

    fn judge(&self, case: &Case) -> Judgement {
        let mut findings = Vec::new();
        for (place, text) in case.texts() {
            for span in find(text).into_iter().filter(|span| self.config.kinds.contains(&span.kind)) {
                let found = &text[span.start..span.end];
                if self.config.allow_echo && echoes(case, found) {
                    continue;
                }
                let message =
                    format!("the answer holds personal data or a secret ({}); leave it out", span.kind.as_str());
                findings.push(Finding::new(Self::code(span.kind), place, message).at(span.start..span.end));
            }
        }
        Judgement::of(findings)
    }
}

fn echoes(case: &Case, found: &str) -> bool {
    let turns = case.conversation.iter().map(|turn| turn.text.as_str());
    turns.chain(case.context.iter().map(|passage| passage.text.as_str())).any(|text| text.contains(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome, Place, Turn};

    fn case(question: &str, answer: &str) -> Case {
        let turn = Turn { text: question.to_owned(), ..Turn::default() };
        let answer = Answer { text: answer.to_owned(), ..Answer::default() };
        Case { conversation: vec![turn], answers: vec![answer], ..Case::default() }
    }

    #[test]
    fn an_address_that_nobody_gave_is_found_where_it_stands() {
        let judged = PersonalData::new(Config::default()).judge(&case("who?", "write to ann@example.org"));
        assert_eq!(judged.outcome, Outcome::Fail);
        assert_eq!(
            (judged.findings[0].place, judged.findings[0].span.clone()),
            (Place::Text { choice: 0 }, Some(9..24))
        );
    }

    #[test]
    fn an_address_that_the_client_sent_may_be_said_back() {
        let case = case("I am ann@example.org", "Hello ann@example.org");
        assert_eq!(PersonalData::new(Config::default()).judge(&case).outcome, Outcome::Pass);
        let strict = Config { allow_echo: false, ..Config::default() };
        assert_eq!(PersonalData::new(strict).judge(&case).outcome, Outcome::Fail);
    }
}
