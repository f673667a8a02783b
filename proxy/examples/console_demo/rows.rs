//! Made-up exchanges, brought to the real store by the real sink.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use uuid::{NoContext, Timestamp, Uuid};
use weir::background::sink::{Batch, Config, Limits, Metrics, Sink, Source};
use weir::exchange::stored::{Stored, StoredAttempt, StoredEvent, StoredExchange, StoredGap};

use crate::{Fault, shelf};

struct Once {
    batch: Option<Batch>,
    done: Option<oneshot::Sender<()>>,
}

impl Source for Once {
    async fn next_batch(&mut self, _: Limits) -> io::Result<Option<Batch>> {
        match &self.batch {
            Some(batch) => Ok(Some(batch.clone())),
            None => std::future::pending().await,
        }
    }

    async fn acknowledge(&mut self, _: u64) -> io::Result<()> {
        self.batch = None;
        self.done.take().map(|done| done.send(()));
        Ok(())
    }
}

/// Made-up exchanges, newest first, and the moment that they are counted back from.
pub(crate) fn exchanges(rows: u32) -> Result<(Vec<StoredExchange>, i64), Fault> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
    let mut rows: Vec<_> = (0..rows).map(|i| exchange(i, now)).collect();
    shelf::cache(&mut rows);
    Ok((rows, now))
}

pub(crate) async fn fill(client: &clickhouse::Client, rows: &[StoredExchange], now: i64) -> Result<(), Fault> {
    let mut records: Vec<Stored> = rows.iter().map(|row| Stored::Exchange(Box::new(row.clone()))).collect();
    records.push(Stored::Gap(StoredGap {
        gap_id: Uuid::from_u128(1),
        from_at: now - 4_000_000_000,
        to_at: now - 3_990_000_000,
        reason: "outbox_full".into(),
        lost: 17,
        instance: "demo".into(),
    }));
    records.push(Stored::Event(StoredEvent {
        event_id: Uuid::from_u128(2),
        at: now - 900_000_000,
        kind: "engine_down".into(),
        engine: "small".into(),
        detail: "{\"replica\":\"127.0.0.1:8090\",\"reason\":\"connection refused\"}".into(),
        instance: "demo".into(),
        ..StoredEvent::default()
    }));
    bring(client, &records).await
}

/// Brings records to the store, each call under its own token.
pub(crate) async fn bring(client: &clickhouse::Client, records: &[Stored]) -> Result<(), Fault> {
    let payload = |(i, record): (usize, &Stored)| Ok((i as u64 + 1, rmp_serde::to_vec_named(record)?.into()));
    let records: Vec<_> = records.iter().enumerate().map(payload).collect::<Result<_, rmp_serde::encode::Error>>()?;
    let batch = Batch {
        last_seq: records.len() as u64,
        token: format!("demo-{}", Uuid::now_v7()),
        instance: "demo".into(),
        records,
        gaps: Vec::new(),
    };
    let (done, stored) = oneshot::channel();
    let (_clients, client) = watch::channel(Some(client.clone()));
    let metrics = Metrics::register(&prometheus::Registry::new())?;
    let sink = Sink::start(Config::default(), Once { batch: Some(batch), done: Some(done) }, client, metrics);
    tokio::time::timeout(Duration::from_secs(60), stored).await??;
    sink.stop(Duration::from_secs(1)).await;
    Ok(())
}

const PROMPTS: [&str; 8] = [
    "Summarise the incident report of last Tuesday in three sentences for the status page.",
    "Which of our invoices from October are still unpaid, and by how many days?",
    "Translate the release notes into German; keep the version numbers as they are.",
    "Why does this query scan the whole table? SELECT * FROM orders WHERE date(created_at) = '2026-11-02'",
    "Write a polite refusal to the supplier who asks for payment in advance.",
    "Проверь, пожалуйста, договор на расхождения с типовой формой.",
    "Extract name, date of birth and policy number from the letter as JSON.",
    "What changed between vLLM 0.11.1 and 0.11.2 for prefix caching?",
];
const ANSWERS: [&str; 4] = [
    "On Tuesday at 14:02 UTC a configuration change removed two of five replicas from rotation. Requests queued for \
     eleven minutes; none were lost. The change was rolled back at 14:13, and a check now refuses a pool of fewer \
     than four replicas.",
    "The function call around the column keeps the index from being used. Compare the column itself with a range:\n\n\
     SELECT *\nFROM orders\nWHERE created_at >= '2026-11-02'\n  AND created_at <  '2026-11-03';\n\nThe plan then shows \
     an index range scan of about 1,900 rows.",
    "Three invoices are open:\n\n- 2026-1042, 19 days\n- 2026-1057, 11 days\n- 2026-1061, 4 days",
    "Расхождений три: срок оплаты (п. 4.2), подсудность (п. 9.1) и отсутствие приложения № 2.",
];
/// What a hostile model, or a hostile document in its context, might write.
const HOSTILE: &str = "</script><img src=x onerror=\"alert('xss')\"><svg onload=alert(1)> {{7*7}} ${7*7} \
    [click](javascript:alert(1)) <a href=\"javascript:alert(2)\">here</a> \u{1b}[31mred\u{1b}[0m \u{7} \
    user\u{202e}gnp.exe\u{202c} \u{200b}hidden <style>body{display:none}</style><iframe srcdoc='<script>alert(3)\
    </script>'></iframe> --> ]]> \"' onmouseover=alert(4) x='";

