//! ClickHouse's HTTP interface as `curl` sees it, and its limits.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use weir_clickhouse_engine::Limits;

use crate::support::{Store, client, until};

#[tokio::test]
async fn requests_answer_as_clickhouse_would() {
    let store = Store::start().await;
    store.client().await;
    let table = [
        ("GET", "/ping", "", "200", "Ok.\n"),
        ("GET", "/?query=SELECT+1%2B1", "", "200", "2\n"),
        ("POST", "/", "SELECT 1 AS a FORMAT JSONEachRow", "200", "{\"a\":1}\n"),
        ("POST", "/?query=SELECT+1", "+1", "200", "2\n"),
        ("POST", "/?database=w", "CREATE TABLE t (a UInt8, s String) ENGINE = MergeTree ORDER BY a", "200", ""),
        ("POST", "/?database=w", "INSERT INTO t VALUES (1, 'x;y'), (2, 'FORMAT')", "200", ""),
        ("POST", "/?query=INSERT+INTO+w.t+FORMAT+CSV", "3,\"z\n\nz\"\n", "200", ""),
        ("POST", "/?database=w", "INSERT INTO t SELECT 4, 'q'", "200", ""),
        ("POST", "/", "SELECT count(), max(a) FROM w.t;", "200", "4\t4\n"),
        ("POST", "/?database=w&default_format=CSV", "SELECT s FROM t WHERE a = 1 -- end", "200", "\"x;y\"\n"),
        ("POST", "/?param_a=5&max_threads=1", "SELECT {a:UInt8} + 1", "200", "6\n"),
        ("POST", "/?database=w", "CREATE TABLE d AS w.t ENGINE = Distributed('{cluster}', 'w', 't')", "200", ""),
        ("POST", "/", "SELECT count() FROM w.d", "200", "4\n"),
        ("POST", "/?database=nope", "SELECT 1", "404", "Code: 81."),
        ("POST", "/?no_such_setting=1", "SELECT 1", "400", "Code: 115."),
        ("POST", "/?max_threads=many", "SELECT 1", "", "max_threads"),
        ("POST", "/?session_id=1", "SELECT 1", "400", "Code: 344."),
        ("POST", "/", "", "400", "Code: 62."),
        ("POST", "/elsewhere", "SELECT 1", "404", "Code: 48."),
        ("PUT", "/", "SELECT 1", "400", "Code: 36."),
        ("GET", "/?query=DROP+TABLE+w.t", "", "403", "Code: 164."),
        ("POST", "/", "SELECT 1 LIMIT 0 FORMAT JSON", "200", "{"),
        ("POST", "/", "INSERT INTO w.t SELECT a, '' FROM input('a UInt8') FORMAT CSV\n7\n", "400", "Code: 344."),
    ];
    for (method, target, body, status, answer) in table {
        let (head, text) = store.http(method, target, body).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{method} {target} {body}: {head}\n{text}");
        // Streamed bodies come in chunks.
        let text = text.split_once("\r\n").map_or(text.as_str(), |(_, rest)| rest);
        assert!(text.contains(answer), "{method} {target} {body}: {text:?}");
    }
}

#[tokio::test]
async fn a_request_is_one_statement_and_the_broken_rest_does_not_run_the_first() {
    let store = Store::start().await;
    let client = store.client().await;
    for sql in ["CREATE TABLE x (a UInt8) ENGINE = Memory; SELECT 1", "CREATE TABLE x (a UInt8) ENGINE = Memory; junk"]
    {
        let (head, text) = store.http("POST", "/?database=w", sql).await;
        assert!(head.starts_with("http/1.1 400"), "{head}");
        assert!(text.contains("Code: 62."), "{text}");
    }
    let tables =
        client.query("SELECT count() FROM system.tables WHERE database = 'w'").fetch_one::<u64>().await.unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_ping_needs_none() {
    let store = Store::start().await;
    let wrong = client(&store.running).with_password("guess");
    let error = wrong.query("SELECT 1").fetch_one::<u8>().await.unwrap_err();
    assert!(error.to_string().contains("Code: 516"), "{error}");
    let mut stream = store.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("x-clickhouse-exception-code: 516"), "{answer}");
}

#[tokio::test]
async fn readonly_blocks_writes_and_the_way_out() {
    let store = Store::start().await;
    let client = store.client().await;
    client.query("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a").execute().await.unwrap();
    let readonly = client.clone().with_setting("readonly", "1");
    assert_eq!(readonly.query("SELECT count() FROM t").fetch_one::<u64>().await.unwrap(), 0);
    let refused = [
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString', 'a String')",
        "SELECT * FROM remote('127.0.0.1:1', 'system', 'one', 'a', 'b')",
        "DROP TABLE t",
        "INSERT INTO t SELECT 1",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT file('/etc/hostname')",
        "SELECT arrayMap(`file`, ['/etc/hostname'])",
        "SELECT * FROM eval('SELECT 1')",
        "KILL QUERY WHERE 1",
    ];
    for sql in refused {
        let error = readonly.query(sql).execute().await.unwrap_err().to_string();
        assert!(["Code: 164", "Code: 497"].iter().any(|code| error.contains(code)), "{sql}: {error}");
    }
    let insert = readonly.insert_formatted_with("INSERT INTO t FORMAT CSV");
    let mut insert = insert;
    let sent = insert.send("1\n".into()).await;
    let error = sent.err().or(insert.end().await.err()).unwrap();
    assert!(error.to_string().contains("Code: 164"), "{error}");
}

