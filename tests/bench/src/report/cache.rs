//! What the page says of the cache of answers.

use std::fmt::Write;

use super::figures::{Figures, median, spread};
use crate::cache::{Cache, MISS, hits, misses};
use crate::connection::Served;
use crate::load::quantile_us;
use crate::plan::{Sample, Unit};
use crate::target::{NGINX_CACHE, NGINX_CACHE_SILENT, WEIR, WEIR_UNCACHED};

/// The tables of hits and misses.
pub(super) fn section(cache: &Cache) -> String {
    let figures = Figures(&cache.samples);
    let mut text = String::from("## Answers from the cache\n\n");
    if let Some(refusal) = &cache.refusal {
        let _ = writeln!(
            text,
            "**This Weir has no cache that can be turned off** (`weir check`: {refusal}). \
             Below, **cache off** is therefore the same Weir as **weir**, and its answers all come from the engine.\n"
        );
    }
    let _ = writeln!(text, "{HITS_SAY}nginx keeps its answers in files in `{}`.\n", cache.kept);
    for measure in hits(cache.miss_window) {
        let _ = writeln!(text, "### `{}`\n\n{}.\n\n{HITS_HEAD}", measure.name, measure.what);
        for target in [NGINX_CACHE, NGINX_CACHE_SILENT, WEIR] {
            text += &hit_row(&figures, measure.name, target);
        }
        text += "\n";
    }
    let measure = misses(cache.miss_window);
    let (rounds, window) = (cache.miss_rounds, cache.miss_window.as_secs_f64());
    let _ = writeln!(text, "### `{MISS}`\n\n{}: each is kept and none is found again.", measure.what);
    let _ = writeln!(text, "Both targets in turns, {rounds} rounds with windows of {window} s.\n\n{MISSES_HEAD}");
    for target in [WEIR, WEIR_UNCACHED] {
        text += &miss_row(&figures, target);
    }
    text + "\n"
}

fn hit_row(figures: &Figures<'_>, measure: &'static str, target: &'static str) -> String {
    let middle = |figure: &dyn Fn(&Sample) -> f64| figures.median(measure, target, figure);
    format!(
        "| {target} | {:.0} | {:.2} | {} | {:.2} | {:.1} | {} | {:.1} % | {:.0} | {} |\n",
        middle(&rate),
        median(figures.ratios(measure, target, NGINX_CACHE, rate)),
        costs(&middle, target),
        median(figures.ratios(measure, target, NGINX_CACHE, whole)),
        middle(&|sample| sample.store_cost_us(Unit::Request)),
        latencies(&middle),
        middle(&|sample| sample.share(Served::Hit) * 100.0),
        figures.sum(measure, target, |sample| sample.calls),
        end(&middle),
    )
}

fn miss_row(figures: &Figures<'_>, target: &'static str) -> String {
    let middle = |figure: &dyn Fn(&Sample) -> f64| figures.median(MISS, target, figure);
    let ratios = figures.ratios(MISS, target, WEIR_UNCACHED, whole);
    let spread = if target == WEIR_UNCACHED { "–".to_owned() } else { spread(&ratios) };
    format!(
        "| {target} | {:.0} | {:.2} | {} | {:.2} | {spread} | {:.1} | {} | {:.1} % | {:.2} | {} |\n",
        middle(&rate),
        median(figures.ratios(MISS, target, WEIR_UNCACHED, rate)),
        costs(&middle, target),
        median(ratios),
        middle(&|sample| sample.store_cost_us(Unit::Request)),
        latencies(&middle),
        middle(&|sample| sample.share(Served::Miss) * 100.0),
        middle(&|sample| sample.calls / sample.outcome.all_requests.max(1) as f64),
        end(&middle),
    )
}

type Middle<'a> = dyn Fn(&dyn Fn(&Sample) -> f64) -> f64 + 'a;

fn costs(middle: &Middle<'_>, target: &str) -> String {
    let path = match target.starts_with(WEIR) {
        true => format!("{:.1}", middle(&|sample| sample.path_cost_us(Unit::Request))),
        false => "–".to_owned(),
    };
    format!("{:.1} | {path} | {:.1}", middle(&|sample| sample.cost_us(Unit::Request)), middle(&whole))
}

fn latencies(middle: &Middle<'_>) -> String {
    let at = |share: f64| middle(&|sample: &Sample| quantile_us(&sample.outcome.latencies, share));
    format!("{:.0} | {:.0}", at(0.5), at(0.99))
}

