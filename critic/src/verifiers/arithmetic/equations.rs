//! Chains `a + b = c = d` of a line, and which of their steps cannot be right.
//!
//! A step is wrong only where no reading of it is right: `1,234` may be a thousand or a decimal,
//! `5%` five or a twentieth, a quotient may be rounded, units may have been converted.

use std::ops::Range;

use super::parser::{Node, Parser, Side, has, is_percent};
use super::tokens::{Kind, Sign, Token};

/// A step whose two sides differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrong {
    /// Bytes of both sides.
    pub(super) span: Range<usize>,
    /// What the left side is.
    pub(super) value: f64,
}

/// What was read of a line.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Steps that were computed.
    pub(super) steps: usize,
    pub(super) wrong: Vec<Wrong>,
}

/// What came of computing a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Unknown,
    Right,
    /// With the value of the left side.
    Wrong(f64),
}

/// How ambiguous marks are read.
#[derive(Clone, Copy)]
struct Reading {
    decimal_comma: bool,
    plain_percent: bool,
}

/// Beyond this a float does not tell neighbouring integers apart.
const MAX_VALUE: f64 = 9.0e15;

/// Reads the chains of a line.
pub(super) fn check(tokens: &[Token<'_>]) -> Checked {
    let mut checked = Checked::default();
    let mut at = 0;
    while at < tokens.len() {
        let chain = if may_begin(tokens, at) { chain(tokens, at) } else { None };
        let Some((sides, end)) = chain else {
            at += 1;
            continue;
        };
        for (index, pair) in sides.windows(2).enumerate().filter(|(_, pair)| can_be_judged(pair)) {
            // `3 apples less = 20 - 3`: a lone number on the left may be the end of a sentence.
            if index == 0 && !matches!(pair[0].node, Node::Pair(..)) {
                continue;
            }
            let step = compare(&pair[0].node, &pair[1].node);
            checked.steps += usize::from(step != Step::Unknown);
            if let Step::Wrong(value) = step {
                checked.wrong.push(Wrong { span: pair[0].span.start..pair[1].span.end, value });
            }
        }
        at = end.max(at + 1);
    }
    checked
}

/// Whether an expression that begins here is whole to its left.
fn may_begin(tokens: &[Token<'_>], at: usize) -> bool {
    let starts = matches!(tokens[at].kind, Kind::Number(_) | Kind::Open | Kind::Fraction | Kind::Sign(Sign::Minus));
    let Some(before) = at.checked_sub(1).map(|before| &tokens[before]) else { return starts };
    starts
        && match before.kind {
            Kind::Edge | Kind::Equals | Kind::Open => true,
            Kind::Word(_) if tokens[at].glued => false,
            Kind::Word(word) => match word.to_lowercase().as_str() {
                "by" | "на" | "из" => false,
                // `half of 6 + 2`, but `a total of 6 + 2`.
                "of" | "от" => {
                    let part = at.checked_sub(2).map(|part| tokens[part].kind);
                    !matches!(part, Some(Kind::Unknown | Kind::Number(_) | Kind::Percent | Kind::Close))
                }
                _ => true,
            },
            _ => false,
        }
}

/// Sides of a chain and where it ends; none where there is no chain.
fn chain<'t>(tokens: &[Token<'t>], at: usize) -> Option<(Vec<Side<'t>>, usize)> {
    let mut parser = Parser::new(tokens, at);
    let mut sides = vec![parser.side()?];
    while parser.kind(0) == Some(Kind::Equals) {
        let equals = parser.at;
        parser.at += 1;
        match parser.side() {
            Some(side) => sides.push(side),
            None => {
                parser.at = equals;
                break;
            }
        }
    }
    // The last side must be whole to its right.
    if matches!(parser.kind(0), Some(Kind::Sign(_) | Kind::Unknown | Kind::Open | Kind::Raised(_) | Kind::Fraction)) {
        sides.pop();
    }
    (sides.len() > 1).then_some((sides, parser.at))
}

