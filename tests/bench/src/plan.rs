//! What is measured, in which order.
//!
//! Within a round every measure visits all targets one after the other, each round in
//! another order, so that a machine that is busy for a while disturbs all of them alike.

use std::collections::BTreeMap;
use std::io::{Result, Write};
use std::time::Duration;

use crate::connection::{Heed, Served};
use crate::load::{Load, Outcome, Pace, run};
use crate::process::Usage;
use crate::requests::{Chat, Requests, words};
use crate::target::Target;

/// One kind of load.
pub struct Measure {
    /// Name in the tables.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub what: String,
    /// What processor time is divided by.
    pub unit: Unit,
    /// The load.
    pub load: Load,
    /// The longest that a proxy may take afterwards to come to rest.
    pub rest: Duration,
}

/// What processor time is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Request,
    /// Server-sent events.
    Event,
}

/// One measure of one target in one round.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// What the clients saw.
    pub outcome: Outcome,
    /// Processor time of the proxy within the window.
    pub processor: Duration,
    /// Of it, that of the threads that serve requests; zero where the proxy has no such.
    pub path: Duration,
    /// Processor time of the store's process within the window.
    pub store: Duration,
    /// Processor time of the proxy for the whole load, warming up and catching up included.
    pub whole: Duration,
    /// Records that Weir could not keep, of all that were offered in this measure.
    pub lost: f64,
    /// The number of them.
    pub lost_records: f64,
    /// Requests that came to the engine meanwhile.
    pub calls: f64,
    /// Resident bytes of the proxy at the end of the window.
    pub resident_bytes: u64,
}

/// Samples by measure and target, one for each round.
pub type Samples = BTreeMap<(&'static str, &'static str), Vec<Sample>>;

/// Names of the measures.
pub const CLOSED: &str = "closed";
/// A low fixed rate.
pub const STEADY: &str = "steady";
/// A higher fixed rate.
pub const BUSY: &str = "busy";
/// Streams at the pace of an engine.
pub const PACED: &str = "paced";
/// Streams as fast as they go.
pub const SATURATED: &str = "saturated";
/// Long prompts.
pub const LONG: &str = "long";

/// All measures with a window of this length.
pub fn measures(window: Duration) -> Vec<Measure> {
    let load = |wish: &str, prompt_bytes, stream, connections, pace| Load {
        // Not a repeatable answer: no cache may keep it.
        requests: Requests::same(Chat { wish, prompt: &words(prompt_bytes), stream, temperature: "0.2" }.bytes()),
        connections,
        pace,
        heed: Heed::Answer,
        warm: window / 4,
        window,
    };
    let rest = window * 2;
    let measure = |name, unit, what: &str, load| Measure { name, what: what.to_owned(), unit, load, rest };
    vec![
        measure(
            CLOSED,
            Unit::Request,
            "64 connections, each sends its next request when the last was answered; 1 KB answers",
            load("json", 200, false, 64, Pace::Closed),
        ),
        measure(
            STEADY,
            Unit::Request,
            "500 requests/s at fixed moments over 32 connections; 1 KB answers",
            load("json", 200, false, 32, Pace::Rate(500.0)),
        ),
        measure(
            BUSY,
            Unit::Request,
            "2000 requests/s at fixed moments over 32 connections; 1 KB answers",
            load("json", 200, false, 32, Pace::Rate(2000.0)),
        ),
        measure(
            PACED,
            Unit::Event,
            "32 streams at a time, an event every 10 ms, 50 events each",
            load("events=50 pace_us=10000", 200, true, 32, Pace::Closed),
        ),
        measure(
            SATURATED,
            Unit::Event,
            "8 streams at a time, 2000 events each, as fast as the engine writes them",
            load("events=2000 pace_us=0", 200, true, 8, Pace::Closed),
        ),
        measure(
            LONG,
            Unit::Request,
            "16 connections as in `closed`, prompts of 100 KB",
            load("json", 100 << 10, false, 16, Pace::Closed),
        ),
    ]
}

/// Measures everything so many times.
pub fn go(measures: &[Measure], targets: &[Target], rounds: usize) -> Result<Samples> {
    let mut samples = Samples::new();
    for round in 0..rounds {
        for measure in measures {
            let mut order: Vec<&Target> = targets.iter().collect();
            order.rotate_left(round % targets.len());
            for target in order {
                let sample = measured(round, measure, target)?;
                samples.entry((measure.name, target.name)).or_default().push(sample);
            }
        }
    }
    Ok(samples)
}

