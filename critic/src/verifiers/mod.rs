//! Verifiers: critics that find out whether something is so, by computing it.

pub mod arithmetic;
pub mod command;
pub mod final_answer;
