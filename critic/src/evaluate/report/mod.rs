//! A report of an evaluation: one HTML file that needs nothing else, for people.
//!
//! Promises: no script, no font, no picture from elsewhere; light and dark as the reader has
//! it; every name that came from files is escaped. Answers are not in it, figures only.

mod chart;

use std::fmt::Write as _;

use super::compare::Comparison;
use super::figures::{Evaluation, Figure};

const STYLE: &str = include_str!("style.css");

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Name of the critic, as in the configuration.
    pub critic: &'a str,
    /// Names of the files of cases.
    pub files: &'a [String],
    /// Digest of their content.
    pub digest: &'a str,
    /// The figures.
    pub evaluation: &'a Evaluation,
    /// Against another critic on the same cases: its name, and what came out.
    pub comparison: Option<(&'a str, &'a Comparison)>,
}

/// The report as one page.
pub fn html(report: &Report<'_>) -> String {
    let found = report.evaluation;
    let name = escaped(report.critic);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{name}: evaluation</title><style>{STYLE}</style></head><body><main>"
    );
    let mut add = |part: String| page.push_str(&part);
    add(format!("<header><h1>Critic {name}</h1><p class=\"lede\">{}</p></header>", lede(found)));
    add(figures(found));
    add(charts(found));
    if let Some((old, comparison)) = report.comparison {
        add(compared(old, comparison));
    }
    if !found.slices.is_empty() {
        add(slices(found));
    }
    add(origin(report));
    page.push_str("</main></body></html>\n");
    page
}

fn lede(found: &Evaluation) -> String {
    let mut text = format!(
        "{} of {} labelled cases from {} source texts were judged; {} of those are bad. \
         Brackets are 95 % intervals, with cases of one source text taken together.",
        found.judged, found.cases, found.groups, found.bad
    );
    let skipped = found.cases - found.judged;
    if skipped > 0 {
        let _ =
            write!(text, " {skipped} were skipped, {} of them bad: no figure below counts them.", found.bad_skipped);
    }
    if let Some(prior) = found.prior {
        let _ = write!(text, " Figures are weighted to traffic in which {} % are bad.", 100.0 * prior);
    }
    text
}

fn figures(found: &Evaluation) -> String {
    let table = [
        ("AUROC", found.auroc, "bad scores above good"),
        ("F1", found.f1, "at its threshold"),
        ("Precision", found.precision, "bad among failed"),
        ("Recall", found.recall, "failed among bad"),
        ("False alarms", found.false_alarms, "failed among good"),
        ("Accuracy", found.accuracy, "verdicts that are right"),
        ("Balanced accuracy", found.balanced_accuracy, "mean over classes"),
        ("Kappa", found.kappa, "agreement beyond chance"),
        ("Average precision", found.average_precision, "over all thresholds"),
        ("Calibration error", found.expected_calibration_error, "expected, 15 equal bins"),
        ("Brier score", found.brier, "0 is best"),
    ];
    let mut text = "<section class=\"panel figures\">".to_owned();
    for (name, figure, meaning) in table {
        let Some(figure) = figure else { continue };
        let _ = write!(
            text,
            "<div title=\"{meaning}\"><span>{name}</span><b>{:.3}</b><small>{}</small></div>",
            figure.value,
            ends(&figure)
        );
    }
    if let Some(spans) = found.spans {
        let _ = write!(
            text,
            "<div><span>Span F1</span><b>{:.3}</b><small>P {:.3}, R {:.3}, characters</small></div>",
            spans.f1, spans.precision, spans.recall
        );
    }
    text + "</section>"
}

/// The interval in brackets; empty without one.
fn ends(figure: &Figure) -> String {
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("[{low:.3}, {high:.3}]"),
        _ => String::new(),
    }
}

fn charts(found: &Evaluation) -> String {
    let mut text = "<div class=\"charts\">".to_owned();
    let mut add = |title: &str, note: &str, picture: String| {
        let _ = write!(text, "<section class=\"panel\"><h2>{title}</h2><p>{note}</p>{picture}</section>");
    };
    add("Verdicts", "Rows are what people said, columns what the critic said.", chart::confusion(&found.table));
    if !found.roc.is_empty() {
        let own = "The dot is the critic at its own threshold; the dashed line is a guess.";
        add("Precision and recall", own, chart::precision_recall(found));
        add("ROC", own, chart::roc(found));
        let honest = "On the dashed line a score of .3 means bad in three of ten. Dots are bins of equal mass.";
        add("Reliability", honest, chart::reliability(found));
        let key = "<span class=\"key\">Each class adds up to 100 %.<i style=\"background:var(--good)\"></i>good\
                   <i style=\"background:var(--bad)\"></i>bad</span>";
        add("Scores", key, chart::histogram(found));
    }
    text + &costs(found) + "</div>"
}

