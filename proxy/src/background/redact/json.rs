//! Finds the strings and numbers of JSON text, with the place of each in the structure.
//!
//! Lenient and linear: bodies may be cut off or broken; nothing is judged, only literals
//! are marked. Depth is looked at up to a limit, below which all literals share one place.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::ops::Range;

use super::keys::{Key, is_common};

/// Deepest nesting that is told apart.
const DEPTH: usize = 64;

/// Literals and nested values of most bodies.
const LITERALS: usize = 32;
const FRAMES: usize = 16;

/// A string or number, by its bytes in the body; quotes lie outside.
#[derive(Default)]
pub(super) struct Literal {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
    pub(super) role: Role,
    /// Whether it is the value of a key that names a secret.
    pub(super) named_secret: bool,
    /// Whether its lane may hold more pieces of the same text.
    pub(super) piece: bool,
    /// Whether it is a key that nearly every body has, which holds no built-in find.
    pub(super) common: bool,
    frame: usize,
    slot: u64,
}

/// What a literal is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// A string, key or value.
    #[default]
    Text,
    /// A number.
    Number,
    /// Text outside any JSON.
    Plain,
}

/// Everything marked in one JSON text.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) literals: Vec<Literal>,
    /// Values under a key that [`Key::spelling`] marks.
    pub(super) spellings: Vec<Range<usize>>,
    frames: Vec<Frame>,
    open: Vec<usize>,
    overflow: usize,
    spelling: Option<(usize, usize)>,
}

/// An object or array.
struct Frame {
    parent: Option<usize>,
    /// Key or position within the parent.
    slot: u64,
    object: bool,
    awaits_key: bool,
    key: Key,
    position: u64,
    /// What the object's own index fields say; takes the place of its position.
    index: Option<u64>,
    kind: u64,
}

/// A quick hash, not to be trusted against malice.
pub(super) fn hash(value: impl Hash) -> u64 {
    BuildHasherDefault::<Fnv>::default().hash_one(value)
}

