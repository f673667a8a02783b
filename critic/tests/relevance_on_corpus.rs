//! Own answers against answers of other questions, by the relevance critic; `WEIR_DATA` names the
//! folder with the sets, and the model must be there (`make models`).

#![cfg(feature = "onnx")]

mod corpus;

use corpus::{read, text};
use weir_critic::embed::models_folder;
use weir_critic::models::relevance::{Config, Relevance};

#[test]
fn answers_of_other_questions_score_higher_than_own_ones() {
    let Some(data) = corpus::folder() else { return };
    if !models_folder().join("all-MiniLM-L6-v2/model.onnx").exists() {
        return eprintln!("not measured: no model at {} (`make models` fetches it)", models_folder().display());
    }
    let critic = Relevance::new(Config::default()).unwrap();
    let rows = read(&data, "faithfulness/halueval_general_dev.jsonl");
    // The longest queries paste what they ask about; the weights were fitted on others than these at most in part.
    let pairs: Vec<(&str, &str)> =
        rows.iter().step_by(29).map(|row| (text(row, "query"), text(row, "answer"))).collect();
    let score = |at: usize, other: usize| critic.score(pairs[at].0, pairs[other].1).unwrap();
    let own: Vec<f64> = (0..pairs.len()).map(|at| score(at, at)).collect();
    let others: Vec<f64> = (0..pairs.len()).map(|at| score(at, (at + 1) % pairs.len())).collect();
    let below: usize = own.iter().map(|own| others.iter().filter(|other| *other > own).count()).sum();
    let area = below as f64 / (own.len() * others.len()) as f64;
    let share = |scores: &[f64]| scores.iter().filter(|score| **score >= 0.8).count() as f64 / scores.len() as f64;
    eprintln!("relevance, HaluEval: AUROC {area:.3}, fail of own {:.3}, of others {:.3}", share(&own), share(&others));
    assert!(area >= 0.97, "{area}");
}
