//! The page of results: medians of ratios, each with its target.

mod cache;
mod figures;
mod replay;

use std::fmt::Write;
use std::io::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use figures::{Figures, median, mib, spread};

use crate::cache::{Cache, HIT, MISS};
use crate::connection::Served;
use crate::load::quantile_us;
use crate::machine;
use crate::options::Options;
use crate::plan::{self, Measure, Sample, Samples, Unit};
use crate::replay::Replay;
use crate::target::{self, DIRECT, Kind, NGINX, NGINX_CACHE, Target, WEIR, WEIR_ALONE, WEIR_UNCACHED};

/// What must hold: the name of a figure, the most it may be, and its unit.
const LIMITS: [(&str, f64, &str); 9] = [
    ("processor time per request, recording included, of nginx's", 1.6, "times"),
    ("the same on the request path alone", 1.6, "times"),
    ("processor time per event of a saturated stream, recording included, of nginx's", 1.3, "times"),
    ("the same on the request path alone", 1.3, "times"),
    ("99th percentile of pauses in a paced stream, beyond direct", 1000.0, "µs"),
    ("resident memory before any load, without the store's process", 15.0, "MiB"),
    ("start of the program to its first answer, store included", 50.0, "ms"),
    ("processor time per hit of the cache, recording included, of nginx's `proxy_cache`", 1.0, "times"),
    ("processor time per miss, recording included, of the same Weir's with its cache off", 1.05, "times"),
];

/// With a smaller share of hits or misses than this, a figure is not that of hits or misses.
const LEAST_SHARE: f64 = 0.99;

/// Everything that a page tells.
pub struct Page<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// What was measured.
    pub measures: &'a [Measure],
    /// On what.
    pub targets: Vec<&'static str>,
    /// With which results.
    pub results: Results,
    /// Load of the machine before the run.
    pub load_before: String,
}

/// What a run found.
pub struct Results {
    /// Of the measures, by name and target.
    pub samples: Samples,
    /// Times to the first answer.
    pub starts: Starts,
    /// Memory before the load.
    pub idle: Memory,
    /// Memory some seconds after it.
    pub after: Memory,
    /// What the cache gives and costs.
    pub cache: Cache,
    /// Real traces, or why there are none.
    pub replays: std::result::Result<Vec<Replay>, String>,
}

/// Milliseconds from the start of a program to its first answer.
pub struct Starts {
    nginx: Vec<f64>,
    weir: Vec<f64>,
    alone: Vec<f64>,
}

impl Starts {
    /// Starts each program some times, on a new folder each time.
    pub fn take(options: &Options, engine: std::net::SocketAddr, folder: &Path) -> Result<Self> {
        let mut starts = Self { nginx: Vec::new(), weir: Vec::new(), alone: Vec::new() };
        let millis = |took: Duration| took.as_secs_f64() * 1e3;
        for number in 0..options.starts {
            let place = |name: &str| folder.join(format!("start-{number}-{name}"));
            starts.nginx.push(millis(target::nginx_start(options, engine, &place("nginx"))?));
            starts.weir.push(millis(target::weir(options, engine, &place("weir"), Kind::Defaults)?.1));
            starts.alone.push(millis(target::weir(options, engine, &place("alone"), Kind::StoreDown)?.1));
        }
        Ok(starts)
    }
}

