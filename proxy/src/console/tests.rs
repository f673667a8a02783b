//! Tests of the console through its own router.
