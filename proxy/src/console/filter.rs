//! What a reader of the list looks for: parsed from the address, written back to it.
//!
//! Pure. Every value is later a bound parameter of a query, never part of its text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::Failure;
use crate::exchange::Period;

/// The filter as it stands in the address. Empty means "any".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// Period back from now, as in `1h`.
    pub(super) range: String,
    /// Begin, milliseconds since the Unix epoch or RFC 3339; wins over `range`.
    pub(super) from: String,
    /// End, likewise.
    pub(super) to: String,
    pub(super) tenant: String,
    pub(super) route: String,
    pub(super) model: String,
    pub(super) engine: String,
    pub(super) api: String,
    /// `2xx` ... `5xx`, `none`, or one status.
    pub(super) status: String,
    pub(super) outcome: String,
    /// Kind of the fault.
    pub(super) error: String,
    /// What the cache did: an outcome, or an outcome and a reason as in `miss.stale`.
    pub(super) cache: String,
    /// What critics say of the answer: `pass`, `fail` or `skipped`.
    pub(super) verdict: String,
    /// What was decided: `pass`, `escalate`, or `repaired` for a good answer after a bad one.
    pub(super) decision: String,
    /// A critic that found any of its answers bad.
    pub(super) critic: String,
    /// Text within prompt, answer or bodies.
    pub(super) text: String,
    /// Cursor: rows older than this one.
    pub(super) before: String,
}

/// Ranges offered on the page.
pub(super) const RANGES: [&str; 6] = ["15m", "1h", "6h", "24h", "7d", "30d"];
/// Range where none is given.
pub(super) const DEFAULT_RANGE: &str = "1h";
/// Longest text that is searched for.
const MAX_TEXT: usize = 200;

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A span of time in microseconds since the Unix epoch, begin within, end without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Place in the list: arrival and identity of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) started_at: i64,
    pub(super) exchange_id: Uuid,
}

/// Statuses from the first to the last, both within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statuses(pub(super) u16, pub(super) u16);

