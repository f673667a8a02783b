//! What the cache did, from the store's rows: outcomes over time, reasons, savings.
//!
//! Pure but for [`Access::cache_steps`] and [`Access::cache_events`]. All figures are
//! Horvitz–Thompson estimates, as everywhere in the console: each row counts 1/p.
//!
//! **Hit share** is what was answered without asking the engine (hits and shared
//! generations) among what was looked up; a bypass was not looked up.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::console::error::Failure;
use crate::console::filter::{Filter, Window};
use crate::console::list::{first_step, step_us};
use crate::console::statement::{Statement, Value};
use crate::console::store::Access;
use crate::exchange::cached::{Bypass, Miss};

/// The outcomes that are drawn, in the order of their layers.
pub(super) const OUTCOMES: [&str; 4] = ["hit", "collapsed", "miss", "bypass"];

/// Kinds of events that tell what people did to the cache.
pub(super) const EVICTED: &str = "cache_evicted";
/// The same for a flush.
pub(super) const FLUSHED: &str = "cache_flushed";

/// Estimated exchanges of one outcome and reason within one step of time.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(super) struct Step {
    /// Begin of the step, microseconds since the Unix epoch.
    at_us: i64,
    outcome: String,
    reason: String,
    rows: u64,
    exchanges: f64,
    /// Variance of `exchanges`.
    variance: f64,
    prompt_tokens: f64,
    completion_tokens: f64,
    engine_us: f64,
}

/// What the cache did over a time range.
#[derive(Debug, Default, Serialize)]
pub(super) struct History {
    /// Rows that the estimates rest on.
    pub(super) rows: u64,
    pub(super) sums: Sums,
    /// Bypasses and misses by reason, most first.
    pub(super) reasons: Vec<Reason>,
    pub(super) series: Series,
}

/// Estimated exchanges on routes that have a cache, and what was saved.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Sums {
    pub(super) all: f64,
    /// Standard error of `all`.
    pub(super) all_error: f64,
    pub(super) hit: f64,
    pub(super) collapsed: f64,
    pub(super) miss: f64,
    pub(super) bypass: f64,
    pub(super) looked_up: f64,
    /// Among what was looked up; none where nothing was.
    pub(super) hit_ratio: Option<f64>,
    pub(super) bypass_ratio: Option<f64>,
    pub(super) saved_prompt_tokens: f64,
    pub(super) saved_completion_tokens: f64,
    pub(super) saved_engine_seconds: f64,
}

/// Why exchanges were not answered from the cache.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Reason {
    /// `bypass` or `miss`.
    pub(super) outcome: &'static str,
    pub(super) reason: String,
    pub(super) exchanges: f64,
    /// Among all exchanges on routes that have a cache.
    pub(super) share: f64,
}

/// Columns for the charts; every column is as long as `at`.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Series {
    /// Begin of each step, milliseconds since the Unix epoch.
    pub(super) at: Vec<i64>,
    /// Milliseconds between two steps.
    pub(super) every: i64,
    /// Estimated exchanges per minute.
    pub(super) hit: Vec<f64>,
    pub(super) collapsed: Vec<f64>,
    pub(super) miss: Vec<f64>,
    pub(super) bypass: Vec<f64>,
    /// Among what was looked up within the step.
    pub(super) hit_ratio: Vec<Option<f64>>,
}

/// What a person did to the cache.
#[derive(Clone, Debug, Row, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) at_us: i64,
    pub(super) kind: String,
    pub(super) exchange: String,
    pub(super) tenant: String,
    pub(super) route: String,
    /// Who did it, as in `admin`.
    pub(super) who: String,
    /// How they came in: `session` or `token`.
    pub(super) by: String,
    /// From which address.
    pub(super) from: String,
    pub(super) instance: String,
}

fn statement(filter: &Filter, window: Window, step: i64) -> Result<Statement, Failure> {
    let saved = |name: &str| format!("saved_{name} / p");
    let select = format!(
        "WITH inclusion_probability AS p SELECT intDiv(toUnixTimestamp64Micro(started_at), {{step:Int64}}) * \
         {{step:Int64}} AS at_us, cache AS outcome, cache_reason AS reason, count() AS rows, sum(1 / p) AS exchanges, \
         sum((1 - p) / pow(p, 2)) AS variance, sum({}) AS prompt_tokens, sum({}) AS completion_tokens, \
         sum(saved_engine_us / p) AS engine_us FROM exchanges FINAL",
        saved("prompt_tokens"),
        saved("completion_tokens"),
    );
    // What is searched for is an entry's text; the history is of all exchanges.
    let filter = Filter { text: String::new(), cache: String::new(), ..filter.clone() };
    let mut statement = Statement::of(select).matching(&filter, window)?.bind("step", Value::Int(step));
    statement.and("cache IN ('hit', 'collapsed', 'miss', 'bypass')");
    Ok(statement.then("GROUP BY at_us, outcome, reason ORDER BY at_us"))
}

