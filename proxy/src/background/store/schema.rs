//! The migrations as plain SQL files, and how they become statements for one server or a cluster.
//!
//! Pure. A file is `NNNN_name.sql`, numbered without gaps, applied in order, never changed
//! once released. Statements end with `;` at the end of a line. Every statement can be
//! repeated without harm (`IF NOT EXISTS` and the like), because two replicas may apply the
//! same file at the same time and a crash may come between two statements. Columns are only
//! added, each with a DEFAULT, so that an older replica can go on writing beside a newer one.
//!
//! Placeholders, all of them:
//!
//! | written | one server | cluster `c` |
//! | --- | --- | --- |
//! | `{database}` | the database | the same |
//! | `{cluster}` | not used | `c` |
//! | `{on_cluster}` | nothing | ` ON CLUSTER 'c'` |
//! | `{local}` | nothing | `_local`: the shard's own table behind the Distributed one |
//! | `{replacing_merge_tree}` | `ReplacingMergeTree` | `ReplicatedReplacingMergeTree('…/{shard}/…', '{replica}')` |
//! | `{replacing_merge_tree(last_seen_at)}` | with its version column | the same |
//!
//! A statement after a line `-- cluster only` is left out for one server.

use include_dir::{Dir, include_dir};

use super::Error;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/migrations");

const CLUSTER_ONLY: &str = "-- cluster only";

/// One numbered file.
#[derive(Clone, Debug)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) name: String,
    pub(super) sql: String,
}

/// What the placeholders stand for.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) database: String,
    pub(super) cluster: Option<String>,
}

/// The migrations of this program, in order.
pub(super) fn migrations() -> Result<Vec<Migration>, Error> {
    let mut list = Vec::new();
    for file in FILES.files() {
        let name = file.path().file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (number, _) = name.split_once('_').unwrap_or_default();
        let (Ok(version), Some(sql)) = (number.parse(), file.contents_utf8()) else {
            return Err(Error::BadMigration(file.path().display().to_string()));
        };
        list.push(Migration { version, name: name.to_owned(), sql: sql.to_owned() });
    }
    list.sort_by_key(|migration| migration.version);
    Ok(list)
}

impl Migration {
    /// BLAKE3 of the file in hex: placeholders and all, so that one server and a cluster agree.
    pub(super) fn checksum(&self) -> String {
        blake3::hash(self.sql.as_bytes()).to_hex().to_string()
    }

    /// The statements, ready to run.
    pub(super) fn statements(&self, names: &Names) -> Vec<String> {
        let mut statements = Vec::new();
        let mut lines: Vec<&str> = Vec::new();
        let mut wanted = true;
        for line in self.sql.lines() {
            if line.trim() == CLUSTER_ONLY {
                wanted = names.cluster.is_some();
            } else if !line.trim_start().starts_with("--") {
                lines.push(line.trim_end().strip_suffix(';').unwrap_or(line));
            }
            if line.trim_end().ends_with(';') && !line.trim_start().starts_with("--") {
                if wanted {
                    statements.push(names.fill(lines.join("\n").trim()));
                }
                lines.clear();
                wanted = true;
            }
        }
        statements
    }
}

