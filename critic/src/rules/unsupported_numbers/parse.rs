//! Reads numbers as people write them, in digits (English and continental separators) and,
//! up to ninety-nine, in English and Russian words.

use std::sync::LazyLock;

use crate::rules::words::fold;

/// A number: bytes `start..end` of the text, and what it may mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) start: usize,
    pub(super) end: usize,
    /// As it most likely reads, as it may also read (`1.234` is 1.234 or 1234), and the first
    /// times the word behind it (`5 million`); equal where there is only one meaning.
    pub(super) values: [f64; 3],
    /// The first part of digits parted by blanks, which may be a number of its own.
    pub(super) parts: Option<f64>,
    /// Whether it numbers an item of a list.
    pub(super) is_mark: bool,
}

/// Words that multiply the number before them, by beginning.
const SCALES: [(&str, f64); 14] = [
    ("thousand", 1e3),
    ("million", 1e6),
    ("mln", 1e6),
    ("billion", 1e9),
    ("bn", 1e9),
    ("trillion", 1e12),
    ("тыс", 1e3),
    ("миллион", 1e6),
    ("млн", 1e6),
    ("миллиард", 1e9),
    ("млрд", 1e9),
    ("триллион", 1e12),
    ("трлн", 1e12),
    ("hundred", 1e2),
];

/// Words for numbers; a tens word may be followed by one under ten.
const SPELLED: [(&str, u8); 92] = [
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
    ("dozen", 12),
    ("twice", 2),
    ("double", 2),
    ("один", 1),
    ("одна", 1),
    ("одного", 1),
    ("одной", 1),
    ("два", 2),
    ("две", 2),
    ("двух", 2),
    ("три", 3),
    ("трёх", 3),
    ("трех", 3),
    ("четыре", 4),
    ("четырёх", 4),
    ("четырех", 4),
    ("пять", 5),
    ("пяти", 5),
    ("шесть", 6),
    ("шести", 6),
    ("семь", 7),
    ("семи", 7),
    ("восемь", 8),
    ("восьми", 8),
    ("девять", 9),
    ("девяти", 9),
    ("десять", 10),
    ("десяти", 10),
    ("одиннадцать", 11),
    ("одиннадцати", 11),
    ("двенадцать", 12),
    ("двенадцати", 12),
    ("тринадцать", 13),
    ("тринадцати", 13),
    ("четырнадцать", 14),
    ("четырнадцати", 14),
    ("пятнадцать", 15),
    ("пятнадцати", 15),
    ("шестнадцать", 16),
    ("шестнадцати", 16),
    ("семнадцать", 17),
    ("семнадцати", 17),
    ("восемнадцать", 18),
    ("восемнадцати", 18),
    ("девятнадцать", 19),
    ("девятнадцати", 19),
    ("двадцать", 20),
    ("двадцати", 20),
    ("тридцать", 30),
    ("тридцати", 30),
    ("сорок", 40),
    ("сорока", 40),
    ("пятьдесят", 50),
    ("пятидесяти", 50),
    ("шестьдесят", 60),
    ("шестидесяти", 60),
    ("семьдесят", 70),
    ("семидесяти", 70),
    ("восемьдесят", 80),
    ("восьмидесяти", 80),
    ("девяносто", 90),
    ("дюжина", 12),
    ("пара", 2),
    ("вдвое", 2),
    ("втрое", 3),
];

/// [`SPELLED`] by first letter.
static BY_FIRST: LazyLock<Vec<(char, &str, u8)>> = LazyLock::new(|| {
    let first = |word: &str| word.chars().next().unwrap_or_default();
    let mut words: Vec<_> = SPELLED.iter().map(|(word, number)| (first(word), *word, *number)).collect();
    words.sort_by_key(|(first, _, _)| *first);
    words
});

/// The numbers that are written in digits.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = Number> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at = next_digit(bytes, at)?;
            let start = at;
            at = end_of(text, start);
            // Digits within a name ("COVID-19", "H2O", "v1.2") are no number.
            let before = text[..start].chars().next_back();
            let dashed = before == Some('-') && text[..start - 1].chars().next_back().is_some_and(char::is_alphabetic);
            if !dashed && !before.is_some_and(|c| c.is_alphabetic() || c == '_') {
                return Some(read(text, start, at));
            }
        }
    })
}

/// The first digit from `at` on; 16 bytes are asked at once, since most hold none.
fn next_digit(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let holds = |chunk: &[u8; 16]| chunk.iter().fold(false, |any, byte| any | byte.is_ascii_digit());
    let dull = rest.as_chunks::<16>().0.iter().take_while(|chunk| !holds(chunk)).count() * 16;
    rest[dull..].iter().position(u8::is_ascii_digit).map(|step| at + dull + step)
}

/// The end of the number that begins at `start`: digits, and separators with digits behind them.
fn end_of(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let digits = |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = start + digits(start);
    let mut groups_only = end - start <= 3;
    loop {
        let gap = match &bytes[end..] {
            [b'.' | b',' | b'\'', ..] => 1,
            [b' ', ..] if groups_only => 1,
            [0xC2, 0xA0, ..] if groups_only => 2,
            [0xE2, 0x80, 0xAF | 0x89, ..] if groups_only => 3,
            _ => return end,
        };
        let next = digits(end + gap);
        let blank = !matches!(bytes[end], b'.' | b',');
        if next == 0 || (blank && next != 3) {
            return end;
        }
        groups_only &= next == 3;
        end += gap + next;
    }
}

