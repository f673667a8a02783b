//! Redaction of whole bodies without breaking their form.
//!
//! Strings are redacted as what they say, not as how they are escaped. In streams the
//! strings at the same place of successive events are pieces of one text (a *lane*): it is
//! read as one, the first piece of a find takes the replacement, the others lose theirs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use weir_critic::personal_data::Kind;

use super::escape::Decoded;
use super::json::{self, Literal, Marks, Role};
use super::{Cut, Label, Redactor, count};
use crate::exchange::record::is_event_stream;

/// The form of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Json,
    Events,
    Lines,
    Plain,
}

impl Shape {
    pub(super) fn of(content_type: &str, body: &str) -> Self {
        let json = body.trim_start().starts_with(['{', '[']);
        match content_type {
            kind if is_event_stream(kind) => Self::Events,
            kind if json && ["ndjson", "jsonl", "json-seq"].iter().any(|word| kind.contains(word)) => Self::Lines,
            _ if json => Self::Json,
            _ => Self::Plain,
        }
    }
}

/// Bytes of the body to be replaced.
struct Edit {
    range: Range<usize>,
    text: Cow<'static, str>,
}

/// A literal within its lane.
struct Piece {
    /// First byte in the lane's text.
    at: usize,
    /// First byte in the body.
    start: usize,
    /// The way back through the escapes, where there are any.
    decoded: Option<Decoded>,
}

/// The text of a lane, gathered piece by piece.
#[derive(Default)]
struct Lane {
    text: String,
    pieces: Vec<Piece>,
}

/// A body without its finds, and how many there were.
pub(super) fn redact<'a>(redactor: &Redactor, shape: Shape, body: Cow<'a, str>) -> (Cow<'a, str>, u32) {
    let mut edits = Edits { redactor, body: &body, list: Vec::new(), finds: 0, clean: [const { 0..0 }; CLEAN] };
    let mut spellings = Vec::new();
    let mut lanes: HashMap<u64, Lane> = HashMap::new();
    walk(shape, &body, |marks| {
        for literal in &marks.literals {
            if shape != Shape::Json && literal.piece && !literal.named_secret {
                lanes.entry(marks.lane(literal)).or_default().push(&body, literal);
            } else {
                edits.alone(literal);
            }
        }
        spellings.append(&mut marks.spellings);
    });
    for lane in lanes.values() {
        edits.lane(lane);
    }
    let (list, finds) = (edits.list, edits.finds);
    if finds == 0 {
        return (body, 0);
    }
    (Cow::Owned(apply(&body, list, spellings)), count(finds))
}

/// Marks a body and shows the marks: all at once for JSON, one event or line at a time for streams.
fn walk(shape: Shape, body: &str, mut show: impl FnMut(&mut Marks)) {
    let mut marks = Marks::default();
    if shape == Shape::Json {
        marks.scan(body, 0..body.len());
        return show(&mut marks);
    }
    // Whether the event's data has begun, and whether it is JSON.
    let (mut begun, mut json) = (false, false);
    let mut at = 0;
    for line in body.split_inclusive(['\n', '\r']) {
        let text = line.trim_end_matches(['\n', '\r']);
        let (start, end) = (at, at + text.len());
        at += line.len();
        if text.is_empty() || shape == Shape::Lines {
            show(&mut marks);
            marks.clear();
            begun = false;
        }
        let data = if shape == Shape::Lines { Some(text) } else { text.strip_prefix("data:") };
        match data {
            None if text.is_empty() => {}
            None => marks.plain(start..end, false),
            Some(data) => {
                let from = end - data.len() + usize::from(data.starts_with(' '));
                if !begun {
                    json = body[from..end].starts_with(['{', '[']);
                    begun = true;
                }
                if json { marks.scan(body, from..end) } else { marks.plain(from..end, true) }
            }
        }
    }
    show(&mut marks);
}

/// Texts remembered as clean: the keys, ids and names that every event of a stream repeats.
const CLEAN: usize = 64;

struct Edits<'a> {
    redactor: &'a Redactor,
    body: &'a str,
    list: Vec<Edit>,
    finds: usize,
    /// Places of texts without a find, by their hash.
    clean: [Range<usize>; CLEAN],
}