fn can_be_judged(pair: &[Side<'_>]) -> bool {
    let [left, right] = pair else { return false };
    let computes = |side: &Side<'_>| matches!(side.node, Node::Pair(..));
    (computes(left) || computes(right)) && !left.open_ended && !right.open_ended && units_agree(left, right)
}

/// Sums of unlike things, and results in another unit, may hide a conversion.
fn units_agree(left: &Side<'_>, right: &Side<'_>) -> bool {
    let alike = |side: &Side<'_>| side.units.windows(2).all(|pair| stem(pair[0]) == stem(pair[1]));
    let adds = |node: &Node<'_>| has(node, &|sign| matches!(sign, Sign::Plus | Sign::Minus));
    let sums = [left, right].into_iter().all(|side| !adds(&side.node) || alike(side));
    let known = |unit: &&str| left.units.iter().any(|other| stem(other) == stem(unit));
    sums && (left.units.is_empty() || right.units.iter().all(known))
}

/// Enough of a word that its singular and plural are one.
fn stem(word: &str) -> String {
    word.chars().take(3).flat_map(char::to_lowercase).collect()
}

/// Wrong where no reading makes the sides equal, unknown where none can be computed.
fn compare(left: &Node<'_>, right: &Node<'_>) -> Step {
    let mut step = Step::Unknown;
    for decimal_comma in [false, true] {
        for left_percent in [false, true] {
            for right_percent in [false, true] {
                let left_reading = Reading { decimal_comma, plain_percent: left_percent };
                let right_reading = Reading { decimal_comma, plain_percent: right_percent };
                let (Some(a), Some(b)) = (value(left, left_reading), value(right, right_reading)) else {
                    continue;
                };
                if equal(left, a, right, b, decimal_comma) || goes_on(a, right, right_reading) {
                    return Step::Right;
                }
                if step == Step::Unknown {
                    step = Step::Wrong(a);
                }
            }
        }
    }
    step
}

/// `3 + 4 = 7 * 2 = 14` is bad style and no wrong number.
fn goes_on(left: f64, right: &Node<'_>, reading: Reading) -> bool {
    let mut node = right;
    while let Node::Pair(_, first, _) = node {
        node = first;
    }
    matches!(right, Node::Pair(..)) && value(node, reading).is_some_and(|start| near(left, start))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn equal(left: &Node<'_>, a: f64, right: &Node<'_>, b: f64, decimal_comma: bool) -> bool {
    if near(a, b) {
        return true;
    }
    let Some((result, percent)) = plain(right) else { return false };
    let unit = 10_f64.powi(-(decimals(result, decimal_comma) as i32)) / if percent { 100.0 } else { 1.0 };
    let divides = has(left, &|sign| matches!(sign, Sign::Over | Sign::Power));
    let gap = (a - b).abs();
    // A quotient is cut or rounded up as often as rounded; other results only where they must be.
    let rounded = gap <= unit * 0.5 * (1.0 + 1e-9) && !near(a / unit, (a / unit).round());
    rounded || (divides && gap < unit)
}

/// The number that a side consists of, and whether it is a percentage.
fn plain<'t>(node: &Node<'t>) -> Option<(&'t str, bool)> {
    match node {
        Node::Number(text) => Some((text, false)),
        Node::Percent(text) => Some((text, true)),
        Node::Negative(inner) => plain(inner),
        Node::Pair(..) => None,
    }
}

fn decimals(text: &str, decimal_comma: bool) -> usize {
    plain_number(text, decimal_comma).and_then(|n| n.split_once('.').map(|(_, after)| after.len())).unwrap_or(0)
}

fn value(node: &Node<'_>, reading: Reading) -> Option<f64> {
    let value = match node {
        Node::Number(text) => plain_number(text, reading.decimal_comma)?.parse().ok()?,
        Node::Percent(text) => {
            let number: f64 = plain_number(text, reading.decimal_comma)?.parse().ok()?;
            if reading.plain_percent { number } else { number / 100.0 }
        }
        Node::Negative(inner) => -value(inner, reading)?,
        Node::Pair(sign, left, right) => {
            let (a, b) = (value(left, reading)?, value(right, reading)?);
            match sign {
                // `80 + 5%` means different things to different people.
                Sign::Plus | Sign::Minus if is_percent(left) != is_percent(right) => return None,
                Sign::Plus => a + b,
                Sign::Minus => a - b,
                Sign::Times => a * b,
                Sign::Over => a / b,
                Sign::Power => a.powf(b),
            }
        }
    };
    (value.is_finite() && value.abs() < MAX_VALUE).then_some(value)
}

/// The number with a point and without separators; none where it is no number.
pub(in crate::verifiers) fn plain_number(text: &str, decimal_comma: bool) -> Option<String> {
    let joined: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let thousands = |mark: char| {
        let mut groups = joined.split(['.', ',']).skip(1);
        joined.matches(mark).count() > 0 && groups.all(|group| group.len() == 3) && !joined.starts_with('0')
    };
    let (points, commas) = (joined.matches('.').count(), joined.matches(',').count());
    match (points, commas) {
        (0, 0) | (1, 0) => Some(joined),
        (0, 1) if decimal_comma || !thousands(',') => Some(joined.replace(',', ".")),
        (0, _) => thousands(',').then(|| joined.replace(',', "")),
        (_, 0) => thousands('.').then(|| joined.replace('.', "")),
        // With both marks the last one is the decimal one.
        _ => match joined.rfind('.') > joined.rfind(',') {
            true => (points == 1).then(|| joined.replace(',', "")),
            false => (commas == 1).then(|| joined.replace('.', "").replace(',', ".")),
        },
    }
}
