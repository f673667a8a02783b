//! Redaction of whole bodies without breaking their form.
//!
//! Strings are redacted as what they say, not as how they are escaped. In streams the
//! strings at the same place of successive events are pieces of one text (a *lane*): it is
//! read as one, the first piece of a find takes the replacement, the others lose theirs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use weir_critic::personal_data::Kind;

use super::escape::{self, Decoded};
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
            "application/json" if json => Self::Json,
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
    decoded: Option<Box<Decoded>>,
}

/// The text of a lane, gathered piece by piece.
#[derive(Default)]
struct Lane {
    text: String,
    pieces: Vec<Piece>,
}

/// A body without its finds, and how many there were.
pub(super) fn redact<'a>(redactor: &Redactor, shape: Shape, body: Cow<'a, str>) -> (Cow<'a, str>, u32) {
    let mut sweep = Sweep::new(redactor, shape, &body);
    if shape == Shape::Json {
        sweep.marks.scan(&body, 0..body.len());
        sweep.show();
    } else {
        sweep.lines();
    }
    let Sweep { mut edits, lanes, spellings, .. } = sweep;
    lanes.iter().for_each(|lane| edits.lane(lane));
    let (list, finds) = (edits.list, edits.finds);
    if finds == 0 {
        return (body, 0);
    }
    (Cow::Owned(apply(&body, list, spellings)), count(finds))
}

/// Goes over a body: all at once for JSON, one event or line at a time for streams.
struct Sweep<'a> {
    shape: Shape,
    edits: Edits<'a>,
    lanes: Vec<Lane>,
    /// Where each lane is in `lanes`.
    known: HashMap<u64, usize>,
    spellings: Vec<Range<usize>>,
    /// Of the event under way.
    marks: Marks,
    /// The one line that the event under way is made of; none where it is made of more.
    line: Option<Range<usize>>,
    pattern: Option<Pattern>,
}

/// The last event, where it is one line of JSON without a find and with one piece of text. Most
/// events of a stream repeat it but for that piece: of them nothing else needs to be looked at.
struct Pattern {
    before: Range<usize>,
    after: Range<usize>,
    /// The piece's lane in the list.
    lane: usize,
}

impl<'a> Sweep<'a> {
    fn new(redactor: &'a Redactor, shape: Shape, body: &'a str) -> Self {
        let edits = Edits { redactor, body, shape, list: Vec::new(), finds: 0, clean: [const { 0..0 }; CLEAN] };
        let (lanes, known, spellings, marks) = Default::default();
        Self { shape, edits, lanes, known, spellings, marks, line: None, pattern: None }
    }

    fn lines(&mut self) {
        let body = self.edits.body;
        // Whether the event's data has begun, and whether it is JSON.
        let (mut begun, mut json) = (false, false);
        let mut next = 0;
        while next < body.len() {
            let start = next;
            let end =
                memchr::memchr2(b'\n', b'\r', &body.as_bytes()[start..]).map_or(body.len(), |ahead| start + ahead);
            next = end + 1;
            let text = &body[start..end];
            if text.is_empty() || self.shape == Shape::Lines {
                self.show();
                begun = false;
            }
            let data = if self.shape == Shape::Lines { Some(text) } else { text.strip_prefix("data:") };
            match data {
                None if text.is_empty() => {}
                None => {
                    self.marks.plain(start..end, false);
                    self.line = None;
                }
                Some(data) => {
                    let from = end - data.len() + usize::from(data.starts_with(' '));
                    let alone = self.marks.is_empty();
                    if alone && self.is_over(next) && self.repeats(from..end) {
                        continue;
                    }
                    if !begun {
                        json = body[from..end].starts_with(['{', '[']);
                        begun = true;
                    }
                    if json {
                        self.marks.scan(body, from..end)
                    } else {
                        self.marks.plain(from..end, true)
                    }
                    self.line = (alone && json).then_some(from..end);
                }
            }
        }
        self.show();
    }

    /// Whether the event ends before the line that begins there.
    fn is_over(&self, next: usize) -> bool {
        self.shape == Shape::Lines || matches!(self.edits.body.as_bytes().get(next), None | Some(b'\n' | b'\r'))
    }

    /// Takes the piece of an event that is the last one again but for it.
    fn repeats(&mut self, line: Range<usize>) -> bool {
        let body = self.edits.body;
        let Some(pattern) = &self.pattern else { return false };
        let Some(piece) = pattern.piece(body, line) else { return false };
        if !piece.is_empty() {
            self.lanes[pattern.lane].push(body, piece, false);
        }
        true
    }

    /// Looks at what is marked, and forgets the marks.
    fn show(&mut self) {
        if self.marks.is_empty() {
            return;
        }
        let before = (self.edits.finds, self.spellings.len());
        let (mut pieces, mut last) = (0, None);
        for literal in &self.marks.literals {
            if self.shape != Shape::Json && literal.piece && !literal.named_secret {
                let lane = self.known.entry(self.marks.lane(literal)).or_insert(self.lanes.len());
                if *lane == self.lanes.len() {
                    self.lanes.push(Lane::default());
                }
                let range = literal.start..literal.end;
                self.lanes[*lane].push(self.edits.body, range.clone(), literal.escaped);
                pieces += 1;
                last = Some((range, *lane));
            } else {
                self.edits.alone(literal);
            }
        }
        self.spellings.append(&mut self.marks.spellings);
        let plain = pieces == 1 && before == (self.edits.finds, self.spellings.len());
        self.pattern = match (self.line.take(), last) {
            (Some(line), Some((range, lane))) if plain => {
                Some(Pattern { before: line.start..range.start, after: range.end..line.end, lane })
            }
            _ => None,
        };
        self.marks.clear();
    }
}

impl Pattern {
    /// The piece in a line that is the pattern's but for it. A piece with escapes is left to
    /// the long way.
    fn piece(&self, body: &str, line: Range<usize>) -> Option<Range<usize>> {
        let bytes = body.as_bytes();
        let rest = bytes[line.clone()].strip_prefix(&bytes[self.before.clone()])?;
        let piece = rest.strip_suffix(&bytes[self.after.clone()])?;
        let start = line.start + self.before.len();
        memchr::memchr2(b'"', b'\\', piece).is_none().then(|| start..start + piece.len())
    }
}

/// Texts remembered as clean: the keys, ids and names that every event of a stream repeats.
const CLEAN: usize = 64;
/// Longest of them; longer ones are sooner looked at than hashed.
const CLEAN_BYTES: usize = 64;

struct Edits<'a> {
    redactor: &'a Redactor,
    body: &'a str,
    shape: Shape,
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
        // Own rules may look for anything, in keys too.
        if is_data(raw) || (literal.common && self.redactor.rules.is_empty()) {
            return;
        }
        if self.shape == Shape::Json || raw.len() > CLEAN_BYTES {
            return self.look(literal, raw);
        }
        let slot = json::hash(raw) as usize % CLEAN;
        if self.body[self.clean[slot].clone()] == *raw {
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
            if self.redactor.is_clean(&escape::undone(raw)) {
                return;
            }
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
    fn push(&mut self, body: &str, range: Range<usize>, escaped: bool) {
        let raw = &body[range.clone()];
        let decoded = escaped.then(|| Box::new(Decoded::of(raw)));
        let at = self.text.len();
        self.text.push_str(decoded.as_ref().map_or(raw, |decoded| &decoded.text));
        self.pieces.push(Piece { at, start: range.start, decoded });
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
