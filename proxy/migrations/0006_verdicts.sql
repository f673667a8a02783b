-- What critics said of each exchange, what was decided, and the answers that were not given.
ALTER TABLE {database}.exchanges{local}{on_cluster}
    ADD COLUMN IF NOT EXISTS verdict LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS decision LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS handling LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS stopped Bool DEFAULT false,
    ADD COLUMN IF NOT EXISTS failed_answers UInt16 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS failed_critics Array(LowCardinality(String)) DEFAULT [],
    ADD COLUMN IF NOT EXISTS skipped_critics Array(LowCardinality(String)) DEFAULT [],
    ADD COLUMN IF NOT EXISTS judge_prompt_tokens UInt64 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS judge_completion_tokens UInt64 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS judge_engine_us UInt64 DEFAULT 0 CODEC(T64, ZSTD(1));

-- cluster only
ALTER TABLE {database}.exchanges{on_cluster}
    ADD COLUMN IF NOT EXISTS verdict LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS decision LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS handling LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS stopped Bool DEFAULT false,
    ADD COLUMN IF NOT EXISTS failed_answers UInt16 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS failed_critics Array(LowCardinality(String)) DEFAULT [],
    ADD COLUMN IF NOT EXISTS skipped_critics Array(LowCardinality(String)) DEFAULT [],
    ADD COLUMN IF NOT EXISTS judge_prompt_tokens UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS judge_completion_tokens UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS judge_engine_us UInt64 DEFAULT 0;

-- One row per verdict, without text: what was found is named by its `codes` only. Kept as long
-- as the metadata. `round` 0 is the answer that was given, from 1 on those that were not;
-- `place` counts the verdicts of an exchange, and makes the key unique.
--
-- Read by critic and time: how often it fails, how long it takes, how its scores are spread.
-- `inclusion_probability` is the exchange's, for estimates without a join.
CREATE TABLE IF NOT EXISTS {database}.verdicts{local}{on_cluster}
(
    exchange_id UUID,
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    route LowCardinality(String),
    model LowCardinality(String),
    engine LowCardinality(String),
    round UInt16,
    place UInt16,
    critic LowCardinality(String),
    version LowCardinality(String),
    mode LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    score Nullable(Float64) CODEC(ZSTD(1)),
    codes Array(LowCardinality(String)),
    took_us UInt64 CODEC(T64, ZSTD(1)),
    prompt_tokens UInt64 CODEC(T64, ZSTD(1)),
    completion_tokens UInt64 CODEC(T64, ZSTD(1)),
    engine_us UInt64 CODEC(T64, ZSTD(1)),
    inclusion_probability Float64 CODEC(ZSTD(1)),

    INDEX exchange_ids exchange_id TYPE bloom_filter(0.001) GRANULARITY 1,

    CONSTRAINT started_at_is_plausible CHECK started_at >= '2020-01-01 00:00:00' AND started_at < '2100-01-01 00:00:00'
)
ENGINE = {replacing_merge_tree}
PARTITION BY toDate(started_at)
ORDER BY (critic, started_at, exchange_id, place)
SETTINGS non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.verdicts{on_cluster} AS {database}.verdicts_local
ENGINE = Distributed('{cluster}', '{database}', 'verdicts_local', cityHash64(exchange_id));

-- The text that belongs to verdicts, redacted: answers that were not given, and what was found
-- in each. `round` 0 has no answer of its own, which is in `exchange_contents`. `findings` is a
-- JSON array for the verdict of that `place`. Kept as long as contents.
CREATE TABLE IF NOT EXISTS {database}.exchange_rounds{local}{on_cluster}
(
    exchange_id UUID,
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    route LowCardinality(String),
    round UInt16,
    judged_us UInt64 CODEC(T64, ZSTD(1)),
    completion_tokens UInt32 CODEC(T64, ZSTD(1)),
    response_type LowCardinality(String),
    body String CODEC(ZSTD(3)),
    text String CODEC(ZSTD(3)),
    findings Nested
    (
        place UInt16,
        found String
    ),

    INDEX exchange_ids exchange_id TYPE bloom_filter(0.001) GRANULARITY 1,

    CONSTRAINT started_at_is_plausible CHECK started_at >= '2020-01-01 00:00:00' AND started_at < '2100-01-01 00:00:00'
)
ENGINE = {replacing_merge_tree}
PARTITION BY toDate(started_at)
ORDER BY (toStartOfHour(started_at), tenant, route, started_at, exchange_id, round)
SETTINGS index_granularity = 1024,
    non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.exchange_rounds{on_cluster} AS {database}.exchange_rounds_local
ENGINE = Distributed('{cluster}', '{database}', 'exchange_rounds_local', cityHash64(exchange_id));
