//! Credentials: keys with a known prefix, bearer tokens, JSON Web Tokens, private keys,
//! and values assigned to a name that says "password".
//!
//! Prefixes are those that the issuers publish for secret scanners. A value needs to look
//! like a secret (length, digits, mixed case), so that `password: String` in code stays.

use super::{Kind, Place, Step};

/// Bytes of a credential that are looked at before it is believed; then it may be longer.
const LIMIT: usize = 512;

/// Names whose assigned value is a secret, lower case.
const NAMES: [&str; 20] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "secret_key",
    "auth_token",
    "access_token",
    "refresh_token",
    "api_token",
    "private_key",
    "secret_access_key",
    "пароль",
    "пароля",
    "密码",
    "authorization",
];

/// Looks around a byte that may belong to a credential.
pub(super) fn look(place: Place<'_>) -> Step {
    let span = match place.byte(place.at) {
        Some(b'-') => dashed(place).or_else(|| private_key(place)),
        Some(b'_') => underscored(place),
        Some(b'A') => capital(place),
        Some(b'J') => web_token(place),
        Some(b'B') => bearer(place),
        Some(b':') => in_url(place).or_else(|| assigned(place)),
        Some(b'=') => assigned(place),
        _ => None,
    };
    match span {
        Some((start, end)) => place.found(start, end, Kind::Secret),
        None => place.nothing(),
    }
}

