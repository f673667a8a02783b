//! Takes secrets and personal data out of text before anything is kept.
//!
//! Promises: a JSON body stays JSON, a stream of events stays a stream of events; escapes
//! (`\u0040`, `\/`, also nested in tool arguments) hide nothing; a find that a stream splits
//! over several deltas goes whole, because the deltas of one text are read as one text;
//! token lists and log-probabilities that would spell a find out again go with it.
//! Credential headers are never kept. Linear in the text.
//! Known limit: a find cut in two by the capture limit, or written into base64 data, stays.
//! What it must not know: where the text goes.

mod body;
mod escape;
mod json;
mod keys;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::HeaderMap;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_critic::personal_data::{self, Kind};

use crate::exchange::{Fault, Name};

use escape::Decoded;

/// What is taken out of text and headers before a record reaches the disk.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether text is redacted at all. Off only where the store may hold everything that
    /// people write; credential headers are dropped all the same. Default: true.
    pub enabled: bool,
    /// Which built-in finds are taken out. Default: all.
    pub kinds: Vec<Find>,
    /// Own patterns, tried after the built-in ones. At most 64. Default: none.
    pub rules: Vec<Rule>,
    /// Request headers to keep, where not all are wanted. Default: empty, which keeps every
    /// header that holds no credential.
    pub keep_headers: Vec<String>,
    /// Request headers to drop besides those that hold credentials. Default: none.
    pub drop_headers: Vec<String>,
}

/// A built-in find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Find {
    /// API keys, tokens, private keys, passwords.
    Secret,
    /// E-mail addresses.
    Email,
    /// Telephone numbers.
    Phone,
    /// Payment card numbers.
    Card,
    /// International bank account numbers.
    Iban,
}

/// An own pattern.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the find is called; `[name]` takes its place unless `replacement` is given.
    pub name: Name,
    /// Regular expression in the syntax of the `regex` crate (linear time, no look-around).
    pub pattern: String,
    /// Text that takes the place of a find. Default: `[name]`.
    #[serde(default)]
    pub replacement: Option<String>,
}

/// Why a redactor cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pattern of a rule is not usable.
    #[error("rule '{name}': {problem}")]
    Pattern {
        /// Name of the rule.
        name: Name,
        /// What is wrong with it.
        problem: String,
    },
}

/// Largest number of own rules.
const RULES: usize = 64;
/// Largest pattern in bytes, and largest compiled pattern.
const PATTERN_BYTES: usize = 4096;
const COMPILED_BYTES: usize = 1 << 20;
/// What is kept of headers: how many, and how much of each value.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 1024;

/// Headers that hold credentials by name.
const CREDENTIAL_HEADERS: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-forwarded-client-cert",
    "x-csrf-token",
];

/// Headers of nearly every request that hold none, so that they need no closer look.
const HARMLESS_HEADERS: [&str; 8] = [
    "host",
    "content-type",
    "content-length",
    "accept",
    "accept-encoding",
    "accept-language",
    "user-agent",
    "connection",
];

/// Words in a header's name that mark a credential.
const CREDENTIAL_WORDS: [&str; 9] =
    ["token", "secret", "password", "api-key", "apikey", "credential", "cookie", "session", "signature"];

/// Takes finds out of text. Made once, shared by reference.
#[derive(Debug)]
pub struct Redactor {
    enabled: bool,
    kinds: Vec<Kind>,
    rules: Vec<Compiled>,
    keep_headers: Vec<String>,
    drop_headers: Vec<String>,
    credential_words: Regex,
}

#[derive(Debug)]
struct Compiled {
    pattern: Regex,
    replacement: String,
}

/// A stretch of text to be replaced. `label` indexes kinds first, then rules.
#[derive(Clone, Copy, Debug)]
struct Cut {
    start: usize,
    end: usize,
    label: Label,
}

#[derive(Clone, Copy, Debug)]
enum Label {
    Kind(Kind),
    Rule(usize),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            kinds: vec![Find::Secret, Find::Email, Find::Phone, Find::Card, Find::Iban],
            rules: Vec::new(),
            keep_headers: Vec::new(),
            drop_headers: Vec::new(),
        }
    }
}

