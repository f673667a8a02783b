//! The list of exchanges: lines, volume over time, and what can be chosen in its filter.

use serde::Serialize;
use uuid::Uuid;

use super::Console;
use super::error::Failure;
use super::filter::{Cursor, Filter, Window};
use super::format::cut;
use super::rows::{Line, Volume};
use crate::exchange::Period;

/// Letters of prompt and answer in one line.
const GLIMPSE: usize = 160;
/// Bars over the whole time range, at most.
const BARS: i64 = 90;
/// Steps that people count in, in seconds.
const STEPS: [i64; 14] = [1, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];

/// One page of lines.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    pub(super) lines: Vec<Shown>,
    /// The value of `before` for the next page; none on the last.
    pub(super) next: Option<String>,
}

/// One line with its first words.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) line: Line,
    /// `good`, `warn` or `bad`.
    pub(super) class: &'static str,
    pub(super) prompt: String,
    pub(super) completion: String,
}

impl Shown {
    /// Whether critics had a word in it.
    pub(super) fn is_judged(&self) -> bool {
        let line = &self.line;
        !(line.verdict.is_empty() && line.failed_critics.is_empty() && line.skipped_critics.is_empty())
    }
}

/// Volume over time, laid out in a box of [`WIDTH`] by [`HEIGHT`].
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    /// Estimated exchanges in the highest bar.
    pub(super) peak: f64,
    /// Estimated exchanges in all.
    pub(super) total: f64,
    /// Estimated exchanges of each class: `good`, `warn`, `bad`.
    pub(super) sums: [f64; 3],
    /// Step in time, as `1m`.
    pub(super) step: String,
}

/// One step of time. Places and heights are in units of the box.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Bar {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) x: f64,
    pub(super) width: f64,
    /// Heights of `good`, `warn`, `bad`, and estimated numbers of each.
    pub(super) heights: [f64; 3],
    pub(super) counts: [f64; 3],
}

pub(super) const WIDTH: f64 = 1000.0;
pub(super) const HEIGHT: f64 = 48.0;

/// How an exchange looks at a glance; the same rule as `CLASS` of the queries.
pub(super) fn class(outcome: &str, status: u16) -> &'static str {
    match outcome {
        "complete" => "good",
        "client_left" => "warn",
        _ if (400..500).contains(&status) => "warn",
        _ => "bad",
    }
}

impl Console {
    /// One page of the list.
    pub(super) async fn lines(&self, filter: &Filter, window: Window) -> Result<Lines, Failure> {
        let rows = self.config.page_rows;
        let mut lines = self.store.lines(filter, window, rows).await?;
        let more = lines.len() > rows as usize;
        lines.truncate(rows as usize);
        let (own, given) = tokio::join!(self.store.glimpses(&lines), self.store.glimpses_of_sources(&lines));
        let (mut glimpses, given) = (own?, given?);
        let cursor = |line: &Line| {
            let exchange_id = line.id.parse::<Uuid>().ok()?;
            Some(Cursor { started_at: line.started_us, exchange_id }.to_string())
        };
        let next = if more { lines.last().and_then(cursor) } else { None };
        let show = |line: Line| {
            let found = glimpses.iter().position(|glimpse| glimpse.id == line.id);
            let own = found.map(|at| glimpses.swap_remove(at));
            // Several hits may share a source.
            let shared = || given.iter().find(|glimpse| glimpse.id == line.cache_source).cloned();
            let glimpse = shared().or(own).unwrap_or_default();
            let class = class(&line.outcome, line.status);
            Shown { class, prompt: one_line(&glimpse.prompt), completion: one_line(&glimpse.completion), line }
        };
        Ok(Lines { lines: lines.into_iter().map(show).collect(), next })
    }

