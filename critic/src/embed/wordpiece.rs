//! Text to the tokens of a BERT model: lower case, accents off, words and marks apart, each word
//! cut greedily into the longest pieces of the vocabulary.
//!
//! Reads `tokenizer.json` as Hugging Face's `tokenizers` writes it; equal to it on every text of
//! the labelled sets (`critic/tests/embedding.rs`). Sources: Devlin et al., "BERT", 2019; Wu et al.,
//! "Google's Neural Machine Translation System", 2016.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a word that are cut into pieces; a longer one is unknown as a whole.
const MAX_WORD_CHARACTERS: usize = 100;

/// A vocabulary of word pieces.
#[derive(Debug)]
pub struct WordPiece {
    beginnings: HashMap<String, u32>,
    /// Pieces that go on a word, without their `##`.
    goings_on: HashMap<String, u32>,
    longest: usize,
    unknown: u32,
    first: u32,
    last: u32,
}

/// Tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Ids, with the first and last one that the model wants.
    pub ids: Vec<u32>,
    /// Bytes of the text that a token stands for; empty for the first and last.
    pub spans: Vec<Range<usize>>,
}

/// A character of the text as the vocabulary knows it, and where it came from.
type Letter = (char, Range<usize>);

impl WordPiece {
    /// Reads `tokenizer.json`.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let file: Value = serde_json::from_slice(bytes).map_err(|fault| fault.to_string())?;
        if file["model"]["type"] != "WordPiece" || file["normalizer"]["lowercase"] == false {
            return Err("is no lower-case WordPiece tokenizer: only such models can be run".to_owned());
        }
        let vocabulary = file["model"]["vocab"].as_object().ok_or("has no vocabulary")?;
        let id = |token: &str| vocabulary.get(token).and_then(Value::as_u64).map(|id| id as u32);
        let special = |token: &str| id(token).ok_or_else(|| format!("has no token {token}"));
        let (mut beginnings, mut goings_on) = (HashMap::new(), HashMap::new());
        for (token, id) in vocabulary {
            let id = id.as_u64().ok_or("has an id that is no number")? as u32;
            match token.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => goings_on.insert(rest.to_owned(), id),
                _ => beginnings.insert(token.clone(), id),
            };
        }
        let longest = vocabulary.keys().map(|token| token.chars().count()).max().unwrap_or(0);
        let (unknown, first, last) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        Ok(Self { beginnings, goings_on, longest, unknown, first, last })
    }

    /// Tokens of a text, at most `most` with the first and last one.
    pub fn encode(&self, text: &str, most: usize) -> Encoding {
        let mut encoding = Encoding::default();
        encoding.ids.push(self.first);
        encoding.spans.push(0..0);
        self.add(text, most.saturating_sub(1), &mut encoding);
        encoding.ids.push(self.last);
        encoding.spans.push(0..0);
        encoding
    }

    /// Tokens of two texts with the model's mark between, and where the second begins; each is
    /// given half where both are too long.
    pub fn encode_pair(&self, a: &str, b: &str, most: usize) -> (Encoding, usize) {
        let (first, second) = (self.encode(a, most), self.encode(b, most));
        let room = most.saturating_sub(3);
        let (long_a, long_b) = (first.ids.len() - 2, second.ids.len() - 2);
        let take_b = long_b.min(room.saturating_sub(long_a).max(room / 2));
        let take_a = long_a.min(room - take_b);
        let mut both = Encoding { ids: first.ids[..=take_a].to_vec(), spans: first.spans[..=take_a].to_vec() };
        both.ids.push(self.last);
        both.spans.push(0..0);
        let begins = both.ids.len();
        both.ids.extend_from_slice(&second.ids[1..=take_b]);
        both.spans.extend_from_slice(&second.spans[1..=take_b]);
        both.ids.push(self.last);
        both.spans.push(0..0);
        (both, begins)
    }

    fn add(&self, text: &str, most: usize, encoding: &mut Encoding) {
        let mut word: Vec<Letter> = Vec::new();
        for (character, span) in letters(text) {
            let alone = is_mark(character) || is_chinese(character);
            if character.is_whitespace() || alone {
                self.add_word(&word, encoding);
                word.clear();
            }
            if alone {
                self.add_word(&[(character, span)], encoding);
            } else if !character.is_whitespace() {
                word.push((character, span));
            }
            if encoding.ids.len() >= most {
                break;
            }
        }
        self.add_word(&word, encoding);
        encoding.ids.truncate(most);
        encoding.spans.truncate(most);
    }

    fn add_word(&self, word: &[Letter], encoding: &mut Encoding) {
        let (Some(first), Some(last)) = (word.first(), word.last()) else { return };
        let begun = encoding.ids.len();
        let mut from = 0;
        while from < word.len() && word.len() <= MAX_WORD_CHARACTERS {
            let Some((id, to)) = self.longest_piece(word, from) else { break };
            encoding.ids.push(id);
            encoding.spans.push(word[from].1.start..word[to - 1].1.end);
            from = to;
        }
        if from < word.len() {
            encoding.ids.truncate(begun);
            encoding.spans.truncate(begun);
            encoding.ids.push(self.unknown);
            encoding.spans.push(first.1.start..last.1.end);
        }
    }

    /// The longest piece that begins there, and where it ends.
    fn longest_piece(&self, word: &[Letter], from: usize) -> Option<(u32, usize)> {
        let known = if from == 0 { &self.beginnings } else { &self.goings_on };
        let most = word.len().min(from + self.longest);
        let mut piece: String = word[from..most].iter().map(|(letter, _)| letter).collect();
        for to in (from + 1..=most).rev() {
            if let Some(id) = known.get(&piece) {
                return Some((*id, to));
            }
            piece.pop();
        }
        None
    }
}