/// What is searched for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search<'a> {
    /// Whole words, all of them, in any order.
    Words(&'a str),
    /// A part of a text as it stands.
    Part(&'a str),
}

impl Filter {
    /// The fields with their names in the address, cursor excluded.
    pub(super) fn fields(&self) -> [(&'static str, &str); 16] {
        [
            ("range", &self.range),
            ("from", &self.from),
            ("to", &self.to),
            ("tenant", &self.tenant),
            ("route", &self.route),
            ("model", &self.model),
            ("engine", &self.engine),
            ("api", &self.api),
            ("status", &self.status),
            ("outcome", &self.outcome),
            ("error", &self.error),
            ("cache", &self.cache),
            ("verdict", &self.verdict),
            ("decision", &self.decision),
            ("critic", &self.critic),
            ("text", &self.text),
        ]
    }

    /// Whether it asks for more than a time range.
    pub(super) fn is_narrowed(&self) -> bool {
        self.fields().iter().any(|(key, value)| *key != "range" && !value.is_empty())
    }

    /// Whether it looks for what critics said.
    pub(super) fn asks_for_critics(&self) -> bool {
        [&self.verdict, &self.decision, &self.critic].into_iter().any(|value| !value.is_empty())
    }

    /// The address's query without the cursor, empty fields left out.
    pub(super) fn query(&self) -> String {
        let set = self.fields().into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<_> = set.map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, QUERY))).collect();
        pairs.join("&")
    }

    /// The span of time, counted back from `now` (microseconds) where no moments are given.
    pub(super) fn window(&self, now: i64) -> Result<Window, Failure> {
        let to = if self.to.is_empty() { now } else { moment(&self.to)? };
        let from = if self.from.is_empty() { to.saturating_sub(self.range_us()?) } else { moment(&self.from)? };
        let problem = "the begin of the time range lies after its end";
        if from > to { Err(bad(problem, "swap 'from' and 'to'")) } else { Ok(Window { from, to }) }
    }

    fn range_us(&self) -> Result<i64, Failure> {
        let range = if self.range.is_empty() { DEFAULT_RANGE } else { &self.range };
        let period: Period = range.parse().map_err(|fault: String| bad(&fault, "write 'range' as in 15m, 6h or 7d"))?;
        Ok(i64::try_from(period.as_micros()).unwrap_or(i64::MAX))
    }

    /// The statuses asked for.
    pub(super) fn statuses(&self) -> Result<Option<Statuses>, Failure> {
        let cure = "write 'status' as 2xx, 4xx, 5xx, none or a number such as 429";
        match self.status.as_bytes() {
            [] => Ok(None),
            b"none" => Ok(Some(Statuses(0, 0))),
            [digit @ b'1'..=b'5', b'x', b'x'] => {
                let first = u16::from(digit - b'0') * 100;
                Ok(Some(Statuses(first, first + 99)))
            }
            _ => match self.status.parse() {
                Ok(status @ 100..=599) => Ok(Some(Statuses(status, status))),
                _ => Err(bad(&format!("'{}' is no status", self.status), cure)),
            },
        }
    }

    /// The cursor, where one is given.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, Failure> {
        if self.before.is_empty() {
            return Ok(None);
        }
        let parts = self.before.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
        let cure = "take 'before' from the 'next' of an earlier answer, or leave it out";
        let (started_at, exchange_id) = parts.ok_or_else(|| bad("'before' is no place in the list", cure))?;
        Ok(Some(Cursor { started_at, exchange_id }))
    }

    /// Outcome and reason at the cache; empty where any will do.
    pub(super) fn cached(&self) -> (&str, &str) {
        self.cache.split_once('.').unwrap_or((&self.cache, ""))
    }

    /// How the text is to be searched: words by the index; text in quotes, or with signs that
    /// no word has, as it stands.
    pub(super) fn search(&self) -> Result<Option<Search<'_>>, Failure> {
        let text = self.text.trim();
        if text.chars().count() > MAX_TEXT {
            return Err(bad("the text to search is too long", "search for at most 200 characters"));
        }
        if let Some(quoted) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            return Ok(Some(Search::Part(quoted)).filter(|_| !quoted.is_empty()));
        }
        let words = text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace());
        Ok(match text {
            "" => None,
            _ if words => Some(Search::Words(text)),
            _ => Some(Search::Part(text)),
        })
    }

    /// The same filter over the next wider range that the page offers.
    pub(super) fn wider(&self) -> Option<Self> {
        let range = if self.range.is_empty() { DEFAULT_RANGE } else { &self.range };
        if !self.from.is_empty() {
            return Some(Self { range: "24h".to_owned(), from: String::new(), to: String::new(), ..self.clone() });
        }
        let next = RANGES.iter().skip_while(|offered| **offered != range).nth(1)?;
        Some(Self { range: (*next).to_owned(), before: String::new(), ..self.clone() })
    }

    /// The same filter with its words searched as they stand; none where that is no change.
    pub(super) fn as_part_of_text(&self) -> Option<Self> {
        let Ok(Some(Search::Words(words))) = self.search() else { return None };
        Some(Self { text: format!("\"{words}\""), ..self.clone() })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.started_at, self.exchange_id)
    }
}

fn moment(text: &str) -> Result<i64, Failure> {
    if let Ok(millis) = text.parse::<i64>() {
        return Ok(millis.saturating_mul(1000));
    }
    let moment: Result<jiff::Timestamp, _> = text.parse();
    let cure = "write milliseconds since 1970, or a moment such as 2026-11-22T13:00:00Z";
    moment.map(|moment| moment.as_microsecond()).map_err(|_| bad(&format!("'{text}' is no moment"), cure))
}

