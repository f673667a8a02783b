//! Answers that stop before they end.
//!
//! The engine says so (`finish_reason`), or the text does: a code fence that never closes, a
//! last sentence that breaks off. The text is believed only where it is clear, since many
//! good answers end without a full stop: after a comma, an opening bracket or a word that
//! needs another (`the`, `and`, `и`, `в`), or in the midst of a sentence that follows others
//! on the same line.

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Judgement, Place, Skip, Task};

/// What is taken as a sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the engine's word that a limit was hit counts; on by default.
    pub finish_reason: bool,
    /// Whether an open code fence counts; on by default.
    pub code_fence: bool,
    /// Whether a broken last sentence counts where the engine does not say that a limit was
    /// hit; prose only, on by default.
    pub mid_sentence: bool,
    /// Words from which a text is looked at for a broken sentence: short answers are often no
    /// sentences. In words, 12 by default.
    pub min_words: usize,
}

/// The critic.
#[derive(Debug)]
pub struct Truncated {
    config: Config,
}

/// Words of engines and APIs for "the limit of tokens was hit".
const LIMITS: [&str; 7] = [
    "length",
    "max_tokens",
    "max_output_tokens",
    "model_length",
    "max_length",
    "limit",
    "model_context_window_exceeded",
];

/// Words after which a sentence goes on (English, Russian, German, French, Spanish).
const OPEN_WORDS: [&str; 74] = [
    "the",
    "a",
    "an",
    "and",
    "or",
    "of",
    "to",
    "with",
    "from",
    "by",
    "for",
    "because",
    "that",
    "which",
    "their",
    "its",
    "his",
    "your",
    "our",
    "my",
    "into",
    "between",
    "such",
    "is",
    "are",
    "was",
    "were",
    "и",
    "или",
    "в",
    "на",
    "с",
    "из",
    "от",
    "для",
    "что",
    "чтобы",
    "который",
    "которая",
    "которые",
    "потому",
    "но",
    "а",
    "при",
    "по",
    "к",
    "о",
    "у",
    "за",
    "между",
    "этот",
    "und",
    "oder",
    "der",
    "die",
    "das",
    "mit",
    "von",
    "für",
    "weil",
    "dass",
    "eine",
    "ein",
    "et",
    "ou",
    "le",
    "la",
    "les",
    "des",
    "avec",
    "pour",
    "el",
    "los",
    "y",
];

