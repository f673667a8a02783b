//! The console as a browser meets it, over a real socket, without a store.

use std::sync::mpsc::Receiver;

use super::cache::tests::Shelf;
use super::*;
use crate::exchange::ByteSize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) const TOKEN: &str = "correct horse battery staple";
pub(super) const HOSTILE: &str = "</script><img src=x onerror=alert(1)>{{7*7}}\u{1b}\u{202e}";

pub(super) struct Served {
    pub(super) address: SocketAddr,
    /// What is in the cache.
    pub(super) shelf: Arc<Shelf>,
    /// What people did.
    pub(super) events: Receiver<StoredEvent>,
    stop: tokio::sync::oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Result<(), Error>>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

pub(super) async fn serve_with(change: impl FnOnce(&mut Config)) -> Served {
    let mut config = Config::default();
    change(&mut config);
    let (_, store) = watch::channel(None);
    let shelf = Arc::new(Shelf::filled());
    let (sender, events) = std::sync::mpsc::sync_channel(1);
    let part = PartState { part: "engines".into(), ready: false, required: true, detail: HOSTILE.into() };
    let parts = Parts {
        config,
        registry: prometheus::Registry::new(),
        live: live::Live::default(),
        store,
        store_note: Arc::new(|| HOSTILE.into()),
        cache: shelf.clone(),
        events: sender,
        login: login::Login::of_token(TOKEN),
        engines: Arc::new(|| vec![EngineFacts { engine: "main".into(), model: HOSTILE.into(), ..Default::default() }]),
        ready: Arc::new(move || vec![part.clone()]),
        settings: Arc::new(|| HOSTILE.into()),
        data_port: SocketAddr::from(([127, 0, 0, 1], 8080)),
        instance: "test".into(),
        version: "0".into(),
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, parts, async {
        let _ = stopped.await;
    }));
    Served { address, shelf, events, stop, ended }
}

impl Served {
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let headers = format!("host: {}\r\n{headers}", self.address);
        self.send(method, path, &headers, body).await
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let text =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &format!("authorization: Bearer {TOKEN}\r\n"), "").await
    }
}

const PAGES: [&str; 12] = [
    "/",
    "/overview/now",
    "/overview/totals",
    "/exchanges",
    "/cache",
    "/cache/now",
    "/cache/live",
    "/cache/events",
    "/health",
    "/login",
    "/nowhere",
    "/exchange/1/request",
];

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    let served = serve_with(|_| ()).await;
    let others = ["/api/cache", "/api/overview", "/api/exchange/x", "/assets/base.js", "/metrics", "/livez", "/readyz"];
    for path in PAGES.into_iter().chain(others) {
        let head = served.get(path).await.head;
        assert!(head.contains(&format!("content-security-policy: {}", guard::POLICY)), "{path}: {head}");
        for line in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "x-frame-options: deny"] {
            assert!(head.contains(line), "{path}: {line}");
        }
    }
}

#[tokio::test]
async fn no_page_has_a_script_or_style_of_its_own_and_foreign_text_is_inert() {
    let served = serve_with(|_| ()).await;
    for path in PAGES {
        let body = served.get(path).await.body;
        for bad in ["<script>", "style=", "onclick", "<img", "javascript:", "{{7*7}}\u{1b}", "\u{202e}"] {
            assert!(!body.contains(bad), "{path}: {bad}");
        }
    }
    let body = served.get("/health").await.body;
    assert!(body.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;{{7*7}}⟨ESC⟩⟨U+202E⟩"));
}

#[tokio::test]
async fn a_hostile_filter_comes_back_as_text() {
    let served = serve_with(|_| ()).await;
    let text = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC).to_string();
    for path in [format!("/exchanges?text={text}&tenant={text}"), format!("/exchanges?range={text}")] {
        let body = served.get(&path).await.body;
        assert!(!body.contains("<img"), "{path}");
    }
}

