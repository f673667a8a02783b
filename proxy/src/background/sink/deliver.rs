//! One batch on its way: decoded, inserted table by table, its refused records set aside.
//!
//! Promises: when it returns, every record of the batch is either in ClickHouse, or in
//! `rejected/` and counted in `gaps`; doing it twice changes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::insert::{Inserter, Poison, Rows, Stopped};
use super::metrics::{BatchOutcome, RejectReason};
use super::rejected::{Aside, Reject};
use super::rows::{GapRow, Tables};
use super::{Batch, Table};
use crate::exchange::stored::{Stored, StoredGap};

/// 2020 to 2100 in microseconds: what the tables take as a time, too.
const PLAUSIBLE: std::ops::Range<i64> = 1_577_836_800_000_000..4_102_444_800_000_000;

/// A batch with its rows.
struct Decoded {
    tables: Tables,
    /// When each record happened, where it can be told.
    times: BTreeMap<u64, i64>,
    undecodable: Vec<Refused>,
}

/// Why one record is set aside.
struct Refused {
    seq: u64,
    table: &'static str,
    reason: String,
}

/// Delivers a batch, unless Weir stops first.
pub(super) async fn deliver(inserter: &mut Inserter, aside: &Aside, batch: &Batch) -> Result<(), Stopped> {
    let Decoded { tables, times, undecodable } = decode(batch);
    let plausible = || times.values().copied().filter(|at| PLAUSIBLE.contains(at));
    inserter.oldest_at = plausible().min();
    let token = batch.token.as_str();
    let mut poison = Vec::new();
    poison.extend(inserter.insert(Table::Fingerprints, token, &tables.fingerprints).await?);
    poison.extend(inserter.insert(Table::Exchanges, token, &tables.exchanges).await?);
    poison.extend(inserter.insert(Table::ExchangeContents, token, &tables.contents).await?);
    poison.extend(inserter.insert(Table::Verdicts, token, &tables.verdicts).await?);
    poison.extend(inserter.insert(Table::ExchangeRounds, token, &tables.rounds).await?);
    poison.extend(inserter.insert(Table::Events, token, &tables.events).await?);
    poison.extend(inserter.insert(Table::Gaps, token, &tables.gaps).await?);
    let metrics = inserter.metrics.clone();
    metrics.rejected(RejectReason::Undecodable, undecodable.len() as u64);
    let refused = merge(undecodable, poison);
    let content = refused.values().filter(|refused| refused.table != UNDECODABLE).count();
    metrics.rejected(RejectReason::Content, content as u64);
    if !refused.is_empty() {
        set_aside(inserter, aside, batch, &refused, plausible().min()).await;
    }
    let gaps = own_gaps(batch, &refused, &times);
    for poison in inserter.insert(Table::Gaps, &format!("{token}/lost"), &gaps).await? {
        tracing::error!(reason = poison.reason, "a gap could not be recorded");
    }
    metrics.delivered(match refused.len() {
        0 => BatchOutcome::Stored,
        n if n < batch.records.len() => BatchOutcome::PartlyRejected,
        _ => BatchOutcome::Rejected,
    });
    Ok(())
}

/// Stands in the `table` of a record that has none.
const UNDECODABLE: &str = "undecodable";

fn decode(batch: &Batch) -> Decoded {
    let mut decoded = Decoded { tables: Tables::default(), times: BTreeMap::new(), undecodable: Vec::new() };
    for (seq, payload) in &batch.records {
        match rmp_serde::from_slice::<Stored>(payload) {
            Ok(record) => {
                let at = match &record {
                    Stored::Exchange(exchange) => exchange.started_at,
                    Stored::Gap(gap) => gap.to_at,
                    Stored::Event(event) => event.at,
                };
                decoded.times.insert(*seq, at);
                decoded.tables.add(*seq, record);
            }
            Err(error) => {
                let reason = format!("not a record of this version: {error}");
                decoded.undecodable.push(Refused { seq: *seq, table: UNDECODABLE, reason });
            }
        }
    }
    decoded
}

/// One entry per record, whatever number of tables refused it.
fn merge(undecodable: Vec<Refused>, poison: Vec<Poison>) -> BTreeMap<u64, Refused> {
    let poison = poison.into_iter().map(|row| Refused { seq: row.seq, table: row.table.as_str(), reason: row.reason });
    let mut refused = BTreeMap::new();
    for one in undecodable.into_iter().chain(poison) {
        refused.entry(one.seq).or_insert(one);
    }
    refused
}

