//! The first sentences of an answer, made plain for comparing.

use super::english;
use crate::rules::words::fold;

/// Bytes of an answer that are read: a refusal comes first.
const READ: usize = 480;

/// Sentences that are read.
const SENTENCES: usize = 3;

/// The lead of an answer.
pub(super) struct Lead {
    /// Lower case, plain apostrophes, no markup; sentences end in a line feed.
    pub(super) text: String,
    /// Bytes of the answer that were read.
    pub(super) bytes: usize,
    /// Whether an English denial may stand in it.
    pub(super) has_no: bool,
}

impl Lead {
    pub(super) fn of(answer: &str) -> Self {
        let answer_read = cut(answer, READ);
        let text = plain(answer_read, READ);
        let text = without_label(&text);
        let mut kept = String::with_capacity(text.len() + 1);
        let (mut rest, mut sentences) = (text, 0);
        while sentences < SENTENCES && !rest.is_empty() {
            let end = stop(rest);
            let sentence = &rest[..end];
            let after = rest[end..].chars().next().map_or(end, |stop| end + stop.len_utf8());
            // A full stop within a word or a row of them ends nothing of its own.
            kept.push_str(sentence);
            if after > end && !kept.trim_end().is_empty() && !kept.ends_with('\n') {
                kept.push('\n');
                sentences += 1;
            }
            rest = rest[after..].trim_start();
        }
        Self { has_no: english::has_no(&kept), text: kept, bytes: answer_read.len() }
    }

    pub(super) fn sentences(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n').map(str::trim).filter(|sentence| !sentence.is_empty())
    }

    /// Whether no quotation is open at this byte.
    pub(super) fn is_own_speech(&self, at: usize) -> bool {
        is_own(&self.text[..at])
    }
}

/// Whether no quotation is open after these words.
pub(super) fn is_own(before: &str) -> bool {
    let count = |mark: char| before.chars().filter(|c| *c == mark).count();
    count('"').is_multiple_of(2) && count('«') <= count('»') && count('“') <= count('”') && count('「') <= count('」')
}

/// The byte at which the first sentence ends; the length where none does.
fn stop(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let ends = match byte {
            b'\n' => true,
            b'.' | b'!' | b'?' => text[at + 1..].chars().next().is_none_or(char::is_whitespace),
            // The first bytes of these characters.
            0xE0 | 0xE3 | 0xEF => text[at..].starts_with(['。', '！', '？', '।']),
            _ => false,
        };
        if ends {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// At most `limit` bytes of a text in lower case, with plain apostrophes and without markup.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let text = cut(text, limit);
    let marked = |byte: u8| matches!(byte, b'`' | b'*' | b'_' | b'#' | b'>' | b'~' | b'\t' | b'\r') || byte >= 0x80;
    if !text.bytes().fold(false, |any, byte| any | marked(byte)) {
        return text.to_ascii_lowercase();
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '’' | 'ʼ' | '`' | '‘' => plain.push('\''),
            '*' | '_' | '#' | '>' | '~' | '\u{200B}' | '\u{FEFF}' => {}
            '\t' | '\r' | '\u{A0}' | '\u{202F}' => plain.push(' '),
            // Folding makes `ё` into `е`; the phrases hold both forms where it matters.
            c => plain.push(fold(c)),
        }
    }
    plain
}

/// `BasedGPT:`, `[CLASSIC]`, `assistant:`: a label before the answer proper, and what else
/// comes before its first letter.
fn without_label(text: &str) -> &str {
    let text =
        text.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '[' | '(' | '"' | '«' | '“' | '「'));
    let text = match text.strip_prefix(['[', '(']).and_then(|rest| rest.split_once([']', ')'])) {
        Some((label, rest)) if label.len() <= 40 => rest.trim_start(),
        _ => text,
    };
    match text.split_once(':') {
        Some((label, rest)) if label.len() <= 24 && label.split(' ').count() <= 2 && !label.contains('\n') => {
            rest.trim_start()
        }
        _ => text,
    }
}

fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
