//! Runs one statement on a blocking thread and hands its output over as it
//! comes.
//!
//! Promises: exactly one statement per request (the engine itself would run
//! several); an INSERT is committed only after the client has sent the whole
//! body; a result is streamed only in formats whose pieces join into a whole;
//! a client that leaves ends its SELECT. Knows nothing of HTTP.

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, Refusal};
use super::forbidden::{self, Access};
use super::statement::Statement;
use crate::library::{Connection, EngineError, Insert, Library, Output, Select};
use crate::spec::Limits;

/// Pieces that may wait between engine and client, in each direction.
pub(crate) const PIECES: usize = 4;

/// Each piece has a header of its own, dropped from the second on.
const WITH_HEADER: &str = "RowBinaryWithNamesAndTypes";
const STREAMED: [&str; 8] =
    [WITH_HEADER, "RowBinary", "Native", "JSONEachRow", "JSONCompactEachRow", "TabSeparated", "TSV", "CSV"];

/// Words after which the pieces of a text format carry a frame.
const FRAMED: [&[u8]; 3] = [b"totals", b"extremes", b"array_of_rows"];

/// A statement ready to run.
pub(crate) struct Job {
    pub(crate) sql: Bytes,
    pub(crate) statement: Statement,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) database: Option<String>,
    pub(crate) default_format: String,
    /// Rows sent as body. Closing the channel without `End` discards the insert.
    pub(crate) rows: Option<mpsc::Receiver<Rows>>,
}

/// What the client sends into an INSERT.
pub(crate) enum Rows {
    Data(Bytes),
    End,
}

/// The first answer of a statement.
pub(crate) enum Reply {
    Whole { format: String, output: Output },
    Stream { format: String, first: Bytes, rest: mpsc::Receiver<Piece> },
}

/// What follows the first bytes. Closing the channel without `End` means that
/// the result is cut short.
pub(crate) enum Piece {
    Data(Bytes),
    End,
    Failed(Failure),
}

type Sender = oneshot::Sender<Result<Reply, Failure>>;

/// The engine with what every session starts from.
pub(crate) struct Sessions {
    pub(crate) library: &'static Library,
    pub(crate) arguments: Vec<String>,
    pub(crate) limits: Limits,
}

impl Job {
    fn access(&self) -> Access {
        let read_only = self.settings.iter().any(|(name, value)| name == "readonly" && value != "0");
        if read_only { Access::ReadOnly } else { Access::Full }
    }
}

impl Sessions {
    /// Runs the job to its end; the first answer goes to `reply`. A dropped
    /// receiver means that the client has left.
    pub(crate) fn run(&self, job: Job, reply: Sender) {
        let mut job = job;
        let rows = job.rows.take();
        let mut connection = match self.open(&job) {
            Ok(connection) => connection,
            Err(failure) => return drop(reply.send(Err(failure))),
        };
        match &job.statement {
            Statement::Insert { head_end, data_start, format } => {
                let outcome = insert(&mut connection, &job, (*head_end, *data_start, format), rows);
                drop(connection);
                drop(reply.send(outcome));
            }
            Statement::Select { format } => {
                let format = format.clone().unwrap_or_else(|| job.default_format.clone());
                if streams(&format, &job) {
                    self.stream(&mut connection, &job, format, reply);
                } else {
                    drop(reply.send(whole(&mut connection, &job, format)));
                }
            }
            Statement::Other { format } => {
                let format = format.clone().unwrap_or_else(|| job.default_format.clone());
                drop(reply.send(whole(&mut connection, &job, format)));
            }
        }
    }

