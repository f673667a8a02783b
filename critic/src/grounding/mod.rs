//! Whether an answer rests on its context: sentence by sentence, by trees over how it lies beside it.
//!
//! Promises: nothing is asked of an engine; without context nothing is said; the score is a
//! calibrated probability for the prevalence on the model's card; the same case gives the
//! same judgement. What the trees are told is words, numbers, names and where they stand:
//! not what they mean. Texts are read as far as 8192 words and 1024 sentences each.

mod align;
mod features;
mod lexicon;
mod model;
mod reading;
mod source;
#[cfg(test)]
mod tests;
mod text;
pub mod train;
mod trees;
mod vocabulary;
mod wording;
mod words;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use model::Scored;
pub use model::{Artefact, Card, Risk};
use reading::Written;

use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip, Task};

/// The model that comes with the program.
const SHIPPED: &[u8] = include_bytes!("../../models/grounding.json");

/// How grounding is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Score (probability, 0..=1) from which an answer fails; the model's own threshold by default.
    pub threshold: Option<f64>,
    /// File of a model trained on other cases; the model that comes with the program by default.
    pub model: Option<PathBuf>,
    /// SHA-256 of that file in hexadecimal: another file is refused. Not checked by default.
    pub sha256: Option<String>,
    /// Sources of passages that do not count as context (`tool`, `user`, `system` or a name); none by default.
    pub ignored_sources: Vec<String>,
}

/// The critic.
#[derive(Debug)]
pub struct Grounding {
    artefact: Arc<Artefact>,
    threshold: f64,
    ignored_sources: Vec<String>,
    version: String,
}

/// The model that comes with the program, read once.
fn shipped() -> Result<Arc<Artefact>, String> {
    static READ: OnceLock<Result<Arc<Artefact>, String>> = OnceLock::new();
    READ.get_or_init(|| Artefact::from_bytes(SHIPPED).map(Arc::new)).clone()
}

/// SHA-256 in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.threshold.is_some_and(|threshold| !(threshold > 0.0 && threshold <= 1.0)) {
            faults.push(Fault::new("threshold", "is no probability above 0", "give a number above 0 and at most 1"));
        }
        let hexadecimal = |sum: &String| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        match &self.sha256 {
            Some(sum) if !hexadecimal(sum) => {
                faults.push(Fault::new(
                    "sha256",
                    "is no SHA-256",
                    "give 64 hexadecimal digits, as sha256sum prints them",
                ));
            }
            Some(_) if self.model.is_none() => {
                faults.push(Fault::new("sha256", "has no file to be the sum of", "name the file in `model`"));
            }
            _ => {}
        }
        faults
    }
}

