//! Passport and identity card numbers. No form or checksum tells them from other numbers, so
//! a word before them must announce them: `passport No. AB1234567`, `паспорт 45 10 123456`,
//! `серия 4510 № 123456` (forms: ICAO Doc 9303, nine characters; Russia, ten digits in two
//! parts).

use super::Place;

/// How far before a number its announcement may stand, in bytes.
const CONTEXT: usize = 56;

/// Beginnings of words that announce a passport's number, lower case.
const ANNOUNCEMENTS: [&str; 14] = [
    "passport",
    "passeport",
    "pasaporte",
    "passaporto",
    "reisepass",
    "ausweis",
    "travel document",
    "identity card",
    "id card",
    "паспорт",
    "загран",
    "серия",
    "серии",
    "удостоверен",
];

/// What may stand between the two parts of a Russian number.
const PARTS: [&str; 6] = ["номер", "№", "No.", "No", "N", "#"];

/// The span of the passport number whose first digit stands at the place.
pub(super) fn look(place: Place<'_>) -> Option<(usize, usize)> {
    let start = place.at
        - (1..=2).take_while(|back| place.before(place.at + 1 - back).is_some_and(|b| b.is_ascii_uppercase())).count();
    if !place.begins(start) {
        return None;
    }
    let end = one_word(place, start).or_else(|| two_parts(place))?;
    (ends(place, end) && is_announced(place, start)).then_some((start, end))
}

/// Six to ten capitals and digits, five digits at least.
fn one_word(place: Place<'_>, start: usize) -> Option<usize> {
    let end = place.run(start, 11, |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let digits = place.bytes()[start..end].iter().filter(|byte| byte.is_ascii_digit()).count();
    ((6..=10).contains(&(end - start)) && digits >= 5).then_some(end)
}

/// Four digits, perhaps in pairs, and six more.
fn two_parts(place: Place<'_>) -> Option<usize> {
    let digits = |at: usize| place.run(at, 11, |byte| byte.is_ascii_digit());
    let mut series = digits(place.at);
    if series - place.at == 2 && place.byte(series) == Some(b' ') && digits(series + 1) == series + 3 {
        series += 3;
    } else if series - place.at != 4 {
        return None;
    }
    let rest = &place.text[series..];
    let between = rest.trim_start_matches([' ', ',']);
    let number =
        PARTS.iter().find_map(|part| between.strip_prefix(part)).unwrap_or(between).trim_start_matches([' ', ':']);
    let from = place.text.len() - number.len();
    (from > series && digits(from) == from + 6).then_some(from + 6)
}

fn ends(place: Place<'_>, end: usize) -> bool {
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@');
    let last = if place.byte(end) == Some(b'-') { end + 1 } else { end };
    !place.byte(last).is_some_and(goes_on)
}

/// Whether a word before the number announces it, and no sentence ended since.
fn is_announced(place: Place<'_>, start: usize) -> bool {
    let mut floor = start.saturating_sub(CONTEXT).max(place.from);
    while !place.text.is_char_boundary(floor) {
        floor += 1;
    }
    let before = place.text[floor..start.max(floor)].to_lowercase();
    let last = ANNOUNCEMENTS.iter().filter_map(|word| before.rfind(word).map(|at| at + word.len())).max();
    last.is_some_and(|at| !before[at..].contains(['\n', '!', '?', ';']))
}
