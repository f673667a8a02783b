//! Files of labelled cases, read line by line.
//!
//! Promises: a line is read whole or told with its number and what to change; nothing is
//! skipped in silence; lines, cases and faults are bounded.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use serde_json::Value;

use super::labelled::{Labelled, Long, Short};
use super::{ragtruth, sets};

/// Longest line that is read.
pub const MAX_LINE_BYTES: u64 = 16 << 20;
/// Most cases of one load.
pub const MAX_CASES: usize = 2_000_000;
/// Faults that are told before reading ends.
const MAX_FAULTS: usize = 10;

/// How the lines of a file look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Found out by the fields of the first line.
    #[default]
    Auto,
    /// Weir's own, long or short; most faithfulness sets fit the short form.
    Weir,
    /// RAGTruth's own files: `response.jsonl` with `source_info.jsonl`.
    Ragtruth,
    /// `query`, `answer`, `label`: HaluEval's general part.
    Query,
    /// `prompt`, `answer`, `refusal`.
    Refusal,
    /// `text`, `toxic`: the text is judged as an answer.
    Toxicity,
    /// `text`, `jailbreak`: the text is judged as a prompt.
    Jailbreak,
    /// `injection` with `text`, with `context` and `question` (BIPIA), or with `attack` (Tensor Trust).
    Injection,
    /// `text` with typed `spans` of personal data.
    PersonalData,
    /// `text`, `intent` and perhaps `oos`: bad is out of scope.
    Scope,
    /// `question`, `ground_truth` and solutions with `is_correct`: GSM8K with model solutions.
    Solutions,
    /// `question`, `candidates` with labels: bad is what does not answer (WikiQA).
    Relevance,
    /// `schema`, `instance`, `valid`: the JSON Schema test suite.
    Schema,
    /// `prompt`, `chosen`, `rejected`: of each pair the second is bad.
    Preference,
}

/// A file to read.
pub struct Input<'a> {
    /// Its name, for faults.
    pub name: String,
    /// Its content.
    pub reader: Box<dyn BufRead + 'a>,
}

/// Only rows whose field has this value are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Name of a field of the row.
    pub field: String,
    /// Its value, as text.
    pub value: String,
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Name of the file.
    pub file: String,
    /// Its number, from 1; 0 where the whole file is meant.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
    /// What to change.
    pub cure: String,
}

