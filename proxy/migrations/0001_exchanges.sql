-- What is known of every sampled exchange, without its text. One row per exchange.
--
-- The console reads by time range, then tenant and route: the hour comes first in the
-- key, so that a range reads few granules whatever it filters; `exchange_id` makes the
-- key unique, so that a row delivered twice beyond the deduplication window still folds
-- into one. A lookup by id uses the bloom filter.
-- Durations (`*_us`) are microseconds from arrival, 0 where not reached.
CREATE TABLE IF NOT EXISTS {database}.exchanges{local}{on_cluster}
(
    exchange_id UUID,
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    route LowCardinality(String),
    api LowCardinality(String),
    method LowCardinality(String),
    path LowCardinality(String),
    stream Bool,
    model_requested LowCardinality(String),
    model_answered LowCardinality(String),
    engine LowCardinality(String),
    engine_kind LowCardinality(String),
    replica LowCardinality(String),
    fingerprint LowCardinality(String),
    status UInt16,
    outcome LowCardinality(String),
    error_kind LowCardinality(String),
    error_message String CODEC(ZSTD(1)),
    finish_reasons Array(LowCardinality(String)),
    attempts Nested
    (
        engine LowCardinality(String),
        replica LowCardinality(String),
        started_us UInt64,
        took_us UInt64,
        status UInt16,
        error_kind LowCardinality(String)
    ),
    identified_us UInt64 CODEC(T64, ZSTD(1)),
    admitted_us UInt64 CODEC(T64, ZSTD(1)),
    sent_us UInt64 CODEC(T64, ZSTD(1)),
    head_us UInt64 CODEC(T64, ZSTD(1)),
    first_byte_us UInt64 CODEC(T64, ZSTD(1)),
    first_token_us UInt64 CODEC(T64, ZSTD(1)),
    last_byte_us UInt64 CODEC(T64, ZSTD(1)),
    total_us UInt64 CODEC(T64, ZSTD(1)),
    longest_gap_us UInt64 CODEC(T64, ZSTD(1)),
    request_bytes UInt64 CODEC(T64, ZSTD(1)),
    response_bytes UInt64 CODEC(T64, ZSTD(1)),
    events UInt32 CODEC(T64, ZSTD(1)),
    prompt_tokens UInt32 CODEC(T64, ZSTD(1)),
    completion_tokens UInt32 CODEC(T64, ZSTD(1)),
    cached_tokens UInt32 CODEC(T64, ZSTD(1)),
    reasoning_tokens UInt32 CODEC(T64, ZSTD(1)),
    usage_source LowCardinality(String),
    wasted_tokens UInt32 CODEC(T64, ZSTD(1)),
    expected_prompt_tokens UInt32 CODEC(T64, ZSTD(1)),
    prompt_truncated Bool,
    inclusion_probability Float64 CODEC(ZSTD(1)),
    sample_reason LowCardinality(String),
    redactions UInt32 CODEC(T64, ZSTD(1)),
    user_agent LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    weir_version LowCardinality(String),
    instance LowCardinality(String),
    content_truncated Bool,

    INDEX exchange_ids exchange_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX trace_ids trace_id TYPE bloom_filter(0.01) GRANULARITY 1,

    -- A clock that is far off would scatter partitions or let the TTL delete the row unseen.
    CONSTRAINT started_at_is_plausible CHECK started_at >= '2020-01-01 00:00:00' AND started_at < '2100-01-01 00:00:00',
    CONSTRAINT inclusion_probability_is_a_probability CHECK inclusion_probability > 0 AND inclusion_probability <= 1
)
ENGINE = {replacing_merge_tree}
PARTITION BY toDate(started_at)
ORDER BY (toStartOfHour(started_at), tenant, route, started_at, exchange_id)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.exchanges{on_cluster} AS {database}.exchanges_local
ENGINE = Distributed('{cluster}', '{database}', 'exchanges_local', cityHash64(exchange_id));
