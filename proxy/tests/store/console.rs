//! The console's queries against the real ClickHouse, over its own port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clickhouse::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use uuid::{NoContext, Timestamp, Uuid};
use weir::background::sink::{Batch, Limits};
use weir::background::store::Store;
use weir::console::cache::{CachePort, EntryFilter, EntryView, FlushScope, Listing, Totals};
use weir::console::{self, Parts, live, login};
use weir::exchange::stored::{Stored, StoredAttempt, StoredEvent, StoredExchange, StoredGap};
use weir::exchange::{ExchangeId, Fingerprint};

use crate::support::{MemorySpool, config, drain, encoded, encoded_exchange, exchange, ready, sink_config, start};

const TOKEN: &str = "token of the test";

/// A console with a store behind it that holds some exchanges of the last minutes.
pub(crate) struct Served {
    address: SocketAddr,
    registry: prometheus::Registry,
    client: Client,
    _store: Store,
    _stop: oneshot::Sender<()>,
}

/// A cache with nothing in it.
struct Empty;

impl CachePort for Empty {
    fn totals(&self) -> Totals {
        Totals::default()
    }

    fn entries(&self, _: &EntryFilter, _: usize) -> Listing {
        Listing::default()
    }

    fn entry(&self, _: ExchangeId) -> Option<EntryView> {
        None
    }

    fn evict(&self, _: ExchangeId) -> bool {
        false
    }

    fn flush(&self, _: &FlushScope) -> bool {
        false
    }
}

struct Answer {
    status: u16,
    body: String,
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// An exchange `age_s` seconds ago, with an id that tells its time.
pub(crate) fn recent(n: u32, age_s: u32) -> StoredExchange {
    let started_at = now() - i64::from(age_s) * 1_000_000;
    let micros = u64::try_from(started_at).unwrap();
    let moment = Timestamp::from_unix(NoContext, micros / 1_000_000, (micros % 1_000_000) as u32 * 1000);
    StoredExchange {
        exchange_id: Uuid::new_v7(moment),
        started_at,
        api: "chat".into(),
        path: "/v1/chat/completions".into(),
        status: 200,
        outcome: "complete".into(),
        model_answered: "small".into(),
        total_us: 1000,
        inclusion_probability: 1.0,
        ..exchange(n)
    }
}

/// Delivers the records; `twice` also brings them a second time under another token, and keeps
/// ClickHouse from folding them.
pub(crate) async fn served(records: Vec<Vec<u8>>, twice: bool) -> Served {
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let store = start(&config());
    let client = ready(&store).await;
    for table in ["exchanges", "exchange_contents", "gaps", "events"] {
        client.query_raw(&format!("SYSTEM STOP MERGES {table}")).execute().await.unwrap();
    }
    records.into_iter().for_each(|record| spool.append(record));
    let limits = Limits { records: 10_000, bytes: usize::MAX, wait: Duration::ZERO };
    let batch = spool.take(limits).unwrap();
    for token in ["one", "other"].into_iter().take(1 + usize::from(twice)) {
        let batch = Batch { token: token.into(), ..batch.clone() };
        drain(sink_config(dir.path()), &MemorySpool::with_batch_out(batch), &store).await;
    }
    let registry = prometheus::Registry::new();
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let parts = parts(registry.clone(), store.clients(), address);
    tokio::spawn(console::serve(listener, parts, async {
        let _ = stopped.await;
    }));
    Served { address, registry, client, _store: store, _stop: stop }
}

fn parts(registry: prometheus::Registry, store: watch::Receiver<Option<Client>>, data_port: SocketAddr) -> Parts {
    Parts {
        config: console::Config { page_rows: 10, ..console::Config::default() },
        registry,
        live: live::Live::default(),
        store,
        store_note: Arc::new(String::new),
        cache: Arc::new(Empty),
        // Nobody listens: what people do is told in the log only.
        events: std::sync::mpsc::sync_channel(1).0,
        login: login::Login::of_token(TOKEN),
        engines: Arc::new(Vec::new),
        ready: Arc::new(Vec::new),
        settings: Arc::new(String::new),
        data_port,
        instance: "test".into(),
        version: "0".into(),
    }
}

impl Served {
    async fn get(&self, path: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\r\n",
            self.address
        );
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, body: body.to_owned() }
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path).await).unwrap()
    }

    /// The ids of one page of the list, and the cursor of the next.
    pub(crate) async fn ids(&self, query: &str) -> (Vec<Uuid>, Option<String>) {
        let page = self.json(&format!("/api/exchanges?{query}")).await;
        let ids = page["lines"].as_array().unwrap().iter();
        let next = page["next"].as_str().map(str::to_owned);
        (ids.map(|line| line["id"].as_str().unwrap().parse().unwrap()).collect(), next)
    }

    /// How often each query ran, by its name and outcome.
    fn queries(&self) -> Vec<(String, String)> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "weir_console_query_seconds").unwrap();
        let label = |metric: &prometheus::proto::Metric, name: &str| {
            let label = metric.get_label().iter().find(|label| label.name() == name);
            label.map(|label| label.value().to_owned()).unwrap_or_default()
        };
        family.get_metric().iter().map(|metric| (label(metric, "query"), label(metric, "outcome"))).collect()
    }
}

