//! Tests of training: a recipe that learns one number.

use std::time::Duration;

use super::*;
use crate::evaluate::labelled::simple;
use crate::{Case, Effort, Judgement};

/// Bad where the answer is longer than learned.
#[derive(Debug)]
struct Length(usize);

impl Critic for Length {
    fn version(&self) -> &str {
        "length-1"
    }
    fn effort(&self) -> Effort {
        Effort::Rule
    }
    fn judge(&self, case: &Case) -> Judgement {
        let length = case.answers[0].text.len();
        Judgement::scored(length as f64 / (length + self.0) as f64, 0.5, Vec::new())
    }
}

struct ByLength;

impl Recipe for ByLength {
    fn kind(&self) -> &'static str {
        "length"
    }
    fn fit(&self, cases: &[Labelled], _: u64, progress: &mut dyn FnMut(f64)) -> Result<Fitted, String> {
        progress(0.5);
        let lengths = |bad: bool| cases.iter().filter(move |c| c.bad == bad).map(|c| c.case.answers[0].text.len());
        let cut = (lengths(false).max().unwrap_or(0) + lengths(true).min().unwrap_or(0)) / 2;
        let notes = vec![format!("cut at {cut} bytes")];
        Ok(Fitted { artefact: vec![cut as u8], checksum: "c1".to_owned(), critic: self.open(&[cut as u8])?, notes })
    }
    fn open(&self, artefact: &[u8]) -> Result<Arc<dyn Critic>, String> {
        let cut = artefact.first().ok_or("the artefact is empty")?;
        Ok(Arc::new(Length(usize::from(*cut))))
    }
}

fn cases() -> Vec<Labelled> {
    let one = |i: usize| {
        let bad = i.is_multiple_of(3);
        let text = "x".repeat(if bad { 60 + i % 7 } else { 10 + i % 20 });
        Labelled::new(simple("q", Vec::new(), &text), bad).named(None, Some(format!("s{}", i / 2)))
    };
    (0..400).map(one).collect()
}

fn trained(old: Option<&dyn Critic>) -> Trained {
    let mut nothing = |_, _| {};
    let mut watch = Watch { clock: &|| Duration::ZERO, progress: &mut nothing };
    train(&ByLength, cases(), old, Plan::default(), &mut watch, &mut |_| {}).unwrap()
}

#[test]
fn a_new_critic_is_measured_where_it_did_not_learn_and_may_replace_a_poor_one() {
    let found = trained(Some(&Length(5)));
    assert_eq!(found.evaluation.auroc.unwrap().value, 1.0);
    assert_eq!(found.learned_from + found.evaluation.cases, 400);
    assert!(found.may_replace());
    assert_eq!(found.comparison.as_ref().unwrap().conclusion, Conclusion::Better);
    let again = trained(None);
    assert_eq!(again.fitted.artefact, found.fitted.artefact);
    assert!(again.may_replace() && again.comparison.is_none());
    let origin = Origin { files: vec!["a.jsonl".to_owned()], digest: "d1".to_owned() };
    let text = card(&ByLength, &found, &origin, Plan::default());
    for said in ["length-1", "c1", "d1", "a.jsonl", "AUROC | 1.000", "Conclusion: better", "Fit: cut at"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn a_worse_one_may_not_replace_and_one_class_cannot_be_learned() {
    let mut found = trained(Some(&Length(5)));
    if let Some(comparison) = &mut found.comparison {
        comparison.conclusion = Conclusion::Worse;
    }
    assert!(!found.may_replace());
    let good: Vec<Labelled> = cases().into_iter().filter(|case| !case.bad).collect();
    let mut nothing = |_, _| {};
    let mut watch = Watch { clock: &|| Duration::ZERO, progress: &mut nothing };
    let error = train(&ByLength, good, None, Plan::default(), &mut watch, &mut |_| {}).unwrap_err();
    assert!(error.contains("good and bad"), "{error}");
}
