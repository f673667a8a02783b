//! One set of rows into one table: tried until it is in, or until the rows themselves are to blame.
//!
//! Promises: the same rows always travel under the same deduplication token, so a repeated
//! insert is stored once; rows to blame are found by halving, and the others arrive.

use std::ops::Range;
use std::time::{Duration, Instant};

use clickhouse::{Client, RowOwned, RowWrite};
use tokio::sync::watch;

use super::classify::{Verdict, classify_error};
use super::{Config, Metrics, Table};

/// Pause after the first failure; doubles up to `longest_pause`. Without jitter: one sink
/// writes per instance, and a pause that can be foretold can be tested.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// How often the lag is told while rows wait for ClickHouse: an alarm on it must not lag itself.
const TELL_LAG: Duration = Duration::from_secs(1);

/// Rows of one table, each with the sequence number of its record, in order.
#[derive(Debug)]
pub(super) struct Rows<R> {
    pub(super) seqs: Vec<u64>,
    pub(super) rows: Vec<R>,
}

/// A stop was asked for before the rows were in.
#[derive(Debug)]
pub(super) struct Stopped;

/// A row that ClickHouse will never take as it is.
#[derive(Debug)]
pub(super) struct Poison {
    pub(super) seq: u64,
    pub(super) table: Table,
    pub(super) reason: String,
}

/// Writes rows through the store's client.
pub(super) struct Inserter {
    pub(super) config: Config,
    pub(super) clients: watch::Receiver<Option<Client>>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) metrics: Metrics,
    /// Arrival of the oldest record under way, for the lag.
    pub(super) oldest_at: Option<i64>,
}

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self { seqs: Vec::new(), rows: Vec::new() }
    }
}

impl<R> Rows<R> {
    pub(super) fn push(&mut self, seq: u64, row: R) {
        self.seqs.push(seq);
        self.rows.push(row);
    }

    /// Tells spans apart that begin and end within the rows of the same records; empty for
    /// whole records, so that those keep their name whatever rows are before them.
    pub(super) fn part(&self, span: &Range<usize>) -> String {
        let of = |at: usize| self.seqs.get(at);
        let cuts_start = span.start > 0 && of(span.start - 1) == of(span.start);
        let cuts_end = span.end > 0 && span.end < self.seqs.len() && of(span.end - 1) == of(span.end);
        if cuts_start || cuts_end { format!("/{}..{}", span.start, span.end) } else { String::new() }
    }
}

impl Inserter {
    /// Inserts all rows; returns those that were refused for their content.
    pub(super) async fn insert<R: RowOwned + RowWrite>(
        &mut self,
        table: Table,
        token: &str,
        rows: &Rows<R>,
    ) -> Result<Vec<Poison>, Stopped> {
        let mut poison = Vec::new();
        let mut spans: Vec<Range<usize>> = std::iter::once(0..rows.rows.len()).collect();
        while let Some(span) = spans.pop() {
            let (Some(first), Some(last)) = (rows.seqs.get(span.start), rows.seqs[span.clone()].last()) else {
                continue;
            };
            // A record may have several rows: its number alone does not tell halves of them apart.
            let part = rows.part(&span);
            let token = format!("{token}/{}/{first}-{last}{part}", table.as_str());
            match self.persist(table, &token, &rows.rows[span.clone()]).await? {
                None => self.metrics.stored(table, span.len() as u64),
                Some(reason) if span.len() == 1 => poison.push(Poison { seq: *first, table, reason }),
                Some(_) => {
                    let middle = span.start + span.len() / 2;
                    spans.push(middle..span.end);
                    spans.push(span.start..middle);
                }
            }
        }
        Ok(poison)
    }

    /// None once the rows are in, or why they never will be.
    async fn persist<R: RowOwned + RowWrite>(
        &mut self,
        table: Table,
        token: &str,
        rows: &[R],
    ) -> Result<Option<String>, Stopped> {
        let mut pause = FIRST_PAUSE.min(*self.config.longest_pause);
        loop {
            let client = self.client().await?;
            let began = Instant::now();
            let error = match self.send(&client, table, token, rows).await {
                Ok(()) => {
                    self.metrics.insert_seconds.observe(began.elapsed().as_secs_f64());
                    return Ok(None);
                }
                Err(error) => error,
            };
            if classify_error(&error) == Verdict::Reject {
                return Ok(Some(error.to_string()));
            }
            // The shape of the table may have changed under the client.
            client.clear_cached_metadata().await;
            self.metrics.retries.inc();
            tracing::warn!(table = table.as_str(), %error, "an insert failed and is repeated");
            self.pause(pause).await?;
            pause = (pause * 2).min(*self.config.longest_pause);
        }
    }

    async fn send<R: RowOwned + RowWrite>(
        &self,
        client: &Client,
        table: Table,
        token: &str,
        rows: &[R],
    ) -> clickhouse::error::Result<()> {
        let limit = *self.config.insert_timeout;
        let sending = async {
            let insert = client.insert::<R>(table.as_str()).await?;
            let mut insert = insert
                .with_setting("insert_deduplication_token", token)
                // Through a Distributed table, "in" must mean "in on every shard".
                .with_setting("distributed_foreground_insert", "1")
                .with_setting("insert_deduplicate", "1")
                .with_setting("async_insert", "0")
                // A backlog of months touches many days; code 252 shall always mean overload.
                .with_setting("max_partitions_per_insert_block", "0");
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        tokio::time::timeout(limit, Box::pin(sending)).await.unwrap_or(Err(clickhouse::error::Error::TimedOut))
    }

    /// Waits for a store that was ready once.
    async fn client(&mut self) -> Result<Client, Stopped> {
        loop {
            self.tell_lag();
            if let Some(client) = self.clients.borrow_and_update().clone() {
                return Ok(client);
            }
            self.pause(*self.config.longest_pause).await?;
        }
    }

    /// Waits; less when the store becomes ready meanwhile, not at all when Weir stops.
    pub(super) async fn pause(&mut self, pause: Duration) -> Result<(), Stopped> {
        let until = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < until {
            self.tell_lag();
            let next = until.min(tokio::time::Instant::now() + TELL_LAG);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                // A store that is gone for good ends with Weir itself.
                Ok(()) = self.clients.changed() => return Ok(()),
                _ = self.stop.wait_for(|stop| *stop) => return Err(Stopped),
            }
        }
        Ok(())
    }

    /// Publishes the age of the oldest record that is not stored.
    pub(super) fn tell_lag(&self) {
        let now = jiff::Timestamp::now().as_microsecond();
        let lag = self.oldest_at.map_or(0, |at| now.saturating_sub(at).max(0));
        self.metrics.lag_seconds.set(lag as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_within_the_rows_of_one_record_have_names_of_their_own() {
        let mut rows = Rows::default();
        [7, 7, 7, 7, 8, 9].into_iter().for_each(|seq| rows.push(seq, ()));
        let table = [(0..6, ""), (0..4, ""), (4..6, ""), (0..2, "/0..2"), (2..4, "/2..4"), (3..6, "/3..6"), (5..6, "")];
        for (span, part) in table {
            assert_eq!(rows.part(&span), part, "{span:?}");
        }
    }
}
