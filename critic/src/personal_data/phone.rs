//! Telephone numbers: international (E.164 as people write it), Russian, North American and
//! European national forms by form alone; other groupings only after a word that announces
//! a number. Dates, versions, IP addresses, social security numbers and ids stay.

use std::cell::LazyCell;
use std::ops::Deref;

use super::numbers::Digits;

/// How far before a number its announcement may stand, in bytes.
const CONTEXT: usize = 48;

/// Beginnings of words that announce a telephone number, lower case.
const ANNOUNCEMENTS: [&str; 22] = [
    "phone",
    "tel",
    "call",
    "mobile",
    "cell",
    "fax",
    "contact",
    "dial",
    "sms",
    "whatsapp",
    "viber",
    "reach",
    "hotline",
    "ring ",
    "handy",
    "number is",
    "тел",
    "звон",
    "моб",
    "номер",
    "факс",
    "电话",
];

/// The span of the telephone number in a run of digits.
pub(super) fn look(digits: &Digits<'_>) -> Option<(usize, usize)> {
    // Looked at once, and only for digits that could be a number at all.
    let announced = LazyCell::new(|| is_announced(digits));
    let (i, j) = digits.windows().find(|(i, j)| is_phone(digits, *i, *j, &announced))?;
    let (start, _) = prefix(digits, i);
    Some((start, extension(digits, digits.groups[j - 1].1)))
}

/// What stands glued before group `i`: the start of the number with its `+` and `(`, and
/// whether a `+` is there.
fn prefix(digits: &Digits<'_>, i: usize) -> (usize, bool) {
    let place = digits.place;
    let mut start = digits.groups[i].0;
    if place.before(start) == Some(b'(') {
        start -= 1;
    }
    let plus = place.before(start) == Some(b'+');
    (start - usize::from(plus), plus)
}

/// `x123`, ` ext. 123`: belongs to the number.
fn extension(digits: &Digits<'_>, end: usize) -> usize {
    let place = digits.place;
    let rest = &place.text[end..];
    for mark in ["x", " x", " ext. ", " ext ", " доб. ", " доб "] {
        if rest.starts_with(mark) {
            let stop = place.run(end + mark.len(), 6, |byte| byte.is_ascii_digit());
            if stop > end + mark.len() {
                return stop;
            }
        }
    }
    end
}

fn is_phone(digits: &Digits<'_>, i: usize, j: usize, announced: &impl Deref<Target = bool>) -> bool {
    let count = digits.count(i, j);
    let (start, plus) = prefix(digits, i);
    if !(7..=15).contains(&count) || (i > 0 && !digits.gap(i).ends_with([' ', '(']) && !plus) {
        return false;
    }
    let extended = extension(digits, digits.groups[j - 1].1) > digits.groups[j - 1].1;
    if !(digits.stands_alone(i, j) || extended) || (i == 0 && !digits.place.begins(start)) {
        return false;
    }
    if plus {
        return count >= 8 && digits.digits(i, j).next() != Some(b'0');
    }
    // Among numbers parted by blanks alone, a part of the row is no telephone number.
    let parted = (i + 1..j).any(|k| digits.gap(k) != " ");
    let whole = i == 0 && j == digits.groups.len();
    let stands_out = parted || whole || **announced;
    !is_something_else(digits, i, j)
        && ((stands_out && is_national(digits, i, j)) || (is_plausible(digits, i, j) && **announced))
}

/// Group lengths of `i..j`.
fn shape(digits: &Digits<'_>, i: usize, j: usize) -> Vec<usize> {
    digits.groups[i..j].iter().map(|(start, end)| end - start).collect()
}

/// Dates, dotted quads, social security numbers, ISBNs, sums.
fn is_something_else(digits: &Digits<'_>, i: usize, j: usize) -> bool {
    let shape = shape(digits, i, j);
    let first: Vec<u8> = digits.digits(i, j).collect();
    let dotted = (i + 1..j).all(|k| digits.gap(k) == ".");
    let dashed = (i + 1..j).all(|k| digits.gap(k) == "-");
    match shape.as_slice() {
        [4, 2, 2, rest @ ..] if rest.is_empty() || digits.gap(i + 1) != " " => true,
        [2, 2, 4] | [1, 2, 4] | [2, 1, 4] | [3, 2, 4] | [5, 4] => true,
        [_, _, _, _] if dotted && shape.iter().all(|n| *n <= 3) => true,
        [_, _] | [_, _, _] if dotted && j - i > 1 && shape[0] < 3 => true,
        _ if dashed && first.len() == 13 && (first.starts_with(b"978") || first.starts_with(b"979")) => true,
        // Thousands: "1 234 567 890".
        [head, rest @ ..] if *head <= 3 && rest.len() >= 2 && rest.iter().all(|n| *n == 3) && first[0] != b'0' => {
            j - i > 3
        }
        _ => false,
    }
}

/// Forms that are a telephone number without any word before.
fn is_national(digits: &Digits<'_>, i: usize, j: usize) -> bool {
    let shape = shape(digits, i, j);
    let number: Vec<u8> = digits.digits(i, j).collect();
    let parted = (i + 1..j).any(|k| digits.gap(k) != " ");
    let bracket = digits.place.before(digits.groups[i].0) == Some(b'(');
    let area = matches!(number[0], b'2'..=b'9');
    match (shape.as_slice(), number.as_slice()) {
        // North America; blanks alone are too common between other numbers.
        ([3, 3, 4], _) if area && parted && matches!(number[3], b'2'..=b'9') => true,
        ([1, 3, 3, 4], [b'1', b'2'..=b'9', ..]) => true,
        // Russia: 8 or 7, then ten digits; a mobile number may be written as one.
        (
            [1, 3, 3, 2, 2] | [1, 3, 3, 4] | [1, 3, 7] | [1, 4, 2, 2, 2] | [1, 4, 6] | [1, 3, 2, 2, 3],
            [b'7' | b'8', b'3'..=b'9', ..],
        ) => true,
        ([11], [b'8', b'9', ..]) => true,
        // 00 for international, 0 for national trunk.
        ([_, _, ..], [b'0', b'0', b'1'..=b'9', ..]) => number.len() >= 10,
        ([head, _, ..], [b'0', b'1'..=b'9', ..]) => (2..=5).contains(head) && (9..=11).contains(&number.len()),
        (_, _) => bracket && digits.gap_closes(i) && number.len() >= 8,
    }
}

/// Groupings that are a number if it was announced: any of two to five groups, or one of
/// seven to eleven digits.
fn is_plausible(digits: &Digits<'_>, i: usize, j: usize) -> bool {
    let shape = shape(digits, i, j);
    match shape.as_slice() {
        [one] => (7..=12).contains(one),
        groups => groups.len() <= 6 && groups.iter().all(|n| (1..=8).contains(n)),
    }
}

fn is_announced(digits: &Digits<'_>) -> bool {
    let place = digits.place;
    let mut floor = digits.groups[0].0.saturating_sub(CONTEXT).max(place.from);
    while !place.text.is_char_boundary(floor) {
        floor += 1;
    }
    if floor == digits.groups[0].0 {
        return false;
    }
    let before = place.text[floor..digits.groups[0].0].to_lowercase();
    ANNOUNCEMENTS
        .iter()
        .any(|word| before.match_indices(word).any(|(at, _)| !before[..at].ends_with(|c: char| c.is_alphabetic())))
}

impl Digits<'_> {
    /// Whether the bracket that opened before group `i` closes after it.
    fn gap_closes(&self, i: usize) -> bool {
        self.place.byte(self.groups[i].1) == Some(b')')
    }
}
