//! A text as tokens and sentences.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::lexicon::Lexicon;

/// A word where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// Byte of the text.
    pub(crate) start: usize,
    /// Byte after it.
    pub(crate) end: usize,
    /// Its number in the lexicon.
    pub(crate) word: u32,
    /// Its stem's number in the lexicon.
    pub(crate) stem: u32,
    /// Written with a capital where no sentence begins.
    pub(crate) name: bool,
}

/// A sentence, or a line of a list.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    /// Bytes of the text, without white space around.
    pub(crate) span: Range<usize>,
    /// Its tokens.
    pub(crate) tokens: Range<usize>,
    /// Whether it stands in a list.
    pub(crate) item: bool,
    /// Passage that it belongs to, where the text says so; 0 elsewhere.
    pub(crate) passage: usize,
}

/// A text cut up.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) tokens: Vec<Token>,
    pub(crate) sentences: Vec<Sentence>,
}

/// Tokens read of one text: what is beyond is not seen.
pub(crate) const MAX_TOKENS: usize = 8192;

/// Sentences read of one text: longer ones are read as far as that.
pub(crate) const MAX_SENTENCES: usize = 1024;

impl Text {
    /// Cuts the text.
    pub(crate) fn cut(text: &str, lexicon: &mut Lexicon) -> Self {
        let mut cut = Self::default();
        cut.add(text, 0, lexicon);
        cut
    }

    /// Cuts one more passage and adds it.
    pub(crate) fn add(&mut self, text: &str, passage: usize, lexicon: &mut Lexicon) {
        let mut passage = passage;
        for span in spans(text) {
            if self.tokens.len() >= MAX_TOKENS || self.sentences.len() >= MAX_SENTENCES {
                return;
            }
            let piece = &text[span.clone()];
            let (label, skip) = label(piece);
            passage = label.unwrap_or(passage);
            let first = self.tokens.len();
            let item = marker(piece);
            let skip = skip.max(item.unwrap_or(0));
            self.take(piece, span.start, skip, lexicon);
            if self.tokens.len() > first {
                let tokens = first..self.tokens.len();
                self.sentences.push(Sentence { span, tokens, item: item.is_some(), passage });
            }
        }
    }

    fn take(&mut self, piece: &str, offset: usize, skip: usize, lexicon: &mut Lexicon) {
        let mut first = true;
        for (at, word) in piece.unicode_word_indices().filter(|(at, _)| *at >= skip) {
            let id = lexicon.word(word);
            let capital = word.chars().next().is_some_and(char::is_uppercase);
            let own = word.chars().count() > 1 && lexicon.get(id).class & super::lexicon::class::STOP == 0;
            // A sentence's first word may be a name too; two capitals in a row say that it is.
            if capital && own && !first && self.tokens.last().is_some_and(|t| t.end + 1 == offset + at) {
                let before = self.tokens.len() - 1;
                let capital_before = text_capital(piece, self.tokens[before].start, offset);
                let stop = lexicon.get(self.tokens[before].word).class & super::lexicon::class::STOP != 0;
                self.tokens[before].name |= capital_before && !stop;
            }
            let stem = lexicon.get(id).stem;
            let (start, end) = (offset + at, offset + at + word.len());
            self.tokens.push(Token { start, end, word: id, stem, name: capital && own && !first });
            first = false;
            if self.tokens.len() >= MAX_TOKENS {
                return;
            }
        }
    }
}

fn text_capital(piece: &str, start: usize, offset: usize) -> bool {
    start >= offset && piece[start - offset..].chars().next().is_some_and(char::is_uppercase)
}