impl Edits<'_> {
    /// A literal that is a text of its own.
    fn alone(&mut self, literal: &Literal) {
        let raw = &self.body[literal.start..literal.end];
        if literal.named_secret && self.redactor.takes(Kind::Secret) {
            let whole = Cut { start: 0, end: raw.len(), label: Label::Kind(Kind::Secret) };
            return self.put(literal.role, literal.start..literal.end, whole.label);
        }
        let slot = json::hash(raw) as usize % CLEAN;
        if is_data(raw) || self.body[self.clean[slot].clone()] == *raw {
            return;
        }
        let before = self.finds;
        self.look(literal, raw);
        if self.finds == before {
            self.clean[slot] = literal.start..literal.end;
        }
    }

    fn look(&mut self, literal: &Literal, raw: &str) {
        if literal.escaped {
            let decoded = Decoded::of(raw);
            for cut in self.redactor.cuts(&decoded.text) {
                let cut = decoded.back(cut);
                self.put(literal.role, literal.start + cut.start..literal.start + cut.end, cut.label);
            }
        } else {
            for cut in self.redactor.cuts(raw) {
                self.put(literal.role, literal.start + cut.start..literal.start + cut.end, cut.label);
            }
            // A number is one token of JSON: it goes whole.
            if literal.role == Role::Number && self.list.last().is_some_and(|edit| edit.range.start >= literal.start) {
                self.list.retain(|edit| edit.range.start < literal.start);
                self.put(Role::Number, literal.start..literal.end, Label::Kind(Kind::Card));
                self.finds -= 1;
            }
        }
    }

    fn put(&mut self, role: Role, range: Range<usize>, label: Label) {
        let text = self.replacement(role, label);
        self.list.push(Edit { range, text: text.into() });
        self.finds += 1;
    }

    fn replacement(&self, role: Role, label: Label) -> String {
        let text = self.redactor.replacement(label);
        match role {
            Role::Plain => text.into_owned(),
            Role::Number => serde_json::Value::from(text).to_string(),
            Role::Text => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
        }
    }

    /// The finds of a lane, laid back over its pieces.
    fn lane(&mut self, lane: &Lane) {
        for cut in self.redactor.cuts(&lane.text) {
            self.finds += 1;
            let mut text = Cow::Owned(self.replacement(Role::Text, cut.label));
            let first = lane.pieces.partition_point(|piece| piece.at <= cut.start) - 1;
            for (i, piece) in lane.pieces.iter().enumerate().skip(first) {
                let end = lane.pieces.get(i + 1).map_or(lane.text.len(), |next| next.at);
                let (from, to) = (cut.start.max(piece.at), cut.end.min(end));
                if piece.at >= cut.end {
                    break;
                }
                if from < to {
                    let range = piece.origin(from - piece.at)..piece.origin(to - piece.at);
                    self.list.push(Edit { range, text: std::mem::take(&mut text) });
                }
            }
        }
    }
}

impl Lane {
    fn push(&mut self, body: &str, literal: &Literal) {
        let raw = &body[literal.start..literal.end];
        let decoded = literal.escaped.then(|| Decoded::of(raw));
        let at = self.text.len();
        self.text.push_str(decoded.as_ref().map_or(raw, |decoded| &decoded.text));
        self.pieces.push(Piece { at, start: literal.start, decoded });
    }
}

impl Piece {
    fn origin(&self, at: usize) -> usize {
        self.start + self.decoded.as_ref().map_or(at, |decoded| decoded.origin(at))
    }
}

/// Whether a string is a `data:` URL (RFC 2397) of base64: an image or a sound, no text.
fn is_data(raw: &str) -> bool {
    raw.starts_with("data:") && raw.as_bytes()[..raw.len().min(128)].windows(8).any(|part| part == b";base64,")
}

/// Lays the edits over the body. Spellings become `null`: they would tell the finds again.
fn apply(body: &str, mut edits: Vec<Edit>, spellings: Vec<Range<usize>>) -> String {
    edits.extend(spellings.into_iter().map(|range| Edit { range, text: "null".into() }));
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut kept = String::with_capacity(body.len());
    let mut from = 0;
    for Edit { range, text } in edits {
        if range.start >= from {
            kept.push_str(&body[from..range.start]);
            kept.push_str(&text);
            from = range.end;
        }
    }
    kept.push_str(&body[from..]);
    kept
}