/// Why nothing was loaded; reading ends after ten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub Vec<BadLine>);

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, BadLine { file, line, problem, cure }) in self.0.iter().enumerate() {
            let end = if at + 1 < self.0.len() { "\n" } else { "" };
            match line {
                0 => write!(f, "{file}: {problem}; {cure}{end}")?,
                line => write!(f, "{file}:{line}: {problem}; {cure}{end}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

impl Format {
    /// Every format with the word for it.
    pub const ALL: [(&'static str, Self); 14] = [
        ("auto", Self::Auto),
        ("weir", Self::Weir),
        ("ragtruth", Self::Ragtruth),
        ("query", Self::Query),
        ("refusal", Self::Refusal),
        ("toxicity", Self::Toxicity),
        ("jailbreak", Self::Jailbreak),
        ("injection", Self::Injection),
        ("personal-data", Self::PersonalData),
        ("scope", Self::Scope),
        ("solutions", Self::Solutions),
        ("relevance", Self::Relevance),
        ("schema", Self::Schema),
        ("preference", Self::Preference),
    ];

    /// The format that a row looks like, by its fields.
    fn of(row: &Value) -> Option<Self> {
        let has = |fields: &[&str]| fields.iter().all(|field| row.get(field).is_some());
        let table: [(&[&str], Self); 16] = [
            (&["case", "label"], Self::Weir),
            (&["source_id", "response", "labels"], Self::Ragtruth),
            (&["source_id", "source_info"], Self::Ragtruth),
            (&["query", "answer", "label"], Self::Query),
            (&["answer", "label"], Self::Weir),
            (&["answer", "refusal"], Self::Refusal),
            (&["text", "toxic"], Self::Toxicity),
            (&["text", "jailbreak"], Self::Jailbreak),
            (&["injection"], Self::Injection),
            (&["text", "spans"], Self::PersonalData),
            (&["text", "intent"], Self::Scope),
            (&["question", "ground_truth"], Self::Solutions),
            (&["question", "candidates"], Self::Relevance),
            (&["schema", "instance", "valid"], Self::Schema),
            (&["chosen", "rejected"], Self::Preference),
            (&["answer"], Self::Weir),
        ];
        table.into_iter().find(|(fields, _)| has(fields)).map(|(_, format)| format)
    }
}

/// All rows of one file.
struct Rows {
    name: String,
    format: Format,
    rows: Vec<(u64, Value)>,
}

/// Reads all files. With [`Format::Auto`] each file's format is found by its first row.
pub fn load(inputs: Vec<Input<'_>>, format: Format, filters: &[Filter]) -> Result<Vec<Labelled>, LoadError> {
    let mut faults = Vec::new();
    let files: Vec<Rows> = inputs.into_iter().filter_map(|input| rows(input, format, &mut faults)).collect();
    let sources = ragtruth::sources(
        files
            .iter()
            .filter(|file| file.format == Format::Ragtruth)
            .flat_map(|file| file.rows.iter().map(|(line, row)| (file.name.as_str(), *line, row))),
    );
    let mut found = Vec::new();
    for file in files {
        for (line, row) in file.rows {
            if faults.len() >= MAX_FAULTS {
                return Err(LoadError(faults));
            }
            if found.len() >= MAX_CASES {
                let problem = format!("more than {MAX_CASES} cases");
                return Err(LoadError(vec![BadLine { file: file.name, line, problem, cure: "give fewer".to_owned() }]));
            }
            match cases(file.format, row, &sources, filters) {
                Ok(cases) => found.extend(cases.into_iter().map(|case| complete(case, &file.name, line))),
                Err((problem, cure)) => faults.push(BadLine { file: file.name.clone(), line, problem, cure }),
            }
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(LoadError(faults)) }
}

/// Names what has no name: a case without a group is alone in its own.
fn complete(mut case: Labelled, file: &str, line: u64) -> Labelled {
    if case.id.is_empty() {
        case.id = format!("{file}:{line}");
    }
    if case.group.is_empty() {
        case.group.clone_from(&case.id);
    }
    case
}

fn rows(mut input: Input<'_>, format: Format, faults: &mut Vec<BadLine>) -> Option<Rows> {
    let mut file = Rows { name: input.name, format, rows: Vec::new() };
    let mut bad = |name: &str, line: u64, problem: String, cure: &str| {
        faults.push(BadLine { file: name.to_owned(), line, problem, cure: cure.to_owned() });
        faults.len() >= MAX_FAULTS
    };
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        match input.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut text) {
            Ok(0) => break,
            Ok(_) if text.len() as u64 >= MAX_LINE_BYTES => {
                bad(&file.name, line, "the line is longer than 16 MiB".to_owned(), "write one JSON object a line");
                return None;
            }
            Ok(_) if text.trim_ascii().is_empty() => {}
            Ok(_) => match serde_json::from_slice::<Value>(&text) {
                Ok(row @ Value::Object(_)) => file.rows.push((line, row)),
                Ok(_) if bad(&file.name, line, "the line is no JSON object".to_owned(), "begin it with {") => {
                    return None;
                }
                Err(error) if bad(&file.name, line, error.to_string(), "write one JSON object a line") => return None,
                Ok(_) | Err(_) => {}
            },
            Err(error) => {
                bad(&file.name, line, error.to_string(), "check the file");
                return None;
            }
        }
    }
    if file.format == Format::Auto {
        let (line, row) = file.rows.first()?;
        match Format::of(row) {
            Some(format) => file.format = format,
            None => {
                let fields: Vec<&str> = row.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                let problem = format!("the fields {} are those of no known format", fields.join(", "));
                bad(&file.name, *line, problem, "give `answer` and `label`, or name the format with --format");
                return None;
            }
        }
    }
    Some(file)
}

fn cases(
    format: Format,
    row: Value,
    sources: &HashMap<String, Value>,
    filters: &[Filter],
) -> Result<Vec<Labelled>, (String, String)> {
    let source = row.get("source_id").and_then(ragtruth::id).and_then(|id| sources.get(&id));
    let is_wanted = |Filter { field, value }: &Filter| {
        let found = row.get(field).or_else(|| source.and_then(|source| source.get(field)));
        found.is_some_and(|found| found.as_str().unwrap_or(&found.to_string()) == value)
    };
    if !filters.iter().all(is_wanted) {
        return Ok(Vec::new());
    }
    let needs = |fields: &str| format!("give {fields}");
    match format {
        Format::Ragtruth => ragtruth::cases(row, source),
        Format::Auto | Format::Weir if row.get("case").is_some() => {
            let parsed = serde_json::from_value::<Long>(row).map_err(|error| error.to_string());
            parsed.and_then(Long::labelled).map(|case| vec![case]).map_err(|problem| {
                (problem, needs("`case`, `label` and perhaps `id`, `group`, `weight`, `spans`, `slice`"))
            })
        }
        Format::Auto | Format::Weir => {
            let parsed = serde_json::from_value::<Short>(row).map_err(|error| error.to_string());
            parsed.and_then(Short::labelled).map(|case| vec![case]).map_err(|problem| {
                (problem, needs("`answer`, `label` and perhaps `question`, `context`, `spans`, `source_id`"))
            })
        }
        other => sets::cases(other, row).map_err(|problem| (problem, needs(sets::fields(other)))),
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
