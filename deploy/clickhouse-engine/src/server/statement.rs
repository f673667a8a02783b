//! Just enough SQL reading to route a statement: is it an INSERT with data
//! (where does the data begin, in which format), a SELECT (in which output
//! format), or anything else?
//!
//! It never decides what is allowed; the engine's own parser does. A wrong
//! guess here costs streaming, not correctness, so only tokens are read.

/// How a statement is to be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `INSERT … FORMAT x` or `… VALUES`: rows follow as data.
    Insert {
        /// The statement ends here, before FORMAT or VALUES.
        head_end: usize,
        /// The data inside the text begins here.
        data_start: usize,
        format: String,
    },
    /// A query whose rows may be streamed.
    Select { format: Option<String> },
    /// DDL, SHOW, DESCRIBE, INSERT … SELECT and the rest.
    Other { format: Option<String> },
}

/// Reads the shape of `sql`.
pub(crate) fn read(sql: &[u8]) -> Statement {
    let tokens = Tokens::of(sql);
    let mut first = tokens;
    match first.next() {
        Some(token) if token.is(sql, "INSERT") => insert(sql, first),
        Some(token) if ["SELECT", "WITH", "FROM", "("].iter().any(|word| token.is(sql, word)) => {
            Statement::Select { format: output_format(sql, tokens) }
        }
        _ => Statement::Other { format: output_format(sql, tokens) },
    }
}

fn insert(sql: &[u8], mut tokens: Tokens<'_>) -> Statement {
    let mut depth = 0_u32;
    let mut end = tokens.at;
    let mut after_into = false;
    while let Some(token) = tokens.next() {
        let name_follows = after_into;
        after_into = token.is(sql, "INTO") || (name_follows && token.is(sql, "TABLE"));
        let keyword = depth == 0 && !name_follows && !after_dot(sql, token.start);
        if token.is(sql, "(") {
            depth += 1;
        } else if token.is(sql, ")") {
            depth = depth.saturating_sub(1);
        } else if keyword && ["SELECT", "WITH", "FROM"].iter().any(|word| token.is(sql, word)) {
            return Statement::Other { format: None };
        } else if keyword && token.is(sql, "VALUES") {
            return Statement::Insert { head_end: end, data_start: token.end, format: "Values".into() };
        } else if keyword
            && token.is(sql, "FORMAT")
            && let Some(name) = tokens.next()
        {
            let format = String::from_utf8_lossy(&sql[name.start..name.end]).into_owned();
            return Statement::Insert { head_end: end, data_start: data_start(sql, name.end), format };
        }
        end = token.end;
    }
    Statement::Insert { head_end: end, data_start: sql.len(), format: "Values".into() }
}

/// ClickHouse's own rule: data begins after the first newline behind the
/// format name, or after the blanks when there is none.
fn data_start(sql: &[u8], mut at: usize) -> usize {
    while sql.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if sql.get(at) == Some(&b'\r') {
        at += 1;
    }
    if sql.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

/// The name after a last `FORMAT` that ends the query or precedes SETTINGS.
fn output_format(sql: &[u8], mut tokens: Tokens<'_>) -> Option<String> {
    let mut depth = 0_u32;
    while let Some(token) = tokens.next() {
        if token.is(sql, "(") {
            depth += 1;
        } else if token.is(sql, ")") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.is(sql, "FORMAT") {
            let mut ahead = tokens;
            let name = ahead.next()?;
            let closes = ahead.next().is_none_or(|next| next.is(sql, ";") || next.is(sql, "SETTINGS"));
            if name.word && closes {
                return Some(String::from_utf8_lossy(&sql[name.start..name.end]).into_owned());
            }
        }
    }
    None
}

fn after_dot(sql: &[u8], start: usize) -> bool {
    start > 0 && sql[start - 1] == b'.'
}

/// A piece of a statement by its place in it.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    word: bool,
}

impl Token {
    /// Whether it reads `text`, in any case.
    pub(crate) fn is(self, sql: &[u8], text: &str) -> bool {
        sql[self.start..self.end].eq_ignore_ascii_case(text.as_bytes())
    }
}

