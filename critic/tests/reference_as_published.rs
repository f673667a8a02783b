//! Similarities equal those of the published packages (`fixtures/reference/make.py`).

use serde::Deserialize;
use weir_critic::reference::bleu::Counts;
use weir_critic::reference::{Measure, rouge};

#[derive(Deserialize)]
struct Fixture {
    corpus_bleu: f64,
    cases: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    answer: String,
    references: Vec<String>,
    bleu: f64,
    chrf: f64,
    rouge_l: Rouge,
    rouge_l_own_tokeniser: f64,
    squad: Option<Squad>,
}

#[derive(Deserialize)]
struct Rouge {
    precision: f64,
    recall: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct Squad {
    exact_match: f64,
    token_f1: f64,
}

impl Published {
    fn references(&self) -> Vec<&str> {
        self.references.iter().map(String::as_str).collect()
    }

    fn is(&self, measure: Measure, expected: f64) {
        let got = measure.similarity(&self.answer, &self.references());
        assert!((got - expected).abs() < 1e-9, "{measure:?} of {:?} is {got}, published {expected}", self.answer);
    }
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/reference/cases.json")).expect("the fixture is as make.py writes it")
}

#[test]
fn bleu_and_chrf_are_those_of_sacrebleu() {
    for case in fixture().cases {
        case.is(Measure::Bleu, case.bleu);
        case.is(Measure::Chrf, case.chrf);
    }
}

#[test]
fn bleu_of_a_corpus_is_that_of_sacrebleu() {
    let fixture = fixture();
    let mut counts = Counts::default();
    for case in fixture.cases.iter().filter(|case| case.references.len() == 1) {
        counts += Counts::of(&case.answer, &case.references());
    }
    assert!((counts.corpus() - fixture.corpus_bleu).abs() < 1e-9, "{} {}", counts.corpus(), fixture.corpus_bleu);
}

#[test]
fn rouge_l_is_that_of_rouge_score() {
    for case in fixture().cases {
        case.is(Measure::RougeL, case.rouge_l.f1);
        if case.answer.is_ascii() && case.references.iter().all(|text| text.is_ascii()) {
            case.is(Measure::RougeL, case.rouge_l_own_tokeniser);
        }
        if let [reference] = &case.references[..] {
            let got = rouge::rouge_l(&case.answer, reference);
            assert!((got.precision - case.rouge_l.precision).abs() < 1e-9, "{:?}", case.answer);
            assert!((got.recall - case.rouge_l.recall).abs() < 1e-9, "{:?}", case.answer);
        }
    }
}

#[test]
fn exact_match_and_token_f1_are_those_of_squad() {
    let cases = fixture().cases;
    assert!(cases.iter().filter(|case| case.squad.is_some()).count() > 30);
    for case in cases {
        let Some(squad) = &case.squad else { continue };
        case.is(Measure::ExactMatch, squad.exact_match);
        case.is(Measure::TokenF1, squad.token_f1);
    }
}
