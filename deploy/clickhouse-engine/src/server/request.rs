//! From an HTTP request to a statement with its settings: the part of
//! ClickHouse's HTTP protocol that the official client and `curl` use.
//!
//! Promises: nothing larger than `statement_bytes` is held; a parameter that
//! is neither the protocol's nor a setting of the engine is refused (the
//! engine would ignore it silently). Knows nothing of how statements run.

use std::collections::HashSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use subtle::ConstantTimeEq;

use super::failure::{Failure, Refusal};
use super::statement::{self, Statement};

/// Output when neither the statement nor `default_format` names one.
const DEFAULT_FORMAT: &str = "TabSeparated";

/// Parameters of the HTTP protocol that are not settings. Compression of the
/// reply is an offer we need not take, progress headers likewise.
const IGNORED: [&str; 6] =
    ["compress", "enable_http_compression", "wait_end_of_query", "buffer_size", "user", "password"];

/// One statement as the client asked for it.
pub(crate) struct Call {
    pub(crate) sql: Bytes,
    pub(crate) statement: Statement,
    /// `name`, `value`; names are known to the engine.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) database: Option<String>,
    pub(crate) default_format: String,
    pub(crate) query_id: Option<String>,
    /// Rows of an INSERT still to be read from the client.
    pub(crate) data: Option<Incoming>,
}

/// What reading a request needs to know.
pub(crate) struct Rules<'a> {
    pub(crate) setting_names: &'a HashSet<String>,
    pub(crate) statement_bytes: usize,
    pub(crate) body_idle: Duration,
}

/// Reads the whole request except the rows of an INSERT named in the URL.
pub(crate) async fn read(parts: &Parts, body: Incoming, rules: &Rules<'_>) -> Result<Call, Failure> {
    let mut fields = url_fields(parts.uri.query().unwrap_or_default(), rules)?;
    fields.read_only_by_method(&parts.method);
    let url_sql = std::mem::take(&mut fields.query);
    if !url_sql.is_empty() && matches!(statement::read(url_sql.as_bytes()), Statement::Insert { .. }) {
        return Ok(fields.into_call(url_sql.into(), Some(body)));
    }
    let boundary = multipart_boundary(&parts.headers)?;
    let text = collect(body, rules).await?;
    let sql = match boundary {
        Some(boundary) => {
            fields.take_form(&text, &boundary, rules)?;
            join(url_sql, std::mem::take(&mut fields.query).into_bytes())
        }
        None => join(url_sql, text.into()),
    };
    Ok(fields.into_call(sql.into(), None))
}

/// Whether user and password fit; given as headers, basic authorisation or URL.
pub(crate) fn authorised(parts: &Parts, user: &str, password: &str) -> bool {
    let (mut given_user, mut given_password) = (String::new(), String::new());
    for (name, value) in pairs(parts.uri.query().unwrap_or_default()).flatten() {
        match name.as_str() {
            "user" => given_user = value,
            "password" => given_password = value,
            _ => {}
        }
    }
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(value) = text("x-clickhouse-user") {
        given_user = value.into();
    }
    if let Some(value) = text("x-clickhouse-key") {
        given_password = value.into();
    }
    if let Some((name, secret)) = text("authorization").and_then(basic) {
        (given_user, given_password) = (name, secret);
    }
    let fits = given_user.as_bytes().ct_eq(user.as_bytes()) & given_password.as_bytes().ct_eq(password.as_bytes());
    bool::from(fits)
}

#[derive(Default)]
struct Fields {
    query: String,
    settings: Vec<(String, String)>,
    params: Vec<(String, String)>,
    database: Option<String>,
    default_format: Option<String>,
    query_id: Option<String>,
}

