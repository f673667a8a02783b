//! Expressions of one line, by the usual precedence, with the units that stand in them.

use std::ops::Range;

use super::tokens::{Kind, Sign, Token};

/// An expression.
#[derive(Debug)]
pub(super) enum Node<'t> {
    Number(&'t str),
    Percent(&'t str),
    Negative(Box<Node<'t>>),
    Pair(Sign, Box<Node<'t>>, Box<Node<'t>>),
}

/// What stands on one side of an equals sign.
#[derive(Debug)]
pub(super) struct Side<'t> {
    pub(super) node: Node<'t>,
    pub(super) span: Range<usize>,
    pub(super) units: Vec<&'t str>,
    /// It goes on in a way that is not computed: `1 hour 40 minutes`.
    pub(super) open_ended: bool,
}

/// Reads expressions, from `at` on.
pub(super) struct Parser<'p, 't> {
    tokens: &'p [Token<'t>],
    pub(super) at: usize,
    depth: usize,
    units: Vec<&'t str>,
    open_ended: bool,
}

/// Brackets in brackets: nobody writes more, and recursion must end.
const MAX_DEPTH: usize = 16;
/// Words of a unit: `miles per hour`.
const MAX_UNIT_WORDS: usize = 4;
impl<'p, 't> Parser<'p, 't> {
    pub(super) fn new(tokens: &'p [Token<'t>], at: usize) -> Self {
        Self { tokens, at, depth: 0, units: Vec::new(), open_ended: false }
    }

    pub(super) fn kind(&self, ahead: usize) -> Option<Kind<'t>> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    pub(super) fn side(&mut self) -> Option<Side<'t>> {
        let start = self.at;
        (self.units, self.open_ended) = (Vec::new(), false);
        let node = self.sum()?;
        let end = self.tokens[start..self.at].iter().rev().find(|token| !matches!(token.kind, Kind::Word(_)))?;
        let span = self.tokens[start].span.start..end.span.end;
        Some(Side { node, span, units: std::mem::take(&mut self.units), open_ended: self.open_ended })
    }

    fn sum(&mut self) -> Option<Node<'t>> {
        let mut node = self.product()?;
        while let Some(Kind::Sign(sign @ (Sign::Plus | Sign::Minus))) = self.kind(0) {
            // A dash before text ends the expression.
            if sign == Sign::Minus && matches!(self.kind(1), Some(Kind::Word(_) | Kind::Edge) | None) {
                break;
            }
            self.at += 1;
            node = Node::Pair(sign, Box::new(node), Box::new(self.product()?));
        }
        Some(node)
    }

    fn product(&mut self) -> Option<Node<'t>> {
        let mut node = self.power()?;
        loop {
            let sign = match self.kind(0) {
                Some(Kind::Sign(sign @ (Sign::Times | Sign::Over))) => {
                    self.at += 1;
                    sign
                }
                Some(Kind::Word("of" | "от")) if is_percent(&node) || has(&node, &|sign| sign == Sign::Over) => {
                    self.at += 1;
                    Sign::Times
                }
                Some(Kind::Open) if self.tokens[self.at].glued => Sign::Times,
                _ => return Some(node),
            };
            node = Node::Pair(sign, Box::new(node), Box::new(self.power()?));
        }
    }

    fn power(&mut self) -> Option<Node<'t>> {
        let base = self.single()?;
        match self.kind(0) {
            Some(Kind::Raised(by)) => {
                self.at += 1;
                Some(Node::Pair(Sign::Power, Box::new(base), Box::new(Node::Number(if by == 2 { "2" } else { "3" }))))
            }
            Some(Kind::Sign(Sign::Power)) => {
                self.at += 1;
                let by = self.single()?;
                Some(Node::Pair(Sign::Power, Box::new(base), Box::new(by)))
            }
            _ => Some(base),
        }
    }

    fn single(&mut self) -> Option<Node<'t>> {
        let kind = self.kind(0)?;
        self.at += 1;
        match kind {
            Kind::Sign(Sign::Minus) => Some(Node::Negative(Box::new(self.nested(Self::single)?))),
            Kind::Number(text) => {
                let percent = self.kind(0) == Some(Kind::Percent);
                self.at += usize::from(percent);
                self.unit();
                Some(if percent { Node::Percent(text) } else { Node::Number(text) })
            }
            Kind::Open => self.bracket(),
            Kind::Fraction => {
                let above = self.opened()?;
                let below = self.opened()?;
                Some(Node::Pair(Sign::Over, Box::new(above), Box::new(below)))
            }
            _ => None,
        }
    }

    fn opened(&mut self) -> Option<Node<'t>> {
        (self.kind(0)? == Kind::Open).then_some(())?;
        self.at += 1;
        self.bracket()
    }

    fn bracket(&mut self) -> Option<Node<'t>> {
        let node = self.nested(Self::sum)?;
        (self.kind(0)? == Kind::Close).then_some(())?;
        self.at += 1;
        self.unit();
        Some(node)
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Option<Node<'t>>) -> Option<Node<'t>> {
        self.depth += 1;
        let node = if self.depth > MAX_DEPTH { None } else { inner(self) };
        self.depth -= 1;
        node
    }

    /// Words behind a number, and `/word`. They are taken where the expression goes on behind them.
    fn unit(&mut self) {
        let mut ahead = 0;
        while ahead < MAX_UNIT_WORDS {
            match (self.kind(ahead), self.kind(ahead + 1)) {
                (Some(Kind::Word("of" | "от")), _) if ahead == 0 => return,
                (Some(Kind::Word(_)), _) => ahead += 1,
                (Some(Kind::Sign(Sign::Over)), Some(Kind::Word(_))) => ahead += 2,
                _ => break,
            }
        }
        if let Some(Kind::Word(word)) = self.kind(0) {
            self.units.push(word);
        }
        match self.kind(ahead) {
            Some(Kind::Sign(_) | Kind::Equals | Kind::Close | Kind::Open) => self.at += ahead,
            Some(Kind::Number(_) | Kind::Unknown) => self.open_ended = true,
            _ => {}
        }
    }
}

/// Whether it holds such an operator.
pub(super) fn has(node: &Node<'_>, which: &dyn Fn(Sign) -> bool) -> bool {
    match node {
        Node::Number(_) | Node::Percent(_) => false,
        Node::Negative(inner) => has(inner, which),
        Node::Pair(sign, left, right) => which(*sign) || has(left, which) || has(right, which),
    }
}

/// Whether it is a percentage or a sum of them.
pub(super) fn is_percent(node: &Node<'_>) -> bool {
    match node {
        Node::Number(_) => false,
        Node::Percent(_) => true,
        Node::Negative(inner) => is_percent(inner),
        Node::Pair(Sign::Plus | Sign::Minus, left, _) => is_percent(left),
        Node::Pair(..) => false,
    }
}
