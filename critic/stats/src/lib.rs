//! Pure statistics: no clock, no IO, no randomness of their own.

pub mod interval;
pub mod weighted;
