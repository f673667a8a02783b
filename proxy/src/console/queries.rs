//! The console's SQL. Values are bound parameters, always; the text is made of constants only.
//!
//! Estimates are Horvitz–Thompson totals over sampled rows: sum(y/p), with standard error
//! sqrt(sum(y²(1-p)/p²)) for independent inclusion. A row that came twice and has not been
//! folded yet counts once: lists skip it by `LIMIT 1 BY`, sums read `FINAL`.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::error::Failure;
use super::filter::{Cursor, Filter, Search, Statuses, Window};
use super::rows::{
    Choices, EventRow, FingerprintText, GapRow, Glimpse, Line, Neighbour, OneText, TableSize, Texts, Totals, Volume,
    Whole,
};
use super::statement::{Statement, Value};
use super::store::Access;

const LINE: &str = "toString(exchange_id) AS id, toUnixTimestamp64Micro(started_at) AS started_us, tenant, route, api, \
    stream, if(model_answered = '', model_requested, model_answered) AS model, engine, replica, status, outcome, \
    error_kind, length(attempts.engine) AS tries, total_us, first_token_us, prompt_tokens, completion_tokens, \
    prompt_truncated, inclusion_probability, sample_reason, cache, cache_reason, toString(cache_source) AS cache_source, \
    verdict, decision, handling, stopped, failed_answers, failed_critics, skipped_critics";

const WHOLE: &str = "toString(exchange_id) AS id, toUnixTimestamp64Micro(started_at) AS started_us, tenant, route, api, \
    method, path, stream, model_requested, model_answered, engine, engine_kind, replica, fingerprint, status, outcome, \
    error_kind, error_message, finish_reasons, attempts.engine AS attempt_engines, attempts.replica AS \
    attempt_replicas, attempts.started_us AS attempt_started_us, attempts.took_us AS attempt_took_us, attempts.status \
    AS attempt_statuses, attempts.error_kind AS attempt_error_kinds, identified_us, admitted_us, sent_us, head_us, \
    first_byte_us, first_token_us, last_byte_us, total_us, longest_gap_us, request_bytes, response_bytes, events, \
    prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, usage_source, wasted_tokens, \
    expected_prompt_tokens, prompt_truncated, inclusion_probability, sample_reason, redactions, user_agent, trace_id, \
    span_id, weir_version, instance, content_truncated, cache, cache_reason, toString(cache_source) AS cache_source, \
    cache_age_us, saved_prompt_tokens, saved_completion_tokens, saved_engine_us, verdict, decision, handling, stopped, \
    failed_answers, failed_critics, skipped_critics, judge_prompt_tokens, judge_completion_tokens, judge_engine_us";

/// How an exchange looks at a glance; the same rule as the chips of the pages.
const CLASS: &str =
    "multiIf(outcome = 'complete', 'good', outcome = 'client_left' OR status BETWEEN 400 AND 499, 'warn', 'bad')";

const DAY_US: i64 = 86_400_000_000;
const MINUTE_US: i64 = 60_000_000;
/// Letters of prompt and answer shown in the list.
const GLIMPSE: u16 = 180;