/// One exchange in which every part of its page has something to show.
fn rich() -> StoredExchange {
    let request = json!({"model": "small", "messages": [{"role": "user", "content": "long ".repeat(1000)}]});
    let chunk = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let stream: String = (0..500).map(|n| format!("data: {}\n\n", chunk(&format!("word{n} ")))).collect();
    StoredExchange {
        stream: true,
        fingerprint: "fedcba9876543210".into(),
        fingerprint_json: serde_json::to_string(&Fingerprint { version: "b1234".into(), ..Fingerprint::default() })
            .unwrap(),
        attempts: vec![StoredAttempt {
            engine: "primary".into(),
            status: 200,
            took_us: 900,
            ..StoredAttempt::default()
        }],
        request_headers: vec![("x-test".into(), "header".into())],
        request_body: request.to_string(),
        response_type: "text/event-stream".into(),
        response_body: stream + "data: [DONE]\n\n",
        ..recent(1, 60)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_console_runs_on_the_real_store() {
    let rich = rich();
    let id = rich.exchange_id;
    let at = rich.started_at;
    let now = now();
    let gap = StoredGap { gap_id: Uuid::from_u128(1), from_at: now, to_at: now, lost: 7, ..StoredGap::default() };
    let event =
        StoredEvent { event_id: Uuid::from_u128(1), at: now, kind: "engine_down".into(), ..StoredEvent::default() };
    let around = [encoded_exchange(recent(2, 30)), encoded_exchange(recent(3, 90))];
    let one = [encoded_exchange(rich), encoded(&Stored::Gap(gap)), encoded(&Stored::Event(event))];
    let served = served(around.into_iter().chain(one).collect(), true).await;
    let all = "range=24h&tenant=acme&route=chat&model=small&engine=primary&api=chat&status=2xx&outcome=complete";
    for (path, part) in [
        (format!("/exchanges?{all}"), id.to_string()),
        (format!("/exchanges/rows?{all}"), id.to_string()),
        ("/exchanges?error=unreachable&text=%22a-b%22".into(), "No exchanges here".into()),
        (format!("/exchange/{id}"), "b1234".into()),
        (format!("/exchange/{id}"), "word0".into()),
        (format!("/exchange/{id}/view/request"), "j-k".into()),
        (format!("/exchange/{id}/view/response"), "200 of 501 events".into()),
        (format!("/exchange/{id}/view/response?mode=plain"), "data: [DONE]".into()),
        (format!("/exchange/{id}/piece/1/0"), "word499".into()),
        (format!("/exchange/{id}/said/1"), "word0 word1 ".into()),
        (format!("/exchange/{id}/request"), "long long".into()),
        (format!("/exchange/{id}/response"), "word499".into()),
        (format!("/exchange/{id}/steps?at={at}&{all}"), "id=\"newer\" href=\"/exchange/".into()),
        (format!("/exchange/{id}/steps?at={at}&{all}"), "id=\"older\" href=\"/exchange/".into()),
        (format!("/api/exchange/{id}"), "\"response_body\":\"data: ".into()),
        ("/cache?range=24h&tenant=acme&route=chat&model=small".into(), "Nobody has removed anything".into()),
        ("/health".into(), "engine_down".into()),
        ("/overview/totals".into(), "From 3 kept rows".into()),
    ] {
        let body = served.page(&path).await;
        assert!(body.contains(&part), "{path} has no {part}: {body}");
    }
    let queries = served.queries();
    let failed: Vec<_> = queries.iter().filter(|(_, outcome)| outcome != "complete").collect();
    assert!(failed.is_empty(), "{failed:?}");
    let mut names: Vec<_> = queries.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let known = [
        "body",
        "cache",
        "cache_events",
        "choices",
        "contents",
        "critics",
        "events",
        "exchange",
        "fingerprint",
        "gaps",
        "glimpses",
        "lines",
        "neighbour",
        "rounds",
        "sizes",
        "totals",
        "verdicts",
        "volume",
    ];
    assert_eq!(names, known);
    let health = served.page("/health").await;
    assert_eq!(health.matches("engine_down").count(), 1, "an event that came twice is shown once");
    for gone in [Uuid::now_v7(), Uuid::nil()] {
        for path in [format!("/exchange/{gone}"), format!("/exchange/{gone}/view/request")] {
            assert_eq!(served.get(&path).await.status, 404, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_without_a_gap_even_where_rows_came_twice_or_at_one_moment() {
    let moment = now() - 60_000_000;
    // Pairs share their moment, so that the cursor has to go by id too.
    let rows = (0..25).map(|n| StoredExchange { started_at: moment - i64::from(n / 2), ..recent(n, 60) });
    let mut rows: Vec<_> = rows.collect();
    let records = rows.iter().cloned().map(encoded_exchange).collect();
    // ClickHouse compares the lower half of a UUID first.
    let place = |id: Uuid| id.as_u64_pair().1;
    rows.sort_by_key(|row| std::cmp::Reverse((row.started_at, place(row.exchange_id))));
    let expected: Vec<_> = rows.iter().map(|row| row.exchange_id).collect();
    for twice in [false, true] {
        let served = served(Vec::clone(&records), twice).await;
        let (mut seen, mut query, mut pages) = (Vec::new(), "range=1h".to_owned(), Vec::new());
        loop {
            let (ids, next) = served.ids(&query).await;
            pages.push(ids.len());
            seen.extend(ids);
            match next {
                Some(next) => query = format!("range=1h&before={next}"),
                None => break,
            }
        }
        assert_eq!(pages, [10, 10, 5], "twice: {twice}");
        assert_eq!(seen, expected, "twice: {twice}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_those_of_horvitz_and_thompson_and_a_row_that_came_twice_counts_once() {
    let row = |n, p, prompt_tokens, outcome: &str| StoredExchange {
        inclusion_probability: p,
        prompt_tokens,
        outcome: outcome.into(),
        status: if outcome == "complete" { 200 } else { 502 },
        ..recent(n, 60)
    };
    let rows = [row(1, 1.0, 100, "complete"), row(2, 0.5, 200, "failed"), row(3, 0.25, 300, "complete")];
    let served = served(rows.into_iter().map(encoded_exchange).collect(), true).await;
    let stored = served.client.query_raw("SELECT count() FROM exchanges").fetch_one::<u64>().await.unwrap();
    assert_eq!(stored, 6, "the rows are there twice, or this test shows nothing");

    let totals = served.json("/api/overview").await["totals_last_day"].clone();
    // By hand: the total is the sum of y/p, its variance the sum of y²(1-p)/p².
    let expected = [
        ("rows", 3.0),
        ("total_exchanges", 1.0 + 2.0 + 4.0),
        ("total_exchanges_error", (0.0 + 0.5 / 0.25 + 0.75 / 0.0625_f64).sqrt()),
        ("total_failures", 2.0),
        ("total_failures_error", (0.5 / 0.25_f64).sqrt()),
        ("total_prompt_tokens", 100.0 + 400.0 + 1200.0),
        ("total_prompt_tokens_error", (40_000.0 * 2.0 + 90_000.0 * 12.0_f64).sqrt()),
        ("total_completion_tokens", 0.0),
    ];
    for (name, value) in expected {
        let told = totals[name].as_f64().unwrap();
        assert!((told - value).abs() < 1e-6, "{name}: {told}, not {value}");
    }
    let page = served.page("/exchanges?range=1h").await;
    assert!(page.contains("<b>7</b> exchanges, estimated"), "the volume counts them once too");
    assert_eq!(served.ids("range=1h").await.0.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_by_index_and_parts_of_a_text_as_they_stand() {
    let row = |n, prompt: &str, completion: &str, body: &str| StoredExchange {
        prompt_text: prompt.into(),
        completion_text: completion.into(),
        request_body: body.into(),
        ..recent(n, 60 + n)
    };
    let rows = [
        row(1, "Please REFUND my order 17", "It is done", "{}"),
        row(2, "Верните ДЕНЬГИ за заказ", "Деньги возвращены", "{}"),
        row(3, "nothing", "An order came, no refund", "{\"model\":\"gpt-4\"}"),
    ];
    let served = served(rows.into_iter().map(encoded_exchange).collect(), false).await;
    for (text, expected) in [
        ("refund", 2),
        ("order refund", 2),
        ("refund 17", 1),
        ("refun", 0),
        ("деньги", 1),
        ("gpt", 0),
        ("gpt-4", 1),
        ("\"refun\"", 2),
        ("\"my order\"", 1),
        ("\"ВЕРНИТЕ\"", 1),
        ("%' OR 1=1 --", 0),
    ] {
        let text = format!("range=1h&text={}", percent_encoding(text));
        assert_eq!(served.ids(&text).await.0.len(), expected, "{text}");
    }
    let empty = served.page("/exchanges?range=1h&text=refun").await;
    assert!(empty.contains("/exchanges?range=1h&amp;text=%22refun%22"), "the page offers the other search: {empty}");
    for column in ["prompt_text", "completion_text"] {
        let sql = format!(
            "EXPLAIN indexes = 1 SELECT exchange_id FROM exchange_contents WHERE hasAllTokens({column}, 'refund')"
        );
        let plan = served.client.query_raw(&sql).fetch_all::<String>().await.unwrap().join("\n");
        assert!(plan.contains(&column.replace("text", "words")), "{plan}");
    }
}

fn percent_encoding(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
