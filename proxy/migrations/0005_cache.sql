-- What the cache did with each exchange, and what a hit saved.
--
-- A hit has no text of its own: `cache_source` is the exchange whose answer was given again,
-- and that one's contents are the text of both. Tokens of hits are in the `saved_*` columns
-- only, so that sums of `*_tokens` stay what engines worked.
ALTER TABLE {database}.exchanges{local}{on_cluster}
    ADD COLUMN IF NOT EXISTS cache LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS cache_reason LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS cache_source UUID DEFAULT toUUID('00000000-0000-0000-0000-000000000000'),
    ADD COLUMN IF NOT EXISTS cache_age_us UInt64 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS saved_prompt_tokens UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS saved_completion_tokens UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS saved_engine_us UInt64 DEFAULT 0 CODEC(T64, ZSTD(1));

-- cluster only
ALTER TABLE {database}.exchanges{on_cluster}
    ADD COLUMN IF NOT EXISTS cache LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS cache_reason LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS cache_source UUID DEFAULT toUUID('00000000-0000-0000-0000-000000000000'),
    ADD COLUMN IF NOT EXISTS cache_age_us UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS saved_prompt_tokens UInt32 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS saved_completion_tokens UInt32 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS saved_engine_us UInt64 DEFAULT 0;