impl Fields {
    fn put(&mut self, name: String, value: String, rules: &Rules<'_>) -> Result<(), Failure> {
        match name.as_str() {
            "query" => self.query = value,
            "database" => self.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.default_format = Some(value).filter(|name| !name.is_empty()),
            "query_id" => self.query_id = Some(value).filter(|id| !id.is_empty()),
            "decompress" if value != "0" => {
                let reason = "compressed bodies are not accepted on loopback, send the rows uncompressed \
                              (Compression::None in the Rust client)";
                return Err(Refusal::Unsupported.because(reason));
            }
            "session_id" | "role" | "quota_key" if !value.is_empty() => {
                let reason = format!("the embedded store has no {name}, leave it out or use a ClickHouse server");
                return Err(Refusal::Unsupported.because(reason));
            }
            "decompress" | "session_id" | "role" | "quota_key" => {}
            _ if IGNORED.contains(&name.as_str()) => {}
            _ => match name.strip_prefix("param_") {
                Some(param) => self.params.push((param.into(), value)),
                None if self.settings.iter().any(|(given, _)| *given == name) => {
                    return Err(Refusal::BadArguments.because(format!("the setting '{name}' is given twice")));
                }
                None if rules.setting_names.contains(&name) => self.settings.push((name, value)),
                None => {
                    return Err(Refusal::UnknownSetting.because(format!("unknown setting '{name}'")));
                }
            },
        }
        Ok(())
    }

    fn take_form(&mut self, body: &[u8], boundary: &str, rules: &Rules<'_>) -> Result<(), Failure> {
        for (name, value) in form_parts(body, boundary)? {
            if name != "query" && !name.starts_with("param_") {
                let reason = format!("a form carries `query` and `param_…` only, found '{name}'");
                return Err(Refusal::BadArguments.because(reason));
            }
            self.put(name, value, rules)?;
        }
        Ok(())
    }

    /// A link that someone was made to follow must not change anything.
    fn read_only_by_method(&mut self, method: &Method) {
        let given = self.settings.iter().any(|(name, value)| name == "readonly" && value != "0");
        if method != Method::POST && !given {
            self.settings.retain(|(name, _)| name != "readonly");
            self.settings.push(("readonly".into(), "2".into()));
        }
    }

    fn into_call(self, sql: Bytes, data: Option<Incoming>) -> Call {
        Call {
            statement: statement::read(&sql),
            sql,
            settings: self.settings,
            params: self.params,
            database: self.database,
            default_format: self.default_format.unwrap_or_else(|| DEFAULT_FORMAT.into()),
            query_id: self.query_id,
            data,
        }
    }
}

/// ClickHouse reads the URL's query and the body as one text.
fn join(url_sql: String, body: Vec<u8>) -> Vec<u8> {
    if url_sql.is_empty() {
        return body;
    }
    if body.is_empty() {
        return url_sql.into_bytes();
    }
    let mut text = url_sql.into_bytes();
    text.push(b'\n');
    text.extend_from_slice(&body);
    text
}

async fn collect(mut body: Incoming, rules: &Rules<'_>) -> Result<Bytes, Failure> {
    let mut text = BytesMut::new();
    while let Some(frame) = next_frame(&mut body, rules.body_idle).await? {
        if text.len() + frame.len() > rules.statement_bytes {
            let reason = format!(
                "the statement exceeds {} bytes, send inserted rows as body beside ?query=INSERT…",
                rules.statement_bytes
            );
            return Err(Refusal::QueryTooLarge.because(reason));
        }
        text.extend_from_slice(&frame);
    }
    Ok(text.freeze())
}

/// The next bytes of a body; `None` at its proper end.
pub(crate) async fn next_frame(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = tokio::time::timeout(idle, body.frame())
            .await
            .map_err(|_| Refusal::ReceiveTimeout.because("the client stopped sending the body"))?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::ReceiveTimeout.because("the client broke off the body")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn url_fields(query: &str, rules: &Rules<'_>) -> Result<Fields, Failure> {
    let mut fields = Fields::default();
    for pair in pairs(query) {
        let (name, value) = pair?;
        fields.put(name, value, rules)?;
    }
    Ok(fields)
}

fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), Failure>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    })
}

fn decoded(text: &str) -> Result<String, Failure> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| Refusal::BadArguments.because("a URL parameter is not UTF-8"))
}

fn multipart_boundary(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        return Ok(None);
    }
    kind.split(';')
        .find_map(|piece| piece.trim().strip_prefix("boundary="))
        .map(|boundary| Some(boundary.trim_matches('"').to_string()))
        .ok_or_else(|| Refusal::BadArguments.because("the form has no boundary"))
}