async fn set_aside(
    inserter: &Inserter,
    aside: &Aside,
    batch: &Batch,
    refused: &BTreeMap<u64, Refused>,
    oldest_at: Option<i64>,
) {
    let reject = |(seq, payload): &(u64, Bytes)| {
        let Refused { table, reason, .. } = refused.get(seq)?;
        Some(Reject { seq: *seq, table, reason: reason.clone(), payload: payload.clone() })
    };
    let rejects: Vec<Reject> = batch.records.iter().filter_map(reject).collect();
    let at = oldest_at.and_then(|at| Timestamp::from_microsecond(at).ok()).unwrap_or_default();
    let (aside, last_seq, count) = (aside.clone(), batch.last_seq, rejects.len());
    let put = tokio::task::spawn_blocking(move || aside.put(at, last_seq, &rejects)).await;
    match put.unwrap_or_else(|broken| Err(std::io::Error::other(broken))) {
        Ok(evicted) => {
            inserter.metrics.rejected_files_evicted.inc_by(evicted);
            tracing::error!(records = count, "ClickHouse refused records for their content; they are in rejected/");
        }
        // A full disk must not hold up the good rows behind; the gap row still tells the loss.
        Err(error) => {
            inserter.metrics.rejected_files_evicted.inc();
            tracing::error!(records = count, %error, "refused records could not be set aside and are lost");
        }
    }
}

/// The rows that tell every later statistic what is missing: what the spool lost, and what
/// was refused here.
fn own_gaps(batch: &Batch, refused: &BTreeMap<u64, Refused>, times: &BTreeMap<u64, i64>) -> Rows<GapRow> {
    let rejected = (!refused.is_empty()).then(|| rejected_gap(batch, refused, times));
    let mut rows = Rows::default();
    for (index, mut gap) in batch.gaps.iter().cloned().chain(rejected).enumerate() {
        if gap.gap_id.is_nil() {
            let digest = blake3::hash(format!("{}/{index}/{}", batch.token, gap.reason).as_bytes());
            let mut id = [0; 16];
            id.copy_from_slice(&digest.as_bytes()[..16]);
            gap.gap_id = uuid::Builder::from_custom_bytes(id).into_uuid();
        }
        rows.push(batch.last_seq, gap.into());
    }
    rows
}

/// Where no record tells its time, the gap lies at the records around it, or now.
fn rejected_gap(batch: &Batch, refused: &BTreeMap<u64, Refused>, times: &BTreeMap<u64, i64>) -> StoredGap {
    let plausible = |at: &i64| PLAUSIBLE.contains(at);
    let own = || refused.keys().filter_map(|seq| times.get(seq)).copied().filter(plausible);
    let near = || times.values().copied().filter(plausible);
    let now = Timestamp::now().as_microsecond();
    StoredGap {
        from_at: own().min().or_else(|| near().min()).unwrap_or(now),
        to_at: own().max().or_else(|| near().max()).unwrap_or(now),
        reason: "rejected".into(),
        lost: refused.len() as u64,
        instance: batch.instance.clone(),
        ..StoredGap::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: Vec<Vec<u8>>) -> Batch {
        let records = (5..).zip(records.into_iter().map(Bytes::from)).collect();
        Batch { last_seq: 9, token: "t".into(), instance: "a".into(), records, gaps: vec![StoredGap::default()] }
    }

    #[test]
    fn a_record_refused_by_two_tables_is_one_loss() {
        let poison = |table| Poison { seq: 3, table, reason: "no".into() };
        let refused = merge(vec![], vec![poison(Table::Exchanges), poison(Table::ExchangeContents)]);
        let gap = rejected_gap(&batch(vec![]), &refused, &BTreeMap::from([(3, 1_700_000_000_000_000)]));
        assert_eq!((gap.lost, gap.from_at, gap.to_at), (1, 1_700_000_000_000_000, 1_700_000_000_000_000));
    }

    #[test]
    fn an_implausible_time_does_not_date_a_gap() {
        let poison = Poison { seq: 3, table: Table::Exchanges, reason: "no".into() };
        let times = BTreeMap::from([(3, -5), (4, 1_700_000_000_000_000)]);
        let gap = rejected_gap(&batch(vec![]), &merge(vec![], vec![poison]), &times);
        assert_eq!((gap.from_at, gap.to_at), (1_700_000_000_000_000, 1_700_000_000_000_000));
    }

    #[test]
    fn bytes_that_are_no_record_are_refused_and_the_others_decoded() {
        let good = rmp_serde::to_vec_named(&Stored::Gap(StoredGap::default())).unwrap();
        let decoded = decode(&batch(vec![vec![0xc1], good, vec![]]));
        assert_eq!(decoded.undecodable.iter().map(|refused| refused.seq).collect::<Vec<_>>(), [5, 7]);
        assert_eq!(decoded.tables.gaps.seqs, [6]);
    }
}