fn read(text: &str, start: usize, end: usize) -> Number {
    let written = &text[start..end];
    let likely = value(written);
    let other = otherwise(written).unwrap_or(likely);
    let scaled = scale(&text[end..]).map_or(likely, |scale| likely * scale);
    let blank = written.find([' ', '\u{A0}', '\u{202F}', '\u{2009}']);
    let parts = blank.map(|at| value(&written[..at]));
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let alone =
        text[line..start].trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '#' | '(' | '-')).is_empty();
    let is_mark = alone && text[end..].starts_with(['.', ')', ':']) && !written.contains(['.', ',', ' ']);
    Number { start, end, values: [likely, other, scaled], parts, is_mark }
}

/// As it most likely reads: the last separator is a decimal one unless three digits follow it
/// and it is a comma, or it stands there more than once.
fn value(written: &str) -> f64 {
    let last = written.rfind(['.', ',']);
    let Some(last) = last else { return plain(written, None) };
    let mark = written.as_bytes()[last];
    let several = written.bytes().filter(|byte| *byte == mark).count() > 1;
    let thousands = written.len() - last == 4 && mark == b',' && !written.starts_with('0');
    plain(written, (!several && !thousands).then_some(last))
}

/// As it may also read: `1.234` is 1234 in half of Europe, and `1,234` is 1.234 there.
fn otherwise(written: &str) -> Option<f64> {
    let last = written.rfind(['.', ','])?;
    let single = written.matches(['.', ',']).count() == 1;
    (single && written.len() - last == 4).then(|| match written.as_bytes()[last] {
        b'.' => plain(written, None),
        _ => plain(written, Some(last)),
    })
}

/// The number with its decimal separator at that byte.
fn plain(written: &str, decimal: Option<usize>) -> f64 {
    let (mut value, mut unit) = (0.0, 1.0);
    for (at, byte) in written.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        value = value * 10.0 + f64::from(byte - b'0');
        if decimal.is_some_and(|decimal| at > decimal) {
            unit *= 10.0;
        }
    }
    value / unit
}

fn scale(rest: &str) -> Option<f64> {
    let word = rest.trim_start_matches([' ', '\u{A0}', '-']);
    let near = rest.len() - word.len() <= 2;
    let scale =
        SCALES.iter().find(|(scale, _)| word.get(..scale.len()).is_some_and(|head| head.eq_ignore_ascii_case(scale)));
    scale.filter(|_| near).map(|(_, scale)| *scale)
}

/// The numbers that are written in words.
pub(super) fn spelled(text: &str) -> impl Iterator<Item = f64> {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let mut tens: Option<u8> = None;
    words.flat_map(move |word| {
        let number = spelled_one(word);
        let joined = tens.zip(number).filter(|(_, one)| *one < 10).map(|(tens, one)| f64::from(tens + one));
        tens = number.filter(|number| *number >= 20 && number % 10 == 0);
        [number.map(f64::from), joined].into_iter().flatten()
    })
}

fn spelled_one(word: &str) -> Option<u8> {
    if !(3..=24).contains(&word.len()) {
        return None;
    }
    let same = |known: &str| {
        known == word || (known.len() == word.len() && known.chars().eq(word.chars().flat_map(char::to_lowercase)))
    };
    let first = word.chars().next().map(fold)?;
    let at = BY_FIRST.partition_point(|(begins, _, _)| *begins < first);
    let alike = BY_FIRST[at..].iter().take_while(|(begins, _, _)| *begins == first);
    alike.into_iter().find(|(_, known, _)| same(known)).map(|(_, _, number)| *number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let table = [
            ("1,234.5", 1234.5),
            ("1.234,5", 1234.5),
            ("1 234 567", 1_234_567.0),
            ("1'234'567", 1_234_567.0),
            ("12,5", 12.5),
            ("0,125", 0.125),
            ("3.62159", 3.62159),
            ("1,234,567", 1_234_567.0),
            ("007", 7.0),
        ];
        for (written, value) in table {
            let number = numbers(written).next().unwrap();
            assert_eq!((number.end, number.values[0]), (written.len(), value), "{written}");
        }
        assert_eq!(numbers("in 2012 300 people").map(|n| n.values[0]).collect::<Vec<_>>(), [2012.0, 300.0]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "[0-9., a-z'é\u{A0}-]{0,40}") {
            for number in numbers(&text) {
                prop_assert!(text.get(number.start..number.end).is_some_and(|n| n.ends_with(|c: char| c.is_ascii_digit())));
            }
            let _all: Vec<f64> = spelled(&text).collect();
        }

        #[test]
        fn a_whole_number_reads_the_same_with_and_without_separators(n in 1000u32..2_000_000_000) {
            let plain = n.to_string();
            let mut grouped = String::new();
            for (at, digit) in plain.chars().enumerate() {
                if at > 0 && (plain.len() - at) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            for separator in [",", " ", "\u{A0}", "'"] {
                let written = grouped.replace(',', separator);
                prop_assert_eq!(numbers(&written).next().unwrap().values[0], f64::from(n), "{}", written);
            }
        }
    }
}
