//! The canonical form of a JSON body: equal for bodies that mean the same, and only for those.
//!
//! One pass, no tree. Each value is a tag and what belongs to it:
//!
//! ```text
//! null 0 | false 1 | true 2 | unsigned 3 u64 | negative 4 i64 | float 5 f64 | text 6 length bytes
//! array 7 value* 9 | object 8 (text value)* 9
//! ```
//!
//! Numbers are little endian, a length is a LEB128. The form is prefix-free, so it is
//! injective: no value begins with tag 9, and each tag says how far its value goes.
//! Members are sorted by key; several of one key keep their order, so that such a body never
//! equals one without. Numbers are written by value (`1`, `1.0` and `1e0` are one number, as
//! for every engine's reader); a float at or past 2^53 may stand for several numbers, and is
//! refused. The order of members is taken to mean nothing, as JSON says (RFC 8259, 4), also
//! where an engine's template would print a tool's schema in the order it was sent.
//!
//! Left out, at the top level only, is what decides the form of an answer and not the answer.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::exchange::Api;

/// The body may mean the same as another that differs, or is no JSON at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be told apart from others beyond doubt")]
pub struct Unclear;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const UNSIGNED: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const ARRAY: u8 = 7;
const OBJECT: u8 = 8;
const END: u8 = 9;

/// From here on neighbouring integers share a float.
const TWO_TO_53: f64 = 9_007_199_254_740_992.0;

/// Sorting copies an object's members; bodies made to be sorted at every depth are refused
/// once this many times their size was copied. Real ones stay below twice.
const MAX_MOVED: usize = 16;

/// Appends the canonical form of a body to `out`. On an error, what was appended is waste.
pub fn canonical(api: Api, body: &[u8], out: &mut Vec<u8>) -> Result<(), Unclear> {
    let mut writer = Writer {
        out,
        members: Vec::with_capacity(16),
        scratch: Vec::new(),
        movable: body.len().saturating_mul(MAX_MOVED) + 4096,
    };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let root = Value { writer: &mut writer, place: Place::Root(api) };
    root.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|_| Unclear)
}

/// Writes values in the order they are read.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Members of the objects that are open, the innermost last.
    members: Vec<Member>,
    /// Where members are put in order.
    scratch: Vec<u8>,
    /// Bytes that may still be copied to sort.
    movable: usize,
}

/// A member in the output: where its key's text is, and where its value ends.
#[derive(Clone)]
struct Member {
    start: usize,
    key: Range<usize>,
    end: usize,
}

/// Where a value stands: decides what is left out below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root(Api),
    StreamOptions,
    Deeper,
}

struct Value<'w, 'o> {
    writer: &'w mut Writer<'o>,
    place: Place,
}

struct Key<'w, 'o>(&'w mut Writer<'o>);

impl Place {
    /// What becomes of a member: where its value stands, and whether it may be left out.
    fn below(self, key: &[u8]) -> (Self, Leave) {
        match (self, key) {
            (Self::Root(Api::Chat | Api::Completions), b"stream_options") => {
                (Self::StreamOptions, Leave::IfNullOrEmpty)
            }
            (Self::Root(Api::Chat | Api::Completions | Api::Responses | Api::Messages), b"stream")
            | (Self::StreamOptions, b"include_usage") => (Self::Deeper, Leave::IfSwitch),
            _ => (Self::Deeper, Leave::Never),
        }
    }
}

/// When a member is left out, judged by its value's canonical form. A value of another type
/// stays: the engine may refuse it, and must be asked.
#[derive(Clone, Copy)]
enum Leave {
    Never,
    IfSwitch,
    IfNullOrEmpty,
}

impl Leave {
    fn out(self, value: &[u8]) -> bool {
        match self {
            Self::Never => false,
            Self::IfSwitch => matches!(value, [NULL | FALSE | TRUE]),
            Self::IfNullOrEmpty => matches!(value, [NULL] | [OBJECT, END]),
        }
    }
}

impl Writer<'_> {
    fn text(&mut self, text: &str) -> Range<usize> {
        self.out.push(TEXT);
        length(self.out, text.len());
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        start..self.out.len()
    }

    fn number(&mut self, tag: u8, bytes: [u8; 8]) {
        self.out.push(tag);
        self.out.extend_from_slice(&bytes);
    }

    fn integer(&mut self, n: i64) {
        match u64::try_from(n) {
            Ok(n) => self.number(UNSIGNED, n.to_le_bytes()),
            Err(_) => self.number(NEGATIVE, n.to_le_bytes()),
        }
    }

    /// Sorts the members from `first` on, the last of the output, and forgets them.
    fn sort(&mut self, first: usize) -> Result<(), Unclear> {
        let key = |member: &Member| &self.out[member.key.clone()];
        let members = &mut self.members[first..];
        if !members.is_sorted_by(|a, b| key(a) <= key(b)) {
            let start = members[0].start;
            let size = self.out.len() - start;
            self.movable = self.movable.checked_sub(size).ok_or(Unclear)?;
            members.sort_by(|a, b| key(a).cmp(key(b)));
            self.scratch.clear();
            members.iter().for_each(|member| self.scratch.extend_from_slice(&self.out[member.start..member.end]));
            self.out[start..].copy_from_slice(&self.scratch);
        }
        self.members.truncate(first);
        Ok(())
    }
}

/// Appends a LEB128.
pub(super) fn length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Range<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Range<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.text(text))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.writer.out.push(NULL);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.writer.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<(), E> {
        self.writer.number(UNSIGNED, n.to_le_bytes());
        Ok(())
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<(), E> {
        self.writer.integer(n);
        Ok(())
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<(), E> {
        // Also true of what is no number.
        if x.abs() >= TWO_TO_53 || x.is_nan() {
            return Err(E::custom(Unclear));
        }
        if x.fract() == 0.0 {
            self.writer.integer(x as i64);
        } else {
            self.writer.number(FLOAT, x.to_bits().to_le_bytes());
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.writer.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.writer.out.push(ARRAY);
        while items.next_element_seed(Value { writer: self.writer, place: Place::Deeper })?.is_some() {}
        self.writer.out.push(END);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let writer = self.writer;
        writer.out.push(OBJECT);
        let first = writer.members.len();
        loop {
            let start = writer.out.len();
            let Some(key) = map.next_key_seed(Key(writer))? else { break };
            let (place, leave) = self.place.below(&writer.out[key.clone()]);
            map.next_value_seed(Value { writer, place })?;
            if leave.out(&writer.out[key.end..]) {
                writer.out.truncate(start);
            } else {
                writer.members.push(Member { start, key, end: writer.out.len() });
            }
        }
        writer.sort(first).map_err(A::Error::custom)?;
        writer.out.push(END);
        Ok(())
    }
}

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
