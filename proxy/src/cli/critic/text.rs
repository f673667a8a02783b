//! What is printed for people.

use std::fmt::Write as _;
use std::path::Path;

use weir_critic::evaluate::{Calibration, Comparison, Evaluation, Figure};

use super::chosen::Chosen;
use super::config_file;

/// An evaluation as lines.
pub(super) fn evaluation(name: &str, found: &Evaluation, against: Option<(&str, &Comparison)>) -> String {
    let mut text = format!(
        "{name} ({}): {} of {} cases judged, {} source texts, {} bad\n\n",
        found.critic, found.judged, found.cases, found.groups, found.bad
    );
    let table = [
        ("AUROC", found.auroc),
        ("average precision", found.average_precision),
        ("F1", found.f1),
        ("precision", found.precision),
        ("recall", found.recall),
        ("false alarms", found.false_alarms),
        ("accuracy", found.accuracy),
        ("balanced accuracy", found.balanced_accuracy),
        ("kappa", found.kappa),
        ("calibration error", found.expected_calibration_error),
        ("Brier score", found.brier),
    ];
    for (name, figure) in table.into_iter().filter_map(|(name, figure)| Some((name, figure?))) {
        let _ = writeln!(text, "{name:<18} {}", shown(&figure));
    }
    if let Some(spans) = found.spans {
        let _ = writeln!(
            text,
            "{:<18} {:.3}  precision {:.3}, recall {:.3}",
            "span F1", spans.f1, spans.precision, spans.recall
        );
    }
    let cost = found.cost;
    let _ = writeln!(text, "{:<18} {:.0} µs median, {:.0} µs p99", "CPU per case", cost.cpu_us_p50, cost.cpu_us_p99);
    if cost.tokens_mean > 0.0 {
        let _ = writeln!(text, "{:<18} {:.0}", "tokens per case", cost.tokens_mean);
    }
    for (cause, count) in &found.skipped {
        let _ = writeln!(text, "{:<18} {count} {}", "skipped", cause.replace('_', " "));
    }
    if let Some((other, comparison)) = against {
        text.push('\n');
        text.push_str(&compared(other, comparison));
    }
    text
}

/// A comparison as lines.
pub(super) fn compared(other: &str, found: &Comparison) -> String {
    let mut text = format!(
        "against {other}, on {} cases that both judged: {}\nright with one only  {} here, {} there (p {:.4})\n",
        found.pairs,
        found.conclusion.as_str(),
        found.only_new_right,
        found.only_old_right,
        found.verdicts_p
    );
    for (name, figure) in [("AUROC difference", found.auroc), ("F1 difference", found.f1)] {
        if let Some(figure) = figure {
            let _ = writeln!(text, "{name:<18} {}", shown(&figure));
        }
    }
    text
}

fn shown(figure: &Figure) -> String {
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("{:.3}  [{low:.3}, {high:.3}]", figure.value),
        _ => format!("{:.3}", figure.value),
    }
}

/// A chosen threshold as lines: where it was written, or what to write.
pub(super) fn calibration(
    critic: &Chosen,
    threshold: f64,
    from: &Calibration,
    written: Option<&Path>,
) -> Result<String, String> {
    let mut text = format!("threshold {threshold} by {}, on {} cases, {} bad\n", from.method, from.cases, from.bad);
    let _ = writeln!(text, "fails {:.1} % of all cases", 100.0 * from.failed_share);
    if let (Some(precision), Some(recall), Some(f1)) = (from.precision, from.recall, from.f1) {
        let _ = writeln!(text, "expected on other cases: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}");
    }
    if let (Some(alpha), Some(delta), Some(limit), Some(n)) =
        (from.alpha, from.delta, from.passed_bad_limit, from.certified_on)
    {
        let _ = writeln!(
            text,
            "certified: at most {:.2} % of what passes is bad (limit asked for {:.2} %), confidence {:.1} %, on {n} independent cases",
            100.0 * limit,
            100.0 * alpha,
            100.0 * (1.0 - delta)
        );
    }
    match written {
        Some(file) => {
            let _ = writeln!(text, "written to {} under [critics.{}]", file.display(), critic.name);
        }
        None => {
            let lines = config_file::snippet(&critic.name, &critic.settings, threshold, from)?;
            let _ = write!(text, "nothing was written; for the configuration:\n\n{lines}");
        }
    }
    Ok(text)
}

/// What is said instead of a threshold.
pub(super) fn unreachable(alpha: f64, delta: f64, risk: f64, least_escalated: f64, cases: usize) -> String {
    let mut text = format!(
        "no threshold can be certified: at most {:.2} % bad among what passes, confidence {:.1} %, on {cases} independent cases\n",
        100.0 * alpha,
        100.0 * (1.0 - delta)
    );
    let _ = writeln!(text, "{:.1} % of them are bad", 100.0 * risk);
    if least_escalated > 0.0 {
        let _ = writeln!(text, "at least {:.1} % must go to people, however good the critic", 100.0 * least_escalated);
    } else {
        text.push_str(
            "the cases are too few or the critic ranks them too poorly; give more cases, or a larger --alpha\n",
        );
    }
    text
}