fn exchange(i: u32, now: i64) -> StoredExchange {
    let age = i64::from(i) * 8_700_000 + i64::from(i * i % 977) * 9_000;
    let at = now - age - 2_000_000;
    let micros = u64::try_from(at).unwrap_or(0);
    let moment = Timestamp::from_unix(NoContext, micros / 1_000_000, (micros % 1_000_000) as u32 * 1000);
    let first = 90_000 + u64::from(i * 7919 % 400) * 1000;
    let total = first + 400_000 + u64::from(i * 104_729 % 3000) * 1000;
    let stream = !i.is_multiple_of(4);
    let (prompt, answer) = texts(i);
    let mut row = StoredExchange {
        exchange_id: Uuid::new_v7(moment),
        started_at: at,
        tenant: ["acme", "acme", "globex", "initech"][i as usize % 4].into(),
        route: if i.is_multiple_of(5) { "support" } else { "default" }.into(),
        api: "chat".into(),
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        stream,
        model_requested: "qwen3-30b".into(),
        model_answered: "Qwen/Qwen3-30B-A3B-Instruct".into(),
        engine: "main".into(),
        engine_kind: "vllm".into(),
        replica: format!("gpu-{}:8000", i % 2),
        fingerprint: "9f2c41d07ab35e18".into(),
        fingerprint_json: json!({"version": "0.11.2", "model": "Qwen/Qwen3-30B-A3B-Instruct", "quantisation": "fp8",
            "template_hash": "51c2f8e09ab41d77", "context_tokens": 32768, "flags": ["enable_prefix_caching=true"]})
        .to_string(),
        status: 200,
        outcome: "complete".into(),
        finish_reasons: vec!["stop".into()],
        attempts: vec![attempt(i % 2, 310, 42_000, 200, "")],
        identified_us: 120,
        admitted_us: 300 + u64::from(i % 13) * 4000,
        sent_us: 600 + u64::from(i % 13) * 4000,
        head_us: first - 2000,
        first_byte_us: first - 1000,
        first_token_us: if stream { first } else { 0 },
        last_byte_us: total - 400,
        total_us: total,
        longest_gap_us: 48_000,
        prompt_tokens: 220 + i * 31 % 900,
        completion_tokens: 40 + i * 17 % 400,
        cached_tokens: 128,
        usage_source: "engine".into(),
        inclusion_probability: 1.0,
        sample_reason: "uniform".into(),
        user_agent: "OpenAI/Python 2.8.1".into(),
        trace_id: format!("{:032x}", u128::from(i) * 0x9e37_79b9_7f4a_7c15),
        span_id: format!("{:016x}", u64::from(i) * 0x85eb_ca6b),
        weir_version: env!("CARGO_PKG_VERSION").into(),
        instance: "demo".into(),
        request_headers: vec![
            ("content-type".into(), "application/json".into()),
            ("user-agent".into(), "OpenAI/Python 2.8.1".into()),
            ("x-request-id".into(), format!("req-{i:05}")),
        ],
        prompt_text: prompt.clone(),
        completion_text: answer.clone(),
        ..StoredExchange::default()
    };
    bodies(i, &mut row, &prompt, &answer);
    faults(i, &mut row);
    row
}

fn texts(i: u32) -> (String, String) {
    match i {
        3 => (HOSTILE.into(), HOSTILE.into()),
        6 => ("Write the whole history of the weir, at length.".into(), long_answer()),
        _ => (PROMPTS[i as usize % 8].into(), ANSWERS[i as usize % 4].into()),
    }
}

fn long_answer() -> String {
    let paragraph = "A weir raises the level of a river just enough to be useful and lets the rest pass over its \
                     crest. Who measures the height of the water above it knows the flow. ";
    (1..=100).map(|n| format!("{n}. {}\n\n", paragraph.repeat(6))).collect()
}