impl Statement {
    /// What the filter asks for, the cursor aside.
    pub(super) fn matching(mut self, filter: &Filter, window: Window) -> Result<Self, Failure> {
        self = self.within(window);
        self.and_text("tenant", "tenant", &filter.tenant);
        self.and_text("route", "route", &filter.route);
        self.and_text("engine", "engine", &filter.engine);
        self.and_text("api", "api", &filter.api);
        self.and_text("outcome", "outcome", &filter.outcome);
        self.and_text("error_kind", "error", &filter.error);
        let (cache, reason) = filter.cached();
        self.and_text("cache", "cache", cache);
        self.and_text("cache_reason", "cache_reason", reason);
        self.and_text("verdict", "verdict", &filter.verdict);
        match filter.decision.as_str() {
            "repaired" => self.and("decision = 'pass' AND failed_answers > 0"),
            decision => self.and_text("decision", "decision", decision),
        }
        if !filter.critic.is_empty() {
            self.and("has(failed_critics, {critic:String})");
            self = self.bind("critic", Value::Text(filter.critic.clone()));
        }
        if !filter.model.is_empty() {
            self.and("(model_answered = {model:String} OR model_requested = {model:String})");
            self = self.bind("model", Value::Text(filter.model.clone()));
        }
        if let Some(Statuses(first, last)) = filter.statuses()? {
            self.and("status BETWEEN {status_from:UInt16} AND {status_to:UInt16}");
            self = self.bind("status_from", Value::Int(first.into())).bind("status_to", Value::Int(last.into()));
        }
        match filter.search()? {
            None => {}
            Some(Search::Words(words)) => {
                self.and(WORDS);
                self = self.bind("text", Value::Text(words.to_owned()));
            }
            Some(Search::Part(text)) => {
                self.and(PART);
                self = self.bind("text", Value::Text(text.to_owned()));
            }
        }
        Ok(self)
    }

    fn beyond(mut self, cursor: Cursor, direction: Direction) -> Self {
        let sign = if matches!(direction, Direction::Older) { "<" } else { ">" };
        self.and(&format!("(started_at, exchange_id) {sign} (fromUnixTimestamp64Micro({{at:Int64}}), {{id:UUID}})"));
        self.bind("at", Value::Int(cursor.started_at)).bind("id", Value::Text(cursor.exchange_id.to_string()))
    }
}

/// Whole words in any order, through the text indices. Two selects, because one with OR would
/// use neither index.
const WORDS: &str = "exchange_id IN (SELECT exchange_id FROM exchange_contents WHERE started_at >= \
    fromUnixTimestamp64Micro({from:Int64}) AND started_at < fromUnixTimestamp64Micro({to:Int64}) AND \
    hasAllTokens(prompt_text, {text:String}) UNION ALL SELECT exchange_id FROM exchange_contents WHERE started_at >= \
    fromUnixTimestamp64Micro({from:Int64}) AND started_at < fromUnixTimestamp64Micro({to:Int64}) AND \
    hasAllTokens(completion_text, {text:String}))";

/// Any part of the texts and bodies as it stands; case does not count, in any script. Reads all.
const PART: &str = "exchange_id IN (SELECT exchange_id FROM exchange_contents WHERE started_at >= \
    fromUnixTimestamp64Micro({from:Int64}) AND started_at < fromUnixTimestamp64Micro({to:Int64}) AND \
    (positionCaseInsensitiveUTF8(prompt_text, {text:String}) > 0 OR positionCaseInsensitiveUTF8(completion_text, \
    {text:String}) > 0 OR positionCaseInsensitiveUTF8(request_body, {text:String}) > 0 OR \
    positionCaseInsensitiveUTF8(response_body, {text:String}) > 0))";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Older,
    Newer,
}

/// One page of the list, newest first, and one line more where there are older ones.
pub(super) fn lines(filter: &Filter, window: Window, rows: u32) -> Result<Statement, Failure> {
    let mut statement = Statement::of(format!("SELECT {LINE} FROM exchanges")).matching(filter, window)?;
    if let Some(cursor) = filter.cursor()? {
        statement = statement.beyond(cursor, Direction::Older);
    }
    let limit = rows + 1;
    Ok(statement.then(&format!("ORDER BY started_at DESC, exchange_id DESC LIMIT 1 BY exchange_id LIMIT {limit}")))
}

/// The next exchange of the filter in one direction.
pub(super) fn neighbour(filter: &Filter, window: Window, at: Cursor, to: Direction) -> Result<Statement, Failure> {
    let statement = Statement::of("SELECT toString(exchange_id) AS id FROM exchanges").matching(filter, window)?;
    let order = if to == Direction::Older { "DESC" } else { "ASC" };
    Ok(statement.beyond(at, to).then(&format!("ORDER BY started_at {order}, exchange_id {order} LIMIT 1")))
}

