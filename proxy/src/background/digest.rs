//! Turns a raw record into what is kept of it.
