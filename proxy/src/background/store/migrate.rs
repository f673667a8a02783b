//! Brings the tables up to date: migrations that are not applied yet, then retention.
//!
//! Promises: a migration is recorded only after all its statements ran; one that was
//! changed since is refused before anything runs; running twice, or in two replicas at
//! once, ends in the same tables (see [`super::schema`] on repeatable statements). History
//! that a newer Weir wrote is left alone, so that old and new replicas can run side by side.

use std::time::Duration;

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};

use super::config::Retention;
use super::schema::{Migration, Names, migrations};
use super::{Error, within};

/// A statement on a large table or a busy cluster takes its time; a dead server does not.
const STATEMENT: Duration = Duration::from_secs(180);

/// Tables that lose their rows with age: table, column of the age, which retention.
const AGING: [(&str, &str, Lifetime); 6] = [
    ("exchanges", "started_at", Lifetime::Metadata),
    ("exchange_contents", "started_at", Lifetime::Content),
    ("verdicts", "started_at", Lifetime::Metadata),
    ("exchange_rounds", "started_at", Lifetime::Content),
    ("events", "at", Lifetime::Metadata),
    ("gaps", "to_at", Lifetime::Metadata),
];

enum Lifetime {
    Metadata,
    Content,
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct Applied {
    version: u32,
    name: String,
    checksum: String,
}

/// Makes the tables what this program expects. `client` must not name a database: it may
/// not exist yet.
pub(super) async fn prepare(client: &Client, names: &Names, retention: &Retention) -> Result<(), Error> {
    create_history(client, names).await?;
    let known = migrations()?;
    let applied = history(client, names).await?;
    if let Some(migration) = known.iter().find(|migration| was_changed(migration, &applied)) {
        return Err(Error::MigrationChanged { name: migration.name.clone(), database: names.database.clone() });
    }
    for migration in known.iter().filter(|migration| applied.iter().all(|row| row.version != migration.version)) {
        for statement in migration.statements(names) {
            run(client, &statement).await?;
        }
        record(client, names, migration).await?;
        tracing::info!(migration = %migration.name, "applied a migration to the store");
    }
    retain(client, names, retention).await
}

fn was_changed(migration: &Migration, applied: &[Applied]) -> bool {
    let row = applied.iter().find(|row| row.version == migration.version);
    row.is_some_and(|row| row.checksum != migration.checksum())
}

async fn create_history(client: &Client, names: &Names) -> Result<(), Error> {
    let (database, on_cluster) = (&names.database, names.on_cluster());
    run(client, &format!("CREATE DATABASE IF NOT EXISTS {database}{on_cluster}")).await?;
    let columns = "version UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)";
    let engine = names.history_engine();
    let table = format!("{database}.migrations{on_cluster} ({columns}) ENGINE = {engine} ORDER BY version");
    run(client, &format!("CREATE TABLE IF NOT EXISTS {table}")).await
}

async fn history(client: &Client, names: &Names) -> Result<Vec<Applied>, Error> {
    let sql = format!("SELECT version, name, checksum FROM {}.migrations FINAL ORDER BY version", names.database);
    within("the history of migrations", STATEMENT, client.query_raw(&sql).fetch_all::<Applied>()).await
}

async fn record(client: &Client, names: &Names, migration: &Migration) -> Result<(), Error> {
    let row = Applied { version: migration.version, name: migration.name.clone(), checksum: migration.checksum() };
    let sql = format!(
        "INSERT INTO {}.migrations (version, name, checksum) VALUES ({{version:UInt32}}, {{name:String}}, {{checksum:String}})",
        names.database
    );
    let query = client.query_raw(&sql);
    let query = query.param("version", row.version).param("name", row.name).param("checksum", row.checksum);
    within("the record of a migration", STATEMENT, query.execute()).await
}

/// Alters only what differs: an ALTER rewrites the age of every part.
async fn retain(client: &Client, names: &Names, retention: &Retention) -> Result<(), Error> {
    for (table, column, lifetime) in AGING {
        let period = match lifetime {
            Lifetime::Metadata => retention.metadata,
            Lifetime::Content => retention.content,
        };
        let table = format!("{table}{}", names.local());
        let ttl = format!("toDateTime({column}) + toIntervalSecond({})", period.as_secs());
        let sql = "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {name:String}";
        let query = client.query_raw(sql).param("database", &names.database).param("name", &table);
        let engine = within("the retention", STATEMENT, query.fetch_one::<String>()).await?;
        if !engine.contains(&format!("TTL {ttl}")) {
            let place = format!("{}.{table}{}", names.database, names.on_cluster());
            run(client, &format!("ALTER TABLE {place} MODIFY TTL {ttl}")).await?;
            tracing::info!(table, retention = %period, "changed how long the store keeps rows");
        }
    }
    Ok(())
}

async fn run(client: &Client, statement: &str) -> Result<(), Error> {
    within("a statement", STATEMENT, client.query_raw(statement).execute()).await
}
