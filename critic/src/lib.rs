//! Critics judge text. This crate knows no HTTP, no ClickHouse and no proxy.

pub mod personal_data;
