//! Finds secrets and personal data in text.
//!
//! Promises: pure, never panics, one pass over the bytes in time linear in the text;
//! spans lie on character boundaries, are sorted and do not overlap. Checked numbers
//! (cards, IBANs) are believed by their checksum, e-mail addresses and keys by their form,
//! telephone numbers by their form or by the words before them.
//! What it must not know: where the text comes from and what is done with a find.
//!
//! How the pass stays cheap: a table marks the few bytes at which a find can be
//! recognised (`@`, digits, the `_` of `ghp_`, the `J` of `eyJ` ...); every other byte
//! costs one look-up. A recogniser looks back and ahead by bounded amounts only.

mod email;
mod numbers;
mod phone;
mod secrets;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// What a find is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A credential: API key, token, private key, password in an assignment or URL.
    Secret,
    /// An e-mail address (the common ASCII form of RFC 5321).
    Email,
    /// A telephone number.
    Phone,
    /// A payment card number (ISO/IEC 7812: known issuer range, right length, Luhn digit).
    Card,
    /// An international bank account number (ISO 13616: country length and modulus 97).
    Iban,
}

impl Kind {
    /// Every kind, for tables of settings, metrics and tests.
    pub const ALL: [Self; 5] = [Self::Secret, Self::Email, Self::Phone, Self::Card, Self::Iban];

    /// The word used in labels and replacements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
        }
    }
}

/// A find: bytes `start..end` of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a recogniser saw at a trigger.
enum Step {
    /// Nothing; go on at this byte, which lies after the trigger.
    Resume(usize),
    /// A find; go on at its end.
    Found(Span),
}

/// Where a recogniser stands: it must not look back before `from`, the end of the last find.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a str,
    from: usize,
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    None,
    At,
    Digit,
    Secret,
}

/// Shortest find there is: `a@b.co`.
const SHORTEST: usize = 6;

const TRIGGERS: [Trigger; 256] = triggers();

const fn triggers() -> [Trigger; 256] {
    let mut table = [Trigger::None; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        table[digit as usize] = Trigger::Digit;
        digit += 1;
    }
    table[b'@' as usize] = Trigger::At;
    let secret = b"-_=:AJB";
    let mut i = 0;
    while i < secret.len() {
        table[secret[i] as usize] = Trigger::Secret;
        i += 1;
    }
    table
}

/// Finds secrets and personal data. Spans are byte offsets into `text`, sorted, apart.
pub fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    if bytes.len() < SHORTEST {
        return spans;
    }
    let mut place = Place { text, from: 0, at: 0 };
    while let Some(ahead) = bytes[place.at..].iter().position(|byte| TRIGGERS[*byte as usize] != Trigger::None) {
        place.at += ahead;
        let step = match TRIGGERS[bytes[place.at] as usize] {
            Trigger::At => email::look(place),
            Trigger::Digit => numbers::look(place),
            Trigger::Secret | Trigger::None => secrets::look(place),
        };
        match step {
            Step::Resume(at) => place.at = at.max(place.at + 1),
            Step::Found(span) => {
                spans.push(span);
                place.from = span.end;
                place.at = span.end.max(place.at);
            }
        }
        if place.at >= bytes.len() {
            break;
        }
    }
    spans
}

impl Place<'_> {
    fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// The byte before `at`, none at the start of what may be looked at.
    fn before(&self, at: usize) -> Option<u8> {
        if at > self.from { self.byte(at - 1) } else { None }
    }

    /// Whether a word begins at `at`.
    fn begins(&self, at: usize) -> bool {
        !self.before(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// The end of the run of bytes from `at` that `fits`, at most `limit` bytes long.
    fn run(&self, at: usize, limit: usize, fits: impl Fn(u8) -> bool) -> usize {
        let rest = &self.bytes()[at.min(self.text.len())..];
        at + rest.iter().take(limit).take_while(|byte| fits(**byte)).count()
    }

    fn found(&self, start: usize, end: usize, kind: Kind) -> Step {
        debug_assert!(self.text.is_char_boundary(start) && self.text.is_char_boundary(end));
        Step::Found(Span { start, end, kind })
    }

    fn nothing(&self) -> Step {
        Step::Resume(self.at + 1)
    }
}