impl Access {
    /// What the cache did in a time range.
    pub(super) async fn cache_steps(&self, filter: &Filter, window: Window) -> Result<History, Failure> {
        let step = step_us(window);
        let steps = self.all("cache", statement(filter, window, step)?).await?;
        Ok(History::of(&steps, window, step))
    }

    /// What people did to it, newest first.
    pub(super) async fn cache_events(&self) -> Result<Vec<Done>, Failure> {
        let told = |field: &str| format!("JSONExtractString(detail, '{field}') AS {field}");
        let sql = format!(
            "SELECT toUnixTimestamp64Micro(at) AS at_us, kind, toString(exchange_id) AS exchange, tenant, route, {}, \
             {}, {}, instance FROM events WHERE kind IN ('{EVICTED}', '{FLUSHED}') ORDER BY at DESC LIMIT 1 BY \
             event_id LIMIT 20",
            told("who"),
            told("by"),
            told("from"),
        );
        self.all("cache_events", Statement::of(sql)).await
    }
}

impl History {
    fn of(steps: &[Step], window: Window, step: i64) -> Self {
        let sums = Sums::of(steps);
        Self {
            rows: steps.iter().map(|step| step.rows).sum(),
            reasons: reasons(steps, sums.all),
            series: Series::of(steps, window, step),
            sums,
        }
    }
}

impl Sums {
    fn of(steps: &[Step]) -> Self {
        let sum = |value: fn(&Step) -> f64| steps.iter().map(value).sum::<f64>();
        let of = |outcome: &str| {
            let those = steps.iter().filter(|step| step.outcome == outcome);
            those.map(|step| step.exchanges).sum::<f64>()
        };
        let [hit, collapsed, miss, bypass] = OUTCOMES.map(of);
        let looked_up = hit + collapsed + miss;
        let all = looked_up + bypass;
        Self {
            all,
            all_error: sum(|step| step.variance).sqrt(),
            hit,
            collapsed,
            miss,
            bypass,
            looked_up,
            hit_ratio: (looked_up > 0.0).then(|| (hit + collapsed) / looked_up),
            bypass_ratio: (all > 0.0).then(|| bypass / all),
            saved_prompt_tokens: sum(|step| step.prompt_tokens),
            saved_completion_tokens: sum(|step| step.completion_tokens),
            saved_engine_seconds: sum(|step| step.engine_us) / 1e6,
        }
    }
}

/// In the order of frequency; among equals as the closed sets have them.
fn reasons(steps: &[Step], all: f64) -> Vec<Reason> {
    let misses = Miss::ALL.map(|cause| ("miss", cause.as_str()));
    let bypasses = Bypass::ALL.map(|cause| ("bypass", cause.as_str()));
    let count = |(outcome, reason): (&'static str, &str)| {
        let those = steps.iter().filter(|step| step.outcome == outcome && step.reason == reason);
        let exchanges = those.map(|step| step.exchanges).sum::<f64>();
        Reason { outcome, reason: reason.to_owned(), exchanges, share: exchanges / all }
    };
    let mut reasons: Vec<_> = misses.into_iter().chain(bypasses).map(count).collect();
    reasons.retain(|reason| reason.exchanges > 0.0);
    reasons.sort_by(|a, b| b.exchanges.total_cmp(&a.exchanges));
    reasons
}

