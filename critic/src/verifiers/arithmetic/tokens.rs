//! A line of an answer as numbers, signs and what stands between them.
//!
//! Whatever is not surely arithmetic becomes [`Kind::Unknown`], beside which nothing is judged.

use std::ops::Range;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) span: Range<usize>,
    /// Nothing stands between it and the piece before.
    pub(super) glued: bool,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    /// Digits with separators, as written.
    Number(&'t str),
    /// An operator between two numbers.
    Sign(Sign),
    /// `²` or `³` behind a number.
    Raised(i32),
    Percent,
    Equals,
    Open,
    Close,
    /// `\frac`
    Fraction,
    /// A word: a unit, or text.
    Word(&'t str),
    /// What ends any expression: punctuation, a list mark.
    Edge,
    /// A variable, a factor in words, a function: nothing here can be computed.
    Unknown,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
    Times,
    Over,
    Power,
}

/// Words that change the numbers beside them in ways that are not computed here.
const FACTORS: [&str; 42] = [
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "dozen",
    "half",
    "twice",
    "double",
    "triple",
    "quarter",
    "third",
    "squared",
    "square",
    "cube",
    "root",
    "power",
    "cubed",
    "sqrt",
    "log",
    "sin",
    "cos",
    "mod",
    "sum",
    "product",
    "difference",
    "remainder",
    "сотня",
    "сотни",
    "тысяча",
    "тысячи",
    "тысяч",
    "тыс",
    "миллион",
    "миллиона",
    "миллионов",
    "млн",
    "млрд",
    "дюжина",
    "половина",
    "вдвое",
    "корень",
];
/// Units that are written without a space behind their number.
const GLUED_UNITS: [&str; 22] = [
    "km", "cm", "mm", "kg", "mg", "ml", "min", "sec", "hr", "hrs", "lb", "lbs", "oz", "ft", "mph", "usd", "км", "см",
    "кг", "г", "м", "р",
];

/// The pieces of one line; spans count from `offset`.
pub(super) fn tokens(line: &str, offset: usize) -> Vec<Token<'_>> {
    let mut reader = Reader { line, at: 0, glued: false, tokens: Vec::new() };
    while reader.at < line.len() {
        reader.step();
    }
    for token in &mut reader.tokens {
        token.span = token.span.start + offset..token.span.end + offset;
    }
    reader.tokens
}

