//! The kinds that can be trained: grounding, and classifiers of text.

use std::sync::Arc;

use super::labelled::Labelled;
use super::train::{Fitted, Recipe};
use crate::classify::artefact::{Artefact as Classifier, checksum};
use crate::classify::train::{Row, Settings as ClassifierSettings, train as train_classifier};
use crate::grounding::train::{Example, Settings as GroundingSettings, train as train_grounding};
use crate::grounding::{Artefact as Grounded, Grounding};
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip};

/// Whether answers rest on their context.
#[derive(Clone, Debug)]
pub struct GroundingRecipe {
    /// Names of the data, with licences, for the card within the artefact.
    pub sources: Vec<String>,
    /// Share of bad answers in the traffic that is meant; that of the cases where none is named.
    pub prior: Option<f64>,
}

/// Two labels of a text: good and bad.
#[derive(Clone, Debug)]
pub struct ClassifierRecipe {
    /// Names of the data, with licences, for the card within the artefact.
    pub sources: Vec<String>,
    /// Share of bad texts in the traffic that is meant; that of the cases where none is named.
    pub prior: Option<f64>,
    /// Which text of a case is judged.
    pub text: JudgedText,
}

/// A text of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedText {
    /// The first choice of the answer.
    Answer,
    /// What the user said last.
    Question,
}

impl Recipe for GroundingRecipe {
    fn kind(&self) -> &'static str {
        "grounding"
    }

    fn fit(&self, cases: &[Labelled], seed: u64, progress: &mut dyn FnMut(f64)) -> Result<Fitted, String> {
        let examples: Vec<Example> = cases.iter().map(example).collect();
        let prevalence = self.prior.unwrap_or_else(|| share_of_bad(cases));
        let defaults = GroundingSettings::default();
        let settings = GroundingSettings { seed, prevalence, data: self.sources.clone(), ..defaults };
        let told = std::cell::RefCell::new(progress);
        let artefact = train_grounding(&examples, &settings, &|share| (*told.borrow_mut())(share))?;
        let bytes = artefact.to_bytes()?;
        let notes =
            vec![format!("gradient-boosted trees over alignment features, for a share of bad of {prevalence:.3}")];
        Ok(Fitted { critic: self.open(&bytes)?, checksum: checksum(&bytes), artefact: bytes, notes })
    }

    fn open(&self, artefact: &[u8]) -> Result<Arc<dyn Critic>, String> {
        Ok(Arc::new(Grounding::of(Arc::new(Grounded::from_bytes(artefact)?), &checksum(artefact))))
    }
}

fn example(case: &Labelled) -> Example {
    Example {
        group: case.group.clone(),
        question: case.case.question().to_owned(),
        passages: case.case.context.iter().map(|passage| passage.text.clone()).collect(),
        answer: case.case.answers.first().map(|answer| answer.text.clone()).unwrap_or_default(),
        bad: case.bad,
        spans: case.spans.clone().unwrap_or_default(),
    }
}

fn share_of_bad(cases: &[Labelled]) -> f64 {
    let bad = cases.iter().filter(|case| case.bad).count();
    bad as f64 / cases.len().max(1) as f64
}

impl Recipe for ClassifierRecipe {
    fn kind(&self) -> &'static str {
        "classifier"
    }

    fn fit(&self, cases: &[Labelled], seed: u64, progress: &mut dyn FnMut(f64)) -> Result<Fitted, String> {
        let row = |case: &Labelled| Row {
            text: self.text.of(&case.case).to_owned(),
            label: if case.bad { "bad" } else { "good" }.to_owned(),
            group: Some(case.group.clone()),
        };
        let rows: Vec<Row> = cases.iter().map(row).collect();
        let settings = ClassifierSettings {
            sources: self.sources.clone(),
            positive: Some("bad".to_owned()),
            prior: self.prior,
            seed,
            ..ClassifierSettings::default()
        };
        let mut tell = |at: crate::classify::train::Progress| progress(at.done as f64 / at.total.max(1) as f64);
        let artefact = train_classifier(&rows, &settings, &mut tell).map_err(|error| error.to_string())?;
        let bytes = artefact.to_bytes();
        let notes = vec![format!("logistic regression over hashed words and pieces, {} passes", settings.epochs)];
        Ok(Fitted { critic: self.open(&bytes)?, checksum: checksum(&bytes), artefact: bytes, notes })
    }

    fn open(&self, artefact: &[u8]) -> Result<Arc<dyn Critic>, String> {
        let classifier = Classifier::read(artefact).map_err(|error| format!("the artefact {error}"))?;
        let version = format!("classifier-{}", &classifier.checksum()[..12]);
        Ok(Arc::new(Classified { classifier, version, text: self.text }))
    }
}

impl JudgedText {
    fn of(self, case: &Case) -> &str {
        match self {
            Self::Answer => case.answers.first().map_or("", |answer| &answer.text),
            Self::Question => case.question(),
        }
    }
}

/// A classifier by itself, as it is compared with another: bad from an even chance on.
#[derive(Debug)]
struct Classified {
    classifier: Classifier,
    version: String,
    text: JudgedText,
}

impl Critic for Classified {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Model
    }

    fn judge(&self, case: &Case) -> Judgement {
        let text = self.text.of(case);
        if text.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let score = self.classifier.probability(text);
        let finding = || Finding::new("classified_bad", Place::Whole, "the text is like those that people found bad");
        Judgement::scored(score, 0.5, if score >= 0.5 { vec![finding()] } else { Vec::new() })
    }
}
