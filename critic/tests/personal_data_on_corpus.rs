//! Precision and recall of the finder of personal data on a labelled corpus.
//!
//! The corpus (synthetic sentences of microsoft/presidio-research, MIT) is not part of the
//! repository: `WEIR_DATA` names the folder that holds `pii/presidio_synth_dev.jsonl`.
//! A find is right when it overlaps a label of its kind; a label counts as found when a
//! find of its kind overlaps it.

use std::path::PathBuf;

use serde::Deserialize;
use weir_critic::personal_data::{Kind, Span, find};

#[derive(Deserialize)]
struct Row {
    text: String,
    spans: Vec<Label>,
}

/// A label; offsets count characters.
#[derive(Deserialize)]
struct Label {
    start: usize,
    end: usize,
    r#type: String,
}

#[derive(Default)]
struct Score {
    found: usize,
    labels: usize,
    right: usize,
    finds: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        self.right as f64 / self.finds.max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.labels.max(1) as f64
    }

    fn f1(&self) -> f64 {
        2.0 * self.precision() * self.recall() / (self.precision() + self.recall())
    }
}

#[test]
fn finds_on_the_corpus_reach_their_floors() {
    let Some(folder) = std::env::var_os("WEIR_DATA") else {
        eprintln!("not measured: WEIR_DATA does not name a folder with the corpus");
        return;
    };
    let path = PathBuf::from(folder).join("pii/presidio_synth_dev.jsonl");
    let corpus = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let rows: Vec<Row> = corpus.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let email = measure(&rows, Kind::Email, "EMAIL_ADDRESS");
    let card = measure(&rows, Kind::Card, "CREDIT_CARD");
    let phone = measure(&rows, Kind::Phone, "PHONE_NUMBER");
    let iban = measure(&rows, Kind::Iban, "IBAN_CODE");
    let secret = measure(&rows, Kind::Secret, "no such label: every find counts against");
    assert_eq!(secret.finds, 0);
    assert!(email.precision() >= 0.98 && email.recall() >= 0.98);
    // The corpus generator makes Maestro numbers that begin 0604, which no issuer has.
    assert!(card.precision() >= 0.98 && card.recall() >= 0.97);
    assert!(phone.f1() >= 0.90);
    assert!(iban.labels == 0 || iban.recall() >= 0.98, "this corpus has IBANs: hold them to the floor");
}

fn measure(rows: &[Row], kind: Kind, label: &str) -> Score {
    let mut score = Score::default();
    for row in rows {
        let labels: Vec<(usize, usize)> =
            row.spans.iter().filter(|span| span.r#type == label).map(|span| bytes(&row.text, span)).collect();
        let finds: Vec<Span> = find(&row.text).into_iter().filter(|span| span.kind == kind).collect();
        let meets = |span: &Span, label: &(usize, usize)| span.start < label.1 && label.0 < span.end;
        let right = finds.iter().filter(|span| labels.iter().any(|label| meets(span, label))).count();
        let found = labels.iter().filter(|label| finds.iter().any(|span| meets(span, label))).count();
        if right < finds.len() || found < labels.len() {
            eprintln!("{kind:?}: {:?} finds {finds:?}, labels {labels:?}", row.text);
        }
        score.labels += labels.len();
        score.finds += finds.len();
        score.right += right;
        score.found += found;
    }
    if score.labels == 0 {
        eprintln!("{kind:?}: recall not measured, the corpus has no such label; {} finds", score.finds);
        return score;
    }
    eprintln!(
        "{kind:?}: {} labels, {} finds, precision {:.3}, recall {:.3}, F1 {:.3}",
        score.labels,
        score.finds,
        score.precision(),
        score.recall(),
        score.f1()
    );
    score
}

fn bytes(text: &str, label: &Label) -> (usize, usize) {
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    (at(label.start), at(label.end))
}
