//! The ClickHouse that holds the records: embedded child or server, and its schema.
