//! Token bucket: how much a tenant may use per minute, with one minute's burst.
//!
//! Pure: the caller brings the clock. A bucket may be charged after the fact (tokens are
//! known when the answer is over) and then goes below zero, which the next ones wait for.

use std::time::{Duration, Instant};

/// State of one bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_minute: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(per_minute: u64, now: Instant) -> Self {
        Self { per_minute: per_minute as f64, level: per_minute as f64, at: now }
    }

    /// How long until the bucket holds `need`; zero when it does now. At most a full bucket is waited for.
    pub(super) fn wait(&mut self, need: f64, now: Instant) -> Duration {
        self.refill(now);
        let missing = need.min(self.per_minute) - self.level;
        if missing <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(missing * 60.0 / self.per_minute) }
    }

    /// Takes from the bucket, below zero if need be.
    pub(super) fn charge(&mut self, amount: f64, now: Instant) {
        self.refill(now);
        self.level -= amount;
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_minute / 60.0).min(self.per_minute);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_allows_what_it_says_and_debts_are_waited_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(60, start);
        for _ in 0..60 {
            assert_eq!(bucket.wait(1.0, start), Duration::ZERO);
            bucket.charge(1.0, start);
        }
        assert_eq!(bucket.wait(1.0, start), Duration::from_secs(1));
        assert_eq!(bucket.wait(1.0, start + Duration::from_secs(1)), Duration::ZERO);
        bucket.charge(121.0, start + Duration::from_secs(1));
        assert_eq!(bucket.wait(1.0, start + Duration::from_secs(1)), Duration::from_secs(121));
        assert_eq!(
            bucket.wait(1000.0, start + Duration::from_secs(600)),
            Duration::ZERO,
            "never more than a full bucket"
        );
    }
}
