//! The rows that hold what critics said: verdicts without text, and the text that belongs to them.
//!
//! Pure. As in [`super::rows`], what is taken apart is taken apart by naming all its fields.

use std::collections::BTreeSet;

use clickhouse::Row;
use serde::Serialize;
use uuid::Uuid;

use crate::exchange::stored::{StoredExchange, StoredFinding, StoredRound, StoredVerdict};

#[derive(Debug, Row, Serialize)]
pub(super) struct VerdictRow {
    #[serde(with = "clickhouse::serde::uuid")]
    exchange_id: Uuid,
    started_at: i64,
    tenant: String,
    route: String,
    model: String,
    engine: String,
    round: u16,
    place: u16,
    critic: String,
    version: String,
    mode: String,
    outcome: String,
    reason: String,
    score: Option<f64>,
    codes: Vec<String>,
    took_us: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    engine_us: u64,
    inclusion_probability: f64,
}

#[derive(Debug, Row, Serialize)]
pub(super) struct RoundRow {
    #[serde(with = "clickhouse::serde::uuid")]
    exchange_id: Uuid,
    started_at: i64,
    tenant: String,
    route: String,
    round: u16,
    judged_us: u64,
    completion_tokens: u32,
    response_type: String,
    body: String,
    text: String,
    #[serde(rename = "findings.place")]
    findings_place: Vec<u16>,
    #[serde(rename = "findings.found")]
    findings_found: Vec<String>,
}

/// What the verdicts of an exchange come to, for its own row.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// Critics that found any of its answers bad.
    pub(super) failed: Vec<String>,
    /// Critics that should have judged any of its answers and did not.
    pub(super) skipped: Vec<String>,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) engine_us: u64,
}

impl Sum {
    pub(super) fn of(verdicts: &[StoredVerdict]) -> Self {
        let names = |of: &dyn Fn(&&StoredVerdict) -> bool| -> Vec<String> {
            let names: BTreeSet<&str> = verdicts.iter().filter(of).map(|verdict| verdict.critic.as_str()).collect();
            names.into_iter().map(str::to_owned).collect()
        };
        let added = |figure: &dyn Fn(&StoredVerdict) -> u64| verdicts.iter().map(figure).fold(0, u64::saturating_add);
        Self {
            failed: names(&|verdict| verdict.outcome == "fail"),
            skipped: names(&|verdict| verdict.failed_to_judge()),
            prompt_tokens: added(&|verdict| verdict.prompt_tokens),
            completion_tokens: added(&|verdict| verdict.completion_tokens),
            engine_us: added(&|verdict| verdict.engine_us),
        }
    }
}

/// One row per verdict, in the order of the exchange.
pub(super) fn verdicts(exchange: &StoredExchange) -> impl Iterator<Item = VerdictRow> {
    exchange.verdicts.iter().zip(0..=u16::MAX).map(|(verdict, place)| {
        let StoredVerdict {
            round,
            critic,
            version,
            mode,
            outcome,
            reason,
            score,
            findings,
            took_us,
            prompt_tokens,
            completion_tokens,
            engine_us,
        } = verdict.clone();
        VerdictRow {
            exchange_id: exchange.exchange_id,
            started_at: exchange.started_at,
            tenant: exchange.tenant.clone(),
            route: exchange.route.clone(),
            model: exchange.model_answered.clone(),
            engine: exchange.engine.clone(),
            round,
            place,
            critic,
            version,
            mode,
            outcome,
            reason,
            score,
            codes: codes(findings),
            took_us,
            prompt_tokens,
            completion_tokens,
            engine_us,
            inclusion_probability: exchange.inclusion_probability,
        }
    })
}

/// Each kind of finding once.
fn codes(findings: Vec<StoredFinding>) -> Vec<String> {
    let codes: BTreeSet<String> = findings.into_iter().map(|finding| finding.code).collect();
    codes.into_iter().collect()
}

/// One row per answer that was not given, and one for what was found in the answer that was.
pub(super) fn rounds(exchange: &StoredExchange) -> impl Iterator<Item = RoundRow> {
    let given = StoredRound::default();
    let rounds = std::iter::once(given).chain(exchange.rounds.iter().cloned());
    let rows = rounds.map(|round| {
        let StoredRound { round, judged_us, completion_tokens, response_type, body, text } = round;
        let verdicts = exchange.verdicts.iter().zip(0..=u16::MAX).filter(move |(verdict, _)| verdict.round == round);
        let found = verdicts.filter(|(verdict, _)| !verdict.findings.is_empty());
        let (findings_found, findings_place) = found.map(|(verdict, place)| (json(&verdict.findings), place)).unzip();
        RoundRow {
            exchange_id: exchange.exchange_id,
            started_at: exchange.started_at,
            tenant: exchange.tenant.clone(),
            route: exchange.route.clone(),
            round,
            judged_us,
            completion_tokens,
            response_type,
            body,
            text,
            findings_place,
            findings_found,
        }
    });
    rows.filter(|row| row.round > 0 || !row.findings_place.is_empty())
}

fn json(findings: &[StoredFinding]) -> String {
    // Plain structures of texts and numbers: nothing in them can fail to be written.
    serde_json::to_string(findings).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(round: u16, critic: &str, outcome: &str, reason: &str) -> StoredVerdict {
        StoredVerdict {
            round,
            critic: critic.to_owned(),
            outcome: outcome.to_owned(),
            reason: reason.to_owned(),
            prompt_tokens: 3,
            ..StoredVerdict::default()
        }
    }

    fn finding(code: &str) -> StoredFinding {
        StoredFinding { code: code.to_owned(), ..StoredFinding::default() }
    }

    #[test]
    fn critics_are_named_once_and_only_those_that_should_have_spoken_are_missed() {
        let verdicts = [
            verdict(1, "b", "fail", ""),
            verdict(0, "b", "fail", ""),
            verdict(0, "a", "pass", ""),
            verdict(0, "late", "skipped", "timed_out"),
            verdict(0, "not", "skipped", "not_sampled"),
        ];
        let sum = Sum::of(&verdicts);
        assert_eq!((sum.failed, sum.skipped, sum.prompt_tokens), (vec!["b".to_owned()], vec!["late".to_owned()], 15));
    }

    #[test]
    fn the_given_answer_has_a_row_of_findings_only_where_something_was_found() {
        let mut exchange = StoredExchange { verdicts: vec![verdict(0, "a", "pass", "")], ..StoredExchange::default() };
        assert_eq!(rounds(&exchange).count(), 0);
        exchange
            .verdicts
            .push(StoredVerdict { findings: vec![finding("x"), finding("x")], ..verdict(0, "b", "fail", "") });
        exchange.rounds.push(StoredRound { round: 1, ..StoredRound::default() });
        let rows: Vec<_> = rounds(&exchange).map(|row| (row.round, row.findings_place)).collect();
        assert_eq!(rows, [(0, vec![1]), (1, vec![])]);
        let rows: Vec<_> = verdicts(&exchange).map(|row| (row.place, row.codes)).collect();
        assert_eq!(rows, [(0, vec![]), (1, vec!["x".to_owned()])]);
    }
}
