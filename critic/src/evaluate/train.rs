//! Critics fitted from labelled cases, and shown beside the old ones before they are offered.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::compare::{Comparison, Conclusion, compare};
use super::figures::{Evaluation, Figure};
use super::labelled::Labelled;
use super::measure::{Settings, measure};
use super::observe::{Judge, Watch, observe};
use super::split::hold_out;
use crate::Critic;

/// How a kind of critic is fitted. Deterministic: the same cases and seed give the same bytes.
pub trait Recipe {
    /// The kind, as in the configuration.
    fn kind(&self) -> &'static str;

    /// Fits the critic; errors say what to change about the cases. May split `cases` further,
    /// by group, to stop early or to calibrate. `progress` hears the share that is done.
    fn fit(&self, cases: &[Labelled], seed: u64, progress: &mut dyn FnMut(f64)) -> Result<Fitted, String>;

    /// The critic that an artefact of this kind holds, to compare with it.
    fn open(&self, artefact: &[u8]) -> Result<Arc<dyn Critic>, String>;
}

/// A fitted critic.
#[derive(Debug)]
pub struct Fitted {
    /// What is written to a file, and read by the critic's settings.
    pub artefact: Vec<u8>,
    /// SHA-256 of it, in hexadecimal digits.
    pub checksum: String,
    /// The critic that reads it.
    pub critic: Arc<dyn Critic>,
    /// For the card: what was fitted, with which settings; one line each.
    pub notes: Vec<String>,
}

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Share of the source texts that is held out.
    pub held_out: f64,
    /// What decides the split and the fit.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { held_out: 0.2, seed: 1 }
    }
}

/// A new critic beside the old one, on cases that the new one never saw.
#[derive(Debug)]
pub struct Trained {
    /// The new critic.
    pub fitted: Fitted,
    /// What it is worth on the held-out cases.
    pub evaluation: Evaluation,
    /// Against the old one, where there is one.
    pub comparison: Option<Comparison>,
    /// Cases that it learned from.
    pub learned_from: usize,
}

/// What is known of where the cases came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Origin {
    /// Names of the files.
    pub files: Vec<String>,
    /// BLAKE3 of their content.
    pub digest: String,
}

impl Trained {
    /// Whether it may take the old one's place: not where it is shown to be worse.
    pub fn may_replace(&self) -> bool {
        self.comparison.as_ref().is_none_or(|found| found.conclusion != Conclusion::Worse)
    }
}

/// Fits a critic on a part of the cases and measures it on the rest, never one source text on both sides.
pub fn train(
    recipe: &dyn Recipe,
    cases: Vec<Labelled>,
    old: Option<&dyn Critic>,
    plan: Plan,
    watch: &mut Watch<'_>,
    step: &mut dyn FnMut(f64),
) -> Result<Trained, String> {
    let (learn, held) = hold_out(cases, plan.held_out, plan.seed);
    let has_both = |cases: &[Labelled]| cases.iter().any(|case| case.bad) && cases.iter().any(|case| !case.bad);
    if !has_both(&learn) || !has_both(&held) {
        return Err("both parts need good and bad cases; give more cases, or from more source texts".to_owned());
    }
    let fitted = recipe.fit(&learn, plan.seed, step)?;
    let new = observe(&Judge::Alone(&*fitted.critic), &held, watch);
    let evaluation = measure(fitted.critic.version(), &new, &Settings { prior: None, seed: plan.seed });
    let comparison = old.map(|old| compare(&observe(&Judge::Alone(old), &held, watch), &new, plan.seed));
    Ok(Trained { fitted, evaluation, comparison, learned_from: learn.len() })
}

/// The card that stands beside an artefact, in Markdown: what it is, from what, how good.
pub fn card(recipe: &dyn Recipe, trained: &Trained, origin: &Origin, plan: Plan) -> String {
    let Trained { fitted, evaluation, comparison, learned_from } = trained;
    let mut text = format!("# A {} critic\n\n", recipe.kind());
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "- {name}: {value}");
    };
    line("Version", fitted.critic.version().to_owned());
    line("SHA-256 of the artefact", fitted.checksum.clone());
    line("Learned from", format!("{learned_from} cases of {}", origin.files.join(", ")));
    line("BLAKE3 of the cases", origin.digest.clone());
    line(
        "Held out",
        format!("{} cases of {} source texts, none of them learned from", evaluation.cases, evaluation.groups),
    );
    line("Share of bad among them", format!("{:.3}", evaluation.prevalence));
    line("Seed", plan.seed.to_string());
    for note in &fitted.notes {
        line("Fit", note.clone());
    }
    text.push_str(
        "\n## On the held-out cases (95 % intervals over source texts)\n\n| figure | value |\n| --- | --- |\n",
    );
    let figures = [
        ("AUROC", evaluation.auroc),
        ("Average precision", evaluation.average_precision),
        ("F1", evaluation.f1),
        ("Precision", evaluation.precision),
        ("Recall", evaluation.recall),
        ("Balanced accuracy", evaluation.balanced_accuracy),
        ("Kappa", evaluation.kappa),
        ("Expected calibration error", evaluation.expected_calibration_error),
    ];
    for (name, figure) in figures.into_iter().filter_map(|(name, figure)| Some((name, figure?))) {
        let _ = writeln!(text, "| {name} | {} |", shown(figure));
    }
    if let Some(spans) = evaluation.spans {
        let _ = writeln!(text, "| Character F1 of spans | {:.3} |", spans.f1);
    }
    let cost = evaluation.cost;
    let _ = writeln!(text, "| CPU per case, p50 / p99 | {:.0} µs / {:.0} µs |", cost.cpu_us_p50, cost.cpu_us_p99);
    if let Some(found) = comparison {
        let _ = writeln!(text, "\n## Against the old one, in pairs\n\n- Conclusion: {}", found.conclusion.as_str());
        let _ = writeln!(
            text,
            "- Only the old one right: {}; only the new one: {} (mid-p {:.4})",
            found.only_old_right, found.only_new_right, found.verdicts_p
        );
        for (name, figure) in [("AUROC", found.auroc), ("F1", found.f1)] {
            if let Some(figure) = figure {
                let _ = writeln!(text, "- Difference of {name}: {}", shown(figure));
            }
        }
    }
    text
}

fn shown(figure: Figure) -> String {
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("{:.3} ({low:.3} to {high:.3})", figure.value),
        _ => format!("{:.3}", figure.value),
    }
}

#[cfg(test)]
#[path = "train_tests.rs"]
mod tests;
