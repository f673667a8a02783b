//! What all test suites share.
