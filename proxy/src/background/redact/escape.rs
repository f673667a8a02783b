//! Escapes of JSON strings (RFC 8259, section 7), undone with a way back to the source.
//!
//! Lenient: what is no escape stays as it is, so that any text may be read as if escaped.

use super::Cut;

/// Levels of text within text that are looked through.
pub(super) const LEVELS: usize = 3;

/// Text with its escapes undone.
pub(super) struct Decoded {
    pub(super) text: String,
    /// For each byte of `text`, and for its end: where it comes from in the source.
    origin: Vec<u32>,
}

impl Decoded {
    /// Undoes one level of escapes.
    pub(super) fn of(source: &str) -> Self {
        let mut decoded =
            Self { text: String::with_capacity(source.len()), origin: Vec::with_capacity(source.len() + 1) };
        pieces(source, |at, piece| match piece {
            Piece::Plain(plain) => {
                decoded.text.push_str(plain);
                decoded.origin.extend((at..at + plain.len()).map(offset));
            }
            Piece::Escape(char) => {
                decoded.text.push(char);
                decoded.origin.extend(std::iter::repeat_n(offset(at), char.len_utf8()));
            }
        });
        decoded.origin.push(offset(source.len()));
        decoded
    }

    /// Undoes one more level; the way back still leads to the first source.
    pub(super) fn again(&self) -> Self {
        let mut next = Self::of(&self.text);
        next.origin.iter_mut().for_each(|at| *at = self.origin[*at as usize]);
        next
    }

    /// Where a byte of the text comes from.
    pub(super) fn origin(&self, at: usize) -> usize {
        self.origin[at] as usize
    }

    /// A cut of the text as a cut of the source.
    pub(super) fn back(&self, cut: Cut) -> Cut {
        Cut { start: self.origin(cut.start), end: self.origin(cut.end), ..cut }
    }
}

/// Undoes one level of escapes, without a way back.
pub(super) fn undone(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    pieces(source, |_, piece| match piece {
        Piece::Plain(plain) => text.push_str(plain),
        Piece::Escape(char) => text.push(char),
    });
    text
}

/// Text between escapes, or what an escape stands for.
enum Piece<'a> {
    Plain(&'a str),
    Escape(char),
}

/// Shows the pieces of a text in order, each with its place.
fn pieces<'a>(source: &'a str, mut show: impl FnMut(usize, Piece<'a>)) {
    let bytes = source.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let plain = memchr::memchr(b'\\', &bytes[at..]).unwrap_or(bytes.len() - at);
        show(at, Piece::Plain(&source[at..at + plain]));
        at += plain;
        if at < bytes.len() {
            let (char, width) = escape(&bytes[at..]);
            show(at, Piece::Escape(char));
            at += width;
        }
    }
}

/// Offsets are kept in half a word: bodies are far below 4 GiB.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The character that an escape stands for and the bytes it takes; a backslash that begins
/// no escape stands for itself.
fn escape(bytes: &[u8]) -> (char, usize) {
    match bytes.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(byte @ (b'"' | b'\\' | b'/')) => (char::from(*byte), 2),
        Some(b'u') => unicode(bytes).unwrap_or(('\\', 1)),
        _ => ('\\', 1),
    }
}

fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let high = hex(bytes.get(2..6)?)?;
    if let Some(char) = char::from_u32(high) {
        return Some((char, 6));
    }
    let low = bytes.get(6..8).filter(|mark| *mark == b"\\u").and_then(|_| hex(bytes.get(8..12)?));
    match low {
        Some(low @ 0xDC00..=0xDFFF) if high < 0xDC00 => {
            Some((char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, 12))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

/// Grows a cut so that it leaves no half of an escape behind: `\` before it or at its end.
pub(super) fn widen(text: &str, cut: &mut Cut) {
    let bytes = text.as_bytes();
    let slashes = |end: usize| bytes[..end].iter().rev().take_while(|byte| **byte == b'\\').count();
    if slashes(cut.start) % 2 == 1 {
        cut.start -= 1;
    }
    if slashes(cut.end) % 2 == 1 {
        cut.end += text[cut.end..].chars().next().map_or(0, char::len_utf8);
    }
}
