//! The words of one case: each distinct word is looked at once, however often it stands.
//!
//! A word is known by its stem; a number by its value, so that `1,000` and `1000` are one.
//! Latin words are stemmed by the language of the case, Cyrillic ones as Russian.

use std::collections::HashMap;
use std::sync::OnceLock;

use rust_stemmers::{Algorithm, Stemmer};

use super::words;

/// Which lists a word stands in, as bits.
pub(crate) mod class {
    /// Function word.
    pub(crate) const STOP: u8 = 1;
    /// Turns a statement round.
    pub(crate) const NEGATION: u8 = 2;
    /// Takes a claim back a little.
    pub(crate) const HEDGE: u8 = 4;
    /// Speaks of the context itself.
    pub(crate) const ABOUT: u8 = 8;
    /// Says what cannot be said.
    pub(crate) const LACKING: u8 = 16;
    /// Begins a sentence of the writer's own.
    pub(crate) const OPENER: u8 = 32;
    /// Courtesy.
    pub(crate) const COURTESY: u8 = 64;
}

/// A distinct word.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// Equal for words of one stem.
    pub(crate) stem: u32,
    /// Bits of [`class`].
    pub(crate) class: u8,
    /// Bits of the value, where it is a number.
    pub(crate) number: Option<u64>,
    /// Whether the number is written in digits.
    pub(crate) digits: bool,
    /// Hashes of three characters each, sorted: how like two words are.
    pub(crate) trigrams: Vec<u32>,
}

/// All words of one case.
pub(crate) struct Lexicon {
    latin: Option<Stemmer>,
    cyrillic: Stemmer,
    words: HashMap<String, u32>,
    stems: HashMap<String, u32>,
    known: Vec<Word>,
    /// [`fingerprint`] of each stem.
    prints: Vec<u32>,
}

/// What does not change from run to run, for tables on disk: FNV-1a of the stem.
pub(crate) fn fingerprint(stem: &str) -> u32 {
    stem.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Characters of a text that are enough to tell its language.
const LANGUAGE_CHARS: usize = 600;

impl Lexicon {
    /// For texts in the language of this one.
    pub(crate) fn of(text: &str) -> Self {
        let end = text.char_indices().nth(LANGUAGE_CHARS).map_or(text.len(), |(at, _)| at);
        let latin = match whatlang::detect(&text[..end]).filter(whatlang::Info::is_reliable) {
            Some(info) => stemmer(info.lang()),
            None => Some(Algorithm::English),
        };
        Self {
            latin: latin.map(Stemmer::create),
            cyrillic: Stemmer::create(Algorithm::Russian),
            words: HashMap::new(),
            stems: HashMap::new(),
            known: Vec::new(),
            prints: Vec::new(),
        }
    }

    /// The word's number in this lexicon.
    pub(crate) fn word(&mut self, text: &str) -> u32 {
        let lower = text.to_lowercase().replace('\u{2019}', "'");
        if let Some(&id) = self.words.get(&lower) {
            return id;
        }
        let (number, digits) = number(&lower);
        let stem = match number.filter(|_| digits) {
            Some(bits) => f64::from_bits(bits).to_string(),
            None => self.stem(&lower),
        };
        let next = self.stems.len() as u32;
        let stem = match self.stems.get(&stem) {
            Some(&id) => id,
            None => {
                self.prints.push(fingerprint(&stem));
                self.stems.insert(stem, next);
                next
            }
        };
        let class = classes().get(lower.as_str()).copied().unwrap_or(0);
        let trigrams = if class & class::STOP == 0 { trigrams(&lower) } else { Vec::new() };
        let id = self.known.len() as u32;
        self.known.push(Word { stem, class, number, digits, trigrams });
        self.words.insert(lower, id);
        id
    }

    /// The word of that number.
    pub(crate) fn get(&self, word: u32) -> &Word {
        &self.known[word as usize]
    }

    /// What does not change from run to run.
    pub(crate) fn print(&self, stem: u32) -> u32 {
        self.prints[stem as usize]
    }

    /// Distinct stems.
    pub(crate) fn stems(&self) -> usize {
        self.stems.len()
    }

    fn stem(&self, lower: &str) -> String {
        let bare = lower.strip_suffix("'s").unwrap_or(lower);
        let cyrillic = bare.chars().next().is_some_and(|c| ('\u{400}'..'\u{530}').contains(&c));
        match (cyrillic, &self.latin) {
            (true, _) => self.cyrillic.stem(&bare.replace('ё', "е")).into_owned(),
            (false, Some(latin)) if bare.is_ascii() || bare.chars().all(char::is_alphabetic) => {
                latin.stem(bare).into_owned()
            }
            _ => bare.to_owned(),
        }
    }
}

fn stemmer(language: whatlang::Lang) -> Option<Algorithm> {
    use whatlang::Lang;
    Some(match language {
        Lang::Eng | Lang::Rus => Algorithm::English,
        Lang::Deu => Algorithm::German,
        Lang::Fra => Algorithm::French,
        Lang::Spa => Algorithm::Spanish,
        Lang::Ita => Algorithm::Italian,
        Lang::Por => Algorithm::Portuguese,
        Lang::Nld => Algorithm::Dutch,
        Lang::Swe => Algorithm::Swedish,
        Lang::Dan => Algorithm::Danish,
        Lang::Nob => Algorithm::Norwegian,
        Lang::Fin => Algorithm::Finnish,
        Lang::Hun => Algorithm::Hungarian,
        Lang::Ron => Algorithm::Romanian,
        Lang::Tur => Algorithm::Turkish,
        _ => return None,
    })
}

/// Lists by word.
fn classes() -> &'static HashMap<&'static str, u8> {
    static CLASSES: OnceLock<HashMap<&'static str, u8>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let lists = [
            (words::STOP_ENGLISH, class::STOP),
            (words::STOP_RUSSIAN, class::STOP),
            (words::NEGATIONS, class::NEGATION),
            (words::HEDGES, class::HEDGE),
            (words::ABOUT, class::ABOUT),
            (words::LACKING, class::LACKING),
            (words::OPENERS, class::OPENER),
            (words::COURTESY, class::COURTESY),
        ];
        let mut classes = HashMap::new();
        for (list, bit) in lists {
            list.split_whitespace().for_each(|word| *classes.entry(word).or_insert(0) |= bit);
        }
        classes
    })
}

