//! A case with the truth about it, and Weir's own file format for it.
//!
//! One JSON object a line. The long form holds a whole [`Case`], as Weir exports it:
//!
//! ```json
//! {"case": {"conversation": [{"role": "user", "text": "Who won?"}],
//!           "context": [{"text": "Ann won."}], "answers": [{"text": "Bob won."}]},
//!  "label": "bad", "group": "source-17", "spans": [{"start": 0, "end": 3}]}
//! ```
//!
//! and the short form one question with one answer:
//!
//! ```json
//! {"question": "Who won?", "context": "Ann won.", "answer": "Bob won.", "label": 1, "source_id": "source-17"}
//! ```
//!
//! `label` is `"good"` or `"bad"`, 0 or 1, or a boolean that is true for bad. Optional: `id`;
//! `group` (or `source_id`), the same for cases that share a source text; `weight`, how many
//! cases it stands for; `slice` (or `task`, `dataset`), a word by which figures are also given;
//! `spans`, what is bad in the first answer's text, as offsets of Unicode characters.
//! `context` may be a list of passages.

use std::ops::Range;

use serde::Deserialize;

use crate::{Answer, Case, Passage, Role, Turn};

/// A case with the truth about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Name of the case, for people.
    pub id: String,
    /// What the critic sees.
    pub case: Case,
    /// Whether the answer is bad.
    pub bad: bool,
    /// Cases with the same group share a source text and are not independent.
    pub group: String,
    /// How many cases it stands for; positive.
    pub weight: f64,
    /// Bytes of the first answer's text that are bad; none where nobody marked them.
    pub spans: Option<Vec<Range<usize>>>,
    /// What kind of case it is, for figures by kind; empty where there is but one.
    pub slice: String,
}

/// A label however it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    Word(String),
    Number(f64),
    Flag(bool),
}

/// A context however it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Context {
    One(String),
    Many(Vec<String>),
}

/// A marked part, in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Marked {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The long form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Long {
    case: Case,
    label: Label,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    weight: Option<f64>,
    #[serde(default)]
    spans: Option<Vec<Marked>>,
    #[serde(default)]
    slice: Option<String>,
}

/// The short form; other fields are left out of account, as published sets have many.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Short {
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    context: Option<Context>,
    answer: String,
    label: Label,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, alias = "source_id")]
    group: Option<String>,
    #[serde(default)]
    weight: Option<f64>,
    #[serde(default)]
    spans: Option<Vec<Marked>>,
    #[serde(default)]
    slice: Option<String>,
    #[serde(default)]
    task: Option<String>,
    #[serde(default)]
    dataset: Option<String>,
}

impl Label {
    /// Whether it says bad.
    pub(super) fn bad(&self) -> Result<bool, String> {
        match self {
            Self::Word(word) => match word.as_str() {
                "bad" | "1" => Ok(true),
                "good" | "0" => Ok(false),
                other => Err(format!("the label {other:?} is neither \"good\" nor \"bad\"")),
            },
            Self::Number(1.0) | Self::Flag(true) => Ok(true),
            Self::Number(0.0) | Self::Flag(false) => Ok(false),
            Self::Number(other) => Err(format!("the label {other} is neither 0 (good) nor 1 (bad)")),
        }
    }
}

impl Context {
    fn passages(self) -> Vec<Passage> {
        let texts = match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        };
        let passage = |text| Passage { source: String::new(), text };
        texts.into_iter().filter(|text: &String| !text.is_empty()).map(passage).collect()
    }
}

impl Long {
    pub(super) fn labelled(self) -> Result<Labelled, String> {
        let first = self.case.answers.first().map(|answer| answer.text.as_str());
        if first.is_none() && self.case.conversation.is_empty() {
            return Err("the case has neither `answers` nor a `conversation`".to_owned());
        }
        let spans = self.spans.map(|spans| bytes_of(first.unwrap_or_default(), &spans)).transpose()?;
        let bad = self.label.bad()?;
        let case = Labelled { spans, slice: self.slice.unwrap_or_default(), ..Labelled::new(self.case, bad) };
        case.named(self.id, self.group).weighed(self.weight)
    }
}

impl Short {
    pub(super) fn labelled(self) -> Result<Labelled, String> {
        let spans = self.spans.map(|spans| bytes_of(&self.answer, &spans)).transpose()?;
        let context = self.context.map(Context::passages).unwrap_or_default();
        let case = simple(self.question.as_deref().unwrap_or_default(), context, &self.answer);
        let slice = self.slice.or(self.task).or(self.dataset).unwrap_or_default();
        let case = Labelled { spans, slice, ..Labelled::new(case, self.label.bad()?) };
        case.named(self.id, self.group).weighed(self.weight)
    }
}

