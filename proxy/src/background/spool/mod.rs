//! The disk queue between the recorder and the sink.