impl Names {
    /// The suffix of the tables that hold the rows.
    pub(super) fn local(&self) -> &'static str {
        if self.cluster.is_some() { "_local" } else { "" }
    }

    /// ` ON CLUSTER '…'`, or nothing.
    pub(super) fn on_cluster(&self) -> String {
        self.cluster.as_ref().map(|cluster| format!(" ON CLUSTER '{cluster}'")).unwrap_or_default()
    }

    /// The engine of the `migrations` table itself: on a cluster one copy on every server,
    /// whatever its shard, so that all replicas of Weir see the same history.
    pub(super) fn history_engine(&self) -> String {
        match &self.cluster {
            None => "ReplacingMergeTree(applied_at)".into(),
            Some(_) => format!(
                "ReplicatedReplacingMergeTree('/clickhouse/tables/{}/migrations', '{{shard}}-{{replica}}', applied_at)",
                self.database
            ),
        }
    }

    fn fill(&self, sql: &str) -> String {
        let table = table_of(sql);
        let sql = sql
            .replace("{replacing_merge_tree(last_seen_at)}", &self.engine(table, Some("last_seen_at")))
            .replace("{replacing_merge_tree}", &self.engine(table, None));
        sql.replace("{database}", &self.database)
            .replace("{on_cluster}", &self.on_cluster())
            .replace("{local}", self.local())
            .replace("{cluster}", self.cluster.as_deref().unwrap_or_default())
    }

    fn engine(&self, table: &str, version: Option<&str>) -> String {
        match (&self.cluster, version) {
            (None, None) => "ReplacingMergeTree".into(),
            (None, Some(version)) => format!("ReplacingMergeTree({version})"),
            (Some(_), version) => {
                let version = version.map(|version| format!(", {version}")).unwrap_or_default();
                let path = format!("/clickhouse/tables/{{shard}}/{}/{table}", self.database);
                format!("ReplicatedReplacingMergeTree('{path}', '{{replica}}'{version})")
            }
        }
    }
}

/// The bare name of the table that a statement creates.
fn table_of(sql: &str) -> &str {
    let name = sql.split_once("{database}.").map_or("", |(_, rest)| rest);
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cluster: Option<&str>) -> Names {
        Names { database: "weir".into(), cluster: cluster.map(str::to_owned) }
    }

    #[test]
    fn migrations_are_numbered_without_gaps_and_each_statement_can_be_repeated() {
        let list = migrations().unwrap();
        let versions: Vec<u32> = list.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=u32::try_from(list.len()).unwrap()).collect::<Vec<_>>());
        for statement in list.iter().flat_map(|migration| migration.statements(&names(Some("c")))) {
            assert!(statement.contains("IF NOT EXISTS") || statement.contains("IF EXISTS"), "{statement}");
        }
    }

    #[test]
    fn one_server_gets_plain_tables_and_a_cluster_gets_replicated_ones_behind_distributed_ones() {
        let list = migrations().unwrap();
        let single: Vec<String> = list.iter().flat_map(|migration| migration.statements(&names(None))).collect();
        let cluster: Vec<String> = list.iter().flat_map(|migration| migration.statements(&names(Some("c")))).collect();
        assert_eq!(cluster.len(), single.len() * 2);
        for statement in &single {
            let creates = statement.starts_with("CREATE TABLE");
            assert!(!creates || statement.contains("ENGINE = ReplacingMergeTree"), "{statement}");
            assert!(!statement.contains(['{']) && !statement.contains("CLUSTER"), "{statement}");
            assert!(!statement.contains("_local"), "{statement}");
        }
        let (created, altered): (Vec<_>, Vec<_>) =
            cluster.chunks(2).partition(|pair| pair[0].starts_with("CREATE TABLE"));
        for pair in altered {
            let table = pair[1].split(['.', ' ']).nth(3).unwrap();
            assert!(pair[0].starts_with(&format!("ALTER TABLE weir.{table}_local ON CLUSTER 'c'")), "{}", pair[0]);
            assert!(pair[1].starts_with(&format!("ALTER TABLE weir.{table} ON CLUSTER 'c'")), "{}", pair[1]);
        }
        for pair in created {
            let table = pair[1].split(['.', ' ']).nth(6).unwrap();
            let path = format!("'/clickhouse/tables/{{shard}}/weir/{table}', '{{replica}}'");
            assert!(pair[0].contains(&format!("weir.{table}_local ON CLUSTER 'c'")), "{}", pair[0]);
            assert!(pair[0].contains(&path), "{}", pair[0]);
            assert!(pair[1].contains(&format!("Distributed('c', 'weir', '{table}_local'")), "{}", pair[1]);
        }
    }
}
