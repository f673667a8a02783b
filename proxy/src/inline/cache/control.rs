//! What client and engine say about caching: `Cache-Control` of requests and responses
//! (RFC 9111, 5.2), `Pragma` (5.4) and `Vary` (RFC 9110, 12.5.5).
//!
//! Pure. Foreign bytes: unknown directives are passed over, and a directive that is known but
//! cannot be read counts as its strictest form.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};

use super::key::is_always;

/// What a client wants of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Neither look the answer up nor keep it.
    pub no_store: bool,
    /// Do not give a kept answer; a new one may be kept.
    pub no_cache: bool,
    /// The oldest answer that is taken.
    pub max_age: Option<Duration>,
    /// How long the answer must stay good still.
    pub min_fresh: Duration,
    /// Do not ask the engine.
    pub only_if_cached: bool,
}

impl Control {
    /// Reads the headers of a request. Of several equal directives the strictest holds.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        let mut lines = headers.get_all(header::CACHE_CONTROL).iter().peekable();
        if lines.peek().is_none() {
            let mut pragma = headers.get_all(header::PRAGMA).iter();
            control.no_cache = pragma.any(|line| directives(line.as_bytes()).any(|(name, _)| is(name, "no-cache")));
        }
        for (name, value) in lines.flat_map(|line| directives(line.as_bytes())) {
            control.take(name, value);
        }
        control.no_cache |= control.max_age == Some(Duration::ZERO);
        control
    }

    fn take(&mut self, name: &[u8], value: Option<&[u8]>) {
        if is(name, "no-store") {
            self.no_store = true;
        } else if is(name, "no-cache") {
            self.no_cache = true;
        } else if is(name, "only-if-cached") {
            self.only_if_cached = true;
        } else if is(name, "max-age") {
            let age = seconds(value).unwrap_or(Duration::ZERO);
            self.max_age = Some(self.max_age.map_or(age, |held| held.min(age)));
        } else if is(name, "min-fresh") {
            self.min_fresh = self.min_fresh.max(seconds(value).unwrap_or(Duration::MAX));
        }
    }
}

/// Whether an engine's answer may not be kept: it says `no-store` or `private`, or it varies
/// by a header that is not in the key. `no-cache` does not forbid it: servers say it of any
/// event stream, to keep proxies from holding it back.
pub(super) fn forbids(response: &HeaderMap, vary: &[HeaderName]) -> bool {
    let mut said = response.get_all(header::CACHE_CONTROL).iter().flat_map(|line| directives(line.as_bytes()));
    let mut varies = response.get_all(header::VARY).iter().flat_map(|line| items(line.as_bytes()));
    said.any(|(name, _)| is(name, "no-store") || is(name, "private"))
        || varies.any(|name| !HeaderName::from_bytes(name).is_ok_and(|name| is_covered(&name, vary)))
}

/// Encoded answers are never kept, so whatever `Accept-Encoding` says, the answer is the same.
fn is_covered(name: &HeaderName, vary: &[HeaderName]) -> bool {
    *name == header::ACCEPT_ENCODING || is_always(name) || vary.contains(name)
}

fn is(name: &[u8], word: &str) -> bool {
    name.eq_ignore_ascii_case(word.as_bytes())
}

/// Seconds; more than a u64 holds are as good as for ever.
fn seconds(value: Option<&[u8]>) -> Option<Duration> {
    let value = value.filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))?;
    let digits = std::str::from_utf8(value).ok()?;
    Some(Duration::from_secs(digits.parse().unwrap_or(u64::MAX)))
}

/// The directives of a line: names, and their values without quotes.
fn directives(line: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    items(line).map(|item| match item.iter().position(|byte| *byte == b'=') {
        None => (item, None),
        Some(at) => {
            let value = item[at + 1..].trim_ascii();
            let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            (item[..at].trim_ascii(), Some(quoted.unwrap_or(value)))
        }
    })
}

/// The items of a list, which commas part where they are not quoted.
fn items(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let parted = line.split(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    });
    parted.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn requests_are_understood_however_they_are_written() {
        let none = Control::default();
        let no_cache = Control { no_cache: true, ..none };
        let aged = |secs| Control { max_age: Some(Duration::from_secs(secs)), ..none };
        let stale = Control { max_age: Some(Duration::ZERO), no_cache: true, ..none };
        let fresh = |min_fresh| Control { min_fresh, ..none };
        let table: [(&[(&str, &str)], Control); 19] = [
            (&[], none),
            (&[("cache-control", "")], none),
            (&[("cache-control", "no-store")], Control { no_store: true, ..none }),
            (&[("cache-control", "No-Cache")], no_cache),
            (&[("cache-control", "max-age=60")], aged(60)),
            (&[("cache-control", "max-age = \"60\"")], aged(60)),
            (&[("cache-control", "max-age=60, MAX-AGE=30")], aged(30)),
            (&[("cache-control", "max-age=0")], stale),
            (&[("cache-control", "max-age")], stale),
            (&[("cache-control", "max-age=-1")], stale),
            (&[("cache-control", "max-age=99999999999999999999")], aged(u64::MAX)),
            (&[("cache-control", "min-fresh=5,min-fresh=9")], fresh(Duration::from_secs(9))),
            (&[("cache-control", "min-fresh=x")], fresh(Duration::MAX)),
            (&[("cache-control", "only-if-cached, max-stale=3")], Control { only_if_cached: true, ..none }),
            (&[("cache-control", "ext=\"a, no-store\\\", no-cache\", max-age=7")], aged(7)),
            (&[("cache-control", "max-age=60"), ("cache-control", "no-cache")], Control { no_cache: true, ..aged(60) }),
            (&[("pragma", "no-cache")], no_cache),
            (&[("pragma", "no-cache"), ("cache-control", "max-age=60")], aged(60)),
            (&[("pragma", "other")], none),
        ];
        for (lines, expected) in table {
            assert_eq!(Control::of(&headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_engine_may_forbid_to_keep_its_answer() {
        let vary = [HeaderName::from_static("x-user")];
        let table: [(&[(&str, &str)], bool); 11] = [
            (&[], false),
            (&[("cache-control", "no-cache")], false),
            (&[("cache-control", "max-age=5, no-store")], true),
            (&[("cache-control", "private=\"x-a\"")], true),
            (&[("vary", "Origin")], false),
            (&[("vary", "accept-encoding, ORIGIN"), ("vary", "x-user")], false),
            (&[("vary", "authorization")], false),
            (&[("vary", "*")], true),
            (&[("vary", "origin, x-other")], true),
            (&[("vary", "a b")], true),
            (&[("vary", "")], false),
        ];
        for (lines, expected) in table {
            assert_eq!(forbids(&headers(lines), &vary), expected, "{lines:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_trip_it(line in proptest::collection::vec(0x20_u8..=0xff, 0..60)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&line) {
                headers.insert(header::CACHE_CONTROL, value.clone());
                headers.insert(header::VARY, value);
                Control::of(&headers);
                forbids(&headers, &[]);
            }
        }
    }
}