fn end(middle: &Middle<'_>) -> String {
    let lost = middle(&|sample| sample.lost * 100.0);
    format!("{lost:.1} % | {:.0}", middle(&|sample| sample.outcome.faults as f64))
}

fn rate(sample: &Sample) -> f64 {
    sample.outcome.requests as f64 / sample.outcome.seconds
}

fn whole(sample: &Sample) -> f64 {
    sample.whole_cost_us(Unit::Request)
}

const HITS_SAY: &str = "\
- **nginx, cache**: `proxy_cache` of `POST` requests, its key the path and the whole body, with its access log; **no log**: without.
  **weir**: all defaults, every exchange recorded. Programs of their own, started for these measures.
- **hits**: share of answers that the proxy itself calls a hit: `Cache-Status: weir; hit`, and of nginx `$upstream_cache_status`.
  **engine calls**: requests that came to the engine in all rounds, warming up included; the two nginx share what they keep.
- **of nginx**, **of cache off**: median over the rounds of the ratio within a round.
- ";

const HITS_HEAD: &str = "\
| | requests/s | of nginx | CPU µs/request | path | all in | of nginx | store | p50 | p99 | hits | engine calls | lost | faults |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

const MISSES_HEAD: &str = "\
| | requests/s | of cache off | CPU µs/request | path | all in | of cache off | lowest to highest | store | p50 | p99 | misses | engine calls/request | lost | faults |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Outcome;
    use crate::plan::Samples;

    /// 100 answers in a second, so many hits and misses, and so much processor time each.
    fn sample(hits: u64, misses: u64, each_us: u64) -> Sample {
        let mut outcome = Outcome { requests: 100, all_requests: 200, seconds: 1.0, ..Outcome::default() };
        outcome.served[Served::Hit as usize] = hits;
        outcome.served[Served::Miss as usize] = misses;
        let whole = Duration::from_micros(200 * each_us);
        Sample { outcome, whole, calls: 200.0 - 2.0 * hits as f64, ..Sample::default() }
    }

    fn cache(samples: Samples, refusal: Option<&str>) -> Cache {
        let (miss_rounds, miss_window) = (2, Duration::from_millis(500));
        Cache { samples, kept: "/memory".to_owned(), refusal: refusal.map(str::to_owned), miss_rounds, miss_window }
    }

    fn cells<'a>(text: &'a str, part: &str, target: &str) -> Vec<&'a str> {
        let part = text.split("### ").find(|found| found.starts_with(part)).expect("the part is there");
        let line = part.lines().find(|line| line.starts_with(&format!("| {target} |"))).expect("the row is there");
        line.split(" | ").collect()
    }

    #[test]
    fn a_row_of_hits_shows_the_ratio_within_rounds_and_the_share_of_hits() {
        let samples = [
            ((crate::cache::HIT, WEIR), vec![sample(100, 0, 12), sample(98, 2, 30)]),
            ((crate::cache::HIT, NGINX_CACHE), vec![sample(100, 0, 10), sample(100, 0, 20)]),
        ];
        let text = section(&cache(samples.into(), None));
        let row = cells(&text, "`hit`", WEIR);
        assert_eq!((row[5], row[6]), ("21.0", "1.35"), "{row:?}");
        assert_eq!((row[10], row[11]), ("99.0 %", "4"), "{row:?}");
        assert!(!text.contains("has no cache"));
    }

    #[test]
    fn a_row_of_misses_shows_the_middle_and_the_ends_of_its_ratios() {
        let samples = [
            ((MISS, WEIR), vec![sample(0, 100, 33), sample(0, 100, 32), sample(0, 100, 30)]),
            ((MISS, WEIR_UNCACHED), vec![sample(0, 0, 30), sample(0, 0, 40), sample(0, 0, 30)]),
        ];
        let text = section(&cache(samples.into(), None));
        let row = cells(&text, "`miss`", WEIR);
        assert_eq!((row[6], row[7]), ("1.00", "0.80 – 1.10"), "{row:?}");
        assert_eq!((row[11], row[12]), ("100.0 %", "1.00"), "{row:?}");
    }

    #[test]
    fn a_weir_without_a_cache_is_called_so() {
        let text = section(&cache(Samples::new(), Some("unknown key 'cache'")));
        assert!(text.contains("**This Weir has no cache that can be turned off** (`weir check`: unknown key 'cache')"));
    }
}
