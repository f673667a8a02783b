//! The answer cache: answers given again, and generations that several exchanges share.

pub mod flight;
