//! Writes spooled records to ClickHouse in batches.