/// Splits `multipart/form-data` (RFC 7578) into names and values.
fn form_parts(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, Failure> {
    let broken = || Refusal::BadArguments.because("the form is broken");
    let text = std::str::from_utf8(body).map_err(|_| Refusal::BadArguments.because("the form is not UTF-8"))?;
    let mark = format!("--{boundary}");
    let (_, mut rest) = text.split_once(&mark).ok_or_else(broken)?;
    let separator = format!("\r\n{mark}");
    let mut parts = Vec::new();
    while !rest.starts_with("--") {
        let (part, after) = rest.split_once(&separator).ok_or_else(broken)?;
        let (head, value) = part.split_once("\r\n\r\n").ok_or_else(broken)?;
        let name = head.split_once("name=\"").and_then(|(_, name)| name.split_once('"')).ok_or_else(broken)?.0;
        parts.push((name.to_string(), value.to_string()));
        rest = after;
    }
    Ok(parts)
}

/// User and password of an `Authorization: Basic` header (RFC 7617).
fn basic(header: &str) -> Option<(String, String)> {
    let encoded = header.strip_prefix("Basic ")?.trim().trim_end_matches('=');
    let mut bytes = Vec::with_capacity(encoded.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for sign in encoded.bytes() {
        let value = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(user, password)| (user.into(), password.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(names: &HashSet<String>) -> Rules<'_> {
        Rules { setting_names: names, statement_bytes: 1 << 10, body_idle: Duration::from_secs(1) }
    }

    #[test]
    fn url_fields_are_sorted_into_settings_params_and_protocol() {
        let names = HashSet::from(["max_threads".to_string()]);
        let query = "query=SELECT+1%2B1&database=w&max_threads=2&param_a=%D1%8F&query_id=q1&compress=0";
        let fields = url_fields(query, &rules(&names)).unwrap();
        assert_eq!(fields.query, "SELECT 1+1");
        assert_eq!(fields.database.as_deref(), Some("w"));
        assert_eq!(fields.settings, [("max_threads".to_string(), "2".to_string())]);
        assert_eq!(fields.params, [("a".to_string(), "я".to_string())]);
        assert_eq!(fields.query_id.as_deref(), Some("q1"));
    }

    #[test]
    fn what_the_store_cannot_do_is_refused_by_name() {
        let names = HashSet::from(["readonly".to_string()]);
        let twice = "readonly=1&readonly=0";
        for (query, code) in
            [("max_threads=1", 115), (twice, 36), ("decompress=1", 344), ("session_id=a", 344), ("a=%ff", 36)]
        {
            let failure = url_fields(query, &rules(&names)).err().unwrap();
            assert_eq!(failure.code, code, "{query}: {}", failure.text);
        }
    }

    #[test]
    fn only_post_may_write() {
        let names = HashSet::from(["readonly".to_string()]);
        for (method, query, readonly) in [
            (Method::GET, "", "2"),
            (Method::GET, "readonly=0", "2"),
            (Method::GET, "readonly=1", "1"),
            (Method::POST, "readonly=0", "0"),
        ] {
            let mut fields = url_fields(query, &rules(&names)).unwrap();
            fields.read_only_by_method(&method);
            assert_eq!(fields.settings, [("readonly".to_string(), readonly.to_string())], "{method} {query}");
        }
    }

    #[test]
    fn a_form_keeps_line_breaks_inside_values() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT\r\n{a:String}\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\n\r\n--b--\r\n";
        let parts = form_parts(body.as_bytes(), "b").unwrap();
        assert_eq!(parts, [("query".into(), "SELECT\r\n{a:String}".into()), ("param_a".into(), String::new())]);
        assert!(form_parts(b"--b\r\nno end", "b").is_err());
    }

    #[test]
    fn basic_authorisation_is_decoded() {
        assert_eq!(basic("Basic d2VpcjpwYTpzcw=="), Some(("weir".into(), "pa:ss".into())));
        assert_eq!(basic("Basic !"), None);
        assert_eq!(basic("Bearer x"), None);
    }
}
