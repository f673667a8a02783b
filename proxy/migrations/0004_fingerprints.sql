-- What a fingerprint digest in `exchanges` stands for. The newest row of a digest wins;
-- read with FINAL, the table is tiny.
CREATE TABLE IF NOT EXISTS {database}.fingerprints{local}{on_cluster}
(
    digest String,
    engine LowCardinality(String),
    engine_kind LowCardinality(String),
    fingerprint_json String CODEC(ZSTD(1)),
    last_seen_at DateTime64(6, 'UTC')
)
ENGINE = {replacing_merge_tree(last_seen_at)}
ORDER BY (digest, engine)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.fingerprints{on_cluster} AS {database}.fingerprints_local
ENGINE = Distributed('{cluster}', '{database}', 'fingerprints_local', cityHash64(digest));
