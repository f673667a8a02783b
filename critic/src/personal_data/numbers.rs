//! Numbers that carry a checksum (cards, IBANs), and the grouping of digits that the
//! telephone recogniser builds on.

use super::{Kind, Place, Step, passport, phone};

/// Groups of digits looked at in one run; a longer run is taken in pieces.
const GROUPS: usize = 10;

/// IBAN length by country (ISO 13616 registry, release 99).
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18\
DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32\
LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24\
SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// A run of digit groups as written.
pub(super) struct Digits<'a> {
    pub(super) place: Place<'a>,
    /// Begin and end of each group.
    pub(super) groups: Vec<(usize, usize)>,
}

/// Looks at the digits that begin at the place.
pub(super) fn look(place: Place<'_>) -> Step {
    if let Some(end) = iban(place) {
        return place.found(place.at - 2, end, Kind::Iban);
    }
    if let Some((start, end)) = passport::look(place) {
        return place.found(start, end, Kind::Passport);
    }
    let end = place.run(place.at, usize::MAX, |byte| byte.is_ascii_digit());
    let goes_on = place.byte(separator(place, end)).is_some_and(|byte| byte.is_ascii_digit());
    if !place.begins(place.at) || (end - place.at < 7 && !goes_on) {
        return Step::Resume(end);
    }
    let digits = Digits::read(place);
    if digits.count(0, digits.groups.len()) < 7 {
        return Step::Resume(digits.end());
    }
    if let Some((start, end)) = digits.windows().find(|(i, j)| digits.is_card(*i, *j)) {
        return place.found(digits.groups[start].0, digits.groups[end - 1].1, Kind::Card);
    }
    match phone::look(&digits) {
        Some((start, end)) => place.found(start, end, Kind::Phone),
        None => Step::Resume(digits.end()),
    }
}

impl<'a> Digits<'a> {
    fn read(place: Place<'a>) -> Self {
        let mut groups = Vec::with_capacity(4);
        let mut at = place.at;
        while groups.len() < GROUPS {
            let end = place.run(at, usize::MAX, |byte| byte.is_ascii_digit());
            groups.push((at, end));
            at = separator(place, end);
            if !place.byte(at).is_some_and(|byte| byte.is_ascii_digit()) || at == end {
                break;
            }
        }
        Self { place, groups }
    }

    fn end(&self) -> usize {
        self.groups.last().map_or(self.place.at + 1, |group| group.1)
    }

    /// Digits in groups `i..j`.
    pub(super) fn count(&self, i: usize, j: usize) -> usize {
        self.groups[i..j].iter().map(|(start, end)| end - start).sum()
    }

    /// The digits of groups `i..j`, without what stands between.
    pub(super) fn digits(&self, i: usize, j: usize) -> impl Iterator<Item = u8> {
        self.groups[i..j].iter().flat_map(|(start, end)| self.place.bytes()[*start..*end].iter().copied())
    }

    /// What stands before group `i`, which is not the first.
    pub(super) fn gap(&self, i: usize) -> &str {
        &self.place.text[self.groups[i - 1].1..self.groups[i].0]
    }

    /// Every stretch of groups, longest first.
    pub(super) fn windows(&self) -> impl Iterator<Item = (usize, usize)> {
        let n = self.groups.len();
        (1..=n).rev().flat_map(move |width| (0..=n - width).map(move |i| (i, i + width)))
    }

    /// Whether nothing glues groups `i..j` to more letters or digits.
    pub(super) fn stands_alone(&self, i: usize, j: usize) -> bool {
        let end = self.groups[j - 1].1;
        let after = self.place.byte(end);
        let glued = after.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'%' | b'/'));
        let tail = after == Some(b'-') && self.place.byte(end + 1).is_some_and(|b| b.is_ascii_alphanumeric());
        let head = i > 0
            || !self.place.before(self.groups[0].0).is_some_and(|b| matches!(b, b'-' | b'.' | b'/' | b'#' | b'$'));
        head && !tail && !glued
    }

    fn is_card(&self, i: usize, j: usize) -> bool {
        let count = self.count(i, j);
        if !(12..=19).contains(&count) || !self.stands_alone(i, j) {
            return false;
        }
        let apart = |k: usize| matches!(self.gap(k), " " | "-") && self.gap(k) == self.gap(i + 1);
        let grouped =
            j - i == 1 || ((i + 1..j).all(apart) && self.groups[i..j].iter().all(|(s, e)| (3..=7).contains(&(e - s))));
        let digits: Vec<u8> = self.digits(i, j).map(|byte| byte - b'0').collect();
        grouped && is_issued(&digits) && luhn(&digits)
    }
}

/// The end of what may stand between two groups of one number: up to three of blank,
/// no-break space, `-`, `.`, `(` and `)`.
fn separator(place: Place<'_>, from: usize) -> usize {
    let mut at = from;
    for _ in 0..3 {
        at += match (place.byte(at), place.byte(at + 1)) {
            (Some(b' ' | b'-' | b'.' | b'(' | b')'), _) => 1,
            (Some(0xC2), Some(0xA0)) => 2,
            _ => break,
        };
    }
    at
}

/// Luhn check (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, u32::from(*digit) * 2) {
            (0, double) => double / 2,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// Whether the number begins in a range that is issued, and is as long as that range's cards.
fn is_issued(digits: &[u8]) -> bool {
    let head = digits.iter().take(4).fold(0u32, |sum, digit| sum * 10 + u32::from(*digit));
    matches!(
        (head, digits.len()),
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14)
            | (6011 | 6440..=6599 | 6200..=6299 | 3528..=3589 | 2200..=2204, 16..=19)
            | (2131 | 1800, 15)
            | (5018 | 5020 | 5038 | 5600..=5899 | 6304 | 6390 | 6759 | 6761..=6763 | 676, 12..=19)
    )
}

/// The end of an IBAN whose two letters stand right before the place.
fn iban(place: Place<'_>) -> Option<usize> {
    let start = place.at.checked_sub(2).filter(|start| *start >= place.from)?;
    let country = place.bytes().get(start..place.at)?;
    if !country.iter().all(u8::is_ascii_uppercase) || !place.begins(start) {
        return None;
    }
    let length = iban_length(country)?;
    let mut compact = Vec::with_capacity(length);
    let mut at = start;
    while compact.len() < length {
        match place.byte(at)? {
            b' ' | b'-' if compact.len() % 4 == 0 && compact.len() >= 4 => {}
            byte if byte.is_ascii_digit() || byte.is_ascii_uppercase() => compact.push(byte),
            _ => return None,
        }
        at += 1;
    }
    let over = place.byte(at).is_some_and(|byte| byte.is_ascii_alphanumeric());
    (!over && modulus_97(&compact) == 1).then_some(at)
}

fn iban_length(country: &[u8]) -> Option<usize> {
    let entry = IBAN_LENGTHS.as_bytes().chunks_exact(4).find(|entry| entry.starts_with(country))?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

/// ISO 13616: the first four go to the end, letters count from A = 10; a good number leaves 1.
fn modulus_97(compact: &[u8]) -> u32 {
    compact[4..].iter().chain(&compact[..4]).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase()) - 55) % 97,
    })
}
