//! What critics said of one exchange, laid out: each answer with its verdicts, and what was
//! found marked in its text.
//!
//! Pure but for the pages and the store below it. A span that does not fit its text, because the
//! text was cut or is gone, marks nothing.

pub(super) mod pages;
mod store;

use serde::Serialize;

use super::format::cut;
use crate::exchange::stored::StoredFinding;
pub(super) use store::{RoundRow, VerdictRow};

/// Letters of an answer's text that are laid out.
const TEXT: usize = 6000;

/// Every answer of an exchange that was judged, in the order in which they were asked for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Judged {
    answers: Vec<Answer>,
}

/// One answer.
#[derive(Debug, Default, Serialize)]
struct Answer {
    /// 0 is the answer that was given.
    round: u16,
    judged_us: u64,
    completion_tokens: u32,
    verdicts: Vec<Said>,
    /// Its text; of the given one only where something is marked in it.
    text: Vec<Stretch>,
    /// Whether there is more of it.
    cut: bool,
}

/// One verdict with what was found.
#[derive(Debug, Serialize)]
struct Said {
    #[serde(flatten)]
    verdict: VerdictRow,
    findings: Vec<StoredFinding>,
}

/// A stretch of a text, marked with the codes of what was found there, or plain.
#[derive(Debug, PartialEq, Serialize)]
struct Stretch {
    text: String,
    codes: String,
}

impl Judged {
    /// `given` is the text of the answer that was given, as far as it is kept.
    pub(super) fn of(verdicts: Vec<VerdictRow>, rounds: Vec<RoundRow>, given: Option<&str>) -> Self {
        let mut numbers: Vec<u16> =
            verdicts.iter().map(|row| row.round).chain(rounds.iter().map(|row| row.round)).collect();
        // The given one came last.
        numbers.sort_by_key(|round| if *round == 0 { u16::MAX } else { *round });
        numbers.dedup();
        let answer = |number: u16| {
            let own = verdicts.iter().filter(|row| row.round == number).cloned();
            let round = rounds.iter().find(|row| row.round == number);
            answer(number, own, round, given)
        };
        Self { answers: numbers.into_iter().map(answer).collect() }
    }

    /// Whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

fn answer(
    number: u16,
    verdicts: impl Iterator<Item = VerdictRow>,
    round: Option<&RoundRow>,
    given: Option<&str>,
) -> Answer {
    let found = |place: u16| {
        let round = round?;
        let at = round.places.iter().position(|other| *other == place)?;
        serde_json::from_str(round.found.get(at)?).ok()
    };
    let verdicts = verdicts.map(|verdict| Said { findings: found(verdict.place).unwrap_or_default(), verdict });
    let verdicts: Vec<Said> = verdicts.collect();
    let text = if number == 0 { given } else { round.map(|round| round.text.as_str()) };
    let (shown, cut) = cut(text.unwrap_or_default(), TEXT);
    let mut text = stretches(shown, verdicts.iter().flat_map(|said| &said.findings));
    if number == 0 && text.iter().all(|stretch| stretch.codes.is_empty()) {
        text.clear();
    }
    Answer {
        round: number,
        judged_us: round.map_or(0, |round| round.judged_us),
        completion_tokens: round.map_or(0, |round| round.completion_tokens),
        verdicts,
        cut: cut && !text.is_empty(),
        text,
    }
}

/// The text in stretches; where findings overlap, a stretch has the codes of all of them.
fn stretches<'f>(text: &str, findings: impl Iterator<Item = &'f StoredFinding>) -> Vec<Stretch> {
    let place = |at: u64| usize::try_from(at).ok().filter(|at| text.is_char_boundary(*at));
    let own = findings.filter(|finding| finding.place == "text" && finding.index == 0);
    let spans = own.filter_map(|finding| Some((place(finding.span.0)?, place(finding.span.1)?, finding.code.as_str())));
    let spans: Vec<_> = spans.filter(|(start, end, _)| start < end).collect();
    let mut edges: Vec<usize> =
        spans.iter().flat_map(|(start, end, _)| [*start, *end]).chain([0, text.len()]).collect();
    edges.sort_unstable();
    edges.dedup();
    let stretch = |edge: &[usize]| {
        let mut codes: Vec<&str> = Vec::new();
        for (_, _, code) in spans.iter().filter(|(start, end, _)| *start <= edge[0] && edge[1] <= *end) {
            if !codes.contains(code) {
                codes.push(code);
            }
        }
        Stretch { text: text[edge[0]..edge[1]].to_owned(), codes: codes.join(", ") }
    };
    edges.windows(2).map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &str, span: (u64, u64)) -> StoredFinding {
        StoredFinding { code: code.into(), place: "text".into(), span, ..StoredFinding::default() }
    }

    fn marked(text: &str, findings: &[StoredFinding]) -> Vec<(String, String)> {
        stretches(text, findings.iter()).into_iter().map(|stretch| (stretch.text, stretch.codes)).collect()
    }

    #[test]
    fn what_was_found_is_marked_and_nothing_else() {
        let plain = |text: &str| (text.to_owned(), String::new());
        let code = |text: &str, codes: &str| (text.to_owned(), codes.to_owned());
        assert_eq!(
            marked("пиши a@b сюда", &[finding("email", (9, 12))]),
            [plain("пиши "), code("a@b", "email"), plain(" сюда")]
        );
        let two = [finding("a", (0, 4)), finding("b", (2, 6))];
        assert_eq!(marked("abcdef", &two), [code("ab", "a"), code("cd", "a, b"), code("ef", "b")]);
        // Not on a letter, beyond the end, empty, of another choice.
        let other = StoredFinding { index: 1, ..finding("x", (0, 2)) };
        let misfits = [finding("x", (1, 4)), finding("x", (0, 99)), finding("x", (2, 2)), other];
        assert_eq!(marked("ыы", &misfits), [plain("ыы")]);
        assert_eq!(marked("", &[]), []);
    }

    #[test]
    fn the_given_answer_comes_last_and_has_its_text_only_where_something_is_marked() {
        let verdict =
            |round, place, critic: &str| VerdictRow { round, place, critic: critic.into(), ..VerdictRow::default() };
        let found = |findings: &[StoredFinding]| serde_json::to_string(findings).unwrap();
        let bad = RoundRow {
            round: 1,
            text: "bad a@b".into(),
            places: vec![1],
            found: vec![found(&[finding("email", (4, 7))])],
            ..RoundRow::default()
        };
        let verdicts = vec![verdict(0, 0, "pii"), verdict(1, 1, "pii")];
        let judged = Judged::of(verdicts.clone(), vec![bad.clone()], Some("fine"));
        assert_eq!(judged.answers.iter().map(|answer| answer.round).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(judged.answers[0].text.len(), 2);
        assert_eq!(judged.answers[0].verdicts[0].findings[0].code, "email");
        assert!(judged.answers[1].text.is_empty());
        let own = RoundRow { places: vec![0], found: vec![found(&[finding("email", (0, 2))])], ..RoundRow::default() };
        let judged = Judged::of(verdicts, vec![own, bad], Some("fine"));
        assert_eq!(judged.answers[1].text.len(), 2);
        assert!(Judged::of(Vec::new(), Vec::new(), None).is_empty());
    }
}
