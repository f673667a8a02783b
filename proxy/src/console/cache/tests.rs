//! The page of the cache as a browser meets it, over a real socket, on a cache in memory.

use std::sync::Mutex;

use uuid::Uuid;

use super::*;
use crate::console::strings::{Language, Strings};
use crate::console::tests::{Answer, HOSTILE, Served, TOKEN, serve_with};
use crate::exchange::cached::{Bypass, Miss};

/// A cache of plain views.
pub(in crate::console) struct Shelf(Mutex<Vec<EntryView>>);

impl Shelf {
    pub(in crate::console) fn filled() -> Self {
        let hostile = EntryView { prompt: HOSTILE.into(), model: HOSTILE.into(), hits: 1, ..entry(3) };
        Self(Mutex::new(vec![entry(1), EntryView { route: "support".into(), hits: 40, ..entry(2) }, hostile]))
    }

    fn holds(&self, number: u128) -> bool {
        self.entry(id(number)).is_some()
    }
}

impl CachePort for Shelf {
    fn totals(&self) -> Totals {
        let entries = self.0.lock().unwrap();
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        let of = |name: fn(&EntryView) -> &String| entries.iter().map(move |entry| (name(entry).as_str(), entry.bytes));
        Totals {
            entries: entries.len() as u64,
            bytes,
            ceiling_bytes: 1 << 20,
            routes: rooms(["default", "idle", "support"].into_iter(), of(|entry| &entry.route)),
            tenants: rooms([].into_iter(), of(|entry| &entry.tenant)),
        }
    }

    fn entries(&self, filter: &EntryFilter, limit: usize) -> Listing {
        Listing::of(self.0.lock().unwrap().iter().cloned(), filter, limit)
    }

    fn entry(&self, source: ExchangeId) -> Option<EntryView> {
        self.0.lock().unwrap().iter().find(|entry| entry.source == source).cloned()
    }

    fn evict(&self, source: ExchangeId) -> bool {
        let mut entries = self.0.lock().unwrap();
        let before = entries.len();
        entries.retain(|entry| entry.source != source);
        entries.len() < before
    }

    fn flush(&self, scope: &FlushScope) -> bool {
        let totals = self.totals();
        let (rooms, name): (_, fn(&EntryView) -> &String) = match scope {
            FlushScope::Route(_) => (totals.routes, |entry| &entry.route),
            FlushScope::Tenant(_) => (totals.tenants, |entry| &entry.tenant),
        };
        self.0.lock().unwrap().retain(|entry| name(entry) != scope.name());
        rooms.iter().any(|room| room.name == scope.name())
    }
}

fn id(number: u128) -> ExchangeId {
    ExchangeId(Uuid::from_u128(number))
}

fn entry(number: u128) -> EntryView {
    EntryView {
        key: format!("{number:x}c0ffee"),
        source: id(number),
        tenant: "acme".into(),
        route: "default".into(),
        model: "small".into(),
        api: "chat".into(),
        prompt: format!("Which Rivers cross Europe? {number}"),
        bytes: 1000,
        hits: 7,
        age: Duration::from_secs(60),
        left: Duration::from_secs(600),
        prompt_tokens: 12,
        completion_tokens: 34,
    }
}

impl Served {
    /// A request of a page of our own, with the token.
    async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n");
        self.ask("POST", path, &headers, body).await
    }
}

#[test]
fn a_search_finds_by_words_in_any_case_and_ids_by_their_beginning() {
    let entry = EntryView { prompt: "Which RIVERS cross Europe?".into(), ..entry(0xa1) };
    let table = [
        ("", true),
        ("rivers", true),
        ("europe which", true),
        ("rivers asia", false),
        ("acme small default", true),
        ("a1c0ff", true),
        ("c0ffee", false),
        ("00000000-0000-0000-0000-0000000000a1", true),
        ("0000000000a1", false),
    ];
    for (text, found) in table {
        assert_eq!(EntryFilter::new(text, "", "", "").matches(&entry), found, "{text}");
    }
    for (tenant, route, model, found) in [("acme", "", "", true), ("", "def", "", false), ("", "", "small", true)] {
        assert_eq!(EntryFilter::new("", tenant, route, model).matches(&entry), found, "{tenant} {route} {model}");
    }
}