/// Resident MiB of each target: its own and its children's.
pub struct Memory(Vec<(&'static str, f64, f64)>);

impl Memory {
    /// Looks after the targets have come to rest, at most after `limit`.
    pub fn of(targets: &[Target], limit: Duration) -> Self {
        let look = |target: &Target| {
            target.settle(limit);
            let usage = target.usage();
            let (own, children) = (mib(usage.own_bytes), mib(usage.children_bytes));
            if target.counts_children() { (target.name, own + children, 0.0) } else { (target.name, own, children) }
        };
        Self(targets.iter().map(look).collect())
    }

    fn of_target(&self, name: &str) -> (f64, f64) {
        self.0.iter().find(|entry| entry.0 == name).map_or((0.0, 0.0), |entry| (entry.1, entry.2))
    }
}

impl Page<'_> {
    /// The page in Markdown.
    pub fn text(&self) -> String {
        let mut page =
            String::from("# What Weir costs\n\nWritten by `make bench`; every figure below comes from one run.\n\n");
        page += &format!("{}\n{}\n", self.head(), self.verdicts());
        page += "## What the words mean\n\n";
        page += INTRODUCTION;
        for measure in self.measures {
            page += &self.table(measure);
        }
        page += &cache::section(&self.results.cache);
        page += &traces(self.results.replays.as_deref());
        page += &self.start_and_memory();
        page
    }

    /// What must hold and whether it does.
    pub fn verdicts(&self) -> String {
        let gap = |sample: &Sample| quantile_us(&sample.outcome.gaps, 0.99);
        let whole = |unit| move |sample: &Sample| sample.whole_cost_us(unit);
        let (figures, cache) = (self.figures(), Figures(&self.results.cache.samples));
        let lines = [
            (figures.ratios(plan::CLOSED, WEIR, NGINX, whole(Unit::Request)), None),
            (figures.path_ratios(plan::CLOSED, Unit::Request), None),
            (figures.ratios(plan::SATURATED, WEIR, NGINX, whole(Unit::Event)), None),
            (figures.path_ratios(plan::SATURATED, Unit::Event), None),
            (figures.differences(plan::PACED, WEIR, gap), None),
            (vec![self.results.idle.of_target(WEIR).0], None),
            (self.results.starts.weir.clone(), None),
            (
                cache.ratios(HIT, WEIR, NGINX_CACHE, whole(Unit::Request)),
                flaw(&cache, (HIT, WEIR), Served::Hit).or_else(|| flaw(&cache, (HIT, NGINX_CACHE), Served::Hit)),
            ),
            (cache.ratios(MISS, WEIR, WEIR_UNCACHED, whole(Unit::Request)), flaw(&cache, (MISS, WEIR), Served::Miss)),
        ];
        let mut text = String::from("| target | limit | measured | lowest to highest | met |\n");
        text += "| --- | ---: | ---: | ---: | --- |\n";
        for ((name, limit, unit), (figures, flaw)) in LIMITS.iter().zip(lines) {
            let (spread, middle) = (spread(&figures), median(figures));
            let met = match flaw {
                Some(flaw) => format!("**no**: {flaw}"),
                None if middle <= *limit => "yes".to_owned(),
                None => "**no**".to_owned(),
            };
            let _ = writeln!(text, "| {name} | {limit} {unit} | {middle:.2} {unit} | {spread} | {met} |");
        }
        text
    }

    fn figures(&self) -> Figures<'_> {
        Figures(&self.results.samples)
    }

    fn head(&self) -> String {
        let nginx = machine::first_line(Command::new(&self.options.nginx).arg("-v"));
        let weir = machine::first_line(Command::new(&self.options.weir).arg("--version"));
        let (rounds, window) = (self.options.rounds, self.options.window.as_secs_f64());
        format!(
            "- Run: {}\n- Machine: {}\n- Programs: {weir}; {nginx} with {} workers\n- Load of the machine: {} before, {} after\n- {rounds} rounds, windows of {window} s; \
             client, engine and proxy share the machine, nothing is pinned\n",
            self.options.label,
            machine::describe(),
            self.options.cores,
            self.load_before,
            machine::load(),
        )
    }

    fn table(&self, measure: &Measure) -> String {
        let unit = if measure.unit == Unit::Event { "event" } else { "request" };
        let mut text = format!("## `{}`\n\n{}.\n\n", measure.name, measure.what);
        let streams = measure.unit == Unit::Event;
        let timed = if streams { "first p50 | added | gap p99 | added" } else { "p50 | p99 | added p50 | added p99" };
        let _ = writeln!(
            text,
            "| | {unit}s/s | of direct | CPU µs/{unit} | path | all in | of nginx | store | {timed} | lost | faults |"
        );
        text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
        for target in &self.targets {
            text += &self.row(measure, target);
        }
        text + "\n"
    }

    fn row(&self, measure: &Measure, target: &'static str) -> String {
        let (name, unit) = (measure.name, measure.unit);
        let rate = |sample: &Sample| match unit {
            Unit::Request => sample.outcome.requests as f64 / sample.outcome.seconds,
            Unit::Event => sample.outcome.events as f64 / sample.outcome.seconds,
        };
        let whole = |sample: &Sample| sample.whole_cost_us(unit);
        let figures = self.figures();
        let middle = |figure: &dyn Fn(&Sample) -> f64| figures.median(name, target, figure);
        let added = |figure: &dyn Fn(&Sample) -> f64| median(figures.differences(name, target, figure));
        let first = |share| move |sample: &Sample| quantile_us(&sample.outcome.firsts, share);
        let gap = |share| move |sample: &Sample| quantile_us(&sample.outcome.gaps, share);
        let latency = |share| move |sample: &Sample| quantile_us(&sample.outcome.latencies, share);
        let timed = match unit {
            Unit::Event => [middle(&first(0.5)), added(&first(0.5)), middle(&gap(0.99)), added(&gap(0.99))],
            Unit::Request => {
                [middle(&latency(0.5)), middle(&latency(0.99)), added(&latency(0.5)), added(&latency(0.99))]
            }
        };
        let own = if target == DIRECT { None } else { Some(()) };
        let shown = |figure: f64| own.map_or("–".to_owned(), |()| format!("{figure:.1}"));
        format!(
            "| {target} | {:.0} | {:.2} | {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} % | {:.0} |\n",
            middle(&rate),
            median(figures.ratios(name, target, DIRECT, rate)),
            shown(middle(&|sample| sample.cost_us(unit))),
            if target.starts_with(WEIR) {
                shown(middle(&|sample| sample.path_cost_us(unit)))
            } else {
                "–".to_owned()
            },
            shown(middle(&whole)),
            own.map_or("–".to_owned(), |()| format!("{:.2}", median(figures.ratios(name, target, NGINX, whole)))),
            shown(middle(&|sample| sample.store_cost_us(unit))),
            timed[0],
            timed[1],
            timed[2],
            timed[3],
            middle(&|sample| sample.lost * 100.0),
            middle(&|sample| sample.outcome.faults as f64),
        )
    }

    fn start_and_memory(&self) -> String {
        let mut text = String::from("## Start and memory\n\n");
        text +=
            "First answer: from the start of the program, on an empty data folder, to the first answer through it.\n";
        text += "Memory: resident MiB before any load, the most at the end of a window, and after the last load.\n\n";
        text += "| | first answer, ms | idle | under load | afterwards | store, afterwards |\n";
        text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
        let rows = [
            (NGINX, &self.results.starts.nginx),
            (WEIR, &self.results.starts.weir),
            (WEIR_ALONE, &self.results.starts.alone),
        ];
        for (name, starts) in rows {
            let samples = self.results.samples.iter().filter(|(key, _)| key.1 == name).flat_map(|(_, samples)| samples);
            let most = samples.map(|sample| mib(sample.resident_bytes)).fold(0.0, f64::max);
            let (idle, (after, store)) = (self.results.idle.of_target(name).0, self.results.after.of_target(name));
            let start = median(starts.clone());
            let most = if name == NGINX { "–".to_owned() } else { format!("{most:.1}") };
            let _ = writeln!(text, "| {name} | {start:.1} | {idle:.1} | {most} | {after:.1} | {store:.0} |");
        }
        text
    }
}

