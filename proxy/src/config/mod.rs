//! The configuration: one TOML file, environment overrides, all faults at once.