/// FNV-1a: keys are short. Colliding lanes would only be read as one text, so that no
/// keyed hash is needed.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Marks {
    /// Marks the literals of `body[range]`; may go on where an earlier range left off.
    pub(super) fn scan(&mut self, body: &str, range: Range<usize>) {
        if self.frames.is_empty() {
            // Cleared marks keep their room; the first ones take it at once.
            self.literals.reserve(LITERALS);
            self.frames.reserve(FRAMES);
            self.open.reserve(FRAMES);
            self.open(false);
        }
        let bytes = &body.as_bytes()[..range.end];
        let mut at = range.start;
        while at < bytes.len() {
            at = match bytes[at] {
                b'"' => self.string(body, at, range.end),
                b'-' | b'0'..=b'9' => self.number(body, at, range.end),
                byte => self.structure(byte, at),
            };
        }
    }

    /// Whether nothing was marked since the last [`Self::clear`].
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets everything, to mark the next text.
    pub(super) fn clear(&mut self) {
        let Self { literals, spellings, frames, open, overflow, spelling } = self;
        literals.clear();
        spellings.clear();
        frames.clear();
        open.clear();
        (*overflow, *spelling) = (0, None);
    }

    /// Which text a literal belongs to: equal for the deltas of one text across events.
    pub(super) fn lane(&self, literal: &Literal) -> u64 {
        let mut lane = literal.slot;
        let mut frame = Some(literal.frame);
        while let Some(at) = frame {
            let Frame { parent, slot, index, kind, .. } = &self.frames[at];
            lane = hash((lane, index.unwrap_or(*slot), kind));
            frame = *parent;
        }
        lane
    }

    fn structure(&mut self, byte: u8, at: usize) -> usize {
        match byte {
            b'{' | b'[' => {
                let spells = self.top().is_some_and(|frame| frame.object && frame.key.spelling);
                if self.open.len() >= DEPTH {
                    self.overflow += 1;
                } else {
                    self.open(byte == b'{');
                }
                if spells && self.spelling.is_none() && self.overflow == 0 {
                    self.spelling = Some((self.open.len(), at));
                }
            }
            b'}' | b']' => self.close(at),
            b',' if self.overflow == 0 => {
                if let Some(frame) = self.top() {
                    frame.awaits_key = frame.object;
                    frame.position += 1;
                }
            }
            b':' if self.overflow == 0 => {
                if let Some(frame) = self.top() {
                    frame.awaits_key = false;
                }
            }
            _ => {}
        }
        at + 1
    }

    fn open(&mut self, object: bool) {
        let parent = self.open.last().copied();
        let slot = parent.map_or(0, |at| self.frames[at].slot());
        self.open.push(self.frames.len());
        let key = Key::default();
        self.frames.push(Frame { parent, slot, object, awaits_key: object, key, position: 0, index: None, kind: 0 });
    }

    fn close(&mut self, at: usize) {
        if self.overflow > 0 {
            self.overflow -= 1;
            return;
        }
        if let Some((_, start)) = self.spelling.filter(|(depth, _)| *depth == self.open.len()) {
            self.spellings.push(start..at + 1);
            self.spelling = None;
        }
        // The root stays open: there may be more values, as in lines of JSON.
        if self.open.len() > 1 {
            self.open.pop();
        }
    }

    fn top(&mut self) -> Option<&mut Frame> {
        self.open.last().map(|at| &mut self.frames[*at])
    }

    fn string(&mut self, body: &str, quote: usize, limit: usize) -> usize {
        let bytes = &body.as_bytes()[..limit];
        let start = quote + 1;
        let (mut end, mut escaped) = (start, false);
        while let Some(ahead) = memchr::memchr2(b'"', b'\\', &bytes[end.min(limit)..]) {
            end += ahead;
            if bytes[end] == b'"' {
                break;
            }
            escaped = true;
            end += 2;
        }
        let closed = bytes.get(end) == Some(&b'"');
        let end = if closed { end } else { limit };
        self.literal(body, Role::Text, start..end, escaped);
        end + usize::from(closed)
    }

    fn number(&mut self, body: &str, start: usize, limit: usize) -> usize {
        let fits = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
        let end = start + body.as_bytes()[start..limit].iter().take_while(fits).count();
        self.literal(body, Role::Number, start..end, false);
        end
    }

    fn literal(&mut self, body: &str, role: Role, range: Range<usize>, escaped: bool) {
        let inside = self.spelling.is_some();
        let shallow = self.overflow == 0;
        let text = &body[range.clone()];
        let Some(at) = self.open.last().copied() else { return };
        let frame = &mut self.frames[at];
        let is_key = shallow && frame.object && frame.awaits_key && role == Role::Text;
        if is_key {
            frame.key = Key::of(text);
        } else if shallow && frame.object {
            if frame.key.index && role == Role::Number {
                frame.index = Some(hash((frame.index, frame.key.hash, text)));
            } else if frame.key.kind {
                frame.kind = hash(text);
            }
        }
        let key = frame.key;
        let slot = frame.slot();
        if inside || range.is_empty() || (role == Role::Number && text.len() < 7) {
            return;
        }
        self.literals.push(Literal {
            start: range.start,
            end: range.end,
            escaped,
            role,
            named_secret: !is_key && shallow && frame.object && key.secret,
            piece: !is_key && role == Role::Text && !(shallow && frame.object && key.whole),
            common: is_key && is_common(text),
            frame: at,
            slot,
        });
    }

    /// Marks text that is no JSON.
    pub(super) fn plain(&mut self, range: Range<usize>, piece: bool) {
        if self.frames.is_empty() {
            self.open(false);
        }
        let Range { start, end } = range;
        let literal = Literal { start, end, role: Role::Plain, piece, ..Literal::default() };
        self.literals.push(literal);
    }
}

impl Frame {
    fn slot(&self) -> u64 {
        if self.object { self.key.hash } else { self.position }
    }
}