/// The part of a page about traces, alone.
pub fn traces(replays: std::result::Result<&[Replay], &String>) -> String {
    replay::section(replays)
}

/// What speaks against a figure: too few of the answers came from where they should.
fn flaw(figures: &Figures<'_>, (measure, target): (&'static str, &'static str), from: Served) -> Option<String> {
    let share = figures.median(measure, target, |sample| sample.share(from));
    let what = if from == Served::Hit { "hits" } else { "misses" };
    (share < LEAST_SHARE).then(|| format!("{:.0} % {what} at {target}", share * 100.0))
}

const INTRODUCTION: &str = "\
- **direct**: the engine without a proxy. **nginx**: `proxy_pass` with keep-alive, unbuffered, with its access log; **no log**: without.
  **weir**: all defaults, every exchange recorded to the embedded ClickHouse engine. **store down**: the same, ClickHouse unreachable.
- Requests have a temperature of 0.2, so no cache takes them; those that one may take are under *Answers from the cache* and *Traces of real services*.
- The engine answers at once, so all that is seen is the way to it. Real engines are thousands of times slower.
- **of direct**, **of nginx**: median over the rounds of the ratio within a round. All else: median over the rounds.
- **CPU**: user and system time of the proxy's processes within the window.
  **path**: of it, the threads of Weir that serve requests.
  **all in**: for the whole load until the proxy is at rest again; Weir digests and writes records after their answers. \
**of nginx** compares this.
- **store**: processor time of ClickHouse's own process within the window.
- Times are in µs. In `steady` and `busy` they count from the moment at which the request should have left.
  **added**: beyond direct.
- **lost**: share of records that were not kept, counted by Weir. **faults**: answers that were not a whole 200.

";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Outcome;

    #[test]
    fn a_figure_of_hits_that_were_none_is_not_met() {
        let of = |hits: u64| {
            let mut outcome = Outcome { requests: 200, ..Outcome::default() };
            outcome.served[Served::Hit as usize] = hits;
            let samples = Samples::from([((HIT, WEIR), vec![Sample { outcome, ..Sample::default() }])]);
            flaw(&Figures(&samples), (HIT, WEIR), Served::Hit)
        };
        assert_eq!(of(199), None);
        assert_eq!(of(50).as_deref(), Some("25 % hits at weir"));
    }
}