impl Config {
    /// Everything that is wrong with it.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.rules.len() > RULES {
            let problem = format!("{} rules are more than {RULES}", self.rules.len());
            faults.push(Fault::new(format!("{path}.rules"), problem, "join patterns with '|' to have fewer"));
        }
        for (i, rule) in self.rules.iter().enumerate() {
            if let Err(problem) = rule.compile() {
                let cure = "write a regular expression as the regex crate takes it (no look-around, no back-reference), \
                            short, and so that it does not match empty text";
                faults.push(Fault::new(format!("{path}.rules[{i}].pattern"), problem, cure));
            }
        }
        for (key, names) in [("keep_headers", &self.keep_headers), ("drop_headers", &self.drop_headers)] {
            for (i, name) in names.iter().enumerate() {
                if http::HeaderName::try_from(name.as_str()).is_err() {
                    let problem = format!("'{name}' is no header name");
                    faults.push(Fault::new(format!("{path}.{key}[{i}]"), problem, "write it as in \"x-request-id\""));
                }
            }
        }
        faults
    }
}

impl Rule {
    fn compile(&self) -> Result<Compiled, String> {
        if self.pattern.len() > PATTERN_BYTES {
            return Err(format!("the pattern is longer than {PATTERN_BYTES} bytes"));
        }
        let mut builder = RegexBuilder::new(&self.pattern);
        let pattern = builder
            .size_limit(COMPILED_BYTES)
            .dfa_size_limit(COMPILED_BYTES)
            .build()
            .map_err(|fault| format!("the pattern does not compile: {}", last_line(&fault.to_string())))?;
        if pattern.is_match("") {
            return Err("the pattern matches empty text".to_owned());
        }
        let replacement = self.replacement.clone().unwrap_or_else(|| format!("[{}]", self.name));
        Ok(Compiled { pattern, replacement })
    }
}

/// The regex crate draws a picture of the fault; its last line says it in words.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

