//! A final answer as a value: a number where it is one, plain words where not.

use std::sync::LazyLock;

use regex::Regex;

use crate::reference::squad;
use crate::verifiers::arithmetic::plain_number;

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(Number),
    Words(String),
}

/// A number with what was written around it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    /// Every reading of it: `1,234` has two.
    readings: Vec<f64>,
    /// Digits after the decimal mark; none where it is a fraction, which is exact.
    decimals: Option<usize>,
    percent: bool,
    unit: Option<&'static str>,
}

/// Units of which two different ones are two different answers.
const UNITS: [(&str, &[&str]); 18] = [
    ("dollar", &["$", "usd", "dollar", "dollars"]),
    ("euro", &["€", "eur", "euro", "euros", "евро"]),
    ("pound sterling", &["£", "gbp"]),
    ("rouble", &["₽", "rub", "руб", "рублей", "рубля", "рубль"]),
    ("kilometre", &["km", "kilometer", "kilometers", "kilometre", "kilometres", "км"]),
    ("metre", &["m", "meter", "meters", "metre", "metres", "м", "метр", "метра", "метров"]),
    ("centimetre", &["cm", "centimeter", "centimeters", "см"]),
    ("mile", &["mile", "miles", "миль", "мили"]),
    ("foot", &["ft", "foot", "feet"]),
    ("kilogram", &["kg", "kilogram", "kilograms", "кг"]),
    ("gram", &["g", "gram", "grams", "г", "грамм"]),
    ("litre", &["l", "liter", "liters", "litre", "litres", "л", "литр", "литра", "литров"]),
    ("second", &["s", "sec", "second", "seconds", "секунд", "секунды", "секунда"]),
    ("minute", &["min", "minute", "minutes", "мин", "минут", "минуты", "минута"]),
    ("hour", &["h", "hr", "hour", "hours", "ч", "час", "часа", "часов"]),
    ("day", &["day", "days", "день", "дня", "дней"]),
    ("week", &["week", "weeks", "неделя", "недели", "недель"]),
    ("year", &["year", "years", "год", "года", "лет"]),
];

impl Value {
    /// Reads an answer that stands by itself.
    pub(super) fn of(text: &str) -> Self {
        let plain = without_latex(text);
        let plain = plain.trim().trim_end_matches(['.', '!', ';', ',']).trim();
        Number::of(plain).map_or_else(|| Self::Words(words(plain)), Self::Number)
    }

    /// Whether both are the same answer.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.equals(b),
            (Self::Words(a), Self::Words(b)) => !a.is_empty() && a == b,
            _ => false,
        }
    }
}