    /// Volume over the time range.
    pub(super) async fn chart(&self, filter: &Filter, window: Window) -> Result<Chart, Failure> {
        let step = step_us(window);
        Ok(chart(&self.store.volume(filter, window, step).await?, window, step))
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let (shown, more) = cut(&joined, GLIMPSE);
    if more { format!("{shown}…") } else { shown.to_owned() }
}

/// The step of a chart over a time range, in microseconds.
pub(super) fn step_us(window: Window) -> i64 {
    let seconds = (window.to - window.from) / 1_000_000;
    let fits = STEPS.into_iter().find(|step| seconds / step <= BARS);
    fits.unwrap_or_else(|| (seconds / BARS / 86_400 + 1) * 86_400) * 1_000_000
}

/// Begin of the step that a time range begins in.
pub(super) fn first_step(window: Window, step: i64) -> i64 {
    window.from.div_euclid(step) * step
}

fn chart(volumes: &[Volume], window: Window, step: i64) -> Chart {
    let first = first_step(window, step);
    let steps = (window.to - first + step - 1) / step;
    let width = WIDTH / steps.max(1) as f64;
    let mut bars: Vec<Bar> = (0..steps)
        .map(|i| Bar {
            from_ms: (first + i * step) / 1000,
            to_ms: (first + (i + 1) * step) / 1000,
            x: round(i as f64 * width + width * 0.1),
            width: round(width * 0.8),
            ..Bar::default()
        })
        .collect();
    for volume in volumes {
        let at = usize::try_from((volume.at_us - first) / step).ok().and_then(|at| bars.get_mut(at));
        let class = ["good", "warn", "bad"].iter().position(|class| *class == volume.class);
        if let (Some(bar), Some(class)) = (at, class) {
            bar.counts[class] += volume.exchanges;
        }
    }
    let heights = bars.iter().map(|bar| bar.counts.iter().sum::<f64>());
    let peak = heights.fold(0.0, f64::max);
    let sums = [0, 1, 2].map(|class| bars.iter().map(|bar| bar.counts[class]).sum());
    let total = sums.iter().sum();
    for bar in bars.iter_mut().filter(|_| peak > 0.0) {
        // What is there is seen: one failure among a thousand still gets a line.
        bar.heights = bar.counts.map(|n| if n > 0.0 { round((n / peak * HEIGHT).max(1.5)) } else { 0.0 });
    }
    let step = Period::secs((step / 1_000_000).unsigned_abs()).to_string();
    Chart { bars, peak, total, sums, step }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_range_has_a_step_that_people_count_in() {
        let table = [(900, 10), (3600, 60), (21_600, 300), (86_400, 1800), (604_800, 7200), (2_592_000, 86_400)];
        for (seconds, step) in table {
            let window = Window { from: 0, to: seconds * 1_000_000 };
            assert_eq!(step_us(window), step * 1_000_000, "{seconds}");
        }
    }

    #[test]
    fn bars_fill_the_box_and_the_highest_is_the_peak() {
        let volume = |at_us, class: &str, exchanges| Volume { at_us, class: class.into(), exchanges };
        let window = Window { from: 0, to: 3_600_000_000 };
        let volumes = [volume(0, "good", 10.0), volume(60_000_000, "good", 18.0), volume(60_000_000, "bad", 2.0)];
        let chart = chart(&volumes, window, 60_000_000);
        assert_eq!((chart.bars.len(), chart.peak, chart.total, chart.sums), (60, 20.0, 30.0, [28.0, 0.0, 2.0]));
        assert_eq!(chart.bars[1].counts, [18.0, 0.0, 2.0]);
        assert_eq!(chart.bars[1].heights.iter().sum::<f64>(), HEIGHT);
        assert!(chart.bars[59].x + chart.bars[59].width <= WIDTH);
    }

    #[test]
    fn a_class_follows_from_outcome_and_status() {
        let table = [
            ("complete", 200, "good"),
            ("client_left", 200, "warn"),
            ("refused", 429, "warn"),
            ("engine_error", 404, "warn"),
            ("engine_error", 500, "bad"),
            ("broken", 200, "bad"),
            ("failed", 502, "bad"),
        ];
        for (outcome, status, expected) in table {
            assert_eq!(class(outcome, status), expected);
        }
    }

    #[test]
    fn a_glimpse_is_one_line() {
        assert_eq!(one_line("  a\n\n b\tc "), "a b c");
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), GLIMPSE + 1);
    }
}
