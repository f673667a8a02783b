//! Whether a failed insert is worth repeating, or blames its rows.
//!
//! Pure. Only codes known to speak of the *content* of rows are listed; everything else is
//! repeated for ever, because the spool keeps the rows meanwhile and a wrong guess here
//! would set good rows aside. Codes and names: ClickHouse `src/Common/ErrorCodes.cpp`; a
//! test asks the engine itself for each name.

use clickhouse::error::Error;

/// What follows from a failed insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same rows may arrive later.
    Retry,
    /// These rows will never arrive as they are.
    Reject,
}

/// Error codes that blame the content of the rows, with ClickHouse's names.
pub const CONTENT_CODES: [(u32, &str); 20] = [
    (6, "CANNOT_PARSE_TEXT"),
    (26, "CANNOT_PARSE_QUOTED_STRING"),
    (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
    (32, "ATTEMPT_TO_READ_AFTER_EOF"),
    (33, "CANNOT_READ_ALL_DATA"),
    (38, "CANNOT_PARSE_DATE"),
    (41, "CANNOT_PARSE_DATETIME"),
    (53, "TYPE_MISMATCH"),
    (69, "ARGUMENT_OUT_OF_BOUND"),
    (70, "CANNOT_CONVERT_TYPE"),
    (72, "CANNOT_PARSE_NUMBER"),
    (117, "INCORRECT_DATA"),
    (128, "TOO_LARGE_ARRAY_SIZE"),
    (131, "TOO_LARGE_STRING_SIZE"),
    (190, "SIZES_OF_ARRAYS_DONT_MATCH"),
    (321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"),
    (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"),
    (376, "CANNOT_PARSE_UUID"),
    (407, "DECIMAL_OVERFLOW"),
    (469, "VIOLATED_CONSTRAINT"),
];

/// What a ClickHouse error code asks for.
pub fn classify(code: u32) -> Verdict {
    let blames_rows = CONTENT_CODES.iter().any(|(listed, _)| *listed == code);
    if blames_rows { Verdict::Reject } else { Verdict::Retry }
}

/// What a failed insert asks for; whatever carries no code is a matter of the way, not of the rows.
pub(super) fn classify_error(error: &Error) -> Verdict {
    match error {
        Error::BadResponse(text) => code_in(text).map_or(Verdict::Retry, classify),
        _ => Verdict::Retry,
    }
}

/// The code in `Code: 469. DB::Exception: …`.
fn code_in(text: &str) -> Option<u32> {
    let rest = text.split_once("Code: ")?.1;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_blames_the_rows_is_rejected() {
        let response = |text: &str| Error::BadResponse(text.to_owned());
        let table = [
            (response("Code: 469. DB::Exception: Constraint `x` is violated. (VIOLATED_CONSTRAINT)"), Verdict::Reject),
            (response("Code: 33. DB::Exception: Cannot read all data."), Verdict::Reject),
            (response("Code: 241. DB::Exception: memory limit exceeded"), Verdict::Retry),
            (response("Code: 242. DB::Exception: table is in readonly mode"), Verdict::Retry),
            (response("Code: 252. DB::Exception: Too many parts"), Verdict::Retry),
            (response("Code: 202. DB::Exception: Too many simultaneous queries"), Verdict::Retry),
            (response("Code: 60. DB::Exception: Table weir.exchanges does not exist"), Verdict::Retry),
            (response("Code: 516. DB::Exception: Authentication failed"), Verdict::Retry),
            (response("Code: 9999999999999. odd"), Verdict::Retry),
            (response("502 Bad Gateway"), Verdict::Retry),
            (Error::TimedOut, Verdict::Retry),
            (Error::SchemaMismatch("column".into()), Verdict::Retry),
        ];
        for (error, expected) in table {
            assert_eq!(classify_error(&error), expected, "{error}");
        }
    }
}
