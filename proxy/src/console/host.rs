//! Which names the console answers to.
//!
//! A page of another site can let its own name point at the console's address and then read
//! answers as if they were its own (DNS rebinding). It cannot choose the name that the
//! browser sends: so only names that are known to be ours get an answer. Addresses cannot be
//! rebound.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header;
use axum::http::uri::{Authority, Uri};

/// The name that a request was sent to, without its port.
pub(super) fn asked_for(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok()?,
    };
    Some(authority.host().trim_end_matches('.').to_ascii_lowercase())
}

/// Whether `host` is a loopback name, the address listened on, or a configured name. Where
/// all addresses are listened on, each address is ours.
pub(super) fn is_ours(host: &str, listen: SocketAddr, configured: &[String]) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback() || listen.ip().is_unspecified() || address == listen.ip();
    }
    host == "localhost"
        || host.ends_with(".localhost")
        || configured.iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_answered_to() {
        let here: SocketAddr = "127.0.0.1:8081".parse().unwrap();
        let lan: SocketAddr = "10.0.0.7:8081".parse().unwrap();
        let all: SocketAddr = "0.0.0.0:8081".parse().unwrap();
        let names = ["weir.example.org".to_owned()];
        let table = [
            ("localhost", here, true),
            ("LOCALHOST:8081", here, true),
            ("localhost.", here, true),
            ("console.localhost:8081", here, true),
            ("127.0.0.1:8081", here, true),
            ("127.9.9.9", here, true),
            ("[::1]:8081", here, true),
            ("10.0.0.7:8081", lan, true),
            ("10.0.0.7:8081", all, true),
            ("[fd00::7]:8081", all, true),
            ("Weir.Example.org:443", here, true),
            ("10.0.0.7", here, false),
            ("10.0.0.8", lan, false),
            ("evil.example", all, false),
            ("evil-localhost", here, false),
            ("localhost.evil.example", here, false),
            ("127.0.0.1.evil.example", here, false),
            ("weir.example.org.evil.example", here, false),
            ("", here, false),
        ];
        for (sent, listen, ours) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, sent.parse().unwrap());
            let host = asked_for(&Uri::from_static("/"), &headers);
            assert_eq!(host.is_some_and(|host| is_ours(&host, listen, &names)), ours, "{sent} at {listen}");
        }
    }

    #[test]
    fn the_address_of_a_request_wins_over_its_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        let host = asked_for(&Uri::from_static("http://evil.example/"), &headers);
        assert_eq!(host.as_deref(), Some("evil.example"));
        assert_eq!(asked_for(&Uri::from_static("/"), &HeaderMap::new()), None);
    }
}
