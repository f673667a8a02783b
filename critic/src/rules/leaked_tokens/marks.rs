//! The marks that chat templates use, and how they are met in a text.
//!
//! Three kinds: anything of the form `<|name|>` or `<｜name｜>`, which no language or markup
//! uses for text; names in `<...>` and `[...]`, listed here; and headings of old instruction
//! templates. Sources: the `chat_template` of the published tokenizers of Llama 2-4, Mistral,
//! Qwen, Gemma, Phi, Command R, DeepSeek, GLM, Kimi, Granite and the OpenAI harmony format.

use serde::{Deserialize, Serialize};

/// Longest mark, in bytes: what a stream must hold back to see one whole.
pub const LONGEST: usize = 64;

/// What a mark belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Begin and end of texts and turns: `<|im_start|>`, `<|eot_id|>`, `[INST]`, `<end_of_turn>`.
    Template,
    /// Begin and end of reasoning: `<think>`, `[THINK]`.
    Thinking,
    /// Markup of tool calls that should have been parsed: `<tool_call>`, `[TOOL_CALLS]`.
    Tools,
}

/// A mark: bytes `start..end` of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// What it belongs to.
    pub family: Family,
}

/// Marks in angle brackets, without the bracket.
const ANGLED: [(&str, Family); 37] = [
    ("start_of_turn>", Family::Template),
    ("end_of_turn>", Family::Template),
    ("start_of_image>", Family::Template),
    ("bos>", Family::Template),
    ("eos>", Family::Template),
    ("pad>", Family::Template),
    ("unk>", Family::Template),
    ("s>[INST]", Family::Template),
    ("s>[/INST]", Family::Template),
    ("sop>", Family::Template),
    ("eop>", Family::Template),
    ("0x0A>", Family::Template),
    ("<SYS>>", Family::Template),
    ("</SYS>>", Family::Template),
    ("think>", Family::Thinking),
    ("/think>", Family::Thinking),
    ("thinking>", Family::Thinking),
    ("/thinking>", Family::Thinking),
    ("thought>", Family::Thinking),
    ("/thought>", Family::Thinking),
    ("reasoning>", Family::Thinking),
    ("/reasoning>", Family::Thinking),
    ("seed:think>", Family::Thinking),
    ("/seed:think>", Family::Thinking),
    ("scratchpad>", Family::Thinking),
    ("/scratchpad>", Family::Thinking),
    ("tool_call>", Family::Tools),
    ("/tool_call>", Family::Tools),
    ("tool_calls>", Family::Tools),
    ("/tool_calls>", Family::Tools),
    ("tool_response>", Family::Tools),
    ("/tool_response>", Family::Tools),
    ("function=", Family::Tools),
    ("seed:tool_call>", Family::Tools),
    ("minimax:tool_call>", Family::Tools),
    ("function_call>", Family::Tools),
    ("functioncall>", Family::Tools),
];

/// Marks in square brackets, without the bracket.
const SQUARED: [(&str, Family); 16] = [
    ("INST]", Family::Template),
    ("/INST]", Family::Template),
    ("SYSTEM_PROMPT]", Family::Template),
    ("/SYSTEM_PROMPT]", Family::Template),
    ("gMASK]", Family::Template),
    ("THINK]", Family::Thinking),
    ("/THINK]", Family::Thinking),
    ("TOOL_CALLS]", Family::Tools),
    ("AVAILABLE_TOOLS]", Family::Tools),
    ("/AVAILABLE_TOOLS]", Family::Tools),
    ("TOOL_RESULTS]", Family::Tools),
    ("/TOOL_RESULTS]", Family::Tools),
    ("TOOL_CONTENT]", Family::Tools),
    ("/TOOL_CONTENT]", Family::Tools),
    ("CALL_ID]", Family::Tools),
    ("TOOL_REQUEST]", Family::Tools),
];

/// Headings of old instruction templates, without the first `#`.
const HEADED: [&str; 3] = ["## Instruction:\n", "## Response:\n", "## Human:"];

/// The bar of DeepSeek's marks.
const WIDE_BAR: &str = "｜";

/// The first mark that begins at byte `from` or behind it.
pub fn find_from(text: &str, from: usize) -> Option<Mark> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(step) = bytes.get(at..).and_then(|rest| memchr::memchr3(b'<', b'[', b'#', rest)) {
        at += step;
        if let Some((length, family)) = look(&text[at + 1..], bytes[at]) {
            return Some(Mark { start: at, end: at + 1 + length, family });
        }
        at += 1;
    }
    None
}

