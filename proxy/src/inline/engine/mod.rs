//! The engine client: pool, timeouts, breaker, fallback, dialects.

pub mod dialect;
