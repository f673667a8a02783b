//! What each engine program speaks: health, version, model, metrics.