#[tokio::test]
async fn without_the_store_the_pages_say_so_and_live_figures_work() {
    let served = serve_with(|_| ()).await;
    for (path, status, part) in [
        ("/", 200, "Exchanges per second"),
        ("/exchanges", 200, "The store is away"),
        ("/health", 200, "The store is away"),
        ("/cache", 200, "The store is away"),
        ("/api/cache", 200, "\"history\":null"),
        ("/api/live?since=0", 200, "\"series\""),
        ("/api/exchanges", 503, "\"kind\":\"store_absent\""),
        ("/api/exchanges?status=9", 400, "\"cure\":\"write 'status' as"),
        ("/exchange/0198c000-0000-7000-8000-000000000000", 503, "The store is away"),
        ("/api/nothing", 404, "\"kind\":\"no_page\""),
    ] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn inside_needs_a_login_and_probes_do_not() {
    let served = serve_with(|config| config.metrics_open = false).await;
    for (path, status) in [
        ("/", 303),
        ("/exchanges", 303),
        ("/exchange/x", 303),
        ("/health", 303),
        ("/cache", 303),
        ("/api/cache", 401),
        ("/api/overview", 401),
        ("/metrics", 401),
        ("/livez", 200),
        ("/readyz", 503),
        ("/login", 200),
        ("/assets/base.css", 200),
    ] {
        assert_eq!(served.ask("GET", path, "", "").await.status, status, "{path}");
    }
    assert!(served.ask("GET", "/exchanges?text=a", "", "").await.head.contains("location: /login?next=%2fexchanges"));
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_no_page_but_probes_and_tokens_do_not_depend_on_names() {
    let served = serve_with(|config| config.hosts = vec!["weir.example.org".into()]).await;
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    for (host, path, headers, status) in [
        ("localhost", "/login", "", 200),
        ("127.0.0.1:1", "/login", "", 200),
        ("weir.example.org", "/login", "", 200),
        ("evil.example", "/login", "", 403),
        ("evil.example", "/", "", 403),
        ("evil.example", "/assets/base.js", "", 403),
        ("evil.example", "/api/overview", "", 403),
        ("", "/login", "", 403),
        ("weir.monitoring.svc", "/livez", "", 200),
        ("weir.monitoring.svc", "/metrics", "", 200),
        ("weir.monitoring.svc", "/api/overview", &bearer, 200),
    ] {
        let answer = served.send("GET", path, &format!("host: {host}\r\n{headers}"), "").await;
        assert_eq!(answer.status, status, "{host} {path}: {}", answer.body);
    }
    let closed = serve_with(|config| config.metrics_open = false).await;
    assert_eq!(closed.send("GET", "/metrics", "host: evil.example\r\n", "").await.status, 403);
}

#[tokio::test]
async fn a_browser_gets_a_page_for_a_refusal_and_a_program_json() {
    let served = serve_with(|_| ()).await;
    let browser = "accept: text/html,application/xhtml+xml\r\n";
    for (method, path, headers, status, word) in [
        ("GET", "/login", "host: evil.example\r\n", 403, "Not a name of this console"),
        ("POST", "/logout", "host: localhost\r\norigin: http://evil.example\r\n", 403, "From another site"),
        ("GET", "/nowhere", "host: localhost\r\n", 404, "Nothing here"),
    ] {
        let page = served.send(method, path, &format!("{headers}{browser}"), "").await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.head.contains("content-type: text/html") && page.body.contains(word), "{path}: {}", page.body);
        let json = served.send(method, path, headers, "").await;
        assert!(json.head.contains("content-type: application/json") && json.body.contains("\"cure\""), "{path}");
    }
    let hostile = format!("host: <img src=x>.example\r\n{browser}");
    assert!(!served.send("GET", "/", &hostile, "").await.body.contains("<img"));
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_opens_and_a_logout_closes() {
    let served = serve_with(|_| ()).await;
    let form = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin\r\n";
    let entered = served.ask("POST", "/login", form, "token=correct+horse+battery+staple&next=%2Fhealth").await;
    assert_eq!(entered.status, 303);
    assert!(entered.head.contains("location: /health"));
    let cookie = entered.head.split("set-cookie: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert!(cookie.contains("; httponly; samesite=strict;"), "{cookie}");
    let session = format!("cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(served.ask("GET", "/health", &session, "").await.status, 200);
    let foreign = format!("{session}origin: http://evil.example\r\n");
    assert_eq!(served.ask("POST", "/logout", &foreign, "").await.status, 403);
    assert_eq!(served.ask("POST", "/logout", &session, "").await.status, 403, "no sign of where it comes from");
    let own = format!("{session}origin: http://{}\r\n", served.address);
    assert_eq!(served.ask("POST", "/logout", &own, "").await.status, 303);
    assert_eq!(served.ask("GET", "/health", &session, "").await.status, 303);
}

#[tokio::test]
async fn guesses_are_refused_and_then_stopped() {
    let served = serve_with(|config| config.login_attempts = 3).await;
    for _ in 0..3 {
        assert_eq!(served.ask("GET", "/login?token=guess", "", "").await.status, 401);
    }
    assert_eq!(served.ask("GET", "/login?token=guess", "", "").await.status, 429);
    assert_eq!(served.get("/api/overview").await.status, 429);
}

#[tokio::test]
async fn an_oversized_form_is_refused() {
    let served = serve_with(|_| ()).await;
    let form = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin\r\n";
    let body = format!("token={}", "x".repeat(ByteSize::kib(17).bytes()));
    assert_eq!(served.ask("POST", "/login", form, &body).await.status, 413);
}

#[tokio::test]
async fn pages_speak_the_language_of_the_browser() {
    let served = serve_with(|_| ()).await;
    let page = served.ask("GET", "/login", "accept-language: ru\r\n", "").await.body;
    assert!(page.contains("lang=\"ru\"") && page.contains("Войти"));
}

#[tokio::test]
async fn the_console_ends_when_told() {
    let served = serve_with(|_| ()).await;
    assert_eq!(served.get("/livez").await.status, 200);
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}

#[test]
fn faults_name_their_key() {
    let config = Config { max_sessions: 0, page_rows: 5, hosts: vec!["http://weir".into()], ..Config::default() };
    let faults: Vec<_> = config.faults("console").into_iter().map(|fault| fault.path).collect();
    assert_eq!(faults, ["console.max_sessions", "console.hosts", "console.page_rows"]);
    assert!(Config::default().faults("console").is_empty());
}
