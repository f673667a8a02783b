//! What stands around every page: headers, same-origin check, login.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Form;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use serde::Deserialize;

use super::Console;
use super::error::Failure;
use super::host;
use super::login::{Answer, Limits, Proof};
use super::view::Reader;

/// Nothing but our own files; no inline script or style, no frame, no form to elsewhere.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

const SESSION: &str = "weir_session";

/// How somebody who is inside came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// With a browser, after a login.
    Session,
    /// With the admin token in the request itself.
    Token,
}

impl Means {
    /// Of a request that was let in; a token is looked at first there too.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if bearer(headers).is_some() { Self::Token } else { Self::Session }
    }

    /// The word used in events and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
        }
    }
}

/// Puts the security headers on every answer, refusals included. Pages are never cached.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses what changes something and comes from another site. Bearer requests carry their
/// own proof, which no other site has.
pub(super) async fn same_origin(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || bearer(request.headers()).is_some() || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    console.refuse(request.headers(), Failure::OtherOrigin)
}

/// Refuses names that are not ours. Probes and open metrics hold nothing of anybody, and are
/// asked by whatever name the cluster has; a token is a proof that no other site has.
pub(super) async fn own_host(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let open = match request.uri().path() {
        "/livez" | "/readyz" => true,
        "/metrics" => console.config.metrics_open,
        _ => bearer(request.headers()).is_some(),
    };
    let host = host::asked_for(request.uri(), request.headers());
    let ours = host.as_deref().is_some_and(|host| host::is_ours(host, console.address, &console.config.hosts));
    if open || ours {
        return next.run(request).await;
    }
    console.refuse(request.headers(), Failure::OtherHost(host.unwrap_or_default()))
}

/// Whether a browser asks for a page rather than a script or program for data.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin.is_some() && origin == text(header::HOST)
}

/// Lets through who has a session or the token.
pub(super) async fn require_login(
    State(console): State<Arc<Console>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match console.admit(request.headers(), peer.ip()) {
        Ok(()) => next.run(request).await,
        Err(failure @ Failure::TooManyLogins) => console.refuse(request.headers(), failure),
        Err(failure) if request.uri().path().starts_with("/api/") => failure.into_response(),
        Err(_) => Redirect::to(&login_address(request.uri())).into_response(),
    }
}