impl Redactor {
    /// Makes a redactor. Errors name the rule whose pattern cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let compile =
            |rule: &Rule| rule.compile().map_err(|problem| Error::Pattern { name: rule.name.clone(), problem });
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self {
            enabled: config.enabled,
            kinds: config.kinds.iter().map(|find| find.kind()).collect(),
            rules: config.rules.iter().map(compile).collect::<Result<_, _>>()?,
            keep_headers: lower(&config.keep_headers),
            drop_headers: lower(&config.drop_headers),
            credential_words: Regex::new(&CREDENTIAL_WORDS.join("|")).expect("plain words are a pattern"),
        })
    }

    /// Plain text without its finds, and how many there were.
    pub fn redact<'a>(&self, text: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        if !self.enabled {
            return (text, 0);
        }
        let cuts = self.cuts(&text);
        if cuts.is_empty() {
            return (text, 0);
        }
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for cut in &cuts {
            kept.push_str(&text[from..cut.start]);
            kept.push_str(&self.replacement(cut.label));
            from = cut.end;
        }
        kept.push_str(&text[from..]);
        (Cow::Owned(kept), count(cuts.len()))
    }

    /// A body without its finds, and how many there were. What the body is (JSON, a stream
    /// of events, lines of JSON, plain text) is read from its content type and first byte.
    pub fn redact_body<'a>(&self, content_type: &str, body: Cow<'a, str>) -> (Cow<'a, str>, u32) {
        if !self.enabled {
            return (body, 0);
        }
        match body::Shape::of(content_type, &body) {
            body::Shape::Plain => self.redact(body),
            shape => body::redact(self, shape, body),
        }
    }

    /// The request headers that may be kept, in lower case, each value redacted.
    pub fn headers(&self, headers: &HeaderMap) -> (Vec<(String, String)>, u32) {
        let mut finds = 0;
        let kept = headers.iter().filter(|(name, _)| self.keeps_header(name.as_str())).take(HEADERS);
        let kept = kept.map(|(name, value)| {
            let bytes = value.as_bytes();
            let value = String::from_utf8_lossy(&bytes[..bytes.len().min(HEADER_BYTES)]);
            let (value, n) = self.redact(value);
            finds += n;
            (name.as_str().to_owned(), value.into_owned())
        });
        (kept.collect(), finds)
    }

    fn keeps_header(&self, name: &str) -> bool {
        let credential = !HARMLESS_HEADERS.contains(&name)
            && (CREDENTIAL_HEADERS.contains(&name) || self.credential_words.is_match(name));
        let dropped = self.drop_headers.iter().any(|header| header == name);
        let wanted = self.keep_headers.is_empty() || self.keep_headers.iter().any(|header| header == name);
        !credential && !dropped && wanted
    }

    fn takes(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    fn replacement(&self, label: Label) -> Cow<'_, str> {
        match label {
            Label::Kind(kind) => Cow::Owned(format!("[{}]", kind.as_str())),
            Label::Rule(i) => Cow::Borrowed(&self.rules[i].replacement),
        }
    }

    /// What is to be cut from a text: sorted, apart, never in the middle of an escape.
    fn cuts(&self, text: &str) -> Vec<Cut> {
        let nested = memchr::memchr(b'\\', text.as_bytes()).is_some();
        if nested && self.is_clean(text) {
            return Vec::new();
        }
        let mut cuts = self.direct(text);
        if cuts.is_empty() && !nested {
            return cuts;
        }
        if nested {
            // Text within text: each round undoes one level of JSON escapes.
            let mut view = Decoded::of(text);
            for _ in 0..escape::LEVELS {
                cuts.extend(self.direct(&view.text).into_iter().map(|cut| view.back(cut)));
                if memchr::memchr(b'\\', view.text.as_bytes()).is_none() {
                    break;
                }
                view = view.again();
            }
        }
        let mut cuts = merge(cuts);
        if nested {
            cuts.iter_mut().for_each(|cut| escape::widen(text, cut));
            cuts = merge(cuts);
        }
        cuts
    }

    /// Whether a text holds no find at any level of escapes. Most texts do not, and the way
    /// back from the levels, which only finds need, is dearer than looking.
    fn is_clean(&self, text: &str) -> bool {
        let mut view = Cow::Borrowed(text);
        for _ in 0..=escape::LEVELS {
            if !self.direct(&view).is_empty() {
                return false;
            }
            if memchr::memchr(b'\\', view.as_bytes()).is_none() {
                break;
            }
            view = Cow::Owned(escape::undone(&view));
        }
        true
    }

    fn direct(&self, text: &str) -> Vec<Cut> {
        let spans = personal_data::find(text);
        if spans.is_empty() && self.rules.is_empty() {
            return Vec::new();
        }
        let spans = spans.into_iter().filter(|span| self.takes(span.kind));
        let mut cuts: Vec<Cut> =
            spans.map(|span| Cut { start: span.start, end: span.end, label: Label::Kind(span.kind) }).collect();
        for (i, rule) in self.rules.iter().enumerate() {
            let finds = rule.pattern.find_iter(text).filter(|find| !find.is_empty());
            cuts.extend(finds.map(|find| Cut { start: find.start(), end: find.end(), label: Label::Rule(i) }));
        }
        cuts
    }
}

impl Find {
    fn kind(self) -> Kind {
        match self {
            Self::Secret => Kind::Secret,
            Self::Email => Kind::Email,
            Self::Phone => Kind::Phone,
            Self::Card => Kind::Card,
            Self::Iban => Kind::Iban,
        }
    }
}

/// Sorts cuts and joins those that overlap; the first keeps its label.
fn merge(mut cuts: Vec<Cut>) -> Vec<Cut> {
    cuts.sort_by_key(|cut| (cut.start, std::cmp::Reverse(cut.end)));
    let mut merged: Vec<Cut> = Vec::with_capacity(cuts.len());
    for cut in cuts {
        match merged.last_mut() {
            Some(last) if cut.start < last.end => last.end = last.end.max(cut.end),
            _ => merged.push(cut),
        }
    }
    merged
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