#[test]
fn the_entries_with_the_most_hits_are_listed_first_and_the_others_counted() {
    let with_hits = |number: u64| EntryView { hits: number * 37 % 101, ..entry(number.into()) };
    let listing = Listing::of((0..1000).map(with_hits), &EntryFilter::default(), 20);
    let mut all: Vec<u64> = (0..1000).map(|number| with_hits(number).hits).collect();
    all.sort_by_key(|hits| Reverse(*hits));
    assert_eq!(listing.entries.iter().map(|entry| entry.hits).collect::<Vec<_>>(), all[..20]);
    assert_eq!((listing.matched, listing.complete), (1000, true));
    let young = EntryView { age: Duration::ZERO, ..entry(9) };
    let listing = Listing::of([entry(1), young.clone(), entry(2)].into_iter(), &EntryFilter::default(), 1);
    assert_eq!(listing.entries, [young]);
}

#[test]
fn every_outcome_and_reason_has_its_words_and_its_cure_in_both_languages() {
    let strings = Strings::read().unwrap();
    let reasons = Bypass::ALL.map(Bypass::as_str).into_iter().chain(Miss::ALL.map(Miss::as_str));
    let keys = reasons.flat_map(|reason| [format!("cache_reason.{reason}"), format!("cache_cure.{reason}")]);
    let outcomes = history::OUTCOMES.iter();
    let keys = keys.chain(outcomes.flat_map(|word| [format!("caching.{word}"), format!("cache_what.{word}")]));
    for key in keys {
        for language in [Language::English, Language::Russian] {
            assert!(strings.text(language, &key).is_some(), "{language:?} {key}");
        }
    }
}

#[tokio::test]
async fn without_the_store_the_page_shows_what_is_in_the_cache() {
    let served = serve_with(|_| ()).await;
    let page = served.get("/cache").await.body;
    for part in ["Which Rivers cross Europe? 1", "2.93 KiB", "data-evict=", "data-flush=\"route\" data-name=\"idle\""] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let first = page.find("cross Europe? 2").unwrap();
    assert!(first < page.find("cross Europe? 1").unwrap(), "most hits come first");
    assert!(page.contains("&lt;/script&gt;&lt;img src=x") && !page.contains("<img"), "a prompt is text");
}

#[tokio::test]
async fn a_search_leaves_what_matches() {
    let served = serve_with(|_| ()).await;
    for (query, found) in [
        ("text=rivers", 2),
        ("text=rivers%20support", 1),
        ("route=support", 1),
        ("tenant=nobody", 0),
        ("text=2c0f", 1),
        ("", 3),
    ] {
        let piece = served.get(&format!("/cache/live?{query}")).await.body;
        assert_eq!(piece.matches("<tr data-id=").count(), found, "{query}");
        let listing: serde_json::Value =
            serde_json::from_str(&served.get(&format!("/api/cache/entries?{query}")).await.body).unwrap();
        assert_eq!(listing["matched"], found, "{query}");
    }
}

#[tokio::test]
async fn an_eviction_removes_one_entry_and_is_told_with_who_did_it() {
    let served = serve_with(|_| ()).await;
    let body = format!("{{\"exchange\":\"{}\"}}", id(2));
    assert_eq!(served.post("/api/cache/evict", &body).await.status, 200);
    assert!(!served.shelf.holds(2) && served.shelf.holds(1));
    let event = served.events.try_recv().unwrap();
    assert_eq!((event.kind.as_str(), event.exchange_id, event.route.as_str()), ("cache_evicted", id(2).0, "support"));
    let detail: serde_json::Value = serde_json::from_str(&event.detail).unwrap();
    let told = serde_json::json!({"what": "entry", "who": "admin", "by": "token", "from": "127.0.0.1"});
    assert_eq!((detail, event.instance.as_str(), event.tenant.as_str()), (told, "test", "acme"));
    let again = served.post("/api/cache/evict", &body).await;
    assert_eq!(again.status, 404);
    assert!(again.body.contains("\"kind\":\"not_cached\""), "{}", again.body);
    assert!(served.events.try_recv().is_err(), "what removed nothing is no event");
}