fn attempt(replica: u32, started_us: u64, took_us: u64, status: u16, error_kind: &str) -> StoredAttempt {
    let replica = format!("gpu-{replica}:8000");
    StoredAttempt { engine: "main".into(), replica, started_us, took_us, status, error_kind: error_kind.into() }
}

fn bodies(i: u32, row: &mut StoredExchange, prompt: &str, answer: &str) {
    let mut messages = vec![
        json!({"role": "system", "content": "You are the assistant of the operations team. Be brief and exact."}),
        json!({"role": "user", "content": prompt}),
    ];
    let with_tools = i % 6 == 1;
    if with_tools {
        let call = json!({"id": "call_1", "type": "function", "function": {"name": "search_invoices",
            "arguments": "{\"status\": \"open\", \"from\": \"2026-10-01\", \"limit\": 20}"}});
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": "call_1",
            "content": "[{\"number\": \"2026-1042\", \"due\": \"2026-11-03\", \"amount\": 1840.50}]"}));
    }
    let mut request = json!({"model": "qwen3-30b", "temperature": 0.2, "stream": row.stream, "messages": messages});
    if with_tools {
        request["tools"] = json!([{"type": "function", "function": {"name": "search_invoices", "parameters": {}}}]);
    }
    row.request_body = request.to_string();
    row.response_body = if row.stream { streamed(i, answer) } else { whole(i, row, answer) };
    row.response_type = if row.stream { "text/event-stream; charset=utf-8" } else { "application/json" }.into();
    row.events = row.response_body.matches("data:").count() as u32;
    row.request_bytes = row.request_body.len() as u64;
    row.response_bytes = row.response_body.len() as u64;
}

fn whole(i: u32, row: &StoredExchange, answer: &str) -> String {
    let usage = json!({"prompt_tokens": row.prompt_tokens, "completion_tokens": row.completion_tokens});
    let message = json!({"role": "assistant", "content": answer, "reasoning_content": reasoning(i)});
    json!({"id": "chatcmpl-1", "object": "chat.completion", "model": row.model_answered, "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    .to_string()
}

fn reasoning(i: u32) -> Option<&'static str> {
    i.is_multiple_of(3)
        .then_some("The user wants the open items only. The tool gave three; two are past due by more than ten days.")
}

fn streamed(i: u32, answer: &str) -> String {
    let event = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}))
    };
    let mut body = String::from(": weir keep-alive\n\n");
    if let Some(reasoning) = reasoning(i) {
        body += &event(json!({"reasoning_content": reasoning}), Value::Null);
    }
    for piece in answer.split_inclusive(' ') {
        body += &event(json!({"content": piece}), Value::Null);
    }
    body += &event(json!({}), json!("stop"));
    body + "data: [DONE]\n\n"
}

fn faults(i: u32, row: &mut StoredExchange) {
    if i % 17 == 5 {
        row.outcome = "client_left".into();
        row.error_kind = "client_left".into();
        row.error_message = "the client closed the connection after 14 tokens".into();
        row.wasted_tokens = 14;
        row.finish_reasons.clear();
    }
    if i % 29 == 8 {
        row.status = 502;
        row.outcome = "failed".into();
        row.error_kind = "unreachable".into();
        row.error_message = "no replica of engine 'main' took a connection; see its log and the health page".into();
        row.attempts =
            vec![attempt(0, 310, 1_002_000, 0, "connect_timeout"), attempt(1, 1_010_000, 900, 0, "unreachable")];
        row.response_body = json!({"error": {"type": "unreachable", "message": row.error_message}}).to_string();
        row.response_type = "application/json".into();
        (row.sent_us, row.head_us, row.first_byte_us, row.first_token_us, row.last_byte_us) = (0, 0, 0, 0, 0);
        (row.completion_tokens, row.longest_gap_us) = (0, 0);
        row.finish_reasons.clear();
        (row.completion_text, row.sample_reason) = (String::new(), "error".into());
    }
    if i % 41 == 11 {
        row.prompt_truncated = true;
        (row.prompt_tokens, row.expected_prompt_tokens) = (8192, 31_800);
    }
    if i % 23 == 4 {
        row.status = 429;
        row.outcome = "refused".into();
        row.error_kind = "rate_limited".into();
        row.error_message = "tenant 'globex' is over 120 requests a minute; retry after 4 s".into();
        row.attempts.clear();
        (row.engine, row.replica, row.model_answered) = Default::default();
        (row.completion_text, row.response_body, row.response_type) = Default::default();
        (row.sent_us, row.head_us, row.first_byte_us, row.first_token_us, row.last_byte_us) = (0, 0, 0, 0, 0);
        (row.total_us, row.prompt_tokens, row.completion_tokens) = (410, 0, 0);
        row.inclusion_probability = 0.25;
    }
}
