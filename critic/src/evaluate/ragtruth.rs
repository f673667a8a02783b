//! RAGTruth as its authors publish it: `response.jsonl` and `source_info.jsonl`, all tasks.
//!
//! Source: C. Niu et al., "RAGTruth: a hallucination corpus for developing trustworthy
//! retrieval-augmented language models", ACL 2024; fields as in the README of
//! ParticleMedia/RAGTruth. A response is bad where it has at least one label; `--only
//! quality=good`, `split=test` and `task_type=QA` give the parts that papers report on.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::labelled::{Labelled, Marked, bytes_of, simple};
use crate::Passage;

#[derive(Deserialize)]
struct Response {
    id: Value,
    source_id: Value,
    response: String,
    labels: Vec<Marked>,
}

/// An identifier, written as text or as a number.
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The sources by their id.
pub(super) fn sources<'a>(rows: impl Iterator<Item = (&'a str, u64, &'a Value)>) -> HashMap<String, Value> {
    let source = |(_, _, row): (&str, u64, &Value)| {
        row.get("source_info")?;
        Some((id(row.get("source_id")?)?, row.clone()))
    };
    rows.filter_map(source).collect()
}

/// The case of a response; nothing of a source.
pub(super) fn cases(row: Value, source: Option<&Value>) -> Result<Vec<Labelled>, (String, String)> {
    if row.get("source_info").is_some() {
        return Ok(Vec::new());
    }
    let shape = "give `id`, `source_id`, `response` and `labels` with `start` and `end`, as RAGTruth does".to_owned();
    let row: Response = serde_json::from_value(row).map_err(|error| (error.to_string(), shape.clone()))?;
    let (Some(id), Some(group)) = (id(&row.id), id(&row.source_id)) else {
        return Err(("`id` or `source_id` is neither text nor a number".to_owned(), shape));
    };
    let Some(source) = source else {
        return Err((format!("no source {group:?} was given"), "give source_info.jsonl with --data too".to_owned()));
    };
    let info = &source["source_info"];
    let field = |name: &str| info.get(name).and_then(Value::as_str);
    let (question, context) = match (info.as_str(), field("question"), field("passages")) {
        (Some(text), _, _) => (String::new(), vec![text.to_owned()]),
        (None, Some(question), Some(passages)) => (question.to_owned(), passages_of(passages)),
        _ => (String::new(), vec![info.to_string()]),
    };
    let context = context.into_iter().map(|text| Passage { source: String::new(), text }).collect();
    let spans = bytes_of(&row.response, &row.labels).map_err(|problem| (problem, shape))?;
    let question = if question.is_empty() { instruction(source) } else { question };
    let case = Labelled {
        slice: source["task_type"].as_str().unwrap_or_default().to_owned(),
        spans: Some(spans),
        ..Labelled::new(simple(&question, context, &row.response), !row.labels.is_empty())
    };
    Ok(vec![case.named(Some(id), Some(group))])
}

/// Passages are numbered in one text: `passage 1:... \n\npassage 2:...`.
fn passages_of(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in text.split("\n\n").filter(|part| !part.trim().is_empty()) {
        match found.last_mut() {
            Some(last) if !part.starts_with("passage ") => {
                last.push_str("\n\n");
                last.push_str(part);
            }
            _ => found.push(part.to_owned()),
        }
    }
    found
}

/// The first line of a prompt says what to do; the rest repeats the source.
fn instruction(source: &Value) -> String {
    let prompt = source["prompt"].as_str().unwrap_or_default();
    let lines = prompt.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Instruction:");
    lines.into_iter().next().unwrap_or_default().to_owned()
}
