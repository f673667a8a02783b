//! Where a ClickHouse server is: read from one URL as people write it.
//!
//! Pure. The parts that a URL leaves out come from the configuration beside it.

use percent_encoding::percent_decode_str;

/// A server with everything a client needs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// `http://host:port`, nothing else.
    pub(super) url: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
    /// On this machine compression costs more than it saves.
    pub(super) loopback: bool,
}

/// Parts that may stand in the URL, or beside it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) url: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    pub(super) loopback: bool,
}

/// Reads `http://[user[:password]@]host[:port][/[database]][?database=…]`. The port is 8123
/// where none is written.
///
/// # Errors
/// What is wrong, and what to write instead. Neither repeats the URL: it may hold a password.
pub(super) fn read(url: &str) -> Result<Parts, (String, String)> {
    let form = || "write http://user:password@host:8123/database".to_owned();
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", _)) => return Err(no_tls()),
        Some(("clickhouse" | "tcp", _)) => return Err((native(), form())),
        _ => return Err(("is no http URL".into(), form())),
    };
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let host = with_port(host).ok_or_else(|| ("has no valid host and port".to_owned(), form()))?;
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        Some((user, password)) => (Some(decoded(user, &form)?), Some(decoded(password, &form)?)),
        None => (None, None),
    };
    let named = query.split('&').find_map(|pair| pair.strip_prefix("database="));
    let database = named.or(Some(path.trim_matches('/'))).filter(|name| !name.is_empty());
    Ok(Parts {
        loopback: is_loopback(&host),
        url: format!("http://{host}"),
        user: user.filter(|text| !text.is_empty()),
        password,
        database: database.map(|name| decoded(name, &form)).transpose()?,
    })
}

/// Whether a text can be a database or cluster name without quoting.
pub(super) fn is_identifier(text: &str) -> bool {
    let first_fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first_fits && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn no_tls() -> (String, String) {
    let cure = "put a TLS-terminating proxy on this host in front of ClickHouse and name it with http://";
    ("https is not available yet".into(), cure.into())
}

fn native() -> String {
    "names the native protocol; Weir speaks ClickHouse's HTTP interface".into()
}

fn with_port(host: &str) -> Option<String> {
    let authority: http::uri::Authority = host.parse().ok()?;
    match authority.port_u16() {
        _ if authority.host().is_empty() => None,
        Some(0) => None,
        Some(_) => Some(host.to_owned()),
        // Something stands behind the host that is no port.
        None if authority.as_str() != authority.host() => None,
        None => Some(format!("{host}:8123")),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn decoded(text: &str, form: &impl Fn() -> String) -> Result<String, (String, String)> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(|text| text.into_owned()).map_err(|_| ("holds percent-encoded bytes that are no text".into(), form()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str, user: Option<&str>, password: Option<&str>, database: Option<&str>) -> Parts {
        let text = |part: Option<&str>| part.map(str::to_owned);
        let loopback = url.contains("localhost") || url.contains("127.0.0.1") || url.contains("[::1]");
        let (user, password, database) = (text(user), text(password), text(database));
        Parts { url: url.into(), user, password, database, loopback }
    }

    #[test]
    fn a_url_is_read_as_people_write_it() {
        let table = [
            ("http://db", parts("http://db:8123", None, None, None)),
            ("http://localhost:9/", parts("http://localhost:9", None, None, None)),
            ("http://u:p%40ss@10.0.0.1/weir", parts("http://10.0.0.1:8123", Some("u"), Some("p@ss"), Some("weir"))),
            ("http://u@db:81?database=x", parts("http://db:81", Some("u"), Some(""), Some("x"))),
            ("http://[::1]:8123/a?b=c", parts("http://[::1]:8123", None, None, Some("a"))),
        ];
        for (url, expected) in table {
            assert_eq!(read(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_work_is_refused_with_its_cure_and_without_its_password() {
        let table = [
            ("https://u:secret@db", "https is not available yet"),
            ("tcp://db:9000", "native protocol"),
            ("db:8123", "no http URL"),
            ("http://u:secret@:8123", "host and port"),
            ("http://db:port", "host and port"),
            ("http://db:", "host and port"),
            ("http://%ff@db", "no text"),
        ];
        for (url, part) in table {
            let (problem, cure) = read(url).unwrap_err();
            assert!(problem.contains(part), "{url}: {problem}");
            assert!(!cure.is_empty() && !format!("{problem}{cure}").contains("secret"), "{url}");
        }
    }

    #[test]
    fn only_plain_words_are_identifiers() {
        for (text, fits) in [("weir", true), ("_w1", true), ("", false), ("1w", false), ("a-b", false), ("a`b", false)]
        {
            assert_eq!(is_identifier(text), fits, "{text:?}");
        }
    }
}