    fn stream(&self, connection: &mut Connection, job: &Job, format: String, reply: Sender) {
        let (mut select, first) = match connection.select(&job.sql, &format, &job.params).and_then(first_piece) {
            Ok(started) => started,
            Err(error) => return drop(reply.send(Err(error.into()))),
        };
        if first.is_empty() {
            // An empty streamed result lacks the header that its format promises.
            drop(select);
            return drop(reply.send(whole(connection, job, format)));
        }
        let with_header = format == WITH_HEADER;
        let (pieces, rest) = mpsc::channel(PIECES);
        if reply.send(Ok(Reply::Stream { format, first, rest })).is_err() {
            return;
        }
        loop {
            let piece = next_piece(&mut select, with_header);
            let last = !matches!(piece, Piece::Data(_));
            if !self.give(&pieces, piece) || last {
                return;
            }
        }
    }

    /// False when the client has left or stopped reading.
    fn give(&self, pieces: &mpsc::Sender<Piece>, piece: Piece) -> bool {
        let sent = async { tokio::time::timeout(self.limits.body_idle, pieces.send(piece)).await };
        matches!(Handle::current().block_on(sent), Ok(Ok(())))
    }

    fn open(&self, job: &Job) -> Result<Connection, Failure> {
        let head = match &job.statement {
            Statement::Insert { head_end, .. } => &job.sql[..*head_end],
            _ => &job.sql,
        };
        forbidden::check(head, job.access())?;
        let mut arguments = self.arguments.clone();
        arguments.extend(self.defaults(job));
        let mut connection = self.library.connect(&arguments)?;
        if let Some(database) = &job.database {
            connection.query(format!("USE {}", quoted(database, '`')).as_bytes(), "Null", &[])?;
        }
        if !job.settings.is_empty() {
            let applied = connection.query(set(&job.settings).as_bytes(), "Null", &[]);
            applied.map_err(|EngineError(text)| {
                let names: Vec<_> = job.settings.iter().map(|(name, _)| name.as_str()).collect();
                EngineError(format!("{text} (while setting {})", names.join(", ")))
            })?;
        }
        if !matches!(job.statement, Statement::Insert { .. }) {
            refuse_unless_one(&mut connection, &job.sql, job.access())?;
        }
        Ok(connection)
    }

    /// Limits of ours that the client has not set itself.
    fn defaults(&self, job: &Job) -> Vec<String> {
        let mut defaults = Vec::new();
        let mut put = |name: &str, value: u64| {
            if !job.settings.iter().any(|(given, _)| given == name) {
                defaults.push(format!("--{name}={value}"));
            }
        };
        if self.limits.query_threads > 0 {
            put("max_threads", self.limits.query_threads.into());
        }
        if let Statement::Select { format } = &job.statement {
            put("max_execution_time", self.limits.select_time.as_secs());
            if !streams(format.as_ref().unwrap_or(&job.default_format), job) {
                put("max_result_bytes", self.limits.result_bytes);
            }
        }
        defaults
    }
}

/// As arguments of the session they would be cheaper, but a value that does
/// not fit then fails without a reason and leaks a reference to the engine.
fn set(settings: &[(String, String)]) -> String {
    let pairs: Vec<_> = settings.iter().map(|(name, value)| format!("{name} = {}", quoted(value, '\''))).collect();
    format!("SET {}", pairs.join(", "))
}

fn quoted(text: &str, mark: char) -> String {
    let escaped = text.replace('\\', "\\\\").replace(mark, &format!("\\{mark}"));
    format!("{mark}{escaped}{mark}")
}

/// A text that does not parse as a whole must not be run either: the engine
/// would run the statements before the broken one. Opening it as an insert
/// parses it as a single statement and never runs it.
fn refuse_unless_one(connection: &mut Connection, sql: &[u8], access: Access) -> Result<(), Failure> {
    match connection.classify(sql)? {
        (1, false) if access == Access::ReadOnly => {
            Err(Refusal::ReadOnly.because("only statements that read are allowed here"))
        }
        (1, _) => Ok(()),
        (0, _) => match connection.insert(sql, "", &[]) {
            Err(error) => Err(error.into()),
            Ok(_) => Err(Refusal::Syntax.because("the statement could not be read")),
        },
        _ => Err(Refusal::Syntax.because("multi-statements are not allowed, send one statement per request")),
    }
}

