//! The ClickHouse engine as a child process behind its own HTTP interface on loopback.