#[tokio::test]
async fn a_flush_removes_a_route_or_a_tenant_and_is_told() {
    let served = serve_with(|_| ()).await;
    assert_eq!(served.post("/api/cache/flush", "{\"route\":\"support\"}").await.status, 200);
    assert!(!served.shelf.holds(2) && served.shelf.holds(1));
    let event = served.events.try_recv().unwrap();
    assert_eq!((event.kind.as_str(), event.route.as_str(), event.tenant.as_str()), ("cache_flushed", "support", ""));
    assert_eq!(served.post("/api/cache/flush", "{\"tenant\":\"acme\"}").await.status, 200);
    assert!(!served.shelf.holds(1));
    assert_eq!(served.events.try_recv().unwrap().tenant, "acme");
    assert_eq!(served.post("/api/cache/flush", "{\"tenant\":\"nobody\"}").await.status, 404);
    assert!(served.events.try_recv().is_err());
}

#[tokio::test]
async fn an_action_is_done_though_its_event_finds_no_room() {
    let served = serve_with(|_| ()).await;
    for number in [1, 2] {
        let body = format!("{{\"exchange\":\"{}\"}}", id(number));
        assert_eq!(served.post("/api/cache/evict", &body).await.status, 200);
    }
    assert!(!served.shelf.holds(1) && !served.shelf.holds(2));
    let metrics = served.get("/metrics").await.body;
    assert!(metrics.contains("weir_console_events_lost_total 1"), "{metrics}");
    assert!(metrics.contains("weir_console_cache_actions_total{action=\"evict\",outcome=\"complete\"} 2"), "{metrics}");
}

#[tokio::test]
async fn nobody_else_can_remove_anything() {
    let served = serve_with(|_| ()).await;
    let body = format!("{{\"exchange\":\"{}\"}}", id(1));
    let json = "content-type: application/json\r\n";
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    for (headers, status) in [
        (format!("{json}sec-fetch-site: same-origin\r\n"), 401),
        (format!("{json}origin: http://evil.example\r\n"), 403),
        (format!("{json}sec-fetch-site: cross-site\r\ncookie: weir_session=guess\r\n"), 403),
        (json.to_owned(), 403),
        (token, 400),
    ] {
        assert_eq!(served.ask("POST", "/api/cache/evict", &headers, &body).await.status, status, "{headers}");
    }
    for bad in ["", "{}", "{\"exchange\":\"x\"}", "{\"route\":\"a\",\"tenant\":\"b\"}"] {
        assert_eq!(served.post("/api/cache/evict", bad).await.status, 400, "{bad}");
        assert_eq!(served.post("/api/cache/flush", bad).await.status, 400, "{bad}");
    }
    assert_eq!(served.get("/api/cache/evict").await.status, 405);
    assert!(served.shelf.holds(1) && served.events.try_recv().is_err());
}

#[tokio::test]
async fn a_session_may_remove_from_our_own_pages_and_is_told_as_one() {
    let served = serve_with(|_| ()).await;
    let form = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin\r\n";
    let entered = served.ask("POST", "/login", form, "token=correct+horse+battery+staple").await;
    let cookie = entered.head.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let headers = format!("cookie: {cookie}\r\ncontent-type: application/json\r\nsec-fetch-site: same-origin\r\n");
    assert_eq!(served.ask("POST", "/api/cache/flush", &headers, "{\"route\":\"idle\"}").await.status, 200);
    assert!(served.events.try_recv().unwrap().detail.contains("\"by\":\"session\""));
}
