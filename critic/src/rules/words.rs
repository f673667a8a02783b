//! How rules read words: what a character is, where words stand, how they are compared.
//!
//! Promises: no allocation; the same for every rule. Words are runs of letters and digits
//! (with the marks that combine with them); in scripts that are written without blanks each
//! character is a word. That is the common core of UAX #29 that needs no tables beyond the
//! standard library's, which rules on all traffic cannot pay for.

/// What a character is for the division into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Blank,
    Letter,
    Digit,
    /// A word of its own, such as a Chinese character.
    Sign,
    /// No part of a word, such as a dash.
    Mark,
}

/// A word: bytes `start..end` of the text, and a hash that does not know its case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) hash: u32,
}

/// The words of a text.
pub(crate) struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Class {
    pub(crate) fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            ' ' | '\n' | '\t' | '\r' => Self::Blank,
            '\0'..='\x7F' => Self::Mark,
            // Latin and Cyrillic letters, dashes and quotation marks, before the slow tables.
            '\u{C0}'..='\u{24F}' if !matches!(c, '×' | '÷') => Self::Letter,
            '\u{400}'..='\u{481}' | '\u{48A}'..='\u{52F}' => Self::Letter,
            '\u{2010}'..='\u{2027}' => Self::Mark,
            // Han, kana, Thai, Lao, Khmer and Burmese are written without blanks.
            '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Self::Sign,
            '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}' => Self::Sign,
            // Combining marks belong to the letter before.
            '\u{0300}'..='\u{036F}' => Self::Letter,
            _ if c.is_alphabetic() => Self::Letter,
            _ if c.is_numeric() => Self::Digit,
            _ if c.is_whitespace() => Self::Blank,
            _ => Self::Mark,
        }
    }

    fn joins(self) -> bool {
        matches!(self, Self::Letter | Self::Digit)
    }
}

/// The character in lower case, `ё` as `е`; itself where that would need another number of
/// bytes, so that offsets into folded text are offsets into the text.
pub(crate) fn fold(c: char) -> char {
    match c {
        '\0'..='\x7F' => c.to_ascii_lowercase(),
        'ё' | 'Ё' => 'е',
        // Cyrillic small letters, dashes and quotation marks, Chinese and kana: the common ones.
        'а'..='я' | '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{9FFF}' => c,
        'А'..='Я' => char::from_u32(c as u32 + 32).unwrap_or(c),
        _ => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) if one.len_utf8() == c.len_utf8() => one,
                _ => c,
            }
        }
    }
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> Words<'_> {
    Words { text, at: 0 }
}

/// ASCII letters and digits in lower case; 0 for what is no part of a word.
const FOLDED: [u8; 128] = {
    let mut folded = [0; 128];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            folded[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    folded
};

/// Whether the character is a letter as Unicode has it, the common ones first.
pub(crate) fn is_letter(c: char) -> bool {
    match c {
        '\0'..='\x7F' => c.is_ascii_alphabetic(),
        '\u{400}'..='\u{481}' | '\u{4E00}'..='\u{9FFF}' => true,
        '\u{2010}'..='\u{2027}' => false,
        _ => c.is_alphabetic(),
    }
}

impl Words<'_> {
    /// Passes over what is no word. The first character of the next word: its byte, and itself.
    fn begin(&self, mut at: usize) -> Option<(usize, char)> {
        loop {
            let byte = *self.text.as_bytes().get(at)?;
            if byte < 0x80 {
                if FOLDED[byte as usize] != 0 {
                    return Some((at, char::from(byte)));
                }
                at += 1;
                continue;
            }
            let c = self.text[at..].chars().next()?;
            if matches!(Class::of(c), Class::Letter | Class::Digit | Class::Sign) {
                return Some((at, c));
            }
            at += c.len_utf8();
        }
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let Some((start, first)) = self.begin(self.at) else {
            self.at = self.text.len();
            return None;
        };
        let mut hash = mix(0x811C_9DC5, first);
        let mut end = start + first.len_utf8();
        while first.is_ascii() || Class::of(first) != Class::Sign {
            let Some(byte) = self.text.as_bytes().get(end) else { break };
            if *byte < 0x80 {
                let folded = FOLDED[*byte as usize];
                if folded == 0 {
                    break;
                }
                hash = step(hash, u32::from(folded));
                end += 1;
                continue;
            }
            let Some(c) = self.text[end..].chars().next().filter(|c| Class::of(*c).joins()) else { break };
            hash = mix(hash, c);
            end += c.len_utf8();
        }
        self.at = end;
        Some(Word { start, end, hash })
    }
}

/// One step of FNV-1a over folded characters.
fn mix(hash: u32, c: char) -> u32 {
    step(hash, fold(c) as u32)
}

fn step(hash: u32, folded: u32) -> u32 {
    (hash ^ folded).wrapping_mul(0x0100_0193)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits_or_single_signs() {
        let text = "Don't stop: ещё 2x, 我们 go!";
        let found: Vec<&str> = words(text).map(|word| &text[word.start..word.end]).collect();
        assert_eq!(found, ["Don", "t", "stop", "ещё", "2x", "我", "们", "go"]);
    }

    #[test]
    fn words_are_compared_without_their_case() {
        let hash = |text: &str| words(text).next().unwrap().hash;
        assert_eq!(hash("ЕЩЁ"), hash("еще"));
        assert_ne!(hash("dam"), hash("mad"));
    }

    #[test]
    fn the_short_ways_agree_with_the_tables_of_unicode() {
        for c in '\0'..='\u{10FFFF}' {
            assert_eq!(is_letter(c), c.is_alphabetic(), "{c:?}");
            let common = matches!(c, '\u{C0}'..='\u{24F}' | '\u{400}'..='\u{481}' | '\u{48A}'..='\u{52F}');
            assert!(!common || c.is_alphabetic() == (Class::of(c) == Class::Letter), "{c:?}");
            let dash = matches!(c, '\u{2010}'..='\u{2027}');
            assert!(!dash || !(c.is_alphanumeric() || c.is_whitespace()), "{c:?}");
            let lower: Vec<char> = c.to_lowercase().collect();
            let folded = if lower.len() == 1 && lower[0].len_utf8() == c.len_utf8() { lower[0] } else { c };
            assert_eq!(fold(c), if matches!(folded, 'ё') { 'е' } else { folded }, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn words_lie_apart_and_on_character_boundaries(text in "\\PC{0,60}") {
            let mut from = 0;
            for word in words(&text) {
                prop_assert!(from <= word.start && word.start < word.end);
                prop_assert!(text.get(word.start..word.end).is_some());
                from = word.end;
            }
        }

        #[test]
        fn folding_keeps_offsets(text in "\\PC{0,60}") {
            prop_assert_eq!(text.chars().map(fold).collect::<String>().len(), text.len());
        }
    }
}
