//! What a judge is shown of a case: as data, between marks that the data cannot contain.

use super::Limits;
use crate::{Answer, Case, Role};

/// Text between marks.
#[derive(Debug)]
pub(super) struct Material {
    /// Everything, with marks.
    pub(super) text: String,
    /// Part of the conversation or context was left out.
    pub(super) cut: bool,
}

/// Sections that are put between marks: `(name, text)`.
#[derive(Debug, Default)]
pub(super) struct Sections {
    list: Vec<(&'static str, String)>,
    cut: bool,
}

/// What chat templates take for the end of a message or the begin of one. Engines that render the
/// template before they cut tokens would obey these inside an answer.
const CONTROL: [&str; 12] = [
    "<|",
    "|>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
];

impl Sections {
    /// The conversation and what was retrieved for it, within the limit: the last turns and the
    /// begins of passages are kept.
    pub(super) fn before(case: &Case, limits: &Limits) -> Self {
        let mut sections = Self::default();
        let passages: usize = case.context.iter().map(|passage| passage.text.len()).sum();
        // Half for each where both are long, what the other leaves otherwise.
        let half = limits.max_context_bytes / 2;
        let turns: usize = case.conversation.iter().map(|turn| turn.text.len() + 16).sum();
        let for_passages = passages.min(limits.max_context_bytes.saturating_sub(turns.min(half)));
        let conversation = sections.conversation(case, limits.max_context_bytes - for_passages);
        sections.push("CONVERSATION", conversation);
        let share = for_passages / case.context.len().max(1);
        let mut context = String::new();
        for (number, passage) in case.context.iter().enumerate() {
            let fits = passages <= for_passages;
            let kept = if fits { &passage.text } else { head(&passage.text, share) };
            sections.cut |= kept.len() < passage.text.len();
            context.push_str(&format!("[{}] {}\n", number + 1, kept));
        }
        sections.push("CONTEXT", context);
        sections
    }

    fn conversation(&mut self, case: &Case, room: usize) -> String {
        let (mut kept, mut left) = (Vec::new(), room);
        for turn in case.conversation.iter().rev() {
            let line = format!("{}: {}\n", speaker(turn.role), turn.text);
            if line.len() > left {
                self.cut = true;
                kept.push(format!("{}: …{}\n", speaker(turn.role), tail(&turn.text, left.saturating_sub(16))));
                break;
            }
            left -= line.len();
            kept.push(line);
        }
        kept.reverse();
        kept.concat()
    }

    /// One more section; nothing where it is empty.
    pub(super) fn push(&mut self, name: &'static str, text: impl Into<String>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.list.push((name, text));
        }
    }

    /// All sections between marks.
    pub(super) fn fenced(self) -> Material {
        let list: Vec<_> = self.list.into_iter().map(|(name, text)| (name, tamed(&text))).collect();
        let all: String = list.iter().map(|(_, text)| text.as_str()).collect();
        let mark = mark(&all);
        let mut text = format!("Marks of this material carry the code {mark}.\n");
        for (name, section) in list {
            text.push_str(&format!(
                "=== {name} {mark} BEGINS ===\n{}\n=== {name} {mark} ENDS ===\n",
                section.trim_end()
            ));
        }
        Material { text, cut: self.cut }
    }
}

/// The whole of an answer that the client would see.
pub(super) fn shown(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    if !answer.refusal.is_empty() {
        text.push_str(&format!("\n[refusal] {}", answer.refusal));
    }
    for call in &answer.tool_calls {
        text.push_str(&format!("\n[calls the tool {} with {}]", call.name, call.arguments));
    }
    text
}

fn speaker(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// The text with control tokens broken by a space.
fn tamed(text: &str) -> String {
    let mut tame = text.to_owned();
    for token in CONTROL {
        let split = token.chars().next().map_or(0, char::len_utf8);
        tame = tame.replace(token, &format!("{} {}", &token[..split], &token[split..]));
    }
    tame
}

/// A code that the text does not hold: its digest, which nobody can write into it beforehand.
fn mark(text: &str) -> String {
    let mut digest = blake3::hash(text.as_bytes());
    loop {
        let mark = digest.to_hex()[..16].to_owned();
        if !text.contains(&mark) {
            return mark;
        }
        digest = blake3::hash(digest.as_bytes());
    }
}

fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn tail(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}
