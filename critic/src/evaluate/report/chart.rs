//! The pictures of a report, as SVG that takes its colours from the page.

use std::fmt::Write as _;

use crate::evaluate::figures::{Evaluation, Table};

/// Size of a picture.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 250.0;
/// Where its axes stand.
const LEFT: f64 = 46.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 350.0;
const BOTTOM: f64 = 214.0;

/// A picture in the making.
struct Svg(String);

impl Svg {
    fn new(what: &str) -> Self {
        Self(format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{what}\">"))
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(element);
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }

    /// Axes from 0 to 1 both ways, with what they mean.
    fn unit_axes(&mut self, x_name: &str, y_name: &str) {
        for step in 0..=4 {
            let share = f64::from(step) / 4.0;
            let (x, y) = (x_at(share), y_at(share));
            self.add(format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}M{x:.1} {TOP}V{BOTTOM}\"/>"));
            self.text(x, BOTTOM + 14.0, "middle", &format!("{share}"));
            self.text(LEFT - 5.0, y + 3.5, "end", &format!("{share}"));
        }
        self.names(x_name, y_name);
    }

    fn names(&mut self, x_name: &str, y_name: &str) {
        self.add(format_args!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>"));
        self.text((LEFT + RIGHT) / 2.0, HEIGHT - 6.0, "middle", x_name);
        let middle = (TOP + BOTTOM) / 2.0;
        self.add(format_args!(
            "<text transform=\"translate(9 {middle}) rotate(-90)\" text-anchor=\"middle\">{y_name}</text>"
        ));
    }

    fn curve(&mut self, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x_at(x), y_at(y));
        }
        self.add(format_args!("<path class=\"curve\" d=\"{path}\"/>"));
    }

    fn point(&mut self, x: f64, y: f64) {
        self.add(format_args!("<circle class=\"point\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\"/>", x_at(x), y_at(y)));
    }
}

fn x_at(share: f64) -> f64 {
    LEFT + share * (RIGHT - LEFT)
}

fn y_at(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

/// Counts of what was said against what was true.
pub(super) fn confusion(table: &Table) -> String {
    let mut svg = Svg::new("verdicts against labels");
    let cells = [
        (0.0, 0.0, "bad", table.bad_failed, "good-ground", "found"),
        (1.0, 0.0, "bad", table.bad_passed, "bad-ground", "missed"),
        (0.0, 1.0, "good", table.good_failed, "bad-ground", "false alarms"),
        (1.0, 1.0, "good", table.good_passed, "good-ground", "left alone"),
    ];
    let (left, top, wide, high) = (58.0, 26.0, 146.0, 98.0);
    for (column, row, _, count, class, name) in cells {
        let (x, y) = (left + column * (wide + 4.0), top + row * (high + 4.0));
        let of = if row == 0.0 { table.bad_failed + table.bad_passed } else { table.good_failed + table.good_passed };
        let share = if of > 0.0 { 100.0 * count / of } else { 0.0 };
        svg.add(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" rx=\"4\"/>"
        ));
        let middle = x + wide / 2.0;
        svg.add(format_args!(
            "<text class=\"big\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y + 48.0,
            count_text(count)
        ));
        svg.text(middle, y + 66.0, "middle", &format!("{share:.1} % {name}"));
    }
    svg.text(left + wide / 2.0, 18.0, "middle", "failed");
    svg.text(left + wide * 1.5 + 4.0, 18.0, "middle", "passed");
    svg.text(50.0, top + high / 2.0 + 3.0, "end", "bad");
    svg.text(50.0, top + high * 1.5 + 7.0, "end", "good");
    svg.end()
}

/// A count; a weight that is no count keeps one digit.
pub(super) fn count_text(count: f64) -> String {
    if (count - count.round()).abs() < 1e-6 { format!("{count:.0}") } else { format!("{count:.1}") }
}

/// Recall against false alarms, with the place of the critic's own threshold.
pub(super) fn roc(found: &Evaluation) -> String {
    let mut svg = Svg::new("recall against false alarms");
    svg.unit_axes("false alarms among the good", "recall");
    svg.add(format_args!("<path class=\"chance\" d=\"M{LEFT} {BOTTOM}L{RIGHT} {TOP}\"/>"));
    svg.curve(found.roc.iter().map(|point| (point[0], point[1])));
    if let (Some(alarms), Some(recall)) = (found.false_alarms, found.recall) {
        svg.point(alarms.value, recall.value);
    }
    svg.end()
}

/// Precision against recall, with the place of the critic's own threshold.
pub(super) fn precision_recall(found: &Evaluation) -> String {
    let mut svg = Svg::new("precision against recall");
    svg.unit_axes("recall", "precision");
    let base = y_at(found.precision_recall.last().map_or(0.0, |point| point[1]));
    svg.add(format_args!("<path class=\"chance\" d=\"M{LEFT} {base:.1}H{RIGHT}\"/>"));
    svg.curve(found.precision_recall.iter().map(|point| (point[0], point[1])));
    if let (Some(recall), Some(precision)) = (found.recall, found.precision) {
        svg.point(recall.value, precision.value);
    }
    svg.end()
}

/// Share of bad against score; a bin's dot is as large as its weight.
pub(super) fn reliability(found: &Evaluation) -> String {
    let mut svg = Svg::new("share of bad against score");
    svg.unit_axes("score", "share of bad");
    svg.add(format_args!("<path class=\"chance\" d=\"M{LEFT} {BOTTOM}L{RIGHT} {TOP}\"/>"));
    svg.curve(found.reliability.iter().map(|bin| (bin.score.clamp(0.0, 1.0), bin.bad)));
    let heaviest = found.reliability.iter().map(|bin| bin.weight).fold(0.0, f64::max);
    for bin in &found.reliability {
        let radius = 2.0 + 2.5 * (bin.weight / heaviest).sqrt();
        let (x, y) = (x_at(bin.score.clamp(0.0, 1.0)), y_at(bin.bad));
        svg.add(format_args!("<circle class=\"good\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>score {:.3}: {:.1} % bad</title></circle>", bin.score, 100.0 * bin.bad));
    }
    svg.end()
}

/// Good and bad by score, each as shares of its own class, so that a rare class is seen.
pub(super) fn histogram(found: &Evaluation) -> String {
    let mut svg = Svg::new("scores of good and bad answers");
    let total = |class: usize| found.histogram.iter().map(|bin| bin[class]).sum::<f64>().max(f64::MIN_POSITIVE);
    let totals = [total(0), total(1)];
    let shares: Vec<[f64; 2]> = found.histogram.iter().map(|bin| [bin[0] / totals[0], bin[1] / totals[1]]).collect();
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max).max(1e-9);
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        svg.add(format_args!("<path class=\"grid\" d=\"M{LEFT} {:.1}H{RIGHT}\"/>", y_at(share)));
        svg.text(LEFT - 5.0, y_at(share) + 3.5, "end", &format!("{:.0} %", 100.0 * share * highest));
        svg.text(x_at(share), BOTTOM + 14.0, "middle", &format!("{share}"));
    }
    let width = (RIGHT - LEFT) / shares.len().max(1) as f64;
    for (at, bin) in shares.iter().enumerate() {
        for (class, name) in [(0, "good"), (1, "bad")] {
            let x = LEFT + width * (at as f64 + 0.06 + 0.45 * class as f64);
            let high = bin[class] / highest * (BOTTOM - TOP);
            let y = BOTTOM - high;
            svg.add(format_args!(
                "<rect class=\"{name}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{high:.1}\"/>",
                width * 0.42
            ));
        }
    }
    svg.names("score", "share of its class");
    svg.end()
}