fn streams(format: &str, job: &Job) -> bool {
    let lower = job.sql.to_ascii_lowercase();
    let framed = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    let framed_by_setting = job
        .settings
        .iter()
        .any(|(name, _)| FRAMED.iter().any(|word| name.as_bytes().windows(word.len()).any(|window| window == *word)));
    STREAMED.contains(&format) && !framed_by_setting && !FRAMED.iter().any(|word| framed(word))
}

fn whole(connection: &mut Connection, job: &Job, format: String) -> Result<Reply, Failure> {
    let output = connection.query(&job.sql, &format, &job.params)?;
    Ok(Reply::Whole { format, output })
}

fn insert(
    connection: &mut Connection,
    job: &Job,
    (head_end, data_start, format): (usize, usize, &str),
    rows: Option<mpsc::Receiver<Rows>>,
) -> Result<Reply, Failure> {
    let mut insert = connection.insert(&job.sql[..head_end], format, &job.params)?;
    let inline = &job.sql[data_start..];
    if !inline.is_empty() {
        insert.append(inline)?;
    }
    if let Some(rows) = rows {
        append_all(&mut insert, rows)?;
    }
    let output = insert.finish()?;
    Ok(Reply::Whole { format: format.to_string(), output })
}

fn append_all(insert: &mut Insert<'_>, mut rows: mpsc::Receiver<Rows>) -> Result<(), Failure> {
    loop {
        match rows.blocking_recv() {
            Some(Rows::Data(data)) => insert.append(&data)?,
            Some(Rows::End) => return Ok(()),
            None => return Err(Refusal::ReceiveTimeout.because("the body ended early, nothing was inserted")),
        }
    }
}

fn first_piece(mut select: Select<'_>) -> Result<(Select<'_>, Bytes), EngineError> {
    let first = select.fetch()?;
    Ok((select, first))
}

fn next_piece(select: &mut Select<'_>, with_header: bool) -> Piece {
    let fetched = select.fetch().map_err(Failure::from);
    let stripped = match fetched {
        Ok(bytes) if bytes.is_empty() => return Piece::End,
        Ok(bytes) if with_header => without_header(bytes),
        other => other,
    };
    stripped.map_or_else(Piece::Failed, Piece::Data)
}

/// Drops the column count, names and types in front of the rows: a LEB128
/// count, then twice that many strings with a LEB128 length.
fn without_header(piece: Bytes) -> Result<Bytes, Failure> {
    let broken = || Failure::from(EngineError("a piece of the result has a broken header".into()));
    let mut rest = piece;
    let columns = leb128(&mut rest).ok_or_else(broken)?;
    for _ in 0..columns.saturating_mul(2) {
        let length = leb128(&mut rest).and_then(|length| usize::try_from(length).ok()).ok_or_else(broken)?;
        if length > rest.len() {
            return Err(broken());
        }
        rest.advance(length);
    }
    Ok(rest)
}

fn leb128(bytes: &mut Bytes) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        if !bytes.has_remaining() {
            return None;
        }
        let byte = bytes.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_settings_cannot_leave_their_quotes() {
        let settings = [("a".into(), "1".into()), ("b".into(), r"x\', readonly = '0".into())];
        assert_eq!(set(&settings), r"SET a = '1', b = 'x\\\', readonly = \'0'");
    }

    #[test]
    fn the_repeated_header_is_dropped_exactly() {
        let piece = Bytes::from_static(b"\x01\x06number\x06UInt64\x81\xff\x00");
        assert_eq!(without_header(piece).unwrap(), Bytes::from_static(b"\x81\xff\x00"));
        for broken in [&b""[..], b"\x01", b"\x01\x06num", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(without_header(Bytes::copy_from_slice(broken)).is_err(), "{broken:?}");
        }
    }
}
