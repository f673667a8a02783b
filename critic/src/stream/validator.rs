//! Reads JSON as it comes and tells at which byte it ceases to be JSON.
//!
//! Promises: RFC 8259 exactly, one pass, the same result however the text is cut, memory of
//! one bit for each open bracket up to `DEPTH`. What it must not know: what the JSON means.

/// Deepest nesting that is followed, the limit of the parser that reads the whole later.
const DEPTH: u32 = 127;

/// A JSON text on its way.
#[derive(Clone, Debug)]
pub struct Validator {
    state: State,
    /// Kinds of the open brackets, innermost in the lowest bit: 1 for an object.
    open: u128,
    depth: u32,
    /// Whether the string that is being read is a member's name.
    in_name: bool,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value; `first` after `[`, where `]` may come instead.
    Value {
        first: bool,
    },
    /// A member's name; `first` after `{`, where `}` may come instead.
    Name {
        first: bool,
    },
    Colon,
    /// `,` or a closing bracket, or the end.
    Next,
    InString,
    Escape,
    /// Digits of `\uXXXX` that are still to come.
    Unicode(u8),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    Number(Number),
}

/// What of a number was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Default for Validator {
    fn default() -> Self {
        Self { state: State::Value { first: false }, open: 0, depth: 0, in_name: false }
    }
}

impl Validator {
    /// Reads the next piece. The offset within it of the first byte that no JSON has there.
    pub fn push(&mut self, piece: &str) -> Result<(), usize> {
        let bytes = piece.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.state == State::InString {
                at += bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
                    .unwrap_or(bytes.len() - at);
                let Some(byte) = bytes.get(at) else { break };
                self.in_string(*byte).ok_or(at)?;
            } else {
                self.step(*byte).ok_or(at)?;
            }
            at += 1;
        }
        Ok(())
    }

    /// Whether what was read is one whole JSON value.
    pub fn is_whole(&self) -> bool {
        let number = matches!(self.state, State::Number(part) if part.may_end());
        self.depth == 0 && (self.state == State::Next || number)
    }

    fn step(&mut self, byte: u8) -> Option<()> {
        self.state = match self.state {
            State::Number(part) => match part.next(byte) {
                Some(part) => State::Number(part),
                None if part.may_end() => {
                    self.state = State::Next;
                    return self.step(byte);
                }
                None => return None,
            },
            State::Word(rest) => match rest.split_first() {
                Some((first, [])) if *first == byte => State::Next,
                Some((first, rest)) if *first == byte => State::Word(rest),
                _ => return None,
            },
            State::Escape => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::InString,
                b'u' => State::Unicode(4),
                _ => return None,
            },
            State::Unicode(left) => match (byte.is_ascii_hexdigit(), left) {
                (true, 1) => State::InString,
                (true, _) => State::Unicode(left - 1),
                (false, _) => return None,
            },
            state if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => state,
            State::Value { first } => return self.value(byte, first),
            State::Name { .. } if byte == b'"' => {
                self.in_name = true;
                State::InString
            }
            State::Name { first: true } if byte == b'}' => return self.close(true),
            State::Colon if byte == b':' => State::Value { first: false },
            State::Next => return self.after_value(byte),
            _ => return None,
        };
        Some(())
    }

    fn value(&mut self, byte: u8, first: bool) -> Option<()> {
        self.state = match byte {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b']' if first => return self.close(false),
            b'"' => {
                self.in_name = false;
                State::InString
            }
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Whole),
            _ => return None,
        };
        Some(())
    }

    fn after_value(&mut self, byte: u8) -> Option<()> {
        let object = self.open & 1 == 1;
        match byte {
            b',' if self.depth > 0 && object => self.state = State::Name { first: false },
            b',' if self.depth > 0 => self.state = State::Value { first: false },
            b'}' => return self.close(true),
            b']' => return self.close(false),
            _ => return None,
        }
        Some(())
    }

    /// A byte that may end a run of plain characters.
    fn in_string(&mut self, byte: u8) -> Option<()> {
        self.state = match byte {
            b'"' if self.in_name => State::Colon,
            b'"' => State::Next,
            b'\\' => State::Escape,
            _ => return None,
        };
        Some(())
    }

    fn open(&mut self, object: bool) -> Option<()> {
        if self.depth == DEPTH {
            return None;
        }
        self.open = self.open << 1 | u128::from(object);
        self.depth += 1;
        self.state = if object { State::Name { first: true } } else { State::Value { first: true } };
        Some(())
    }

    fn close(&mut self, object: bool) -> Option<()> {
        if self.depth == 0 || (self.open & 1 == 1) != object {
            return None;
        }
        self.open >>= 1;
        self.depth -= 1;
        self.state = State::Next;
        Some(())
    }
}

impl Number {
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::Sign),
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Some(Self::Power),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Power)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_json(pieces: &[&str]) -> bool {
        let mut validator = Validator::default();
        pieces.iter().all(|piece| validator.push(piece).is_ok()) && validator.is_whole()
    }

    #[test]
    fn the_byte_that_breaks_it_is_told() {
        for (text, at) in [("{\"a\" 1}", 5), ("[1,]", 3), ("01", 1), ("\"\t\"", 1), ("tru3", 3), ("{} x", 3), ("[}", 1)]
        {
            assert_eq!(Validator::default().push(text), Err(at), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_parser_on_any_text(text in r#"[\[\]{},:"\\ 0-2.eE+\-tfn"\\nrulase]{0,14}"#) {
            prop_assert_eq!(is_json(&[&text]), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn json_is_json_however_it_is_cut(words in prop::collection::vec("\\PC{0,5}", 0..5), n in any::<f64>(), cut in 1usize..6) {
            let n = if n.is_finite() { n } else { 0.0 };
            let text = serde_json::json!({"words": words, "n": [n, null, true, {"a": []}]}).to_string();
            let characters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = characters.chunks(cut).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert!(is_json(&pieces));
            prop_assert!(!is_json(&pieces[1..]) && !is_json(&pieces[..pieces.len() - 1]));
        }
    }
}