impl Labelled {
    /// A case alone in its group, named by nothing yet.
    pub fn new(case: Case, bad: bool) -> Self {
        Self { id: String::new(), case, bad, group: String::new(), weight: 1.0, spans: None, slice: String::new() }
    }

    /// The same with these names, where they are given.
    pub fn named(mut self, id: Option<String>, group: Option<String>) -> Self {
        self.id = id.unwrap_or(self.id);
        self.group = group.unwrap_or(self.group);
        self
    }

    fn weighed(mut self, weight: Option<f64>) -> Result<Self, String> {
        self.weight = weight.unwrap_or(1.0);
        if self.weight.is_finite() && self.weight > 0.0 {
            return Ok(self);
        }
        Err(format!("the weight {} is no positive number", self.weight))
    }
}

/// One question, what was retrieved for it, and one answer; each may be empty.
pub fn simple(question: &str, context: Vec<Passage>, answer: &str) -> Case {
    let turn = |text: &str| Turn { role: Role::User, text: text.to_owned() };
    let answer = Answer { text: answer.to_owned(), finish_reason: "stop".to_owned(), ..Answer::default() };
    let conversation = (!question.is_empty()).then(|| turn(question)).into_iter().collect();
    Case { conversation, context, answers: vec![answer], ..Case::default() }
}

/// Offsets of characters as ranges of bytes, in order.
pub(super) fn bytes_of(text: &str, spans: &[Marked]) -> Result<Vec<Range<usize>>, String> {
    let mut starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    starts.push(text.len());
    let mut found = Vec::with_capacity(spans.len());
    for Marked { start, end } in spans {
        match (starts.get(*start), starts.get(*end)) {
            (Some(from), Some(to)) if start <= end => found.push(*from..*to),
            _ => {
                let length = starts.len() - 1;
                return Err(format!("the span {start}..{end} is outside the answer, which has {length} characters"));
            }
        }
    }
    found.sort_unstable_by_key(|span| span.start);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(line: &str) -> Result<Labelled, String> {
        serde_json::from_str::<Short>(line).map_err(|error| error.to_string())?.labelled()
    }

    #[test]
    fn spans_are_characters_in_files_and_bytes_in_cases() {
        let line = r#"{"question": "Кто?", "context": ["Анна", ""], "answer": "Боб победил", "label": "bad",
                       "spans": [{"start": 4, "end": 11}], "source_id": "s"}"#;
        let found = short(line).unwrap();
        let span = found.spans.unwrap()[0].clone();
        assert_eq!(&found.case.answers[0].text[span], "победил");
        assert_eq!((found.bad, found.group.as_str(), found.case.context.len()), (true, "s", 1));
    }

    #[test]
    fn labels_are_read_however_they_are_written_and_never_guessed() {
        for (label, bad) in [("1", true), ("0", false), ("\"bad\"", true), ("\"good\"", false), ("true", true)] {
            assert_eq!(short(&format!(r#"{{"answer": "a", "label": {label}}}"#)).unwrap().bad, bad, "{label}");
        }
        let table = [
            (r#"{"answer": "a", "label": "maybe"}"#, "neither"),
            (r#"{"answer": "a", "label": 2}"#, "neither"),
            (r#"{"label": 1}"#, "answer"),
            (r#"{"answer": "a", "label": 1, "weight": 0}"#, "weight"),
            (r#"{"answer": "ab", "label": 1, "spans": [{"start": 1, "end": 3}]}"#, "2 characters"),
        ];
        for (line, said) in table {
            let error = short(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn the_long_form_holds_a_whole_case_and_refuses_what_it_does_not_know() {
        let line =
            r#"{"case": {"answers": [{"text": "a"}, {"text": "b"}]}, "label": "good", "group": "g", "weight": 2.5}"#;
        let found = serde_json::from_str::<Long>(line).unwrap().labelled().unwrap();
        assert_eq!((found.case.answers.len(), found.weight, found.spans), (2, 2.5, None));
        assert!(serde_json::from_str::<Long>(r#"{"case": {}, "label": 1, "grup": "g"}"#).is_err());
        let empty = serde_json::from_str::<Long>(r#"{"case": {}, "label": 1}"#).unwrap().labelled();
        assert!(empty.unwrap_err().contains("neither"));
    }
}
