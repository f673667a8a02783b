//! What the toxicity critic reaches on labelled sets; `WEIR_DATA` names the folder that holds them.
//!
//! Nothing was trained on ToxicChat, but the terms were worked on with part of it in sight: see
//! `critic/docs/toxicity.md` for what they gave on the part that nobody had seen.

mod corpus;

use std::time::Instant;

use corpus::{read, share, text};
use serde_json::Value;
use weir_critic::models::toxicity::{Config, Toxicity};

#[test]
fn real_chat_prompts_are_judged_as_people_judged_them() {
    let Some(data) = corpus::folder() else { return };
    let rows = read(&data, "safety/toxicchat_train.jsonl");
    let f1 = f1("ToxicChat", &rows.iter().collect::<Vec<_>>(), "text");
    assert!(f1 >= 0.65);
}

#[test]
fn insults_in_posts_are_found() {
    let Some(data) = corpus::folder() else { return };
    for set in ["safety/surge_toxicity_dev.jsonl", "safety/davidson_dev.jsonl"] {
        let rows = read(&data, set);
        f1(&format!("{set} (the classifier was trained on it)"), &rows.iter().collect::<Vec<_>>(), "text");
    }
}

#[test]
fn ordinary_texts_are_seldom_called_toxic() {
    let Some(data) = corpus::folder() else { return };
    let critic = Toxicity::new(Config::default()).unwrap();
    let sets = [
        ("CLINC150 queries", "ood/clinc150_dev.jsonl", "text", 0.005),
        ("Banking77 queries", "ood/banking77_train.jsonl", "text", 0.005),
        ("HaluEval queries", "faithfulness/halueval_general_dev.jsonl", "query", 0.005),
        ("GSM8K questions", "answer_quality/gsm8k_model_solutions_dev.jsonl", "question", 0.005),
        ("RAGTruth answers", "faithfulness/ragtruth_qa_train.jsonl", "answer", 0.03),
        ("refusals and others (PyRIT)", "refusal/pyrit_refusal_dev.jsonl", "answer", 0.15),
        ("harmless answers (HH)", "safety/hh_harmless_dev.jsonl", "chosen", 0.1),
    ];
    for (name, set, field, limit) in sets {
        let rows = read(&data, set);
        let started = Instant::now();
        let alarms: Vec<&Value> = rows.iter().filter(|row| critic.score(text(row, field)).0 >= 0.5).collect();
        let micros = started.elapsed().as_micros() as usize / rows.len().max(1);
        show(&critic, &alarms, field);
        eprintln!(
            "called toxic, {name}: {:.2} % of {}, {micros} µs each",
            100.0 * share(alarms.len(), rows.len()),
            rows.len()
        );
        assert!(share(alarms.len(), rows.len()) <= limit, "{name}");
    }
}

fn f1(name: &str, rows: &[&Value], field: &str) -> f64 {
    let critic = Toxicity::new(Config::default()).unwrap_or_else(|fault| panic!("{fault}"));
    let (mut right, mut wrong, mut missed) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match (critic.score(text(row, field)).0 >= Config::default().threshold, row["toxic"] == 1) {
            (true, true) => right.push(*row),
            (true, false) => wrong.push(*row),
            (false, true) => missed.push(*row),
            (false, false) => (),
        }
    }
    let f1 = share(2 * right.len(), 2 * right.len() + wrong.len() + missed.len());
    let (precision, recall) =
        (share(right.len(), right.len() + wrong.len()), share(right.len(), right.len() + missed.len()));
    show(&critic, &wrong, field);
    eprintln!("{name}: {} rows, F1 {f1:.3}, precision {precision:.3}, recall {recall:.3}", rows.len());
    f1
}

fn show(critic: &Toxicity, rows: &[&Value], field: &str) {
    for row in rows.iter().take(corpus::shown()) {
        let text = text(row, field);
        let (score, hits) = critic.score(text);
        let found: Vec<&str> = hits.iter().map(|hit| &text[hit.start..hit.end]).collect();
        eprintln!("  {score:.2} {found:?} {:?}", text.chars().take(120).collect::<String>());
    }
}
