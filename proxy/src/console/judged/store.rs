//! What the store has of verdicts: rows, and the SQL that reads them.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_critic::Skip;

use super::super::error::Failure;
use super::super::filter::Window;
use super::super::queries::of_exchange;
use super::super::statement::Statement;
use super::super::store::Access;

/// One verdict. `round` 0 is of the answer that was given.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(in crate::console) struct VerdictRow {
    pub(super) round: u16,
    pub(super) place: u16,
    pub(super) critic: String,
    pub(super) version: String,
    pub(super) mode: String,
    pub(super) outcome: String,
    /// Why it did not say; empty where it did.
    pub(super) reason: String,
    pub(super) score: Option<f64>,
    pub(super) codes: Vec<String>,
    pub(super) took_us: u64,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) engine_us: u64,
}

/// The text that belongs to the verdicts of one answer.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(in crate::console) struct RoundRow {
    pub(super) round: u16,
    pub(super) judged_us: u64,
    pub(super) completion_tokens: u32,
    pub(super) text: String,
    /// Of a verdict each, with its findings as JSON.
    pub(super) places: Vec<u16>,
    pub(super) found: Vec<String>,
}

/// Estimated verdicts of one critic over a span of time.
#[derive(Clone, Debug, Default, Row, Serialize, Deserialize)]
pub(in crate::console) struct CriticRow {
    pub(super) critic: String,
    pub(super) mode: String,
    /// Rows that the estimates rest on.
    pub(super) rows: u64,
    pub(super) passed: f64,
    pub(super) failed: f64,
    /// It should have judged and did not.
    pub(super) skipped: f64,
    /// There was nothing for it to judge, or it was not its turn.
    pub(super) unasked: f64,
    /// Of those that judged, in microseconds.
    pub(super) p50_us: f64,
    pub(super) p95_us: f64,
    /// Tokens at engines.
    pub(super) tokens: f64,
}

/// More than any panel gives in any number of answers.
const VERDICTS: u32 = 512;
const ROUNDS: u32 = 64;

fn verdicts(id: Uuid) -> Statement {
    let columns = "round, place, critic, version, mode, outcome, reason, score, codes, took_us, prompt_tokens, \
        completion_tokens, engine_us";
    let statement = of_exchange(columns, "verdicts", id);
    statement.then(&format!("ORDER BY round, place LIMIT 1 BY place LIMIT {VERDICTS}"))
}

fn rounds(id: Uuid) -> Statement {
    let columns = "round, judged_us, completion_tokens, if(text = '', body, text) AS text, findings.place AS places, \
        findings.found AS found";
    of_exchange(columns, "exchange_rounds", id).then(&format!("ORDER BY round LIMIT 1 BY round LIMIT {ROUNDS}"))
}

fn critics(window: Window) -> Statement {
    let failures: Vec<_> = Skip::ALL.iter().filter(|skip| skip.is_failure()).map(|skip| skip.as_str()).collect();
    let failures = failures.join("', '");
    let estimate = |condition: &str, name: &str| format!("sumIf(1 / inclusion_probability, {condition}) AS {name}");
    let figures = [
        "toUInt64(count()) AS rows".to_owned(),
        estimate("outcome = 'pass'", "passed"),
        estimate("outcome = 'fail'", "failed"),
        estimate(&format!("reason IN ('{failures}')"), "skipped"),
        estimate(&format!("outcome = 'skipped' AND reason NOT IN ('{failures}')"), "unasked"),
        "ifNotFinite(quantileIf(0.5)(took_us, outcome != 'skipped'), 0) AS p50_us".to_owned(),
        "ifNotFinite(quantileIf(0.95)(took_us, outcome != 'skipped'), 0) AS p95_us".to_owned(),
        "sum((prompt_tokens + completion_tokens) / inclusion_probability) AS tokens".to_owned(),
    ];
    let select = format!(
        "SELECT toString(critic) AS critic, toString(mode) AS mode, {} FROM verdicts FINAL",
        figures.join(", ")
    );
    Statement::of(select).within(window).then("GROUP BY critic, mode ORDER BY failed DESC, critic, mode LIMIT 100")
}

impl Access {
    /// Verdicts of every answer, the given one first.
    pub(in crate::console) async fn verdicts(&self, id: Uuid) -> Result<Vec<VerdictRow>, Failure> {
        self.all("verdicts", verdicts(id)).await
    }

    /// None where their time to live is over, or where nothing was found.
    pub(in crate::console) async fn rounds(&self, id: Uuid) -> Result<Vec<RoundRow>, Failure> {
        self.all("rounds", rounds(id)).await
    }

    /// What each critic said, those that found most first.
    pub(in crate::console) async fn critics(&self, window: Window) -> Result<Vec<CriticRow>, Failure> {
        self.all("critics", critics(window)).await
    }
}
