//! Trains the model that the grounding critic comes with.
//!
//! `cargo run -p weir-critic --example train_grounding -- ragtruth_qa_train.jsonl critic/models/grounding.json`
//!
//! The rows are those of RAGTruth's QA task, training part (ParticleMedia/RAGTruth, MIT):
//! `question`, `context`, `answer`, `label`, `source_id`, and `spans` with `start` and `end`
//! in characters. The same rows give the same bytes.

use std::io::Write;

use anyhow::{Context, bail};
use serde::Deserialize;
use weir_critic::grounding::train::{Example, Settings, train};

#[derive(Deserialize)]
struct Row {
    source_id: String,
    question: Option<String>,
    context: String,
    answer: String,
    label: u8,
    spans: Option<Vec<Label>>,
}

/// A labelled span; offsets count characters.
#[derive(Deserialize)]
struct Label {
    start: usize,
    end: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, out] = arguments.as_slice() else { bail!("give the file of rows and the file to write") };
    let text = std::fs::read_to_string(rows).with_context(|| rows.clone())?;
    let examples: Vec<Example> =
        text.lines().map(|line| Ok(example(serde_json::from_str(line)?))).collect::<anyhow::Result<_>>()?;
    let settings = Settings {
        data: vec!["RAGTruth, QA task, training part (ParticleMedia/RAGTruth, revision c103204), MIT".to_owned()],
        ..Settings::default()
    };
    let progress = |share: f64| {
        let _ = write!(std::io::stderr(), "\r{:3.0} %", share * 100.0);
    };
    let artefact = train(&examples, &settings, &progress).map_err(anyhow::Error::msg)?;
    std::fs::write(out, artefact.to_bytes().map_err(anyhow::Error::msg)?).with_context(|| out.clone())?;
    writeln!(std::io::stderr(), "\nthreshold {:.3}, {:?}", artefact.threshold, artefact.card.measured)?;
    Ok(())
}

fn example(row: Row) -> Example {
    let byte = |char: usize| row.answer.char_indices().nth(char).map_or(row.answer.len(), |(at, _)| at);
    let spans = row.spans.unwrap_or_default().iter().map(|label| byte(label.start)..byte(label.end)).collect();
    Example {
        group: row.source_id,
        question: row.question.unwrap_or_default(),
        passages: vec![row.context],
        bad: row.label == 1,
        spans,
        answer: row.answer,
    }
}
