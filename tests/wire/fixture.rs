//! Fixture files: an HTTP head with LF line ends, an empty line, the body as sent.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// An HTTP message.
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) start: String,
    /// Header lines, lower case.
    pub(crate) head: String,
    /// Body.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Takes a message apart.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("a fixture has an empty line after its head");
        let text = String::from_utf8(bytes[..end].to_vec()).expect("a fixture's head is text");
        let (start, head) = text.split_once('\n').unwrap_or((&text, ""));
        Self { start: start.to_owned(), head: head.to_lowercase(), body: bytes[end + 2..].to_vec() }
    }

    /// Status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().expect("a status line has a status")
    }

    /// Method of a request.
    pub(crate) fn method(&self) -> http::Method {
        self.word(0).parse().expect("a request line has a method")
    }

    /// Path of a request.
    pub(crate) fn path(&self) -> &str {
        self.word(1)
    }

    /// Whether the body is a stream of server-sent events.
    pub(crate) fn is_stream(&self) -> bool {
        self.head.contains("content-type: text/event-stream")
    }

    fn word(&self, n: usize) -> &str {
        self.start.split(' ').nth(n).expect("a start line has three words")
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wire")
}

/// Request and response of `engine/name`.
pub(crate) fn load(id: &str) -> (Message, Message) {
    let read = |kind: &str| {
        let path = folder().join(format!("{id}.{kind}"));
        Message::parse(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    (read("request"), read("response"))
}

/// `engine/name` of every fixture.
pub(crate) fn all() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for engine in fs::read_dir(folder()).expect("the wire folder is there") {
        let engine = engine.expect("the wire folder is readable").path();
        for file in fs::read_dir(&engine).into_iter().flatten().flatten() {
            let name = engine.file_name().expect("an engine folder has a name").to_string_lossy().into_owned();
            let file = file.file_name().to_string_lossy().into_owned();
            found.extend(file.strip_suffix(".response").map(|fixture| format!("{name}/{fixture}")));
        }
    }
    found
}
