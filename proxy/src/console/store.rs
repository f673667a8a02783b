//! The store as the console sees it: perhaps absent, never trusted to be quick.
//!
//! Every query is read-only, bound in time, rows and number at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clickhouse::Client;
use clickhouse::query::Query;
use tokio::sync::{Semaphore, watch};

use super::error::Failure;
use super::{Config, Metrics, Probe};

/// The way to the store for all handlers.
pub(super) struct Access {
    clients: watch::Receiver<Option<Client>>,
    note: Probe<String>,
    places: Arc<Semaphore>,
    limit: Duration,
    metrics: Metrics,
}

/// Most rows that any query of the console may give.
const MAX_ROWS: u64 = 10_000;
/// Most bytes that the rows of one query may hold: two bodies at their largest, twice over.
const MAX_BYTES: u64 = 256 << 20;

impl Access {
    pub(super) fn new(
        clients: watch::Receiver<Option<Client>>,
        note: Probe<String>,
        config: &Config,
        metrics: Metrics,
    ) -> Self {
        let places = Arc::new(Semaphore::new(config.queries_in_flight));
        Self { clients, note, places, limit: *config.query_limit, metrics }
    }

    /// State of the store for people, and whether it is there.
    pub(super) fn state(&self) -> (bool, String) {
        (self.clients.borrow().is_some(), (self.note)())
    }

    /// Builds a query with its limits, runs `fetch` on it, and times it under `name`.
    pub(super) async fn run<T, F>(&self, name: &'static str, sql: &str, fetch: F) -> Result<T, Failure>
    where
        F: AsyncFnOnce(Query) -> clickhouse::error::Result<T>,
    {
        let client = self.clients.borrow().clone().ok_or_else(|| Failure::StoreAbsent((self.note)()))?;
        let began = Instant::now();
        let query = self.bound(client.query_raw(sql));
        let work = async {
            let _place = self.places.acquire().await.map_err(|_| Failure::StoreSlow(self.limit))?;
            fetch(query).await.map_err(Failure::from)
        };
        // The server ends a query by itself; this also covers waiting for a place and the network.
        let result = match tokio::time::timeout(self.limit + Duration::from_secs(1), work).await {
            Ok(result) => result,
            Err(_) => Err(Failure::StoreSlow(self.limit)),
        };
        let outcome = if result.is_ok() { "complete" } else { "failed" };
        self.metrics.queries.with_label_values(&[name, outcome]).observe(began.elapsed().as_secs_f64());
        result
    }

    fn bound(&self, query: Query) -> Query {
        query
            .with_setting("readonly", "1")
            .with_setting("max_execution_time", self.limit.as_secs_f64().to_string())
            .with_setting("max_result_rows", MAX_ROWS.to_string())
            .with_setting("max_result_bytes", MAX_BYTES.to_string())
            .with_setting("result_overflow_mode", "throw")
            // In a cluster both tables are spread by `exchange_id`: a search joins within each shard.
            .with_setting("distributed_product_mode", "local")
    }
}
