//! What a client is told when a statement fails: ClickHouse's error code, its
//! HTTP status, and a text short enough to read.

use http::StatusCode;

use crate::library::EngineError;

/// The longest error text sent; it must fit one HTTP chunk when it arrives in
/// the middle of a result.
const TEXT_BYTES: usize = 8 << 10;

/// The parser ends its errors with every word it would have accepted.
const EXPECTED_BYTES: usize = 160;

/// A refused or failed statement in ClickHouse's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u32,
    /// `Code: N. DB::Exception: …`, ends without a newline.
    pub(crate) text: String,
}

/// The refusals that are ours and not the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadArguments,
    Syntax,
    UnknownSetting,
    ReceiveTimeout,
    TooManyQueries,
    Unsupported,
    QueryTooLarge,
    Unauthenticated,
    ReadOnly,
    NotFound,
}

impl Refusal {
    const fn parts(self) -> (u32, &'static str) {
        match self {
            Self::BadArguments => (36, "BAD_ARGUMENTS"),
            Self::Syntax => (62, "SYNTAX_ERROR"),
            Self::UnknownSetting => (115, "UNKNOWN_SETTING"),
            Self::ReceiveTimeout => (209, "SOCKET_TIMEOUT"),
            Self::TooManyQueries => (202, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            Self::Unsupported => (344, "SUPPORT_IS_DISABLED"),
            Self::QueryTooLarge => (307, "TOO_MANY_BYTES"),
            Self::Unauthenticated => (516, "AUTHENTICATION_FAILED"),
            Self::ReadOnly => (164, "READONLY"),
            Self::NotFound => (48, "NOT_IMPLEMENTED"),
        }
    }

    /// With the sentence that says what to change.
    pub(crate) fn because(self, reason: impl std::fmt::Display) -> Failure {
        let (code, name) = self.parts();
        Failure { code, text: format!("Code: {code}. DB::Exception: {reason}. ({name})") }
    }
}

impl Failure {
    /// As ClickHouse's own HTTP interface maps its codes.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            516 | 192 | 193 | 164 | 497 => StatusCode::FORBIDDEN,
            60 | 81 | 48 => StatusCode::NOT_FOUND,
            202 => StatusCode::SERVICE_UNAVAILABLE,
            209 => StatusCode::REQUEST_TIMEOUT,
            159 => StatusCode::GATEWAY_TIMEOUT,
            307 => StatusCode::PAYLOAD_TOO_LARGE,
            27 | 36 | 47 | 53 | 62 | 69 | 115 | 344 => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(EngineError(text): EngineError) -> Self {
        let code = text
            .find("Code: ")
            .and_then(|at| text[at + 6..].split('.').next())
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(1001);
        let text = if text.contains("Code: ") {
            text
        } else {
            format!("Code: {code}. DB::Exception: {text}. (STD_EXCEPTION)")
        };
        Self { code, text: shortened(text) }
    }
}

fn shortened(mut text: String) -> String {
    if let (Some(list), Some(name)) = (text.find("Expected one of: "), text.rfind(" (")) {
        let keep = floor(&text, list + EXPECTED_BYTES);
        if keep < name {
            text.replace_range(keep..name, " …");
        }
    }
    let keep = floor(&text, TEXT_BYTES);
    text.truncate(keep);
    text
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_engines_text() {
        let error = EngineError("Code: 60. DB::Exception: Table a.b does not exist. (UNKNOWN_TABLE)".into());
        let failure = Failure::from(error);
        assert_eq!((failure.code, failure.status()), (60, StatusCode::NOT_FOUND));
        let bare = Failure::from(EngineError("Invalid or closed connection".into()));
        assert_eq!(bare.code, 1001);
        assert!(bare.text.starts_with("Code: 1001. DB::Exception: Invalid"), "{}", bare.text);
    }

    #[test]
    fn the_list_of_expected_words_is_cut_and_the_name_kept() {
        let words = "SELECT, ".repeat(400);
        let text = format!("Code: 62. DB::Exception: Syntax error. Expected one of: {words}X. (SYNTAX_ERROR)");
        let failure = Failure::from(EngineError(text));
        assert!(failure.text.len() < 400, "{}", failure.text);
        assert!(failure.text.ends_with("… (SYNTAX_ERROR)"), "{}", failure.text);
    }
}
