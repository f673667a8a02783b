-- The text of sampled exchanges, already redacted, apart from the metadata: it is large,
-- read one exchange at a time, and lives much shorter.
--
-- `prompt_text` and `completion_text` are searched by word, without regard to case:
-- `hasAllTokens(prompt_text, 'refund')` uses the index.
-- Small granules, because a granule is what one lookup decompresses.
CREATE TABLE IF NOT EXISTS {database}.exchange_contents{local}{on_cluster}
(
    exchange_id UUID,
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    route LowCardinality(String),
    request_headers Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    request_body String CODEC(ZSTD(3)),
    response_type LowCardinality(String),
    response_body String CODEC(ZSTD(3)),
    prompt_text String CODEC(ZSTD(3)),
    completion_text String CODEC(ZSTD(3)),

    INDEX exchange_ids exchange_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX prompt_words prompt_text TYPE text(tokenizer = splitByNonAlpha, preprocessor = lowerUTF8(prompt_text)),
    INDEX completion_words completion_text TYPE text(tokenizer = splitByNonAlpha, preprocessor = lowerUTF8(completion_text)),

    CONSTRAINT started_at_is_plausible CHECK started_at >= '2020-01-01 00:00:00' AND started_at < '2100-01-01 00:00:00'
)
ENGINE = {replacing_merge_tree}
PARTITION BY toDate(started_at)
ORDER BY (toStartOfHour(started_at), tenant, route, started_at, exchange_id)
SETTINGS index_granularity = 1024,
    non_replicated_deduplication_window = 10000, replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;

-- cluster only
CREATE TABLE IF NOT EXISTS {database}.exchange_contents{on_cluster} AS {database}.exchange_contents_local
ENGINE = Distributed('{cluster}', '{database}', 'exchange_contents_local', cityHash64(exchange_id));
