//! What no client may do through a statement, as far as the engine itself
//! does not stop it.
//!
//! Files and networks are closed by the engine's own grants (`config`). Holes
//! remain, closed here: `INTO OUTFILE` and `FROM INFILE` are done by the
//! library's client half and know no rights; `input()` reads the process's
//! standard input and so loses the rows of the body; and the scalar function
//! `file` reads any file, even under `readonly`, and can be named in many ways
//! (`arrayMap(file, …)`, `APPLY file`, `eval('…')`). So a read-only statement,
//! the only kind that strangers write, may not contain these names at all, nor
//! anything that ClickHouse quotes in a way this reader does not follow.

use super::failure::{Failure, Refusal};
use super::statement::{Token, Tokens};

/// Names a read-only statement may not contain.
const NAMES: [&str; 2] = ["file", "eval"];

/// Whether the client may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Full,
    ReadOnly,
}

/// Refuses what must not run.
pub(crate) fn check(sql: &[u8], access: Access) -> Result<(), Failure> {
    let mut before: Option<Token> = None;
    let mut input = false;
    for token in Tokens::of(sql) {
        let after = |word: &str| before.is_some_and(|before| before.is(sql, word));
        if (after("INTO") && token.is(sql, "OUTFILE")) || (after("FROM") && token.is(sql, "INFILE")) {
            return Err(
                Refusal::Unsupported.because("files are not read or written, leave out INTO OUTFILE and FROM INFILE")
            );
        }
        if input && token.is(sql, "(") {
            let reason = "rows cannot be read through input(), insert them into the table directly";
            return Err(Refusal::Unsupported.because(reason));
        }
        input = after("FROM") && (token.is(sql, "input") || token.is(sql, "`input`") || token.is(sql, "\"input\""));
        if access == Access::ReadOnly {
            read_only(&sql[token.start..token.end], &sql[token.end..])?;
        }
        before = Some(token);
    }
    Ok(())
}

fn read_only(text: &[u8], rest: &[u8]) -> Result<(), Failure> {
    let refuse = |what: &str| Err(Refusal::ReadOnly.because(format!("{what} is not allowed in a read-only statement")));
    let quoted = matches!(text.first(), Some(b'"' | b'`'));
    if text.first() == Some(&b'\'') {
        return Ok(());
    }
    if quoted && text.contains(&b'\\') {
        return refuse("an escape inside an identifier");
    }
    let name = if quoted { text.get(1..text.len() - 1).unwrap_or_default() } else { text };
    if NAMES.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes())) {
        return refuse("the name `file` or `eval`");
    }
    if !quoted && (text == b"$" || !text.is_ascii() || (text == b"/" && rest.first() == Some(&b'/'))) {
        return refuse("a `$`, a `//` or a sign beyond ASCII outside quotes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_file_is_refused_however_it_is_written() {
        let table = [
            "SELECT file('/etc/passwd')",
            "SELECT `file`('/etc/passwd')",
            "SELECT \"file\" /* x */ ('/etc/passwd')",
            r"SELECT `\x66ile`('/etc/passwd')",
            "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
            "SELECT arrayMap(file, ['/etc/passwd'])",
            "SELECT * FROM eval('SELECT 1')",
            "SELECT $$'$$, file('/etc/passwd'), $$'$$",
            "SELECT 1 // '\n, file('/etc/passwd') // '",
            "SELECT ‘'’, file('/etc/passwd'), ‘'’",
            "SELECT 1 INTO /* */ outfile 'x'",
        ];
        for sql in table {
            assert!(check(sql.as_bytes(), Access::ReadOnly).is_err(), "{sql}");
        }
    }

    #[test]
    fn an_open_quote_is_read_without_a_panic() {
        for sql in ["`", "\"", "'", "\"fil", "`\\"] {
            let _ = check(sql.as_bytes(), Access::ReadOnly);
        }
    }

    #[test]
    fn ordinary_statements_pass() {
        let table = [
            "SELECT 'file', 'я $$ //', profile FROM files -- file(",
            "SELECT a / b, `плотина`, \"x y\" FROM t WHERE s LIKE '%\\'file(%'",
        ];
        for sql in table {
            assert!(check(sql.as_bytes(), Access::ReadOnly).is_ok(), "{sql}");
        }
        assert!(check(b"CREATE TABLE t (file String) ENGINE = Memory", Access::Full).is_ok());
        assert!(check(b"SELECT 1 INTO OUTFILE 'x'", Access::Full).is_err());
        assert!(check(b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", Access::Full).is_err());
        assert!(check(b"INSERT INTO t SELECT a FROM `input` ('a UInt8') FORMAT CSV", Access::Full).is_err());
        assert!(check(b"SELECT a FROM input WHERE (a)", Access::Full).is_ok());
    }
}
