//! The console port: pages, JSON API, metrics and health.