impl Grounding {
    /// A critic with these settings; reads the model's file. Errors name the file and what is wrong.
    pub fn new(config: Config) -> Result<Self, String> {
        let (artefact, sum) = match &config.model {
            None => (shipped()?, digest(SHIPPED)),
            Some(path) => {
                let named = |fault: String| format!("{}: {fault}", path.display());
                let bytes = std::fs::read(path).map_err(|error| named(error.to_string()))?;
                let sum = digest(&bytes);
                if config.sha256.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&sum)) {
                    return Err(named(format!(
                        "has the SHA-256 {sum}, not the configured one; restore the file or change `sha256`"
                    )));
                }
                (Arc::new(Artefact::from_bytes(&bytes).map_err(named)?), sum)
            }
        };
        let threshold = config.threshold.unwrap_or(artefact.threshold);
        let version = format!("grounding-{}-{threshold:.4}", &sum[..12]);
        Ok(Self { artefact, threshold, ignored_sources: config.ignored_sources, version })
    }

    /// A critic of a model that lies in no file yet, with its own threshold; `sum` is the
    /// SHA-256 of its bytes in hexadecimal.
    pub fn of(artefact: Arc<Artefact>, sum: &str) -> Self {
        let threshold = artefact.threshold;
        let version = format!("grounding-{}-{threshold:.4}", sum.get(..12).unwrap_or(sum));
        Self { artefact, threshold, ignored_sources: Vec::new(), version }
    }

    /// The model.
    pub fn artefact(&self) -> &Artefact {
        &self.artefact
    }

    /// What is bad in one choice, where it can be told.
    fn choice(&self, case: &Case, passages: &[&str], choice: usize) -> Option<(f64, Vec<Finding>)> {
        let answer = case.answers[choice].text.as_str();
        let scored = self.artefact.score(&Written { question: case.question(), answer, passages })?;
        let findings = self.findings(answer, choice, &scored);
        Some((scored.score, findings))
    }

    /// Sentences without support, worst first; the worst one at least where the answer fails.
    fn findings(&self, answer: &str, choice: usize, scored: &Scored) -> Vec<Finding> {
        if scored.score < self.threshold {
            return Vec::new();
        }
        let mut order: Vec<usize> = (0..scored.risks.len()).collect();
        order.sort_by(|&a, &b| scored.risks[b].total_cmp(&scored.risks[a]).then(a.cmp(&b)));
        let named = |at: &usize| f64::from(scored.risks[*at]) >= self.artefact.sentence_threshold;
        let count = order.iter().take_while(|at| named(at)).count().max(1);
        let order = order.into_iter().take(count);
        order.map(|at| finding(answer, choice, scored, at)).collect()
    }
}

/// Words quoted in one finding.
const MAX_WORDS: usize = 6;

fn finding(answer: &str, choice: usize, scored: &Scored, sentence: usize) -> Finding {
    let (tokens, marks) = scored.reading.marks(sentence);
    let lost = |is: &dyn Fn(&align::Mark) -> bool| -> Vec<&str> {
        let mut words: Vec<&str> = Vec::new();
        for (token, mark) in tokens.clone().zip(marks) {
            let token = &scored.reading.aligned.text.tokens[token];
            let word = &answer[token.start..token.end];
            if !mark.present && (mark.weight > 0.0 || mark.number) && is(mark) && !words.contains(&word) {
                words.push(word);
            }
        }
        words.truncate(MAX_WORDS);
        words
    };
    let kinds = [
        ("number", "these numbers are not in the context", lost(&|mark| mark.number)),
        ("name", "these names are not in the context", lost(&|mark| mark.name)),
        ("words", "these words are not in the context", lost(&|mark| !mark.number && !mark.name)),
    ];
    let (code, message) = match kinds.into_iter().find(|(_, _, words)| !words.is_empty()) {
        Some((code, why, words)) => {
            (code, format!("{why}: {}; leave out what the context does not say", words.join(", ")))
        }
        None => match marks.iter().any(|mark| mark.denied || mark.affirmed) {
            true => (
                "negation",
                "it is negated here and not in the context, or the other way round; say it as the context does"
                    .to_owned(),
            ),
            false => (
                "claim",
                "its words are in the context, but not together like this; say it as the context does".to_owned(),
            ),
        },
    };
    Finding::new(code, Place::Text { choice }, message).at(scored.reading.sentences[sentence].span.clone())
}

impl Critic for Grounding {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Model
    }

    fn judge(&self, case: &Case) -> Judgement {
        let counts = |source: &str| !self.ignored_sources.iter().any(|ignored| ignored == source);
        let passages: Vec<&str> = case
            .context
            .iter()
            .filter(|passage| counts(&passage.source))
            .map(|passage| passage.text.as_str())
            .collect();
        if passages.is_empty() || case.task != Task::Prose {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let choices = (0..case.answers.len()).filter_map(|choice| self.choice(case, &passages, choice));
        let Some((score, findings)) = choices.reduce(|worst, next| {
            let (mut all, others) = if next.0 > worst.0 { (next.1, worst.1) } else { (worst.1, next.1) };
            all.extend(others);
            (worst.0.max(next.0), all)
        }) else {
            return Judgement::skipped(Skip::NotApplicable);
        };
        Judgement::scored(score, self.threshold, findings)
    }
}