impl Default for Config {
    fn default() -> Self {
        Self { finish_reason: true, code_fence: true, mid_sentence: true, min_words: 12 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        match self.finish_reason || self.code_fence || self.mid_sentence {
            true => Vec::new(),
            false => vec![Fault::new("finish_reason", "is off like all other signs", "switch a sign on")],
        }
    }
}

impl Truncated {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn look(&self, task: Task, choice: usize, answer: &Answer) -> Option<Finding> {
        let found = |message: &str| Some(Finding::new("truncated", Place::Text { choice }, message));
        if self.config.finish_reason && LIMITS.contains(&answer.finish_reason.as_str()) {
            return found("the answer was cut at the limit of tokens; answer in fewer words");
        }
        if self.config.code_fence && ends_in_fence(&answer.text) {
            return found("the answer ends inside a code block; write the block to its end");
        }
        let prose = self.config.mid_sentence && task == Task::Prose && answer.tool_calls.is_empty();
        if prose && breaks_off(&answer.text, self.config.min_words) {
            let end = answer.text.trim_end().len();
            let last_word = answer.text[..end].split_whitespace().next_back().unwrap_or_default();
            let start = end - last_word.len();
            let finding = found("the answer breaks off within a sentence; write it to its end")?;
            return Some(finding.at(start..end));
        }
        None
    }
}

impl Critic for Truncated {
    fn version(&self) -> &str {
        "truncated-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let answers = case.answers.iter().enumerate();
        Judgement::of(answers.filter_map(|(choice, answer)| self.look(case.task, choice, answer)).collect())
    }
}

/// Whether a code fence (CommonMark, section 4.5) is open at the end.
pub(crate) fn ends_in_fence(text: &str) -> bool {
    let mut open: Option<(u8, usize)> = None;
    if memchr::memmem::find(text.as_bytes(), b"```").is_none()
        && memchr::memmem::find(text.as_bytes(), b"~~~").is_none()
    {
        return false;
    }
    for line in text.lines() {
        let line = line.trim_start();
        let Some(mark @ (b'`' | b'~')) = line.bytes().next() else { continue };
        let width = line.bytes().take_while(|byte| *byte == mark).count();
        open = match open {
            None if width >= 3 && !(mark == b'`' && line[width..].contains('`')) => Some((mark, width)),
            Some((by, least)) if by == mark && width >= least && line[width..].trim().is_empty() => None,
            unchanged => unchanged,
        };
    }
    open.is_some()
}

/// Whether the last sentence of a prose text stops in its midst.
fn breaks_off(text: &str, min_words: usize) -> bool {
    let text = text.trim_end();
    let Some(last) = text.chars().next_back() else { return false };
    if !(last.is_alphabetic() || matches!(last, ',' | '(' | '[' | '«' | '“' | '—' | '–')) {
        return false;
    }
    let line = text.rsplit('\n').next().unwrap_or(text).trim_start();
    if is_formatted(line) || text.split_whitespace().nth(min_words.saturating_sub(1)).is_none() {
        return false;
    }
    if !last.is_alphabetic() {
        // A letter's greeting or signature ends in a comma of its own.
        return last != ',' || line.split_whitespace().count() > 4;
    }
    let word = line.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or(line);
    let several = line.split_whitespace().nth(3).is_some();
    // A capital at the end is a name or a grade ("vitamin A"), not an article.
    if several && OPEN_WORDS.contains(&word) {
        return true;
    }
    let stop = [". ", "! ", "? "].iter().filter_map(|stop| line.rfind(stop)).max();
    stop.is_some_and(|at| is_begun_sentence(&line[at + 1..]))
}

/// Whether what follows the last full stop of a line is the beginning of a longer sentence.
fn is_begun_sentence(tail: &str) -> bool {
    let begins = tail.trim_start().chars().next().is_some_and(char::is_uppercase);
    let words = tail.split_whitespace().count();
    // A link, a quotation or a bracket at the end has its own rules.
    begins && words >= 4 && !tail.contains(['"', '”', '»', '`', '/', ':', '|'])
}

/// List items, headings, tables, quotes and the like end as they please.
fn is_formatted(line: &str) -> bool {
    let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(['-', '*', '#', '|', '>', '•', '+', '`', '<', '–', '—'])
        || (numbered.len() < line.len() && numbered.starts_with(['.', ')', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn judge(text: &str, finish_reason: &str, task: Task) -> Judgement {
        let answer = Answer { text: text.to_owned(), finish_reason: finish_reason.to_owned(), ..Answer::default() };
        Truncated::new(Config::default()).judge(&Case { answers: vec![answer], task, ..Case::default() })
    }

    #[test]
    fn what_the_engine_calls_cut_is_cut() {
        for reason in LIMITS {
            assert_eq!(judge("All is said.", reason, Task::Prose).outcome, Outcome::Fail, "{reason}");
        }
        for reason in ["stop", "end_turn", "tool_calls", ""] {
            assert_eq!(judge("All is said.", reason, Task::Prose).outcome, Outcome::Pass, "{reason}");
        }
    }

    #[test]
    fn an_open_code_block_is_cut_and_a_closed_one_is_not() {
        assert_eq!(judge("See:\n```rust\nfn main() {", "stop", Task::Code).outcome, Outcome::Fail);
        assert_eq!(judge("See:\n```rust\nfn main() {}\n```\nDone.", "stop", Task::Code).outcome, Outcome::Pass);
        assert_eq!(judge("````md\n```\n````", "stop", Task::Code).outcome, Outcome::Pass);
        assert_eq!(judge("Write ``` to open a block.", "stop", Task::Prose).outcome, Outcome::Pass);
    }

    #[test]
    fn a_broken_sentence_is_cut() {
        let cut = [
            "The engine reads the prompt first and then it writes one token after the",
            "Сначала движок читает запрос целиком, а потом пишет ответ по одному слову и",
            "It has three parts. The first part reads the prompt and the second writes the answer. The third part of it checks",
            "The capital has several museums, many parks, two rivers, a castle and old bridges,",
            "Есть три части. Первая читает запрос, вторая пишет ответ. Третья часть проверяет этот ответ",
        ];
        for text in cut {
            assert_eq!(judge(text, "", Task::Prose).outcome, Outcome::Fail, "{text}");
            assert_eq!(judge(text, "", Task::Code).outcome, Outcome::Pass, "code is no prose: {text}");
        }
    }

    #[test]
    fn a_text_that_ends_as_texts_do_is_whole() {
        let whole = [
            "Paris",
            "The answer to your question about the capital of France is the city of Paris",
            "Here is what you need for it today and tomorrow and every day:\n- flour\n- eggs and milk of the\n",
            "Thank you for your letter. We shall answer it as soon as we can do it.\n\nYours sincerely,\nAnn of Green Gables",
            "These foods are rich in what you asked for, and you may eat them daily: carrots give vitamin A",
            "Ответ на ваш вопрос о столице Франции очень прост, и его знают все: это город Париж.",
            "Read more about it on the page of the project. It is all there: see https://example.org/about",
        ];
        for text in whole {
            assert_eq!(judge(text, "stop", Task::Prose).outcome, Outcome::Pass, "{text}");
        }
    }
}
