//! Finds secrets and personal data in text.
//!
//! Promises: pure, never panics, one pass over the bytes in time linear in the text;
//! spans lie on character boundaries, are sorted and do not overlap. Checked numbers
//! (cards, IBANs) are believed by their checksum, e-mail addresses and keys by their form,
//! telephone numbers by their form or by the words before them, passport numbers by these alone.
//! What it must not know: where the text comes from and what is done with a find.
//!
//! How the pass stays cheap: only the few bytes at which a find can be recognised are looked
//! at one by one ([`triggers`]). A recogniser looks back and ahead by bounded amounts only.

mod email;
mod numbers;
mod passport;
mod phone;
mod secrets;
#[cfg(test)]
mod tests;
mod triggers;

use serde::{Deserialize, Serialize};

use triggers::{Trigger, Triggers};

/// What a find is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// A passport or identity card number, by the words before it.
    Passport,
}

impl Kind {
    /// Every kind, for tables of settings, metrics and tests.
    pub const ALL: [Self; 6] = [Self::Secret, Self::Email, Self::Phone, Self::Card, Self::Iban, Self::Passport];

    /// The word used in labels and replacements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Passport => "passport",
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

/// Shortest find there is: `a@b.co`.
const SHORTEST: usize = 6;

/// Finds secrets and personal data. Spans are byte offsets into `text`, sorted, apart.
pub fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    if bytes.len() < SHORTEST {
        return spans;
    }
    let mut triggers = Triggers::of(bytes);
    let mut place = Place { text, from: 0, at: 0 };
    while let Some(at) = triggers.from(place.at) {
        place.at = at;
        let step = match Trigger::of(bytes[at]) {
            Trigger::At => email::look(place),
            Trigger::Digit => numbers::look(place),
            Trigger::Secret => secrets::look(place),
        };
        match step {
            Step::Resume(at) => place.at = at.max(place.at + 1),
            Step::Found(span) => {
                spans.push(span);
                place.from = span.end;
                place.at = span.end.max(place.at);
            }
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