/// Words, quoted texts as one token each, single signs; comments skipped.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    sql: &'a [u8],
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let start = self.at;
        let byte = *self.sql.get(start)?;
        let word = is_word(byte);
        self.at = match byte {
            b'\'' | b'"' | b'`' => quoted_end(self.sql, start),
            _ if word => self.first_at(start, |byte| !is_word(byte)),
            _ => start + 1,
        };
        Some(Token { start, end: self.at, word })
    }
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(sql: &'a [u8]) -> Self {
        Self { sql, at: 0 }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.sql[self.at..];
            if rest.starts_with(b"--") || rest.starts_with(b"# ") || rest.starts_with(b"#!") {
                self.at = self.first_at(self.at, |byte| byte == b'\n');
            } else if rest.starts_with(b"/*") {
                let close = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                self.at = close.map_or(self.sql.len(), |found| self.at + found + 4);
            } else if rest.first().is_some_and(u8::is_ascii_whitespace) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn first_at(&self, from: usize, stop: impl Fn(u8) -> bool) -> usize {
        let found = self.sql[from..].iter().position(|byte| stop(*byte));
        found.map_or(self.sql.len(), |offset| from + offset)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn quoted_end(sql: &[u8], start: usize) -> usize {
    let mark = sql[start];
    let mut at = start + 1;
    while let Some(byte) = sql.get(at) {
        match *byte {
            b'\\' => at += 1,
            found if found == mark => return at + 1,
            _ => {}
        }
        at += 1;
    }
    sql.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(sql: &str) -> (String, String, String) {
        match read(sql.as_bytes()) {
            Statement::Insert { head_end, data_start, format } => {
                (sql[..head_end].into(), format, sql[data_start..].into())
            }
            other => panic!("{sql} was read as {other:?}"),
        }
    }

    #[test]
    fn inserts_are_cut_before_the_format_and_after_the_first_newline() {
        let table = [
            ("INSERT INTO t(a, b) FORMAT RowBinary", "INSERT INTO t(a, b)", "RowBinary", ""),
            ("insert into t format JSONEachRow\n{\"a\":1}", "insert into t", "JSONEachRow", "{\"a\":1}"),
            ("INSERT INTO t FORMAT CSV\r\n\n1", "INSERT INTO t", "CSV", "\n1"),
            ("INSERT INTO t VALUES (1, 'FORMAT')", "INSERT INTO t", "Values", " (1, 'FORMAT')"),
            ("INSERT INTO format FORMAT CSV 1", "INSERT INTO format", "CSV", "1"),
            ("INSERT INTO TABLE d.values (format) VALUES (1)", "INSERT INTO TABLE d.values (format)", "Values", " (1)"),
            (
                "/* SELECT */ INSERT INTO `a FORMAT b` SETTINGS x = 1 FORMAT TSV",
                "/* SELECT */ INSERT INTO `a FORMAT b` SETTINGS x = 1",
                "TSV",
                "",
            ),
            ("INSERT INTO t", "INSERT INTO t", "Values", ""),
        ];
        for (sql, head, format, data) in table {
            assert_eq!(split(sql), (head.into(), format.into(), data.into()), "{sql}");
        }
    }

    #[test]
    fn an_insert_from_a_query_carries_no_data() {
        for sql in ["INSERT INTO t SELECT 1", "INSERT INTO t (a) WITH 1 AS x SELECT x"] {
            assert_eq!(read(sql.as_bytes()), Statement::Other { format: None }, "{sql}");
        }
    }

    #[test]
    fn the_output_format_is_the_one_the_query_ends_with() {
        let table = [
            ("SELECT 1 FORMAT JSON", Some("JSON")),
            ("-- note\nselect 'it\\'s FORMAT CSV' format TSV;", Some("TSV")),
            ("WITH 1 AS x SELECT x FORMAT Native SETTINGS max_threads = 1", Some("Native")),
            ("(SELECT 1 FORMAT CSV)", None),
            ("SELECT format FROM t", None),
            ("SELECT a AS format", None),
        ];
        for (sql, format) in table {
            assert_eq!(read(sql.as_bytes()), Statement::Select { format: format.map(String::from) }, "{sql}");
        }
        assert_eq!(read(b"SHOW TABLES FORMAT CSV"), Statement::Other { format: Some("CSV".into()) });
    }

    #[test]
    fn broken_text_is_read_without_a_panic() {
        for sql in ["", "'", "INSERT", "INSERT INTO t FORMAT", "/*", "\\", "SELECT 1 FORMAT", "`\\"] {
            read(sql.as_bytes());
        }
    }
}