fn bad(what: &str, cure: &'static str) -> Failure {
    Failure::BadRequest { what: what.to_owned(), cure }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000;

    #[test]
    fn a_window_counts_back_from_now_unless_moments_are_given() {
        let table = [
            ("", "", "", NOW - 3_600_000_000, NOW),
            ("15m", "", "", NOW - 900_000_000, NOW),
            ("15m", "1000", "2000", 1_000_000, 2_000_000),
            ("", "1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z", 1_000_000, 2_000_000),
        ];
        for (range, from, to, begin, end) in table {
            let filter = Filter { range: range.into(), from: from.into(), to: to.into(), ..Filter::default() };
            assert_eq!(filter.window(NOW).unwrap(), Window { from: begin, to: end });
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_cure() {
        let refused = [
            Filter { range: "yesterday".into(), ..Filter::default() },
            Filter { from: "noon".into(), ..Filter::default() },
            Filter { from: "2000".into(), to: "1000".into(), ..Filter::default() },
            Filter { status: "6xx".into(), ..Filter::default() },
            Filter { status: "2xx' OR 1".into(), ..Filter::default() },
            Filter { before: "1.2".into(), ..Filter::default() },
            Filter { text: "x".repeat(201), ..Filter::default() },
        ];
        for filter in refused {
            let tried = filter.window(NOW).map(drop).and(filter.statuses().map(drop));
            let tried = tried.and(filter.cursor().map(drop)).and(filter.search().map(drop));
            assert!(matches!(tried, Err(Failure::BadRequest { .. })), "{filter:?}");
        }
    }

    #[test]
    fn statuses_are_classes_or_numbers() {
        let table = [("2xx", Statuses(200, 299)), ("429", Statuses(429, 429)), ("none", Statuses(0, 0))];
        for (text, statuses) in table {
            let filter = Filter { status: text.into(), ..Filter::default() };
            assert_eq!(filter.statuses().unwrap(), Some(statuses));
        }
    }

    #[test]
    fn a_wider_range_is_the_next_one_offered() {
        let wider = |range: &str| {
            let filter = Filter { range: range.into(), tenant: "acme".into(), ..Filter::default() };
            filter.wider().map(|filter| filter.query())
        };
        assert_eq!(wider("").as_deref(), Some("range=6h&tenant=acme"));
        assert_eq!(wider("7d").as_deref(), Some("range=30d&tenant=acme"));
        let moment = Filter { from: "1".into(), to: "2".into(), ..Filter::default() };
        assert_eq!(moment.wider().map(|filter| filter.query()).as_deref(), Some("range=24h"));
        assert_eq!((wider("30d"), wider("3h")), (None, None));
    }

    #[test]
    fn words_are_told_from_parts_of_a_text() {
        let table = [
            ("", None),
            ("  ", None),
            ("\"\"", None),
            (" refund order ", Some(Search::Words("refund order"))),
            ("Деньги 2", Some(Search::Words("Деньги 2"))),
            ("\"refun\"", Some(Search::Part("refun"))),
            ("\"", Some(Search::Part("\""))),
            ("gpt-4", Some(Search::Part("gpt-4"))),
            ("onerror=", Some(Search::Part("onerror="))),
        ];
        for (text, expected) in table {
            let filter = Filter { text: text.into(), ..Filter::default() };
            assert_eq!(filter.search().unwrap(), expected, "{text:?}");
        }
        let part = |text: &str| Filter { text: text.into(), ..Filter::default() }.as_part_of_text();
        assert_eq!(part("refun").map(|filter| filter.text).as_deref(), Some("\"refun\""));
        assert_eq!(part("\"refun\""), None);
    }

    #[test]
    fn a_cursor_is_read_as_written() {
        let cursor = Cursor { started_at: 5, exchange_id: Uuid::from_u128(7) };
        let filter = Filter { before: cursor.to_string(), ..Filter::default() };
        assert_eq!(filter.cursor().unwrap(), Some(cursor));
    }

    #[test]
    fn the_address_escapes_what_a_reader_typed() {
        let filter = Filter { text: "a&b=<c> \u{202e}".into(), tenant: "acme".into(), ..Filter::default() };
        assert_eq!(filter.query(), "tenant=acme&text=a%26b%3D%3Cc%3E%20%E2%80%AE");
    }
}