fn compared(old: &str, found: &Comparison) -> String {
    let mut rows = format!(
        "<tr><td>Right with one of them only</td><td>{} : {}</td><td>p {:.4}</td></tr>",
        found.only_new_right, found.only_old_right, found.verdicts_p
    );
    for (name, figure) in [("AUROC", found.auroc), ("F1", found.f1)] {
        let Some(figure) = figure else { continue };
        let _ =
            write!(rows, "<tr><td>{name}, difference</td><td>{:+.3}</td><td>{}</td></tr>", figure.value, ends(&figure));
    }
    format!(
        "<section class=\"panel\"><h2>Against {}: {}</h2><p>In pairs, on the {} cases that both judged.</p>\
         <table><tr><th></th><th>this : that</th><th></th></tr>{rows}</table></section>",
        escaped(old),
        found.conclusion.as_str(),
        found.pairs
    )
}

fn slices(found: &Evaluation) -> String {
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let mut rows = String::new();
    for (name, slice) in &found.slices {
        let name = if name.is_empty() { "(none)".to_owned() } else { escaped(name) };
        let area = slice.auroc.map_or_else(|| "–".to_owned(), |area| format!("{:.3} {}", area.value, ends(&area)));
        let _ = write!(
            rows,
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{area}</td></tr>",
            slice.cases,
            slice.judged,
            slice.bad,
            share(slice.precision),
            share(slice.recall),
            share(slice.false_alarms),
            share(slice.f1)
        );
    }
    format!(
        "<section class=\"panel wide\"><h2>By kind of case</h2><table><tr><th>kind</th><th>cases</th><th>judged</th>\
         <th>bad</th><th>precision</th><th>recall</th><th>false alarms</th><th>F1</th><th>AUROC</th></tr>{rows}</table></section>"
    )
}

fn costs(found: &Evaluation) -> String {
    let cost = found.cost;
    let mut rows = String::new();
    let mut add = |name: &str, value: String| {
        let _ = write!(rows, "<tr><td>{name}</td><td>{value}</td></tr>");
    };
    add("CPU per judged case, median", microseconds(cost.cpu_us_p50));
    add("CPU per judged case, 99th percentile", microseconds(cost.cpu_us_p99));
    add("CPU per judged case, mean", microseconds(cost.cpu_us_mean));
    if cost.tokens_mean > 0.0 {
        add("Engine tokens per judged case", format!("{:.0}", cost.tokens_mean));
    }
    add("Judged", format!("{} of {}", found.judged, found.cases));
    for (cause, count) in &found.skipped {
        add(&format!("Skipped: {}", cause.replace('_', " ")), count.to_string());
    }
    format!("<section class=\"panel\"><h2>Cost and coverage</h2><table>{rows}</table></section>")
}

fn microseconds(value: f64) -> String {
    match value {
        under if under < 1000.0 => format!("{under:.1} µs"),
        over => format!("{:.2} ms", over / 1000.0),
    }
}

fn origin(report: &Report<'_>) -> String {
    let found = report.evaluation;
    let files: Vec<String> = report.files.iter().map(|file| escaped(file)).collect();
    let rows = [
        ("Critic version", escaped(&found.critic)),
        ("Cases", files.join("<br>")),
        ("BLAKE3 of the cases", escaped(report.digest)),
        ("Share of bad among all cases", format!("{:.4}", found.prevalence)),
    ];
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!("<tr><td>{name}</td><td class=\"mono\" style=\"white-space:normal\">{value}</td></tr>")
        })
        .collect();
    format!("<section class=\"panel\"><h2>Where this comes from</h2><table>{rows}</table></section>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::measure::tests::honest;
    use crate::evaluate::{Observed, Settings, compare, measure};

    fn page(observed: &[Observed]) -> String {
        let evaluation = measure("v<1>", observed, &Settings::default());
        let comparison = compare(observed, observed, 1);
        let files = ["a&b.jsonl".to_owned()];
        let comparison = Some(("old", &comparison));
        html(&Report { critic: "grounding", files: &files, digest: "d", evaluation: &evaluation, comparison })
    }

    #[test]
    fn a_report_shows_every_picture_and_needs_nothing_from_elsewhere() {
        let page = page(&honest(300, 1));
        for title in
            ["Verdicts", "Precision and recall", "ROC", "Reliability", "Scores", "Cost and coverage", "Against old"]
        {
            assert!(page.contains(&format!("<h2>{title}")), "{title}");
        }
        assert_eq!(page.matches("<svg").count(), 5);
        assert!(
            !page.contains("http") && !page.contains("<script") && !page.contains("NaN"),
            "self-contained and whole"
        );
        assert!(page.contains("v&lt;1&gt;") && page.contains("a&amp;b.jsonl") && !page.contains("v<1>"));
    }

    #[test]
    fn a_report_of_nothing_and_of_a_rule_is_whole_too() {
        let rule: Vec<Observed> = honest(40, 1).into_iter().map(|one| Observed { score: None, ..one }).collect();
        for observed in [Vec::new(), rule] {
            let page = page(&observed);
            assert_eq!(page.matches("<svg").count(), 1);
            assert!(page.ends_with("</html>\n") && !page.contains("NaN"));
        }
    }
}