/// The same for `/metrics`, where the configuration does not leave it open.
pub(super) async fn require_login_for_metrics(
    State(console): State<Arc<Console>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if console.config.metrics_open {
        return next.run(request).await;
    }
    match console.admit(request.headers(), peer.ip()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

impl Console {
    fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), Failure> {
        let now = Instant::now();
        if let Some(token) = bearer(headers) {
            if self.login.is_blocked(peer, now, self.limits()) {
                return Err(Failure::TooManyLogins);
            }
            if self.login.accepts(Proof::Token(token)) {
                return Ok(());
            }
            self.login.refuse(peer, now);
            self.metrics.refused.inc();
            return Err(Failure::NoLogin);
        }
        let known = cookie(headers, SESSION).is_some_and(|id| self.login.knows(id, now));
        if known { Ok(()) } else { Err(Failure::NoLogin) }
    }

    fn limits(&self) -> Limits {
        Limits {
            session_ttl: *self.config.session_ttl,
            max_sessions: self.config.max_sessions,
            attempts: self.config.login_attempts,
        }
    }

    fn session_cookie(&self, id: &str, age: u64) -> HeaderValue {
        let secure = if self.config.secure_cookies { "; Secure" } else { "" };
        let text = format!("{SESSION}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}");
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("weir_session=; Max-Age=0"))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// A cookie's value by its name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Where the login leads: back to the page that was asked for.
fn login_address(uri: &axum::http::Uri) -> String {
    let wanted = uri.path_and_query().map_or("/", |target| target.as_str());
    let pieces = ["/overview/", "/exchanges/rows", "/cache/"];
    if wanted == "/" || pieces.iter().any(|piece| wanted.starts_with(piece)) {
        return "/login".to_owned();
    }
    let wanted = percent_encoding::utf8_percent_encode(wanted, percent_encoding::NON_ALPHANUMERIC);
    format!("/login?next={wanted}")
}

/// Only a path of our own: `//host` and `/\host` would lead elsewhere.
fn next_path(wanted: &str) -> &str {
    let own = wanted.starts_with('/') && !wanted[1..].starts_with(['/', '\\']);
    let plain = wanted.bytes().all(|b| b.is_ascii_graphic());
    if own && plain && !wanted.starts_with("/log") { wanted } else { "/" }
}

/// Fields of the login, from the form or the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    token: String,
    next: String,
}

/// The login page; with `?token=` it logs in at once, so that the line in the log can be clicked.
pub(super) async fn login_page(
    State(console): State<Arc<Console>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    reader: Reader,
    headers: HeaderMap,
    Query(entry): Query<Entry>,
) -> Response {
    if !entry.token.is_empty() {
        return console.try_login(&entry, peer.ip(), &reader);
    }
    if console.admit(&headers, peer.ip()).is_ok() {
        return Redirect::to(next_path(&entry.next)).into_response();
    }
    console.show_login(StatusCode::OK, &entry, &reader, "")
}

/// The login form's target.
pub(super) async fn login(
    State(console): State<Arc<Console>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    reader: Reader,
    Form(entry): Form<Entry>,
) -> Response {
    console.try_login(&entry, peer.ip(), &reader)
}

/// Ends the session.
pub(super) async fn logout(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    if let Some(id) = cookie(&headers, SESSION) {
        console.login.leave(id);
    }
    ([(header::SET_COOKIE, console.session_cookie("", 0))], Redirect::to("/login")).into_response()
}

impl Console {
    fn try_login(&self, entry: &Entry, peer: IpAddr, reader: &Reader) -> Response {
        match self.login.enter(Proof::Token(&entry.token), peer, Instant::now(), self.limits()) {
            Answer::Welcome(id) => {
                let cookie = self.session_cookie(&id, self.config.session_ttl.as_secs());
                ([(header::SET_COOKIE, cookie)], Redirect::to(next_path(&entry.next))).into_response()
            }
            refused => {
                self.metrics.refused.inc();
                tracing::warn!(%peer, "a login to the console was refused");
                let (status, key) = match refused {
                    Answer::TooMany => (StatusCode::TOO_MANY_REQUESTS, "login.too_many"),
                    _ => (StatusCode::UNAUTHORIZED, "login.wrong"),
                };
                self.show_login(status, entry, reader, key)
            }
        }
    }

    fn show_login(&self, status: StatusCode, entry: &Entry, reader: &Reader, fault: &str) -> Response {
        let page = self.view.render("login.html", reader, context! {next => next_path(&entry.next), fault});
        page.map_or_else(IntoResponse::into_response, |page| (status, page).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_only_to_our_own_pages() {
        let table = [
            ("/exchanges?text=a", "/exchanges?text=a"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nx: y", "/"),
            ("/logout", "/"),
        ];
        for (wanted, led) in table {
            assert_eq!(next_path(wanted), led, "{wanted:?}");
        }
    }

    #[test]
    fn only_a_page_of_our_own_host_may_change_something() {
        let table: [(&[(&str, &str)], bool); 7] = [
            (&[], false),
            (&[("host", "a:1"), ("origin", "http://a:1")], true),
            (&[("host", "a:1"), ("origin", "http://b")], false),
            (&[("host", "a:1"), ("origin", "null")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "cross-site"), ("host", "a"), ("origin", "http://a")], false),
            (&[("sec-fetch-site", "none")], false),
        ];
        for (given, same) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            assert_eq!(is_same_origin(&headers), same, "{given:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; weir_session=x".parse().unwrap());
        headers.append(header::COOKIE, "weir_lang=ru".parse().unwrap());
        assert_eq!(cookie(&headers, "weir_session"), Some("x"));
        assert_eq!(cookie(&headers, "weir_lang"), Some("ru"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
