//! The engine's own config files, written into the data directory before every
//! start so that they always fit the program that reads them.
//!
//! A config file is always named: without one the engine would pick up a
//! stray `config.xml` of the working directory. Durability lives here because
//! the argument form of merge tree settings is ignored.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::spec::Limits;

/// What the engine's only user may do: everything inside the store, nothing
/// outside it. Left out on purpose: every source (files, URLs, S3, other
/// servers), users, shutdown. `Distributed` needs its engine granted by name.
const USERS: &str = "<clickhouse>
    <!-- written by weir at every start; changes are lost -->
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password></password>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants>
                <query>GRANT SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, BACKUP, KILL QUERY, CHECK, UNDROP TABLE, dictGet, INTROSPECTION, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM FLUSH, SYSTEM DROP CACHE, SYSTEM RELOAD, SYSTEM VIEWS ON *.*</query>
                <query>GRANT TABLE ENGINE ON Distributed</query>
            </grants>
        </default>
    </users>
</clickhouse>
";

/// Writes `users.xml` and `config.xml` and returns the path of the latter. An
/// old file stays until the new one is complete.
pub(crate) fn write(data_dir: &Path, limits: &Limits) -> io::Result<PathBuf> {
    replace(&data_dir.join("users.xml"), USERS)?;
    let path = data_dir.join("config.xml");
    replace(&path, &text(data_dir, limits))?;
    Ok(path)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

fn escaped(path: &Path) -> String {
    path.display().to_string().replace('&', "&amp;").replace('<', "&lt;")
}

/// Small: the engine is a guest beside a proxy. Caches are upper bounds.
const POOLS_AND_CACHES: &str = "\
    <background_pool_size>2</background_pool_size>
    <background_common_pool_size>2</background_common_pool_size>
    <background_move_pool_size>1</background_move_pool_size>
    <background_fetches_pool_size>1</background_fetches_pool_size>
    <background_schedule_pool_size>4</background_schedule_pool_size>
    <background_schedule_pool_initial_size>2</background_schedule_pool_initial_size>
    <max_thread_pool_size>512</max_thread_pool_size>
    <max_thread_pool_free_size>8</max_thread_pool_free_size>
    <max_io_thread_pool_size>16</max_io_thread_pool_size>
    <max_io_thread_pool_free_size>0</max_io_thread_pool_free_size>
    <mark_cache_size>67108864</mark_cache_size>
    <index_mark_cache_size>16777216</index_mark_cache_size>
    <primary_index_cache_size>67108864</primary_index_cache_size>
    <query_condition_cache_size>16777216</query_condition_cache_size>
    <vector_similarity_index_cache_size>268435456</vector_similarity_index_cache_size>
    <text_index_tokens_cache_size>33554432</text_index_tokens_cache_size>
    <text_index_header_cache_size>33554432</text_index_header_cache_size>
    <text_index_postings_cache_size>67108864</text_index_postings_cache_size>
    <compiled_expression_cache_size>33554432</compiled_expression_cache_size>
";

/// The free-entries settings must fit the small merge pool, or the engine
/// refuses every table.
const MERGE_TREE: &str = "\
    <merge_tree>
        <fsync_after_insert>1</fsync_after_insert>
        <fsync_part_directory>1</fsync_part_directory>
        <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
";

/// The port is never listened on: it makes the one node of the cluster count
/// as local, so that `Distributed` reads without a network.
const CLUSTER: &str = "\
    <tcp_port>9000</tcp_port>
    <remote_servers>
        <weir><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></weir>
    </remote_servers>
    <macros><cluster>weir</cluster><shard>01</shard><replica>local</replica></macros>
";

fn text(data_dir: &Path, limits: &Limits) -> String {
    let memory = limits
        .memory_bytes
        .map_or(String::new(), |bytes| format!("    <max_server_memory_usage>{bytes}</max_server_memory_usage>\n"));
    format!(
        "<clickhouse>
    <!-- written by weir at every start; changes are lost -->
    <max_server_memory_usage_to_ram_ratio>{ratio}</max_server_memory_usage_to_ram_ratio>
{memory}{POOLS_AND_CACHES}{MERGE_TREE}{CLUSTER}    <users_config>{users}</users_config>
    <backups><allowed_path>{backups}</allowed_path></backups>
</clickhouse>
",
        ratio = limits.memory_ratio,
        users = escaped(&data_dir.join("users.xml")),
        backups = escaped(&data_dir.join("backups/")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_limit_appears_only_when_it_is_set() {
        let unset = text(Path::new("/d"), &Limits::default());
        assert!(unset.contains("<max_server_memory_usage_to_ram_ratio>0.25<"), "{unset}");
        assert!(!unset.contains("<max_server_memory_usage>"), "{unset}");
        let set = text(Path::new("/d"), &Limits { memory_bytes: Some(1 << 30), ..Limits::default() });
        assert!(set.contains("<max_server_memory_usage>1073741824<"), "{set}");
    }
}