/// `passage 3:` at the beginning of a line: the passage's number, and bytes to skip.
fn label(piece: &str) -> (Option<usize>, usize) {
    let Some(rest) = piece.get(..8).filter(|word| word.eq_ignore_ascii_case("passage ")).map(|_| &piece[8..]) else {
        return (None, 0);
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match rest[digits..].starts_with(':') {
        true => (rest[..digits].parse().ok(), 8 + digits + 1),
        false => (None, 0),
    }
}

/// Bytes of the mark of a list's item, where the piece begins with one.
fn marker(piece: &str) -> Option<usize> {
    let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=3).contains(&digits) && piece[digits..].starts_with(['.', ')', ':']) {
        let after = &piece[digits + 1..];
        return after.starts_with(char::is_whitespace).then_some(digits + 1);
    }
    piece.starts_with(['*', '-', '•', '–', '·', '+']).then(|| piece.chars().next().map_or(0, char::len_utf8))
}

/// Sentences and lines; pieces too short to stand alone ("1.", "Dr.") belong to what follows.
fn spans(text: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for line in text.split_inclusive('\n') {
        let base = line.as_ptr() as usize - text.as_ptr() as usize;
        let from = spans.len();
        for (at, sentence) in line.split_sentence_bound_indices() {
            let start = base + at + (sentence.len() - sentence.trim_start().len());
            let end = start + sentence.trim().len();
            if start >= end {
                continue;
            }
            let held = spans.len() > from && spans.last().is_some_and(|last| incomplete(&text[last.clone()]));
            match spans.last_mut().filter(|_| held) {
                Some(last) => last.end = end,
                None => spans.push(start..end),
            }
        }
    }
    spans
}

/// Whether the piece ends with a mark of a list or an abbreviation.
fn incomplete(piece: &str) -> bool {
    if marker(&format!("{piece} ")).is_some_and(|mark| mark >= piece.len()) {
        return true;
    }
    let Some(bare) = piece.strip_suffix('.') else { return false };
    let last = bare.rsplit([' ', '(', '"']).next().unwrap_or("");
    let known =
        ["Dr", "Mr", "Mrs", "Ms", "St", "vs", "e.g", "i.e", "No", "Jr", "Sr", "approx", "Inc", "г", "ул", "т.е", "т.д"];
    last.chars().count() == 1 && last.chars().all(char::is_alphabetic) || known.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<String> {
        let mut lexicon = Lexicon::of(text);
        let cut = Text::cut(text, &mut lexicon);
        cut.sentences.iter().map(|s| text[s.span.clone()].to_owned()).collect()
    }

    #[test]
    fn a_text_is_cut_at_sentences_and_lines() {
        let cases: [(&str, &[&str]); 4] = [
            ("One thing. Another thing!", &["One thing.", "Another thing!"]),
            ("1. Wash it. 2. Dry it.\n* Done", &["1. Wash it.", "2. Dry it.", "* Done"]),
            ("Dr. Smith came. He left.", &["Dr. Smith came.", "He left."]),
            ("Это первое. А это второе?", &["Это первое.", "А это второе?"]),
        ];
        for (text, expected) in cases {
            assert_eq!(sentences(text), expected);
        }
    }

    #[test]
    fn marks_of_lists_and_labels_of_passages_are_no_words() {
        let text = "passage 2:Apples are red.\n3. Pears";
        let mut lexicon = Lexicon::of(text);
        let cut = Text::cut(text, &mut lexicon);
        let words: Vec<&str> = cut.tokens.iter().map(|t| &text[t.start..t.end]).collect();
        assert_eq!(words, ["Apples", "are", "red", "Pears"]);
        assert_eq!((cut.sentences[0].passage, cut.sentences[1].item), (2, true));
    }

    #[test]
    fn a_capital_inside_a_sentence_is_a_name() {
        let text = "Anna Petrova met Ivan in the Old Town";
        let mut lexicon = Lexicon::of(text);
        let cut = Text::cut(text, &mut lexicon);
        let names: Vec<&str> = cut.tokens.iter().filter(|t| t.name).map(|t| &text[t.start..t.end]).collect();
        assert_eq!(names, ["Anna", "Petrova", "Ivan", "Old", "Town"]);
    }
}