/// Bits of the value of a number, and whether it is written in digits.
fn number(lower: &str) -> (Option<u64>, bool) {
    if lower.starts_with(|c: char| c.is_ascii_digit()) {
        return (digits(lower).map(f64::to_bits), true);
    }
    let named = words::NUMBERS.iter().find(|(name, _)| *name == lower);
    (named.map(|(_, value)| value.to_bits()), false)
}

/// The value of the digits that a word begins with: `1,000`, `3.5`, `3,5`, `1990s`, `2nd`.
fn digits(word: &str) -> Option<f64> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(word.len());
    let written = word[..end].trim_end_matches(['.', ',']);
    let thousands = |part: &str| part.len() == 3;
    let (whole, fraction) = match (written.find(','), written.rfind('.')) {
        (Some(_), None) if written.split(',').skip(1).all(thousands) => (written.replace(',', ""), ""),
        (Some(comma), None) => (written[..comma].to_owned(), &written[comma + 1..]),
        (_, Some(point)) => (written[..point].replace([',', '.'], ""), &written[point + 1..]),
        (None, None) => (written.to_owned(), ""),
    };
    format!("{whole}.{fraction}0").parse().ok()
}

fn trigrams(word: &str) -> Vec<u32> {
    let chars: Vec<u32> = std::iter::once(32).chain(word.chars().map(u32::from)).chain([32]).collect();
    let mut grams: Vec<u32> =
        chars.windows(3).map(|three| three.iter().fold(17u32, |hash, &c| hash.wrapping_mul(0x0100_0193) ^ c)).collect();
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// Dice coefficient of two sorted sets: 1 for the same word, 0 for nothing in common.
pub(crate) fn likeness(a: &[u32], b: &[u32]) -> f32 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let (mut i, mut j, mut same) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, same) = (i + 1, j + 1, same + 1);
            }
        }
    }
    2.0 * same as f32 / (a.len() + b.len()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_value() {
        let same = [("1,000", "1000"), ("3,5", "3.50"), ("1,234.5", "1234.5"), ("1990s", "1990"), ("2nd", "2")];
        for (a, b) in same {
            assert_eq!(digits(a), digits(b), "{a} {b}");
        }
        assert_ne!(digits("3.5"), digits("35"));
    }

    #[test]
    fn words_of_one_stem_are_one() {
        let mut lexicon = Lexicon::of("the shops were running in the city and nobody had closed them");
        for (a, b) in [("running", "runs"), ("Shops", "shop"), ("города", "городом"), ("1,000", "1000")] {
            let (a, b) = (lexicon.word(a), lexicon.word(b));
            assert_eq!(lexicon.get(a).stem, lexicon.get(b).stem);
        }
    }

    #[test]
    fn like_words_are_like() {
        let like = likeness(&trigrams("hospital"), &trigrams("hospitalisation"));
        assert!(like > 0.4 && likeness(&trigrams("hospital"), &trigrams("garden")) < 0.1);
    }
}