impl Number {
    fn of(text: &str) -> Option<Self> {
        static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
            let number = r"\d[\d.,\u{a0}\u{202f} ]*|\.\d+";
            let shape = format!(
                r"^(?P<sign>[-−–+]?)\s*(?P<before>[$€£₽]?)\s*(?P<sign2>[-−]?)(?P<number>{number})(?:\s*/\s*(?P<below>\d+))?(?:\s*(?:[×x*·]\s*10\s*\^\s*\{{?|[eE])(?P<power>[-−+]?\d+)\}}?)?\s*(?P<percent>%|percent\b|per cent\b|процент\w*)?\s*(?P<unit>[^\d=+*/^]*)$"
            );
            Regex::new(&shape).expect("a constant that tests compile")
        });
        let found = SHAPE.captures(text)?;
        let part = |name: &str| found.name(name).map_or("", |part| part.as_str().trim());
        let unit_text = if part("before").is_empty() { part("unit") } else { part("before") };
        // Words behind a number are its unit; more of them are a sentence that only begins so.
        if unit_text.split_whitespace().count() > 4 {
            return None;
        }
        let (readings, decimals) = magnitude(part("number"), part("below"))?;
        let power: i32 = part("power").replace('−', "-").parse().unwrap_or(0);
        let sign = if matches!(part("sign"), "-" | "−" | "–") != !part("sign2").is_empty() { -1.0 } else { 1.0 };
        let readings: Vec<f64> = readings.into_iter().map(|value| sign * value * 10_f64.powi(power)).collect();
        let exact = decimals.filter(|_| power == 0);
        let percent = !part("percent").is_empty();
        let finite = readings.iter().all(|value| value.is_finite());
        finite.then(|| Self { readings, decimals: exact, percent, unit: unit(unit_text) })
    }

    fn equals(&self, other: &Self) -> bool {
        if matches!((self.unit, other.unit), (Some(a), Some(b)) if a != b) {
            return false;
        }
        self.readings.iter().any(|a| other.readings.iter().any(|b| self.near(*a, other, *b)))
    }

    fn near(&self, a: f64, other: &Self, b: f64) -> bool {
        // `25%` is `0.25`, and `25` where the question asked for per cent.
        let scaled = match (self.percent, other.percent) {
            (true, false) => same(a / 100.0, b),
            (false, true) => same(a, b / 100.0),
            _ => false,
        };
        scaled || same(a, b) || rounded(a, b, self.decimals, other.decimals)
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// A fraction that was written out with two decimals or more.
fn rounded(a: f64, b: f64, ours: Option<usize>, theirs: Option<usize>) -> bool {
    let digits = match (ours, theirs) {
        (None, Some(digits)) | (Some(digits), None) if (2..=15).contains(&digits) => digits,
        _ => return false,
    };
    (a - b).abs() <= 0.5 * 10_f64.powi(-(digits as i32)) * (1.0 + 1e-9)
}

/// Readings of `number`, `whole above/below` or `above/below`, and how many decimals it has.
fn magnitude(number: &str, below: &str) -> Option<(Vec<f64>, Option<usize>)> {
    if !below.is_empty() {
        let below: f64 = below.parse().ok().filter(|below| *below != 0.0)?;
        let (whole, above) = number.rsplit_once(' ').unwrap_or(("0", number));
        let (whole, above): (f64, f64) = (whole.trim().parse().ok()?, above.parse().ok()?);
        return Some((vec![whole + above / below], None));
    }
    let number = number.trim_end_matches(['.', ',', ' ']);
    let groups: Vec<&str> = number.split([' ', '\u{a0}', '\u{202f}']).collect();
    if groups.len() > 1 && groups[1..].iter().any(|group| group.split(['.', ',']).next().map(str::len) != Some(3)) {
        return None;
    }
    let texts = [false, true].map(|decimal_comma| plain_number(number, decimal_comma));
    let decimals = texts[0].as_ref().map(|text| text.split_once('.').map_or(0, |(_, after)| after.len()));
    let mut readings: Vec<f64> = texts.into_iter().flatten().filter_map(|text| text.parse().ok()).collect();
    readings.dedup();
    (!readings.is_empty()).then_some((readings, Some(decimals.unwrap_or(0))))
}

fn unit(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let first = lower.split(|c: char| c.is_whitespace() || c == '.').next()?;
    UNITS.iter().find(|(_, names)| names.contains(&first)).map(|(unit, _)| *unit)
}

/// An option's letter without brackets, yes and no in one language, other words as SQuAD has them.
fn words(text: &str) -> String {
    let plain = squad::normalise(text);
    // An article that is the whole answer is the letter of an option.
    let plain = if plain.is_empty() { text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "") } else { plain };
    match plain.as_str() {
        "да" | "верно" | "true" | "correct" => "yes".to_owned(),
        "нет" | "неверно" | "false" | "incorrect" => "no".to_owned(),
        _ => plain,
    }
}

/// The text without what LaTeX and Markdown put around a value.
fn without_latex(text: &str) -> String {
    static FRACTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(\d*)\s*\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}").expect("a constant that tests compile")
    });
    static WRAPPED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}").expect("a constant that tests compile")
    });
    let text = FRACTION.replace_all(text, "$1 $2/$3");
    let text = WRAPPED.replace_all(&text, " $1 ");
    let mut plain = text.into_owned();
    for (mark, with) in [
        ("\\left", ""),
        ("\\right", ""),
        ("\\%", "%"),
        ("\\$", "$"),
        ("\\!", ""),
        ("\\,", " "),
        ("\\;", " "),
        ("\\ ", " "),
        ("\\(", ""),
        ("\\)", ""),
        ("\\[", ""),
        ("\\]", ""),
        ("\\times", "×"),
        ("\\cdot", "·"),
        ("**", ""),
        ("{,}", ","),
        ("`", ""),
    ] {
        plain = plain.replace(mark, with);
    }
    // `$18$` is LaTeX, `$18` is money.
    let trimmed = plain.trim();
    match trimmed.strip_prefix('$').and_then(|rest| rest.strip_suffix('$')) {
        Some(inner) => inner.to_owned(),
        None => trimmed.to_owned(),
    }
}
