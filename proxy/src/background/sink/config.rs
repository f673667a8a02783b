//! How much goes into one batch, and where refused rows are set aside.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exchange::{ByteSize, Fault, Period};

/// Writing to ClickHouse.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most records in one batch. Large batches are what ClickHouse is fast at. Default 10000.
    pub batch_records: usize,
    /// Most bytes of records in one batch: bounds memory and what one retry repeats. Default 8MiB.
    pub batch_bytes: ByteSize,
    /// Longest wait for a full batch: how fresh the console is. Default 1s.
    pub flush_interval: Period,
    /// Longest time for one insert before it is repeated with the same token. Default 1m.
    pub insert_timeout: Period,
    /// Longest pause between two tries while ClickHouse is away. Default 30s.
    pub longest_pause: Period,
    /// Folder for `rejected/`, the records that ClickHouse refused for their content. Default `.weir/sink`.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// Most bytes in `rejected/`; the oldest files go first. Default 256MiB.
    pub rejected_bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batch_records: 10_000,
            batch_bytes: ByteSize::mib(8),
            flush_interval: Period::secs(1),
            insert_timeout: Period::secs(60),
            longest_pause: Period::secs(30),
            data_dir: PathBuf::from(".weir/sink"),
            rejected_bytes: ByteSize::mib(256),
        }
    }
}

impl Config {
    /// Everything that is wrong, below `path`.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let (day, second) = (Period::secs(86_400), Period::secs(1));
        let table = [
            ("batch_records", (1..=100_000).contains(&self.batch_records), "write 1 to 100000"),
            ("batch_bytes", within(self.batch_bytes, ByteSize::kib(64), ByteSize::mib(256)), "write 64KiB to 256MiB"),
            ("flush_interval", within(self.flush_interval, Period::millis(10), Period::secs(600)), "write 10ms to 10m"),
            ("insert_timeout", within(self.insert_timeout, second, Period::secs(3600)), "write 1s to 1h"),
            ("longest_pause", within(self.longest_pause, Period::millis(10), day), "write 10ms to 1d"),
            ("rejected_bytes", self.rejected_bytes >= ByteSize::mib(1), "write 1MiB or more"),
        ];
        let wrong = table.into_iter().filter(|(_, fits, _)| !fits);
        wrong.map(|(key, _, cure)| Fault::new(format!("{path}.{key}"), "is out of its range", cure)).collect()
    }
}

fn within<T: PartialOrd>(value: T, least: T, most: T) -> bool {
    (least..=most).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_and_every_value_out_of_range_is_named() {
        assert_eq!(Config::default().faults("sink"), vec![]);
        let wrong = Config {
            batch_records: 0,
            batch_bytes: ByteSize(1),
            flush_interval: Period::secs(0),
            insert_timeout: Period::millis(1),
            longest_pause: Period::secs(0),
            rejected_bytes: ByteSize(0),
            ..Config::default()
        };
        let paths: Vec<String> = wrong.faults("sink").into_iter().map(|fault| fault.path).collect();
        let keys =
            ["batch_records", "batch_bytes", "flush_interval", "insert_timeout", "longest_pause", "rejected_bytes"];
        assert_eq!(paths, keys.map(|key| format!("sink.{key}")));
    }
}
