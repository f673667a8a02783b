//! Rules: critics that cost microseconds and see all traffic.

pub mod personal_data;
