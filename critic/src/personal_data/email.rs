//! E-mail addresses: the ASCII dot-atom form of RFC 5321 with a dotted host name.
//!
//! Quoted local parts, address literals and hosts without a dot are left alone: in prompts
//! they are far more often code than addresses.

use super::{Kind, Place, Step};

const LOCAL_LIMIT: usize = 64;
const DOMAIN_LIMIT: usize = 253;

/// Last labels that are file types (`image@2x.png`), not domains.
const FILE_TYPES: [&str; 12] = ["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "json", "html", "pdf"];

/// Looks around an `@`.
pub(super) fn look(place: Place<'_>) -> Step {
    let Some((start, end)) = address(place) else { return place.nothing() };
    let remote = &place.text[start..place.at] == "git" && place.byte(end) == Some(b':');
    if remote { place.nothing() } else { place.found(start, end, Kind::Email) }
}

fn address(place: Place<'_>) -> Option<(usize, usize)> {
    let bytes = place.bytes();
    let floor = place.from.max(place.at.saturating_sub(LOCAL_LIMIT + 1));
    let mut start = place.at;
    while start > floor && is_local(bytes[start - 1]) {
        start -= 1;
    }
    while start < place.at && matches!(bytes[start], b'.' | b'-' | b'\'' | b'%') {
        start += 1;
    }
    let local = &bytes[start..place.at];
    if local.is_empty() || local.len() > LOCAL_LIMIT || local.ends_with(b".") {
        return None;
    }
    let mut end = place.run(place.at + 1, DOMAIN_LIMIT, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    while end > place.at + 1 && matches!(bytes[end - 1], b'.' | b'-') {
        end -= 1;
    }
    while end > place.at + 1 && !is_domain(&place.text[place.at + 1..end]) {
        // "mail me@example.com.Thanks": a shorter domain may be the one that was meant.
        end = place.text[place.at + 1..end].rfind('.').map_or(place.at + 1, |dot| place.at + 1 + dot);
    }
    (end > place.at + 1).then_some((start, end))
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
}

fn is_domain(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once('.') else { return false };
    let letters = last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic());
    let labels = text
        .split('.')
        .all(|label| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-'));
    let file = FILE_TYPES.iter().any(|kind| last.eq_ignore_ascii_case(kind));
    labels && !file && (letters || last.starts_with("xn--"))
}