/// Length of the mark that goes on with `rest`, and its family.
fn look(rest: &str, opening: u8) -> Option<(usize, Family)> {
    let listed = |list: &'static [(&'static str, Family)]| {
        list.iter().find(|(mark, _)| rest.starts_with(mark)).map(|(mark, family)| (mark.len(), *family))
    };
    match opening {
        b'<' if rest.starts_with('|') => barred(rest, "|"),
        b'<' if rest.starts_with(WIDE_BAR) => barred(rest, WIDE_BAR),
        b'<' if rest.starts_with("/s>") => is_end_of_text(&rest[3..]).then_some((3, Family::Template)),
        b'<' => listed(&ANGLED),
        b'[' => listed(&SQUARED),
        _ => HEADED.iter().find(|mark| rest.starts_with(**mark)).map(|mark| (mark.len(), Family::Template)),
    }
}

/// `|name|>`: the name is letters, digits, `_`, `-`, `▁` and blanks, and begins with no blank.
fn barred(rest: &str, bar: &str) -> Option<(usize, Family)> {
    let name = &rest[bar.len()..];
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '▁' | '/' | '.');
    let end = name.find(|c| !fits(c)).filter(|end| (2..=LONGEST - 10).contains(end))?;
    let name = &name[..end];
    let closed = rest[bar.len() + end..].strip_prefix(bar)?.starts_with('>');
    let lower = name.to_ascii_lowercase();
    let family = match () {
        () if lower.contains("think") => Family::Thinking,
        () if ["tool", "function", "python_tag", "call", "action"].iter().any(|word| lower.contains(word)) => {
            Family::Tools
        }
        () => Family::Template,
    };
    closed.then_some((2 * bar.len() + end + 1, family))
}

/// `</s>` closes struck text in HTML, so it is a mark only where nothing but marks follows.
fn is_end_of_text(rest: &str) -> bool {
    rest.trim_start().is_empty() || rest.trim_start().starts_with("<s>") || rest.trim_start().starts_with("</s>")
}

impl Family {
    /// Every family, for tables of settings and tests.
    pub const ALL: [Self; 3] = [Self::Template, Self::Thinking, Self::Tools];

    /// The word used in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Thinking => "thinking",
            Self::Tools => "tools",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_every_model_family_are_met() {
        let table = [
            ("<|im_start|>assistant", "<|im_start|>", Family::Template),
            ("<|start_header_id|>", "<|start_header_id|>", Family::Template),
            ("<|channel|>analysis", "<|channel|>", Family::Template),
            ("<|python_tag|>", "<|python_tag|>", Family::Tools),
            ("<|START_THINKING|>", "<|START_THINKING|>", Family::Thinking),
            ("<|tool_calls_section_begin|>", "<|tool_calls_section_begin|>", Family::Tools),
            ("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>", Family::Template),
            ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁begin｜>", Family::Tools),
            ("[INST] hi", "[INST]", Family::Template),
            ("[TOOL_CALLS][{", "[TOOL_CALLS]", Family::Tools),
            ("<start_of_turn>model", "<start_of_turn>", Family::Template),
            ("<<SYS>>", "<<SYS>>", Family::Template),
            ("</think>", "</think>", Family::Thinking),
            ("<tool_call>{", "<tool_call>", Family::Tools),
            ("done</s>", "</s>", Family::Template),
            ("### Response:\nYes", "### Response:\n", Family::Template),
        ];
        for (text, written, family) in table {
            let mark = find_from(text, 0);
            assert_eq!(mark.map(|mark| (&text[mark.start..mark.end], mark.family)), Some((written, family)), "{text}");
            assert!(written.len() <= LONGEST);
        }
    }

    #[test]
    fn markup_and_code_of_other_kinds_are_no_marks() {
        let texts = [
            "<b>bold</b> and <s>struck</s> out",
            "xs |> map f <| x",
            "a <|> b",
            "x < | y | > z",
            "[1] see [INSTALL] and [link](url)",
            "### Response times",
            "if a<|b|>0",
            "# Heading\n## Another",
            "<thinker> <tools>",
        ];
        for text in texts {
            assert_eq!(find_from(text, 0), None, "{text}");
        }
    }
}
