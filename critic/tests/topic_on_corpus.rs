//! What the witnesses of the topic critic reach on CLINC150; `WEIR_DATA` names the folder that holds it.
//!
//! Trained on its training split, measured on its validation rows and all of its out-of-scope rows.

mod corpus;

use std::collections::BTreeMap;

use corpus::{read, share, text};
use serde_json::Value;
use weir_critic::classify::Shape;
use weir_critic::classify::train::{Row, Settings, train};

fn rows(rows: &[Value], most: usize) -> Vec<Row> {
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    let training = rows.iter().filter(|row| row["split"] == "train");
    let few = training.filter(|row| {
        let count = by.entry(text(row, "intent")).or_default();
        *count += 1;
        *count <= most
    });
    few.map(|row| Row { text: text(row, "text").to_owned(), label: text(row, "intent").to_owned(), group: None })
        .collect()
}

/// Area under the curve of "in scope" by score.
fn area(inside: &[f64], outside: &[f64]) -> f64 {
    let over = |a: &f64| {
        outside
            .iter()
            .map(|b| {
                if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
    };
    inside.iter().map(over).sum::<f64>() / (inside.len() * outside.len()) as f64
}

#[test]
fn the_trained_classifier_names_topics_and_knows_what_is_outside() {
    let Some(data) = corpus::folder() else { return };
    let all = read(&data, "ood/clinc150_dev.jsonl");
    let settings =
        Settings { shape: Shape { buckets_log2: 15, ..Shape::default() }, folds: 2, epochs: 6, ..Settings::default() };
    let made = train(&rows(&all, 50), &settings, &mut |_| ()).unwrap();
    let (mut inside, mut outside, mut right) = (Vec::new(), Vec::new(), 0);
    for row in all.iter().filter(|row| row["split"] != "train") {
        let (label, probability) = made.likeliest(text(row, "text"));
        if row["oos"] == 1 {
            outside.push(probability);
        } else {
            inside.push(probability);
            right += usize::from(made.card().labels[label] == text(row, "intent"));
        }
    }
    let (accuracy, area) = (share(right, inside.len()), area(&inside, &outside));
    eprintln!("classifier: accuracy {accuracy:.3}, out of scope AUROC {area:.3}, {} bytes", made.to_bytes().len());
    assert!(accuracy >= 0.85 && area >= 0.87, "{accuracy} {area}");
}

#[cfg(feature = "onnx")]
#[test]
fn nearness_to_topics_knows_better_what_is_outside() {
    use weir_critic::embed::{Centroids, Config, models_folder};
    let Some(data) = corpus::folder() else { return };
    if !models_folder().join("all-MiniLM-L6-v2/model.onnx").exists() {
        return eprintln!("not measured: no model at {} (`make models` fetches it)", models_folder().display());
    }
    let service = Config::default().service().unwrap();
    let all = read(&data, "ood/clinc150_dev.jsonl");
    let made = Centroids::train(&rows(&all, 5), Config::default().checksum(), &service, &mut |_| ()).unwrap();
    let near = |row: &&Value| f64::from(made.nearest(&service.embed(text(row, "text")).unwrap()).1);
    let inside: Vec<f64> = all.iter().filter(|row| row["split"] == "val").step_by(12).map(|row| near(&row)).collect();
    let outside: Vec<f64> = all.iter().filter(|row| row["oos"] == 1).step_by(2).map(|row| near(&row)).collect();
    let area = area(&inside, &outside);
    eprintln!("nearness, 5 examples a topic: out of scope AUROC {area:.3}");
    for least in [0.4, 0.45, 0.5, 0.55] {
        let kept = share(inside.iter().filter(|near| **near >= least).count(), inside.len());
        let caught = share(outside.iter().filter(|near| **near < least).count(), outside.len());
        eprintln!("  at {least}: {kept:.3} kept, {caught:.3} caught");
    }
    assert!(area >= 0.93, "{area}");
}