/// Measures one target once and says so.
pub fn measured(round: usize, measure: &Measure, target: &Target) -> Result<Sample> {
    let sample = take(measure, target);
    say(round, measure, target, &sample)?;
    Ok(sample)
}

fn take(measure: &Measure, target: &Target) -> Sample {
    let of_proxy = |from: Usage, to: Usage| {
        let (own, children) = (to.own.saturating_sub(from.own), to.children.saturating_sub(from.children));
        if target.counts_children() { (own + children, Duration::ZERO) } else { (own, children) }
    };
    let (before, records, calls) = (target.usage(), Records::of(target), target.engine_calls());
    let mut marks = Vec::with_capacity(2);
    let outcome = run(target.address, &measure.load, || marks.push(target.usage()));
    // What Weir still has to write is its work too, and must not disturb the next target.
    target.settle(measure.rest);
    let (whole, _) = of_proxy(before, target.usage());
    let calls = target.engine_calls() - calls;
    let [from, to] = marks[..] else { return Sample { outcome, whole, ..Sample::default() } };
    let (processor, store) = of_proxy(from, to);
    let (lost_records, lost) = Records::of(target).lost_since(&records);
    let path = to.path.saturating_sub(from.path);
    Sample { outcome, processor, path, store, whole, lost, lost_records, calls, resident_bytes: to.own_bytes }
}

/// What became of the records, as Weir counts it.
struct Records {
    taken: f64,
    /// The outbox was full; these are in `lost` too.
    refused: f64,
    lost: f64,
}

impl Records {
    fn of(target: &Target) -> Self {
        Self {
            taken: target.metric("weir_recorder_records_total"),
            refused: target.metric("weir_outbox_refused_total"),
            lost: target.metric("weir_recorder_lost_total"),
        }
    }

    /// Records that were not kept, and their share of all.
    fn lost_since(&self, before: &Self) -> (f64, f64) {
        let (lost, refused) = (self.lost - before.lost, self.refused - before.refused);
        (lost, lost / (self.taken - before.taken + refused).max(1.0))
    }
}

fn say(round: usize, measure: &Measure, target: &Target, sample: &Sample) -> Result<()> {
    let outcome = &sample.outcome;
    let rate = match measure.unit {
        Unit::Request => format!("{:.0} requests/s", outcome.requests as f64 / outcome.seconds),
        Unit::Event => format!("{:.0} events/s", outcome.events as f64 / outcome.seconds),
    };
    let faults = match &outcome.fault {
        Some(fault) => format!(", {} faults ({fault})", outcome.faults),
        None => String::new(),
    };
    let round = round + 1;
    writeln!(
        std::io::stdout(),
        "round {round}  {:10} {:17} {rate}, {:.1} us, lost {:.3}{faults}",
        measure.name,
        target.name,
        sample.whole_cost_us(measure.unit),
        sample.lost
    )
}

impl Sample {
    /// Processor time for each unit in microseconds.
    pub fn cost_us(&self, unit: Unit) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.count(unit)
    }

    /// Processor time of the threads that serve requests for each unit in microseconds.
    pub fn path_cost_us(&self, unit: Unit) -> f64 {
        self.path.as_secs_f64() * 1e6 / self.count(unit)
    }

    /// Processor time of the store's process for each unit in microseconds.
    pub fn store_cost_us(&self, unit: Unit) -> f64 {
        self.store.as_secs_f64() * 1e6 / self.count(unit)
    }

    /// Processor time for each unit in microseconds, what is done after the answers included.
    pub fn whole_cost_us(&self, unit: Unit) -> f64 {
        let count = match unit {
            Unit::Request => self.outcome.all_requests,
            Unit::Event => self.outcome.all_events,
        };
        self.whole.as_secs_f64() * 1e6 / count.max(1) as f64
    }

    /// Share of the answers in the window that came from there.
    pub fn share(&self, from: Served) -> f64 {
        self.outcome.served[from as usize] as f64 / self.outcome.requests.max(1) as f64
    }

    fn count(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Request => self.outcome.requests.max(1) as f64,
            Unit::Event => self.outcome.events.max(1) as f64,
        }
    }
}
