//! The console as a browser meets it, over a real socket, without a store.

use super::*;
use crate::exchange::ByteSize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TOKEN: &str = "correct horse battery staple";
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>{{7*7}}\u{1b}\u{202e}";

struct Served {
    address: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Result<(), Error>>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn serve_with(change: impl FnOnce(&mut Config)) -> Served {
    let mut config = Config::default();
    change(&mut config);
    let (_, store) = watch::channel(None);
    let part = PartState { part: "engines".into(), ready: false, required: true, detail: HOSTILE.into() };
    let parts = Parts {
        config,
        registry: prometheus::Registry::new(),
        live: live::Live::default(),
        store,
        store_note: Arc::new(|| HOSTILE.into()),
        login: login::Login::of_token(TOKEN),
        engines: Arc::new(|| vec![EngineFacts { engine: "main".into(), model: HOSTILE.into(), ..Default::default() }]),
        ready: Arc::new(move || vec![part.clone()]),
        settings: Arc::new(|| HOSTILE.into()),
        instance: "test".into(),
        version: "0".into(),
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, parts, async {
        let _ = stopped.await;
    }));
    Served { address, stop, ended }
}

impl Served {
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}",
            self.address
        );
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &format!("authorization: Bearer {TOKEN}\r\n"), "").await
    }
}

const PAGES: [&str; 8] =
    ["/", "/overview/now", "/overview/totals", "/exchanges", "/health", "/login", "/nowhere", "/exchange/1/request"];

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    let served = serve_with(|_| ()).await;
    let others = ["/api/overview", "/api/exchange/x", "/assets/base.js", "/metrics", "/livez", "/readyz"];
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
    let config = Config { max_sessions: 0, page_rows: 5, ..Config::default() };
    let faults: Vec<_> = config.faults("console").into_iter().map(|fault| fault.path).collect();
    assert_eq!(faults, ["console.max_sessions", "console.page_rows"]);
    assert!(Config::default().faults("console").is_empty());
}
