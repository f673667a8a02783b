//! What the child prints, on its way into our log.
//!
//! Promises: bounded lines, a bounded number of them per child, and no text of
//! statements or rows: the engine quotes those, so a line is cut at its first
//! quotation mark or mention of a query.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The rest of a longer line is dropped.
const LINE_BYTES: usize = 4 << 10;
/// What a line may still have in the log.
const LOGGED_BYTES: usize = 400;
/// A crashing engine prints about a hundred.
const LINES: usize = 500;
/// From here on a line may carry a statement or a row.
const PRIVATE: [&str; 6] = ["query", "'", "\"", "`", "While executing", "before:"];

/// Lines of at most [`LINE_BYTES`].
pub(crate) struct Lines<R> {
    reader: R,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader }
    }

    /// `None` at the end of the output.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let piece = self.reader.fill_buf().await.ok()?;
            if piece.is_empty() {
                return (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned());
            }
            let newline = piece.iter().position(|byte| *byte == b'\n');
            let taken = newline.unwrap_or(piece.len());
            let room = LINE_BYTES - line.len();
            line.extend_from_slice(&piece[..taken.min(room)]);
            let consumed = newline.map_or(taken, |at| at + 1);
            self.reader.consume(consumed);
            if newline.is_some() {
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
}

/// Logs every line until the output ends; returns the last one as logged.
pub(crate) async fn forward<R: AsyncBufRead + Unpin>(mut lines: Lines<R>) -> Option<String> {
    let mut logged = 0_usize;
    let mut last = None;
    while let Some(line) = lines.next().await {
        let line = harmless(&line);
        logged += 1;
        if logged <= LINES {
            tracing::info!(target: "weir_clickhouse_engine::child", "{line}");
        } else if logged == LINES + 1 {
            tracing::warn!(target: "weir_clickhouse_engine::child", "further output of this child is dropped");
        }
        last = Some(line).filter(|line| !line.is_empty()).or(last);
    }
    last
}

fn harmless(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let private = PRIVATE.iter().filter_map(|word| lower.find(&word.to_ascii_lowercase())).min();
    let mut end = private.unwrap_or(line.len()).min(LOGGED_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let cut = if end < line.len() { "…" } else { "" };
    format!("{}{cut}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_split_and_bounded() {
        let text = format!("a\n{}\nlast", "x".repeat(3 * LINE_BYTES));
        let mut lines = Lines::new(text.as_bytes());
        assert_eq!(lines.next().await.as_deref(), Some("a"));
        assert_eq!(lines.next().await.map(|line| line.len()), Some(LINE_BYTES));
        assert_eq!(lines.next().await.as_deref(), Some("last"));
        assert_eq!(lines.next().await, None);
    }

    #[test]
    fn statement_and_row_text_does_not_reach_the_log() {
        let table = [
            ("Code: 62. Syntax error (in query: SELECT secret)", "Code: 62. Syntax error (in …"),
            ("Cannot parse input before: my secret", "Cannot parse input …"),
            ("unknown table 'secret'", "unknown table …"),
            ("0. DB::Exception::Exception(int) @ 0x1234", "0. DB::Exception::Exception(int) @ 0x1234"),
        ];
        for (line, logged) in table {
            assert_eq!(harmless(line), logged);
        }
        assert!(harmless(&"я".repeat(2000)).len() <= LOGGED_BYTES + "…".len());
    }
}