/// Estimated exchanges over time by class.
pub(super) fn volume(filter: &Filter, window: Window, step_us: i64) -> Result<Statement, Failure> {
    let step = "intDiv(toUnixTimestamp64Micro(started_at), {step:Int64}) * {step:Int64} AS at_us";
    let select =
        format!("SELECT {step}, {CLASS} AS class, sum(1 / inclusion_probability) AS exchanges FROM exchanges FINAL");
    let statement = Statement::of(select).matching(filter, window)?.bind("step", Value::Int(step_us));
    Ok(statement.then("GROUP BY at_us, class ORDER BY at_us, class"))
}

fn glimpses(ids: Vec<String>, window: Window) -> Statement {
    let text = |column| format!("substringUTF8({column}, 1, {GLIMPSE})");
    let (prompt, completion) = (text("prompt_text"), text("completion_text"));
    let select = format!(
        "SELECT toString(exchange_id) AS id, {prompt} AS prompt, {completion} AS completion FROM exchange_contents"
    );
    let mut statement = Statement::of(select).within(window);
    statement.and("has({ids:Array(UUID)}, exchange_id)");
    statement.bind("ids", Value::Texts(ids)).then("LIMIT 1 BY exchange_id")
}

/// When an exchange arrived, as its id tells: microseconds since the Unix epoch.
fn moment(id: Uuid) -> Option<i64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Some(i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000) + i64::from(nanos / 1000))
}

/// The first row of an exchange.
fn by_id(select: &str, table: &str, id: Uuid) -> Statement {
    of_exchange(select, table, id).then("LIMIT 1")
}

/// By identity. A UUIDv7 tells its time, which spares reading all other days.
pub(super) fn of_exchange(select: &str, table: &str, id: Uuid) -> Statement {
    let around = moment(id).map(|at| Window { from: at.saturating_sub(DAY_US), to: at.saturating_add(DAY_US) });
    let statement = Statement::of(format!("SELECT {select} FROM {table}"));
    let mut statement = match around {
        Some(window) => statement.within(window),
        None => statement.then("WHERE true"),
    };
    statement.and("exchange_id = {id:UUID}");
    statement.bind("id", Value::Text(id.to_string()))
}

fn totals(window: Window) -> Statement {
    let failed = format!("({CLASS} = 'bad')");
    let figures = [
        ("exchanges", "1"),
        ("failures", &failed),
        ("prompt_tokens", "prompt_tokens"),
        ("completion_tokens", "completion_tokens"),
        ("cached_tokens", "cached_tokens"),
        ("wasted_tokens", "wasted_tokens"),
        ("truncated", "prompt_truncated"),
    ];
    let estimate = |(name, value): (&str, &str)| {
        let y = format!("toFloat64({value})");
        format!("sum({y} / p) AS total_{name}, sqrt(sum(pow({y}, 2) * (1 - p) / pow(p, 2))) AS total_{name}_error")
    };
    let columns: Vec<_> = figures.into_iter().map(estimate).collect();
    let select =
        format!("WITH inclusion_probability AS p SELECT count() AS rows, {} FROM exchanges FINAL", columns.join(", "));
    Statement::of(select).within(window)
}

impl Access {
    pub(super) async fn lines(&self, filter: &Filter, window: Window, rows: u32) -> Result<Vec<Line>, Failure> {
        self.all("lines", lines(filter, window, rows)?).await
    }