/// The start of `prefix`, where it ends right at `end` and begins a word.
fn prefixed(place: Place<'_>, end: usize, prefix: &str) -> Option<usize> {
    let start = end.checked_sub(prefix.len()).filter(|start| *start >= place.from)?;
    (place.bytes().get(start..end)? == prefix.as_bytes() && place.begins(start)).then_some(start)
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// `sk-...` (OpenAI, Anthropic, OpenRouter), `xoxb-...` (Slack), `glpat-...` (GitLab).
fn dashed(place: Place<'_>) -> Option<(usize, usize)> {
    let after = place.at + 1;
    let shortest = match place.before(place.at)? {
        b'k' => prefixed(place, after, "sk-").map(|start| (start, 20)),
        b't' => prefixed(place, after, "glpat-").map(|start| (start, 20)),
        letter @ (b'a' | b'b' | b'e' | b'o' | b'p' | b'r' | b's') => {
            let start = after.checked_sub(5).filter(|start| *start >= place.from)?;
            (place.bytes().get(start..after - 2)? == b"xox" && place.begins(start) && letter != b' ')
                .then_some((start, 10))
        }
        _ => None,
    };
    let (start, least) = shortest?;
    let end = place.run(after, LIMIT, is_key);
    let body = &place.bytes()[after..end];
    (body.len() >= least && is_random(body)).then(|| (start, place.run(end, usize::MAX, is_key)))
}

/// `ghp_...`, `github_pat_...`, `hf_...`, `sk_live_...`, `npm_...`.
fn underscored(place: Place<'_>) -> Option<(usize, usize)> {
    const PREFIXES: [(&str, usize); 12] = [
        ("ghp_", 30),
        ("gho_", 30),
        ("ghu_", 30),
        ("ghs_", 30),
        ("ghr_", 30),
        ("github_pat_", 22),
        ("hf_", 30),
        ("npm_", 30),
        ("sk_live_", 16),
        ("sk_test_", 16),
        ("rk_live_", 16),
        ("whsec_", 20),
    ];
    let after = place.at + 1;
    // Most underscores stand in a name of a program's: two letters tell nearly all of them.
    let ends = place.bytes().get(place.at.checked_sub(2)?..place.at)?;
    if !matches!(ends, b"hp" | b"ho" | b"hu" | b"hs" | b"hr" | b"at" | b"hf" | b"pm" | b"ve" | b"st" | b"ec") {
        return None;
    }
    let (prefix, least) = PREFIXES.iter().find(|(prefix, _)| prefixed(place, after, prefix).is_some())?;
    let end = place.run(after, LIMIT, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (end - after >= *least).then_some((after - prefix.len(), end))
}

/// `AKIA...` and `ASIA...` (AWS), `AIza...` (Google).
fn capital(place: Place<'_>) -> Option<(usize, usize)> {
    let rest = &place.bytes()[place.at..];
    if !place.begins(place.at) {
        return None;
    }
    if rest.starts_with(b"AKIA") || rest.starts_with(b"ASIA") {
        let end = place.run(place.at, LIMIT, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let whole = !place.byte(end).is_some_and(|byte| byte.is_ascii_alphanumeric());
        return (end - place.at == 20 && whole).then_some((place.at, end));
    }
    let end = place.run(place.at, LIMIT, is_key);
    (rest.starts_with(b"AIza") && end - place.at >= 39).then_some((place.at, end))
}

/// A JSON Web Token (RFC 7519): two or three parts of base64url, the first two JSON objects.
fn web_token(place: Place<'_>) -> Option<(usize, usize)> {
    let start = prefixed(place, place.at + 1, "eyJ")?;
    let head = place.run(start, LIMIT, is_key);
    let payload = head + 1;
    let opens = place.bytes().get(head..payload + 3)? == b".eyJ";
    if !opens || head - start < 10 || place.run(payload, LIMIT, is_key) - payload < 10 {
        return None;
    }
    let mut end = place.run(payload, usize::MAX, is_key);
    if place.byte(end) == Some(b'.') {
        end = place.run(end + 1, usize::MAX, is_key);
    }
    Some((start, end))
}

/// `Bearer <token>` (RFC 6750) and `Basic <base64>` (RFC 7617); the word stays.
fn bearer(place: Place<'_>) -> Option<(usize, usize)> {
    let rest = &place.bytes()[place.at..];
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let (word, least) = if begins(b"bearer ") {
        (7, 16)
    } else if begins(b"basic ") {
        (6, 8)
    } else {
        return None;
    };
    let fits = |byte: u8| is_key(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=');
    let start = place.at + word;
    let token = &place.bytes()[start..place.run(start, LIMIT, fits)];
    let random = token.iter().any(u8::is_ascii_digit) && (least == 16 || is_mixed(token));
    let found = place.begins(place.at) && token.len() >= least && random;
    found.then(|| (start, place.run(start, usize::MAX, fits)))
}

/// A private key in PEM form (RFC 7468), to its end line or to the end of the text.
fn private_key(place: Place<'_>) -> Option<(usize, usize)> {
    let rest = place.text.get(place.at..)?.strip_prefix("-----BEGIN ")?;
    let label = rest.find("-----").filter(|length| *length <= 40)?;
    if !rest[..label].contains("PRIVATE KEY") {
        return None;
    }
    let end = rest.find("-----END ").and_then(|at| {
        let line = at + "-----END ".len();
        Some(line + rest[line..].find("-----")? + 5)
    });
    Some((place.at, end.map_or(place.text.len(), |end| place.text.len() - rest.len() + end)))
}

/// The password in `scheme://user:password@host`.
fn in_url(place: Place<'_>) -> Option<(usize, usize)> {
    if place.bytes().get(place.at..place.at + 3)? != b"://" {
        return None;
    }
    let stop = |byte: u8| !(byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'' | b'<' | b'>' | b'\\'));
    let end = place.run(place.at + 3, 256, stop);
    let part = &place.bytes()[place.at + 3..end];
    let at = part.iter().rposition(|byte| *byte == b'@')?;
    let colon = part[..at].iter().position(|byte| *byte == b':')?;
    (at > colon + 1).then_some((place.at + 4 + colon, place.at + 3 + at))
}

/// The value after `name =` or `name:`.
fn assigned(place: Place<'_>) -> Option<(usize, usize)> {
    let mut end = place.at;
    for _ in 0..3 {
        end -= usize::from(matches!(place.before(end), Some(b' ' | b'"' | b'\'' | b'\\' | b'*' | b'`')));
    }
    if !ends_in_name(place, end) {
        return None;
    }
    let start = place.run(place.at + 1, 4, |byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b'=' | b'`' | b'*'));
    // `authorization: bearer <token>`, in small letters as HTTP/2 writes it.
    let scheme = place.bytes()[start..].first().is_some_and(|byte| *byte == b'b');
    if let Some(found) = scheme.then(|| bearer(Place { at: start, ..place })).flatten() {
        return Some(found);
    }
    let quoted = matches!(place.before(start), Some(b'"' | b'\''));
    let fits = |byte: u8| {
        !byte.is_ascii_whitespace()
            && !matches!(byte, b'"' | b'\'' | b',' | b';' | b'<' | b'>' | b'&' | b'\\' | b'`' | b'}')
    };
    let mut end = place.run(start, 256, fits);
    while end > start && matches!(place.bytes()[end - 1], b'.' | b')') {
        end -= 1;
    }
    if !place.text.is_char_boundary(end) {
        return None;
    }
    is_password(&place.bytes()[start..end], quoted).then_some((start, end))
}

/// Whether one of [`NAMES`] ends right at `end`; anything may stand before it (`DB_PASSWORD`).
fn ends_in_name(place: Place<'_>, end: usize) -> bool {
    let last = match place.before(end) {
        Some(byte) if byte.is_ascii() => byte.to_ascii_lowercase(),
        Some(byte) => byte,
        None => return false,
    };
    NAMES.iter().filter(|name| name.as_bytes()[name.len() - 1] == last).any(|name| {
        let start = end.checked_sub(name.len()).filter(|start| *start >= place.from);
        start
            .and_then(|start| place.bytes().get(start..end))
            .is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// Whether a value looks like a password rather than a type, a call or a placeholder.
fn is_password(value: &[u8], quoted: bool) -> bool {
    let code = value.iter().any(|byte| matches!(byte, b'(' | b'[' | b'{'));
    let placeholder = matches!(value.first(), Some(b'$' | b'*' | b'<' | b'{' | b'%')) || value.starts_with(b"...");
    if value.len() < 4 || code || placeholder {
        return false;
    }
    let digit = value.iter().any(u8::is_ascii_digit);
    let symbol =
        value.iter().any(|b| b.is_ascii_punctuation() && !matches!(b, b'.' | b'_' | b'-' | b':' | b'/' | b'?'));
    digit || symbol || (quoted && value.len() >= 6 && is_mixed(value))
}

fn is_mixed(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_lowercase) && value.iter().skip(1).any(u8::is_ascii_uppercase)
}

/// Keys are random: a digit, and capitals or a long unbroken stretch.
fn is_random(body: &[u8]) -> bool {
    let unbroken = body.split(|byte| matches!(byte, b'-' | b'_')).map(<[u8]>::len).max().unwrap_or(0);
    body.iter().any(u8::is_ascii_digit)
        && (unbroken >= 24 || body.iter().any(u8::is_ascii_uppercase) || body.len() < 20)
}