struct Reader<'t> {
    line: &'t str,
    at: usize,
    glued: bool,
    tokens: Vec<Token<'t>>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.line[self.at..]
    }

    fn before(&self) -> Option<char> {
        self.line[..self.at].chars().next_back()
    }

    fn take(&mut self, length: usize, kind: Kind<'t>) {
        let span = self.at..self.at + length;
        self.at = span.end;
        self.tokens.push(Token { kind, span, glued: self.glued });
        self.glued = true;
    }

    fn skip(&mut self, length: usize) {
        self.at += length;
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        let (length, next) = (first.len_utf8(), rest[first.len_utf8()..].chars().next());
        match first {
            c if c.is_whitespace() => {
                self.glued = false;
                self.skip(length);
            }
            '$' | '€' | '£' | '₽' | '¥' => self.skip(length),
            '0'..='9' => self.number(),
            '.' if next.is_some_and(|c| c.is_ascii_digit()) && !self.before().is_some_and(char::is_alphanumeric) => {
                self.number();
            }
            '\\' => self.command(),
            c if c.is_alphabetic() => self.word(),
            '*' if next == Some('*') => self.stars(),
            '=' => self.equals(next),
            '<' | '>' if next == Some(first) => self.take(2, Kind::Edge),
            ':' => {
                let spaced = self.before() == Some(' ') && next == Some(' ');
                self.take(1, if spaced { Kind::Sign(Sign::Over) } else { Kind::Edge });
            }
            '²' | '³' if matches!(self.tokens.last(), Some(Token { kind: Kind::Word(_), .. })) => self.skip(length),
            other => self.take(length, sign(other)),
        }
    }

    /// A number, or a mark of a list such as `1.` or `2)` at the start of a line.
    fn number(&mut self) {
        let length = number_length(self.rest());
        let after = self.rest()[length..].chars().next();
        if self.tokens.is_empty() && length <= 3 && after == Some(')') {
            return self.take(length + 1, Kind::Edge);
        }
        let text = &self.rest()[..length];
        self.take(length, Kind::Number(text));
    }

    fn word(&mut self) {
        let rest = self.rest();
        let inner = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’' | '_');
        let word = &rest[..rest.find(|c| !inner(c)).unwrap_or(rest.len())];
        let mut letters = word.chars();
        let first = letters.next().unwrap_or_default();
        let behind_number = self.glued && matches!(self.tokens.last(), Some(Token { kind: Kind::Number(_), .. }));
        if matches!(first, 'x' | 'X' | 'х' | 'Х') && self.times(word, first) {
            return self.take(first.len_utf8(), Kind::Sign(Sign::Times));
        }
        let lower = word.to_lowercase();
        let kind = match lower.as_str() {
            // `4 times 3`, but `12 times a day`.
            "plus" | "плюс" if self.begins_number(word) => Kind::Sign(Sign::Plus),
            "minus" | "минус" if self.begins_number(word) => Kind::Sign(Sign::Minus),
            "times" if self.begins_number(word) => Kind::Sign(Sign::Times),
            unit if behind_number && !GLUED_UNITS.contains(&unit) => Kind::Unknown,
            factor if FACTORS.contains(&factor) => Kind::Unknown,
            _ if letters.next().is_none() && first.is_ascii() && first != 'a' => Kind::Unknown,
            name if name.contains('_') || name.chars().any(|c| c.is_ascii_digit()) => Kind::Unknown,
            _ => Kind::Word(word),
        };
        self.take(word.len(), kind);
    }

    /// Whether this x multiplies: it stands between a number and what begins one.
    fn times(&self, word: &str, x: char) -> bool {
        let digits = word[x.len_utf8()..].chars().all(|c| c.is_ascii_digit());
        let begins = self.begins_number(&word[..x.len_utf8()]);
        // `2 x 3` and `2x3` multiply, `2x 3` does not.
        let even = self.glued == self.rest()[x.len_utf8()..].starts_with(|c: char| !c.is_whitespace());
        let last = self.tokens.last().map(|token| token.kind);
        digits && begins && even && matches!(last, Some(Kind::Number(_) | Kind::Close | Kind::Percent | Kind::Word(_)))
    }

    /// Whether what follows this word is a number.
    fn begins_number(&self, word: &str) -> bool {
        let next = self.rest()[word.len()..].trim_start().chars().next();
        next.is_some_and(|c| c.is_ascii_digit() || matches!(c, '(' | '$' | '€' | '£' | '\\'))
    }

    /// A command of LaTeX.
    fn command(&mut self) {
        let rest = &self.rest()[1..];
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())];
        let length = 1 + name.len();
        match name {
            "" => match rest.chars().next() {
                Some('%') => self.take(2, Kind::Percent),
                Some('(' | ')' | '[' | ']') => self.take(2, Kind::Edge),
                Some(c) => self.skip(1 + c.len_utf8()),
                None => self.skip(1),
            },
            "frac" | "dfrac" | "tfrac" => self.take(length, Kind::Fraction),
            "times" | "cdot" => self.take(length, Kind::Sign(Sign::Times)),
            "div" => self.take(length, Kind::Sign(Sign::Over)),
            "left" | "right" | "quad" | "boxed" | "displaystyle" => self.skip(length),
            "text" | "mathrm" | "textbf" | "mathbf" => match (rest[name.len()..].find('{'), rest.find('}')) {
                (Some(0), Some(close)) => {
                    let inner = rest[name.len() + 1..close].trim();
                    let kind =
                        if inner.contains(|c: char| c.is_ascii_digit()) { Kind::Unknown } else { Kind::Word(inner) };
                    self.take(close + 2, kind);
                }
                _ => self.take(length, Kind::Unknown),
            },
            _ => self.take(length, Kind::Unknown),
        }
    }

    /// `**` is a power between two numbers and emphasis elsewhere.
    fn stars(&mut self) {
        let before = self.before().is_some_and(|c| c.is_ascii_digit() || c == ')');
        let after = self.rest()[2..].starts_with(|c: char| c.is_ascii_digit() || c == '(');
        if before && after { self.take(2, Kind::Sign(Sign::Power)) } else { self.skip(2) }
    }

    fn equals(&mut self, next: Option<char>) {
        let odd = |c: Option<char>| matches!(c, Some('=' | '<' | '>' | '!' | '~' | ':'));
        let comparison = odd(self.before()) || matches!(next, Some('=' | '>' | '~'));
        self.take(1, if comparison { Kind::Unknown } else { Kind::Equals });
    }
}

fn sign<'t>(c: char) -> Kind<'t> {
    match c {
        '+' => Kind::Sign(Sign::Plus),
        '-' | '−' | '–' | '—' => Kind::Sign(Sign::Minus),
        '*' | '×' | '·' | '⋅' => Kind::Sign(Sign::Times),
        '/' | '÷' | '∕' => Kind::Sign(Sign::Over),
        '^' => Kind::Sign(Sign::Power),
        '²' => Kind::Raised(2),
        '³' => Kind::Raised(3),
        '%' => Kind::Percent,
        '(' | '{' => Kind::Open,
        ')' | '}' => Kind::Close,
        '≈' | '≠' | '≤' | '≥' | '<' | '>' | '√' | '±' | '_' | '∑' | '∫' | '~' => Kind::Unknown,
        _ => Kind::Edge,
    }
}

/// Length of the number that the text begins with: digits, with separators between digits.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    let mut grouped = true;
    let mut first = true;
    loop {
        let start = at;
        while digit(at) {
            at += 1;
        }
        grouped &= if first { (1..=3).contains(&(at - start)) } else { at - start == 3 };
        first = false;
        if matches!(bytes.get(at), Some(b'.' | b',')) && digit(at + 1) {
            grouped = false;
            at += 1;
            continue;
        }
        let space = text[at..].chars().next().filter(|c| matches!(c, ' ' | '\u{a0}' | '\u{202f}'));
        let next = at + space.map_or(0, char::len_utf8);
        let three = digit(next) && digit(next + 1) && digit(next + 2) && !digit(next + 3);
        if grouped && space.is_some() && three {
            at = next;
            continue;
        }
        return at;
    }
}
