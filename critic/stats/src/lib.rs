//! Pure statistics: no clock, no IO, no randomness but what a seed gives.

pub mod agreement;
pub mod beta;
pub mod bootstrap;
pub mod confusion;
pub mod interval;
pub mod normal;
pub mod paired;
pub mod random;
pub mod ranking;
pub mod reliability;
pub mod rescale;
pub mod threshold;
pub mod weighted;