    pub(super) async fn glimpses(&self, lines: &[Line]) -> Result<Vec<Glimpse>, Failure> {
        let times = || lines.iter().map(|line| line.started_us);
        let (Some(from), Some(last)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
        let ids = lines.iter().map(|line| line.id.clone()).collect();
        self.all("glimpses", glimpses(ids, Window { from, to: last + 1 })).await
    }

    /// First words of the texts that hits have at the exchanges whose answers were given again.
    pub(super) async fn glimpses_of_sources(&self, lines: &[Line]) -> Result<Vec<Glimpse>, Failure> {
        let sources: BTreeSet<Uuid> = lines.iter().filter_map(|line| line.cache_source.parse().ok()).collect();
        let windows = || sources.iter().filter_map(|id| moment(*id));
        let (Some(first), Some(last)) = (windows().min(), windows().max()) else { return Ok(Vec::new()) };
        let window = Window { from: first.saturating_sub(MINUTE_US), to: last.saturating_add(MINUTE_US) };
        let ids = sources.iter().map(Uuid::to_string).collect();
        self.all("glimpses", glimpses(ids, window)).await
    }

    pub(super) async fn volume(&self, filter: &Filter, window: Window, step: i64) -> Result<Vec<Volume>, Failure> {
        self.all("volume", volume(filter, window, step)?).await
    }

    pub(super) async fn choices(&self, window: Window) -> Result<Choices, Failure> {
        let of = |column: &str, name: &str| format!("arraySort(groupUniqArray(60)(toString({column}))) AS {name}");
        let columns = [
            of("tenant", "tenants"),
            of("route", "routes"),
            of("model_answered", "models"),
            of("engine", "engines"),
            of("error_kind", "error_kinds"),
            "arraySort(groupUniqArrayArray(60)(arrayMap(critic -> toString(critic), failed_critics))) AS critics"
                .into(),
        ];
        let statement = Statement::of(format!("SELECT {} FROM exchanges", columns.join(", "))).within(window);
        Ok(self.first("choices", statement).await?.unwrap_or_default())
    }

    pub(super) async fn whole(&self, id: Uuid) -> Result<Whole, Failure> {
        self.first("exchange", by_id(WHOLE, "exchanges", id)).await?.ok_or(Failure::NoExchange)
    }

    /// None where the texts' shorter time to live is over.
    pub(super) async fn texts(&self, id: Uuid) -> Result<Option<Texts>, Failure> {
        let columns = "request_headers, request_body, response_type, response_body, completion_text";
        self.first("contents", by_id(columns, "exchange_contents", id)).await
    }

    pub(super) async fn one_text(&self, id: Uuid, text: OneOf) -> Result<OneText, Failure> {
        let column = match text {
            OneOf::Request => "request_body AS text, response_type AS media_type",
            OneOf::Response => "response_body AS text, response_type AS media_type",
        };
        self.first("body", by_id(column, "exchange_contents", id)).await?.ok_or(Failure::NoExchange)
    }

    pub(super) async fn neighbour(
        &self,
        filter: &Filter,
        at: Cursor,
        to: Direction,
    ) -> Result<Option<String>, Failure> {
        let window = match to {
            Direction::Older => Window { from: at.started_at - 7 * DAY_US, to: at.started_at + 1 },
            Direction::Newer => Window { from: at.started_at, to: at.started_at + 7 * DAY_US },
        };
        let row: Option<Neighbour> = self.first("neighbour", neighbour(filter, window, at, to)?).await?;
        Ok(row.map(|row| row.id))
    }

    /// What the engine was at that moment, as JSON.
    pub(super) async fn fingerprint(&self, id: Uuid) -> Result<Option<String>, Failure> {
        let Statement { sql, values } = by_id("fingerprint", "exchanges", id);
        let sql = format!(
            "SELECT fingerprint_json FROM fingerprints WHERE digest = ({sql}) ORDER BY last_seen_at DESC LIMIT 1"
        );
        let row: Option<FingerprintText> = self.first("fingerprint", Statement { sql, values }).await?;
        Ok(row.map(|row| row.fingerprint_json))
    }

    pub(super) async fn totals(&self, window: Window) -> Result<Totals, Failure> {
        Ok(self.first("totals", totals(window)).await?.unwrap_or_default())
    }

    pub(super) async fn gaps(&self) -> Result<Vec<GapRow>, Failure> {
        let sql = "SELECT toUnixTimestamp64Micro(from_at) AS from_us, toUnixTimestamp64Micro(to_at) AS to_us, reason, \
            lost, instance FROM gaps FINAL ORDER BY to_at DESC LIMIT 100";
        self.all("gaps", Statement::of(sql)).await
    }

    pub(super) async fn events(&self) -> Result<Vec<EventRow>, Failure> {
        let sql = "SELECT toUnixTimestamp64Micro(at) AS at_us, kind, toString(exchange_id) AS exchange, engine, detail \
            FROM events ORDER BY at DESC LIMIT 1 BY event_id LIMIT 50";
        self.all("events", Statement::of(sql)).await
    }

    pub(super) async fn sizes(&self) -> Result<Vec<TableSize>, Failure> {
        let sql = "SELECT table AS name, toUInt64(sum(rows)) AS rows, toUInt64(sum(bytes_on_disk)) AS bytes \
            FROM system.parts WHERE database = currentDatabase() AND active GROUP BY table ORDER BY table";
        self.all("sizes", Statement::of(sql)).await
    }
}

/// Which text of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) enum OneOf {
    Request,
    Response,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from: 1, to: 2 };

    fn hostile() -> Filter {
        let text = "'; DROP TABLE exchanges -- {x:String} ?".to_owned();
        let all = [&text; 12].map(Clone::clone);
        let [tenant, route, model, engine, api, outcome, error, cache, verdict, decision, critic, text] = all;
        Filter {
            tenant,
            route,
            model,
            engine,
            api,
            outcome,
            error,
            cache,
            verdict,
            decision,
            critic,
            text,
            status: "4xx".into(),
            ..Filter::default()
        }
    }

    #[test]
    fn what_a_reader_types_is_bound_and_never_part_of_the_sql() {
        let at = Cursor { started_at: 9, exchange_id: Uuid::nil() };
        let filter = hostile();
        let statements = [
            lines(&filter, WINDOW, 100).unwrap(),
            volume(&filter, WINDOW, 60).unwrap(),
            neighbour(&filter, WINDOW, at, Direction::Newer).unwrap(),
        ];
        for statement in statements {
            assert!(!statement.sql.contains("DROP"), "{}", statement.sql);
            let texts = statement.values.iter().filter(|(_, value)| *value == Value::Text(filter.text.clone()));
            assert_eq!(texts.count(), 12);
        }
    }

    #[test]
    fn every_name_in_the_sql_is_bound_once_and_the_other_way_round() {
        let filter = Filter { before: format!("5.{}", Uuid::nil()), ..hostile() };
        for statement in [lines(&filter, WINDOW, 100).unwrap(), by_id("a", "b", Uuid::now_v7()), totals(WINDOW)] {
            for (name, _) in &statement.values {
                assert!(statement.sql.contains(&format!("{{{name}:")), "{name} in {}", statement.sql);
                assert_eq!(statement.values.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
            }
            let used = statement.sql.matches(":Int64}").count() + statement.sql.matches(":String}").count();
            assert!(used >= statement.values.iter().filter(|(_, v)| !matches!(v, Value::Texts(_))).count() / 2);
        }
    }

    #[test]
    fn an_empty_filter_asks_for_the_time_range_only() {
        let statement = lines(&Filter::default(), WINDOW, 100).unwrap();
        assert_eq!(statement.values, [("from", Value::Int(1)), ("to", Value::Int(2))]);
        assert!(statement.sql.ends_with("ORDER BY started_at DESC, exchange_id DESC LIMIT 1 BY exchange_id LIMIT 101"));
    }

    #[test]
    fn an_id_that_tells_its_time_is_looked_for_around_it() {
        let dated = by_id("a", "b", Uuid::now_v7());
        assert_eq!(dated.values.len(), 3);
        let undated = by_id("a", "b", Uuid::nil());
        assert_eq!(undated.sql, "SELECT a FROM b WHERE true AND exchange_id = {id:UUID} LIMIT 1");
    }
}