/// Characters as the vocabulary has them: no controls, lower case, no accents.
fn letters(text: &str) -> impl Iterator<Item = Letter> {
    text.char_indices().flat_map(|(at, character)| {
        let span = at..at + character.len_utf8();
        let plain: Vec<char> = match character {
            '\t' | '\n' | '\r' => vec![' '],
            '\0' | '\u{fffd}' => Vec::new(),
            other if is_control(other) => Vec::new(),
            other if other.is_ascii() => vec![other.to_ascii_lowercase()],
            other => {
                std::iter::once(other).nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
            }
        };
        plain.into_iter().map(move |letter| (letter, span.clone()))
    })
}

/// Controls and characters of format only, which are not seen (general category C).
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0001}'..='\u{e007f}')
}

/// Punctuation: what ASCII has beside letters and digits, and Unicode's general category P.
fn is_mark(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_punctuation();
    }
    matches!(character, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}' | '\u{37e}' | '\u{387}'
        | '\u{55a}'..='\u{55f}' | '\u{589}' | '\u{58a}' | '\u{5be}' | '\u{5c0}' | '\u{5c3}' | '\u{5c6}' | '\u{5f3}' | '\u{5f4}'
        | '\u{609}' | '\u{60a}' | '\u{60c}' | '\u{60d}' | '\u{61b}' | '\u{61d}'..='\u{61f}' | '\u{66a}'..='\u{66d}' | '\u{6d4}'
        | '\u{964}' | '\u{965}' | '\u{970}' | '\u{e4f}' | '\u{e5a}' | '\u{e5b}' | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{2043}' | '\u{2045}'..='\u{2051}' | '\u{2053}'..='\u{205e}' | '\u{207d}' | '\u{207e}'
        | '\u{208d}' | '\u{208e}' | '\u{2308}'..='\u{230b}' | '\u{2329}' | '\u{232a}' | '\u{2768}'..='\u{2775}'
        | '\u{27e6}'..='\u{27ef}' | '\u{2983}'..='\u{2998}' | '\u{2e00}'..='\u{2e4f}' | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{3030}' | '\u{303d}' | '\u{30a0}' | '\u{30fb}'
        | '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe52}' | '\u{fe54}'..='\u{fe61}' | '\u{fe63}' | '\u{fe68}' | '\u{fe6a}'
        | '\u{fe6b}' | '\u{ff01}'..='\u{ff03}' | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}' | '\u{ff1a}' | '\u{ff1b}'
        | '\u{ff1f}' | '\u{ff20}' | '\u{ff3b}'..='\u{ff3d}' | '\u{ff3f}' | '\u{ff5b}' | '\u{ff5d}' | '\u{ff5f}'..='\u{ff65}')
}

/// Characters that are a word each.
fn is_chinese(character: char) -> bool {
    matches!(character, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2ebef}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> WordPiece {
        let tokens =
            ["[UNK]", "[CLS]", "[SEP]", "play", "##ing", "##s", "!", "и", "##од", "cafe", "don", "'", "t", "日"];
        let vocab: serde_json::Map<String, Value> =
            tokens.iter().zip(0..).map(|(token, id)| ((*token).to_owned(), Value::from(id))).collect();
        let file =
            serde_json::json!({"model": {"type": "WordPiece", "vocab": vocab}, "normalizer": {"lowercase": true}});
        WordPiece::read(file.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn words_are_cut_into_the_longest_pieces_and_marks_stand_alone() {
        let table: [(&str, &[u32]); 6] = [
            ("Playing!", &[1, 3, 4, 6, 2]),
            ("plays  Café", &[1, 3, 5, 9, 2]),
            ("don't", &[1, 10, 11, 12, 2]),
            ("йод", &[1, 7, 8, 2]),
            ("日日 zzz", &[1, 13, 13, 0, 2]),
            ("", &[1, 2]),
        ];
        for (text, wanted) in table {
            assert_eq!(small().encode(text, 64).ids, wanted, "{text}");
        }
    }

    #[test]
    fn spans_say_which_bytes_a_token_stands_for() {
        let text = "Café йод!";
        let encoding = small().encode(text, 64);
        let told: Vec<&str> = encoding.spans.iter().map(|span| &text[span.clone()]).collect();
        assert_eq!(told, ["", "Café", "й", "од", "!", ""]);
    }

    #[test]
    fn a_long_text_is_cut_and_keeps_its_end_mark() {
        let encoding = small().encode(&"play ".repeat(50), 8);
        assert_eq!(encoding.ids, [1, 3, 3, 3, 3, 3, 3, 2]);
    }

    #[test]
    fn of_a_pair_both_keep_a_half_where_both_are_long() {
        let (both, begins) = small().encode_pair(&"play ".repeat(50), &"don ".repeat(50), 11);
        assert_eq!((both.ids, begins), (vec![1, 3, 3, 3, 3, 2, 10, 10, 10, 10, 2], 6));
        let (both, _) = small().encode_pair("play", &"don ".repeat(50), 8);
        assert_eq!(both.ids, [1, 3, 2, 10, 10, 10, 10, 2]);
    }
}
