//! What Weir reads from the answers of each engine, one row per fixture.
//!
//! The fixtures are described in `README.md` beside this file. Every one of them must have
//! its row, so that a fixture nobody reads is a failure.

mod captures;
mod dialects;
mod exchanges;
mod fixture;
