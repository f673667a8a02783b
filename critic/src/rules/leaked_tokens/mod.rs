//! Marks of the chat template that reached the client.
//!
//! Control tokens, turn marks, thinking tags and tool-call markup of the common model
//! families stand in the answer only when a template, a parser or the LLM went wrong. Not
//! reported: what the conversation itself holds, and what stands in code, since that is
//! where people write about templates.

mod marks;

use serde::{Deserialize, Serialize};

pub use marks::{Family, LONGEST, Mark, find_from};

use crate::{Case, Critic, Effort, Finding, Judgement, Skip};

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Families of marks that an answer must not hold; all by default.
    pub families: Vec<Family>,
    /// Whether marks in code (`` ` `` or fenced) are allowed; true by default.
    pub allow_in_code: bool,
    /// Whether marks that the conversation holds are allowed; true by default.
    pub allow_echo: bool,
}

/// The critic.
#[derive(Debug)]
pub struct LeakedTokens {
    config: Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { families: Family::ALL.to_vec(), allow_in_code: true, allow_echo: true }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<crate::config::Fault> {
        match self.families.is_empty() {
            true => {
                vec![crate::config::Fault::new("families", "is empty, nothing would be looked for", "name a family")]
            }
            false => Vec::new(),
        }
    }
}

impl LeakedTokens {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn is_allowed(&self, case: &Case, text: &str, mark: &Mark) -> bool {
        let written = &text[mark.start..mark.end];
        !self.config.families.contains(&mark.family)
            || (self.config.allow_in_code && is_in_code(text, mark.start))
            || (self.config.allow_echo && is_known(case, written, mark.family))
    }
}

impl Critic for LeakedTokens {
    fn version(&self) -> &str {
        "leaked_tokens-1"
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
        let mut findings = Vec::new();
        for (place, text) in case.texts() {
            let mut from = 0;
            while let Some(mark) = find_from(text, from) {
                from = mark.end;
                if findings.len() < crate::verdict::MAX_FINDINGS && !self.is_allowed(case, text, &mark) {
                    let message = format!(
                        "the answer holds a mark of the chat template ({}); leave it out",
                        mark.family.as_str()
                    );
                    findings.push(Finding::new("leaked_tokens", place, message).at(mark.start..mark.end));
                }
            }
        }
        Judgement::of(findings)
    }
}

/// Whether a byte stands in a fenced block or in inline code.
fn is_in_code(text: &str, at: usize) -> bool {
    if super::truncated::ends_in_fence(&text[..at]) {
        return true;
    }
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[line..at].bytes().filter(|byte| *byte == b'`').count() % 2 == 1
}

/// Whether who asked already spoke of it: the mark as written, or its kind by name.
fn is_known(case: &Case, written: &str, family: Family) -> bool {
    let asked = || {
        let turns = case.conversation.iter().map(|turn| turn.text.as_str());
        turns.chain(case.context.iter().map(|passage| passage.text.as_str()))
    };
    if asked().any(|text| text.contains(written)) {
        return true;
    }
    let question = case.question().to_lowercase();
    let spoken = ["chat template", "special token", "control token", "chatml", "шаблон чата", "спецтокен", "служебн"];
    let thought = ["<think", "think tag", "thinking tag", "тег"];
    spoken.iter().any(|words| question.contains(words))
        || (family == Family::Thinking && thought.iter().any(|words| question.contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome, Turn};

    fn judge(question: &str, answer: &str) -> Judgement {
        let turn = Turn { text: question.to_owned(), ..Turn::default() };
        let answer = Answer { text: answer.to_owned(), ..Answer::default() };
        let case = Case { conversation: vec![turn], answers: vec![answer], ..Case::default() };
        LeakedTokens::new(Config::default()).judge(&case)
    }

    #[test]
    fn a_mark_is_found_where_it_stands() {
        let finding = &judge("hi", "Привет!<|im_end|>\n").findings[0];
        assert_eq!(finding.span, Some("Привет!".len().."Привет!<|im_end|>".len()));
    }

    #[test]
    fn who_asks_about_marks_may_read_them() {
        let asked = "What does <|im_start|> mean?";
        assert_eq!(judge(asked, "<|im_start|> opens a turn.").outcome, Outcome::Pass);
        assert_eq!(
            judge("Explain the chat template of Llama 3", "It ends turns with <|eot_id|>.").outcome,
            Outcome::Pass
        );
        assert_eq!(judge("Что такое шаблон чата?", "Это <|im_start|> и <|im_end|>.").outcome, Outcome::Pass);
        assert_eq!(
            judge("How do tags look?", "Like `<think>`, or\n```\n[INST] x [/INST]\n```\n").outcome,
            Outcome::Pass
        );
        assert_eq!(judge("Who are you?", "</think> I am an assistant.").outcome, Outcome::Fail);
    }
}
