//! Decides which exchanges are kept, each with its inclusion probability.
