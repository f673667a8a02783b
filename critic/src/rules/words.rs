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

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let mut word: Option<Word> = None;
        for (step, c) in self.text[self.at..].char_indices() {
            let (class, here) = (Class::of(c), self.at + step);
            match word.as_mut() {
                Some(word) if class.joins() => {
                    word.hash = mix(word.hash, c);
                    word.end = here + c.len_utf8();
                }
                Some(word) => {
                    self.at = here;
                    return Some(*word);
                }
                None if class.joins() => {
                    word = Some(Word { start: here, end: here + c.len_utf8(), hash: mix(0x811C_9DC5, c) });
                }
                None if class == Class::Sign => {
                    self.at = here + c.len_utf8();
                    return Some(Word { start: here, end: self.at, hash: mix(0x811C_9DC5, c) });
                }
                None => {}
            }
        }
        self.at = self.text.len();
        word
    }
}

/// One step of FNV-1a over folded characters.
fn mix(hash: u32, c: char) -> u32 {
    (hash ^ fold(c) as u32).wrapping_mul(0x0100_0193)
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