#[tokio::test]
async fn nothing_outside_the_store_is_reached_even_with_full_access() {
    let store = Store::start().await;
    let client = store.client().await;
    let outside = store.dir.path().join("outside");
    let outfile = format!("SELECT 1 INTO OUTFILE '{}' FORMAT CSV", outside.display());
    let table = [
        (outfile.as_str(), "Code: 344"),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", "Code: 344"),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "Code: 497"),
        ("DESCRIBE TABLE url('http://127.0.0.1:1/', 'CSV')", "Code: 497"),
        ("SELECT * FROM remote('127.0.0.1:1', 'system', 'one')", "Code: 497"),
        ("CREATE TABLE u (a UInt8) ENGINE = URL('http://127.0.0.1:1/', 'CSV')", "Code: 497"),
        ("CREATE DATABASE f ENGINE = Filesystem('/etc')", "Code: 497"),
        ("SYSTEM SHUTDOWN", "Code: 497"),
    ];
    for (sql, code) in table {
        let error = client.query(sql).execute().await.unwrap_err().to_string();
        assert!(error.contains(code), "{sql}: {error}");
    }
    assert!(!outside.exists());
}

#[tokio::test]
async fn statements_beyond_the_limit_are_refused_until_one_ends() {
    let limits = Limits { concurrent_queries: 1, waiting_queries: 0, ..Limits::default() };
    let store = Store::with(limits).await;
    let client = client(&store.running);
    let mut running = client.query("SELECT number FROM numbers(100000000)").fetch::<u64>().unwrap();
    running.next().await.unwrap();
    let error = client.query("SELECT 1").fetch_one::<u8>().await.unwrap_err();
    assert!(error.to_string().contains("Code: 202"), "{error}");
    drop(running);
    until("the left SELECT to end", async || client.query("SELECT 1").fetch_one::<u8>().await.is_ok()).await;
}

#[tokio::test]
async fn statements_and_whole_results_have_a_size_limit() {
    let limits = Limits { statement_bytes: 4 << 10, result_bytes: 1 << 20, ..Limits::default() };
    let store = Store::with(limits).await;
    let long = format!("SELECT '{}'", "x".repeat(8 << 10));
    let (head, text) = store.http("POST", "/", &long).await;
    assert!(head.starts_with("http/1.1 413"), "{head} {text}");
    let (_, text) = store.http("POST", "/", "SELECT number FROM numbers(1000000) FORMAT JSON").await;
    assert!(text.contains("Code: 396"), "{}", &text[..text.len().min(300)]);
}

#[tokio::test]
async fn a_client_that_stops_sending_is_given_up() {
    let limits = Limits { body_idle: Duration::from_millis(200), concurrent_queries: 1, ..Limits::default() };
    let store = Store::with(limits).await;
    let client = store.client().await;
    client.query("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a").execute().await.unwrap();
    let mut stalled = store.connect().await;
    let head = store.head("POST", "/?query=INSERT+INTO+w.t+FORMAT+CSV", 1000);
    stalled.write_all(format!("{head}1\n").as_bytes()).await.unwrap();
    until("the stalled insert to end", async || {
        client.query("SELECT count() FROM t").fetch_one::<u64>().await.is_ok_and(|count| count == 0)
    })
    .await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_given_up() {
    let limits = Limits { body_idle: Duration::from_millis(200), concurrent_queries: 1, ..Limits::default() };
    let store = Store::with(limits).await;
    let sql = "SELECT number FROM numbers(1000000000) FORMAT RowBinary";
    let mut stalled = store.connect().await;
    let head = store.head("POST", "/", sql.len());
    stalled.write_all(format!("{head}{sql}").as_bytes()).await.unwrap();
    stalled.readable().await.unwrap();
    let client = client(&store.running);
    until("the unread SELECT to end", async || client.query("SELECT 1").fetch_one::<u8>().await.is_ok()).await;
}

#[tokio::test]
async fn a_statement_beyond_the_memory_limit_fails_alone() {
    let store = Store::with(Limits { memory_bytes: Some(600 << 20), ..Limits::default() }).await;
    let (_, text) =
        store.http("POST", "/", "SELECT length(groupArray(repeat('x', 1000))) FROM numbers(5000000) FORMAT JSON").await;
    assert!(text.contains("Code: 241"), "{text}");
    let (_, text) = store.http("GET", "/?query=SELECT+1", "").await;
    assert!(text.contains('1'), "{text}");
    assert_eq!(store.running.status().borrow().restarts, 0);
}
