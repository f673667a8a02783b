//! Rules: critics that cost microseconds and see all traffic.

pub mod banned_terms;
pub mod copied_prompt;
pub mod empty;
pub mod json;
pub mod language_flip;
pub mod leaked_tokens;
pub mod personal_data;
pub mod refusal;
pub mod repetition_loop;
pub mod token_probability;
pub mod truncated;
pub mod unsupported_links;
pub mod unsupported_numbers;
mod words;
