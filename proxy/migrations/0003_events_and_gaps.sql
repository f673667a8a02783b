-- What happened to the service rather than to one answer: engine changed, prompt cut,
-- configuration reloaded ... `detail` is a JSON object and never holds prompt text.
CREATE TABLE IF NOT EXISTS {database}.events{local}{on_cluster}
(
    event_id UUID,
    at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String),
    exchange_id UUID,
    tenant LowCardinality(String),
    route LowCardinality(String),
    engine LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    instance LowCardinality(String),

    CONSTRAINT at_is_plausible CHECK at >= '2020-01-01 00:00:00' AND at < '2100-01-01 00:00:00'
)
ENGINE = {replacing_merge_tree}
PARTITION BY toYYYYMM(at)
ORDER BY (at, event_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000, materialize_ttl_recalculate_only = 1;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.events{on_cluster} AS {database}.events_local
ENGINE = Distributed('{cluster}', '{database}', 'events_local', cityHash64(event_id));

-- Records that could not be kept, with their time range: a statistic over a range that a
-- gap touches must say so. Kept as long as the metadata that it explains.
CREATE TABLE IF NOT EXISTS {database}.gaps{local}{on_cluster}
(
    gap_id UUID,
    from_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    to_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    reason LowCardinality(String),
    lost UInt64,
    instance LowCardinality(String)
)
ENGINE = {replacing_merge_tree}
ORDER BY (to_at, gap_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000, materialize_ttl_recalculate_only = 1;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.gaps{on_cluster} AS {database}.gaps_local
ENGINE = Distributed('{cluster}', '{database}', 'gaps_local', cityHash64(gap_id));