impl Series {
    fn of(steps: &[Step], window: Window, step: i64) -> Self {
        // A step that the time range has little of would show a rate of nothing but chance.
        let within = |at: i64| ((at + step).min(window.to) - at.max(window.from)).max(step / 4);
        let begins = std::iter::successors(Some(first_step(window, step)), |at| Some(at + step));
        let begins: Vec<i64> = begins.take_while(|at| *at < window.to).collect();
        let column = |outcome: &str| {
            let mut column = vec![0.0; begins.len()];
            for found in steps.iter().filter(|found| found.outcome == outcome) {
                if let Ok(at) = begins.binary_search(&found.at_us) {
                    column[at] += found.exchanges / (within(found.at_us) as f64 / 60e6);
                }
            }
            column
        };
        let [hit, collapsed, miss, bypass] = OUTCOMES.map(column);
        let ratio = |at: usize| {
            let looked_up = hit[at] + collapsed[at] + miss[at];
            (looked_up > 0.0).then(|| (hit[at] + collapsed[at]) / looked_up)
        };
        let hit_ratio = (0..begins.len()).map(ratio).collect();
        Self {
            at: begins.iter().map(|at| at / 1000).collect(),
            every: step / 1000,
            hit,
            collapsed,
            miss,
            bypass,
            hit_ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from: 0, to: 3_600_000_000 };
    const MINUTE: i64 = 60_000_000;

    fn step(at_us: i64, outcome: &str, reason: &str, exchanges: f64) -> Step {
        Step { at_us, outcome: outcome.into(), reason: reason.into(), rows: 1, exchanges, ..Step::default() }
    }

    #[test]
    fn a_shared_generation_counts_as_answered_and_a_bypass_not_as_looked_up() {
        let steps = [
            step(0, "hit", "", 30.0),
            step(0, "collapsed", "", 10.0),
            step(MINUTE, "miss", "absent", 40.0),
            step(MINUTE, "bypass", "sampled", 20.0),
        ];
        let history = History::of(&steps, WINDOW, MINUTE);
        assert_eq!((history.rows, history.sums.all, history.sums.looked_up), (4, 100.0, 80.0));
        assert_eq!((history.sums.hit_ratio, history.sums.bypass_ratio), (Some(0.5), Some(0.2)));
        let shares: Vec<_> = history.reasons.iter().map(|reason| (reason.reason.as_str(), reason.share)).collect();
        assert_eq!(shares, [("absent", 0.4), ("sampled", 0.2)]);
    }

    #[test]
    fn every_column_is_as_long_as_the_time_and_says_nothing_where_nothing_was_looked_up() {
        let steps = [step(0, "hit", "", 5.0), step(0, "miss", "absent", 5.0), step(MINUTE, "bypass", "api", 6.0)];
        let series = Series::of(&steps, WINDOW, MINUTE);
        assert_eq!((series.at.len(), series.hit.len(), series.hit_ratio.len()), (60, 60, 60));
        assert_eq!((series.hit[0], series.miss[0], series.bypass[1]), (5.0, 5.0, 6.0));
        assert_eq!(series.hit_ratio[..3], [Some(0.5), None, None]);
    }

    #[test]
    fn a_step_cut_by_the_time_range_has_the_rate_of_its_rest_but_no_wild_one() {
        let window = Window { from: 30_000_000, to: 2 * MINUTE + 10_000_000 };
        let steps = [step(0, "hit", "", 30.0), step(MINUTE, "hit", "", 60.0), step(2 * MINUTE, "hit", "", 5.0)];
        let series = Series::of(&steps, window, MINUTE);
        assert_eq!((series.at, series.hit), (vec![0, 60_000, 120_000], vec![60.0, 60.0, 20.0]));
    }

    #[test]
    fn no_rows_claim_nothing() {
        let history = History::of(&[], WINDOW, MINUTE);
        assert_eq!((history.sums.hit_ratio, history.sums.bypass_ratio, history.reasons.len()), (None, None, 0));
    }

    #[test]
    fn reasons_that_are_unknown_here_are_in_the_sums_but_in_no_row() {
        let history = History::of(&[step(0, "bypass", "of_a_newer_weir", 5.0)], WINDOW, MINUTE);
        assert_eq!((history.sums.bypass, history.reasons.len()), (5.0, 0));
    }

    #[test]
    fn what_a_reader_typed_is_bound_and_the_search_for_entries_left_out() {
        let filter = Filter { route: "' OR 1".into(), text: "words".into(), cache: "hit".into(), ..Filter::default() };
        let statement = statement(&filter, WINDOW, MINUTE).unwrap();
        assert!(!statement.sql.contains("OR 1") && !statement.sql.contains("exchange_contents"), "{}", statement.sql);
        assert!(statement.values.contains(&("route", Value::Text("' OR 1".into()))));
        assert_eq!(statement.values.len(), 4);
    }
}
