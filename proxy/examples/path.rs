//! Smoke: the request path alone.
use std::sync::Arc;
use weir::exchange::{Name, outbox::outbox};
use weir::inline::*;
fn main() {
    let engine = std::env::args().nth(1).unwrap();
    let registry = prometheus::Registry::new();
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (outbox, inbox) = outbox(10000, 1 << 28);
    std::thread::spawn(move || loop { match inbox.take() { Some(r) => { if std::env::var_os("V").is_some() { eprintln!("{:?} {} {:?} {:?} ev={} bytes={}", r.outcome, r.status, r.error, r.timings, r.response.events, r.response.total_bytes) } drop(r) }, None => std::thread::sleep(std::time::Duration::from_millis(5)) } });
    let name = |s: &str| Name::new(s).unwrap();
    let em = engine::Metrics::register(&registry).unwrap();
    let e = Arc::new(engine::Engine::new(engine::Config::new(name("default"), vec![engine]), &em).unwrap());
    let accept_config = accept::Config::default();
    let route = identify::route::Config::catch_all(name("default"), vec![name("default")]);
    let policy = Policy { plan: Arc::new(engine::Plan { engines: vec![e], max_attempts: 3, total_timeout: None }), settings: answer::Settings { capture_bytes: 1 << 20, keep_alive: Some(*route.sse_keep_alive) } };
    let path = Arc::new(Path {
        accept: accept_config.clone(), budget: accept::Budget::new(accept_config.max_held_bytes),
        directory: identify::Directory { tenants: Arc::new(identify::Tenants::new(&[], name("default"))), routes: vec![route] },
        admission: Arc::new(admit::Admission::new(admit::Config::default(), admit::Metrics::register(&registry).unwrap())),
        policies: vec![policy], outbox, on_refused: Arc::new(|_| {}), nobody: name("none"),
    });
    rt.block_on(async {
        let listener = accept::listen(accept_config.listen).unwrap();
        let (_tx, rx) = tokio::sync::watch::channel(false);
        accept::serve(listener, &accept_config, accept::Metrics::register(&registry).unwrap(), rx, move |r| exchange(path.clone(), r)).await;
    });
}
