//! Incremental reader of server-sent events (WHATWG HTML, section 9.2).
