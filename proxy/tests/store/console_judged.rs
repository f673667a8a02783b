//! What the console tells of critics, from rows in the real ClickHouse.

use serde_json::json;
use weir::exchange::stored::{StoredExchange, StoredFinding, StoredRound, StoredVerdict};

use crate::console::{recent, served};
use crate::support::{encoded_exchange, verdict};

/// Two answers, both bad: the second went out.
fn escalated() -> StoredExchange {
    let finding = StoredFinding {
        code: "email".into(),
        message: "<b>an address</b>".into(),
        place: "text".into(),
        span: (6, 13),
        quote: ("write ".into(), "[email]".into(), " now".into()),
        ..StoredFinding::default()
    };
    let bad = |round| StoredVerdict { findings: vec![finding.clone()], ..verdict(round, "pii") };
    StoredExchange {
        verdict: "fail".into(),
        decision: "escalate".into(),
        handling: "deliver".into(),
        verdicts: vec![bad(0), bad(1)],
        rounds: vec![StoredRound { round: 1, text: "write [email] now".into(), ..StoredRound::default() }],
        inclusion_probability: 0.5,
        ..recent(1, 60)
    }
}

fn good(n: u32, rounds: Vec<StoredRound>) -> StoredExchange {
    let passed = StoredVerdict { outcome: "pass".into(), findings: Vec::new(), ..verdict(0, "pii") };
    let late = StoredVerdict { outcome: "skipped".into(), reason: "timed_out".into(), ..passed.clone() };
    let verdicts = vec![passed, StoredVerdict { critic: "judge".into(), ..late }];
    let (verdict, decision) = ("pass".into(), "pass".into());
    StoredExchange { verdict, decision, verdicts, rounds, inclusion_probability: 1.0, ..recent(n, 60 + n) }
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_are_found_by_what_critics_said_and_shown_with_every_answer() {
    let repaired = good(2, vec![StoredRound { round: 1, ..StoredRound::default() }]);
    let rows = [escalated(), repaired, good(3, Vec::new())];
    let ids = rows.each_ref().map(|row| row.exchange_id);
    let served = served(rows.into_iter().map(encoded_exchange).collect(), true).await;
    for (filter, expected) in [
        ("verdict=fail", vec![ids[0]]),
        ("verdict=pass", vec![ids[1], ids[2]]),
        ("decision=escalate", vec![ids[0]]),
        ("decision=repaired", vec![ids[1]]),
        ("critic=pii", vec![ids[0]]),
        ("critic=judge", vec![]),
    ] {
        assert_eq!(served.ids(&format!("range=1h&{filter}")).await.0, expected, "{filter}");
    }
    let list = served.page("/escalated").await;
    assert_eq!(list.matches("data-id=").count(), 1, "{list}");
    assert!(list.contains(&ids[0].to_string()));
    let page = served.page(&format!("/exchange/{}?decision=escalate", ids[0])).await;
    assert_eq!(page.matches("class=\"said fail\"").count(), 2, "a verdict that came twice is shown once");
    assert!(page.contains("write <mark title=\"email\">[email]</mark> now"), "{page}");
    assert!(page.contains("&lt;b&gt;an address") && page.contains("href=\"/escalated?"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_of_the_last_day_are_weighted_and_one_that_came_twice_counts_once() {
    let rows = [escalated(), good(2, Vec::new()), good(3, Vec::new())];
    let served = served(rows.into_iter().map(encoded_exchange).collect(), true).await;
    let critics = served.json("/api/overview").await["critics_last_day"].clone();
    let figures =
        |at: usize| ["critic", "rows", "passed", "failed", "skipped", "unasked"].map(|name| critics[at][name].clone());
    // By hand: each row counts 1/p, and the escalated one has two verdicts.
    assert_eq!(json!(figures(0)), json!(["pii", 4, 2.0, 4.0, 0.0, 0.0]));
    assert_eq!(json!(figures(1)), json!(["judge", 2, 0.0, 0.0, 2.0, 0.0]));
}
