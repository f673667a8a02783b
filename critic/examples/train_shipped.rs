//! Makes the classifiers that ship with the crate: `WEIR_DATA=folder cargo run -p weir-critic --example train_shipped`.
//!
//! Reads labelled sets whose licences permit it (each named below), writes `critic/models/*.weircls`.
//! The same data gives the same bytes. Rows that the tests measure on are not read here: attack
//! types and contexts of BIPIA at odd places are left to them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_critic::classify::Shape;
use weir_critic::classify::train::{Row, Settings, train};
use weir_critic::models::prompt_injection::sentences;

fn main() {
    let Some(data) = std::env::var_os("WEIR_DATA").map(PathBuf::from) else {
        eprintln!("WEIR_DATA must name the folder with the labelled sets");
        std::process::exit(2);
    };
    write("insults", &insults(&data), &insult_settings());
    write("passage_instructions", &passage_instructions(&data), &instruction_settings());
}

fn write(name: &str, rows: &[Row], settings: &Settings) {
    let made = train(rows, settings, &mut |at| eprint!("\r{name}: pass {} of {}", at.done, at.total))
        .expect("the sets have rows of both labels");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("models/{name}.weircls"));
    std::fs::write(&path, made.to_bytes()).expect("the clone can be written to");
    let card = made.card();
    eprintln!(
        "\n{}: {} bytes, sha256 {}\n  rows {:?} by label {:?}\n  {:?}",
        path.display(),
        made.to_bytes().len(),
        made.checksum(),
        card.training.rows,
        card.training.rows_by_label,
        card.quality
    );
}

fn insult_settings() -> Settings {
    Settings {
        name: "insults".to_owned(),
        sources: [
            "Davidson 2017 (MIT)",
            "Surge AI toxicity (MIT)",
            "CLINC150 (CC-BY-3.0)",
            "Banking77 (CC-BY-4.0)",
            "HaluEval (MIT)",
            "RAGTruth (MIT)",
        ]
        .map(str::to_owned)
        .to_vec(),
        positive: Some("toxic".to_owned()),
        ..Settings::default()
    }
}

fn instruction_settings() -> Settings {
    Settings {
        name: "passage_instructions".to_owned(),
        sources: ["BIPIA (MIT)", "HaluEval (MIT)", "RAGTruth (MIT)", "SummEdits (Apache-2.0)"]
            .map(str::to_owned)
            .to_vec(),
        shape: Shape { words: 3, ..Shape::default() },
        positive: Some("instruction".to_owned()),
        // One sentence of some thousand in documents speaks to a machine; rows say one of seven.
        prior: Some(0.03),
        ..Settings::default()
    }
}

fn insults(data: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for set in ["safety/davidson_dev.jsonl", "safety/surge_toxicity_dev.jsonl"] {
        rows.extend(
            read(data, set).iter().map(|row| labelled(&without_marks(text(row, "text")), row["toxic"] == 1, None)),
        );
    }
    for (set, field, every) in [
        ("ood/clinc150_dev.jsonl", "text", 5),
        ("ood/banking77_train.jsonl", "text", 10),
        ("faithfulness/halueval_general_dev.jsonl", "query", 1),
        ("faithfulness/halueval_general_dev.jsonl", "answer", 1),
        ("faithfulness/ragtruth_qa_train.jsonl", "answer", 3),
    ] {
        rows.extend(read(data, set).iter().step_by(every).map(|row| labelled(text(row, field), false, None)));
    }
    rows
}

fn labelled(text: &str, toxic: bool, group: Option<String>) -> Row {
    Row { text: text.to_owned(), label: if toxic { "toxic" } else { "calm" }.to_owned(), group }
}

/// A tweet without what only tweets have, so that the classifier does not learn to know tweets.
fn without_marks(text: &str) -> String {
    let is_mark = |word: &&str| !(word.contains('@') || word.contains("://") || word.contains("&#") || *word == "RT");
    text.replace("&amp;", "&").split_whitespace().filter(is_mark).collect::<Vec<_>>().join(" ")
}

fn passage_instructions(data: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    let bipia = read(data, "injection/bipia_train_dev.jsonl");
    let types: BTreeSet<&str> = bipia.iter().filter_map(|row| row["attack_type"].as_str()).collect();
    let seen: BTreeSet<&str> = types.into_iter().step_by(2).collect();
    let attacks: BTreeSet<(&str, &str)> = bipia
        .iter()
        .filter_map(|row| Some((row["attack_type"].as_str()?, row["attack"].as_str()?)))
        .filter(|(kind, _)| seen.contains(kind))
        .collect();
    rows.extend(attacks.into_iter().map(|(kind, attack)| sentence(attack, true, kind)));
    let clean = bipia.iter().filter(|row| row["injection"] == 0).step_by(2);
    rows.extend(clean.flat_map(|row| calm(text(row, "context"), text(row, "id"), 30)));
    for row in read(data, "faithfulness/halueval_general_dev.jsonl") {
        let query = text(&row, "query");
        let first = sentences(query).map(|(_, sentence)| sentence.trim()).filter(|sentence| sentence.len() > 8);
        rows.extend(first.take(2).map(|own| sentence(own, true, text(&row, "id"))));
    }
    let mut sources = BTreeSet::new();
    for set in
        ["ragtruth_qa_train", "halueval_qa_dev", "summedits_samsum_dev", "summedits_news_dev", "summedits_podcast_dev"]
    {
        for row in read(data, &format!("faithfulness/{set}.jsonl")) {
            let source = text(&row, "source_id").to_owned();
            let document = ["context", "document"].iter().find_map(|field| row[field].as_str()).unwrap_or("");
            if sources.insert(if source.is_empty() { document.to_owned() } else { source.clone() }) {
                rows.extend(calm(document, &source, 20));
            }
        }
    }
    rows
}

/// Some sentences of a document.
fn calm(document: &str, source: &str, most: usize) -> Vec<Row> {
    let own = sentences(document).map(|(_, sentence)| sentence.trim()).filter(|sentence| sentence.len() > 8);
    own.take(most).map(|own| sentence(own, false, source)).collect()
}

fn sentence(text: &str, instruction: bool, group: &str) -> Row {
    let label = if instruction { "instruction" } else { "document" };
    let group = (!group.is_empty()).then(|| group.to_owned());
    Row { text: text.to_owned(), label: label.to_owned(), group }
}

fn read(data: &Path, name: &str) -> Vec<Value> {
    let path = data.join(name);
    let rows = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    rows.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or("")
}
