//! What goes back to the LLM when an answer is tried again: what was found, in a template.
//!
//! Pure, of bounded length, and in the language of the question: Russian where the question
//! is written in Cyrillic, English otherwise. Text of findings is put in once and never read
//! for placeholders, so that an answer cannot write into the template.

use serde::{Deserialize, Serialize};
use whatlang::{Detector, Lang};

use crate::config::Fault;
use crate::panel::{Decision, Mode, Verdict};
use crate::{Case, Finding, Place};

/// Words that go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Text for questions in any language but Russian. `{findings}` becomes the list of what is
    /// wrong, `{attempt}` the number of the failed attempt, from 1.
    pub english: String,
    /// The same for questions in Cyrillic.
    pub russian: String,
    /// Longest critique in bytes: it is read by the engine with every further attempt.
    pub max_bytes: usize,
}

/// A language that critiques are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// For everything else.
    English,
    /// For Cyrillic.
    Russian,
}

const PLACEHOLDERS: [&str; 2] = ["findings", "attempt"];
/// The list of findings gets at least this much, in bytes.
const MIN_FINDINGS_BYTES: usize = 256;
const QUOTE_CHARS: usize = 120;
/// Enough to tell a script, and cheap for a question of any length.
const DETECT_CHARS: usize = 1000;

impl Default for Config {
    fn default() -> Self {
        Self {
            english: "Your previous answer (attempt {attempt}) was checked and has problems:\n\n{findings}\n\n\
                      Write the whole answer again with these problems solved. \
                      Keep what was right. Do not mention the check or this message."
                .to_owned(),
            russian: "Твой предыдущий ответ (попытка {attempt}) проверен, в нём есть ошибки:\n\n{findings}\n\n\
                      Напиши весь ответ заново, исправив эти ошибки. \
                      Сохрани то, что было верно. Не упоминай проверку и это сообщение."
                .to_owned(),
            max_bytes: 4096,
        }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (key, template) in [("english", &self.english), ("russian", &self.russian)] {
            for unknown in placeholders(template).filter(|name| !PLACEHOLDERS.contains(name)) {
                let problem = format!("has the unknown placeholder {{{unknown}}}");
                faults.push(Fault::new(key, problem, "use {findings} and {attempt}"));
            }
            if !placeholders(template).any(|name| name == "findings") {
                faults.push(Fault::new(key, "says nothing of what is wrong", "put {findings} into it"));
            }
            if template.len() + MIN_FINDINGS_BYTES > self.max_bytes {
                let cure = format!("raise max_bytes to {} or more", template.len() + MIN_FINDINGS_BYTES);
                faults.push(Fault::new(key, "leaves no room for findings within max_bytes", cure));
            }
        }
        faults
    }
}

/// The critique of a failed attempt: what its enforced critics found.
pub fn write(config: &Config, case: &Case, verdicts: &[Verdict], attempt: u32) -> String {
    let language = Language::of(case.question());
    let template = match language {
        Language::English => &config.english,
        Language::Russian => &config.russian,
    };
    let room = config.max_bytes.saturating_sub(template.len());
    let findings = list(&lines(case, verdicts, language), room, language);
    let mut text = fill(template, &findings, attempt);
    text.truncate(text.floor_char_boundary(config.max_bytes));
    text
}

impl Language {
    /// The language to speak with who wrote this.
    pub fn of(text: &str) -> Self {
        let start: String = text.chars().take(DETECT_CHARS).collect();
        match Detector::with_allowlist(vec![Lang::Eng, Lang::Rus]).detect_lang(&start) {
            Some(Lang::Rus) => Self::Russian,
            _ => Self::English,
        }
    }
}

/// Names between braces. Other braces, as in an example of JSON, are text.
fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| is_name(name))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn fill(template: &str, findings: &str, attempt: u32) -> String {
    let mut text = String::with_capacity(template.len() + findings.len());
    let mut pieces = template.split('{');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match piece.split_once('}') {
            Some(("findings", rest)) => text.extend([findings, rest]),
            Some(("attempt", rest)) => text.extend([attempt.to_string().as_str(), rest]),
            _ => text.extend(["{", piece]),
        }
    }
    text
}

/// One line for each thing that is wrong, without repetitions, in panel order.
fn lines(case: &Case, verdicts: &[Verdict], language: Language) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let failed = verdicts.iter().filter(|v| v.mode == Mode::Enforce && v.vote() == Some(Decision::Fail));
    for verdict in failed {
        let mut own: Vec<String> = verdict.judgement.findings.iter().map(|finding| line(case, finding)).collect();
        if own.is_empty() {
            own.push(match language {
                Language::English => format!("- the check `{}` failed and did not say why", verdict.critic),
                Language::Russian => format!("- проверка `{}` не пройдена, причина не названа", verdict.critic),
            });
        }
        own.retain(|line| !lines.contains(line));
        own.dedup();
        lines.append(&mut own);
    }
    lines
}

fn line(case: &Case, finding: &Finding) -> String {
    // One finding, one line: a message that breaks lines could look like other findings.
    let message = finding.message.split_whitespace().collect::<Vec<_>>().join(" ");
    match quote(case, finding) {
        Some(quote) => format!("- {message}: \"{quote}\""),
        None => format!("- {message}"),
    }
}

/// The words that a finding is about.
fn quote(case: &Case, finding: &Finding) -> Option<String> {
    let span = finding.span.clone()?;
    let choice = |choice: usize| case.answers.get(choice);
    let text = match finding.place {
        Place::Text { choice: index } => &choice(index)?.text,
        Place::Reasoning { choice: index } => &choice(index)?.reasoning,
        Place::Refusal { choice: index } => &choice(index)?.refusal,
        Place::ToolCall { choice: index, call } => &choice(index)?.tool_calls.get(call)?.arguments,
        Place::Whole | Place::Turn { .. } | Place::Passage { .. } => return None,
    };
    let words = text.get(span)?.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(QUOTE_CHARS).collect();
    match (short.is_empty(), short.len() < words.len()) {
        (true, _) => None,
        (_, true) => Some(format!("{short}…")),
        (_, false) => Some(short),
    }
}

/// As many whole lines as there is room for, and how many more there were.
fn list(lines: &[String], room: usize, language: Language) -> String {
    let rest = |count: usize| match language {
        Language::English => format!("- and {count} more"),
        Language::Russian => format!("- и ещё {count}"),
    };
    let mut kept = lines.len();
    let length = |kept: usize| {
        let own: usize = lines[..kept].iter().map(|line| line.len() + 1).sum();
        own + if kept < lines.len() { rest(lines.len() - kept).len() } else { 0 }
    };
    while kept > 0 && length(kept) > room {
        kept -= 1;
    }
    let mut shown = lines[..kept].to_vec();
    if kept == 0 && !lines.is_empty() {
        // Half a finding says more than none.
        let left = room.saturating_sub(rest(lines.len()).len() + 5);
        shown.push(format!("{}…", &lines[0][..lines[0].floor_char_boundary(left)]));
        kept = 1;
    }
    if kept < lines.len() {
        shown.push(rest(lines.len() - kept));
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests;
