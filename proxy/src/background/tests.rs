//! Tests of what is told of an answer that several exchanges share.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use uuid::Uuid;
use weir_critic::Judgement;

use super::recorder::Keeper;
use super::*;
use crate::exchange::cached::{Admit, Miss};
use crate::exchange::judged::{Cost, Mode, OnSkip, Round, Verdict};
use crate::exchange::{Api, Caching, ExchangeId, Facts, Name, Request, TraceContext};

struct Nobody;

impl Observer for Nobody {
    fn seen(&self, _: &Record) {}
    fn refused(&self, _: &Record) {}
    fn read(&self, _: &Record, _: &StoredExchange) {}
}

/// Says whether its exchange answers for the engine's work; once, as the cache does.
#[derive(Debug)]
struct Ticket(bool);

impl Admit for Ticket {
    fn admit(&self, _: &Record, _: &Reading<'_>) {}

    fn goes_on(&self) -> bool {
        false
    }

    fn takes_over(&self, _: &Record) -> bool {
        self.0
    }
}

fn record() -> Box<Record> {
    let request = Request {
        id: ExchangeId(Uuid::nil()),
        received_at: SystemTime::UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Chat,
        method: http::Method::POST,
        target: http::uri::PathAndQuery::from_static("/v1/chat/completions"),
        headers: http::HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        facts: Facts::default(),
        again: None,
        deadline: None,
    };
    let mut record = Record::begin(request, Name::new("n").unwrap(), TraceContext::default());
    record.outcome = Outcome::Complete;
    let verdict = Verdict {
        critic: "c".into(),
        version: "1".into(),
        mode: Mode::Enforce,
        on_skip: OnSkip::Open,
        weight: 1.0,
        judgement: Judgement::pass(),
        took: Duration::ZERO,
        cost: Cost { prompt_tokens: 30, completion_tokens: 4, engine_time: Duration::from_millis(2) },
    };
    record.judged.rounds = vec![Round {
        body: Bytes::from_static(b"{}"),
        content_type: "application/json".to_owned(),
        verdicts: vec![verdict.clone()],
        judged_at: Duration::ZERO,
        completion_tokens: 3,
    }];
    record.judged.verdicts = vec![verdict];
    Box::new(record)
}

#[test]
fn of_those_who_share_an_answer_one_tells_what_it_has_cost_and_what_was_before_it() {
    let (sample, redact, digest) = Default::default();
    let mut keep = Keep::new(&sample, &redact, &digest, "here", Arc::new(Nobody)).unwrap();
    let table = [
        (Caching::Miss(Miss::Absent), false, true),
        (Caching::Collapsed, false, false),
        (Caching::Collapsed, true, true),
    ];
    for (caching, takes_over, tells) in table {
        let mut record = record();
        record.cache.caching = caching;
        record.cache.ticket = Some(Arc::new(Ticket(takes_over)));
        let record = keep.judge(record).expect("nobody audits");
        let mut out = Vec::new();
        keep.keep(&record, &mut out);
        let Some(Stored::Exchange(row)) = out.first() else { panic!("no row") };
        assert_eq!(row.rounds.len(), usize::from(tells), "{caching:?} {takes_over}");
        assert!(!row.verdicts.is_empty(), "what was said holds for all");
        let told: u64 = row.verdicts.iter().map(|verdict| verdict.prompt_tokens + verdict.engine_us).sum();
        assert_eq!(told, if tells { 2 * 2030 } else { 0 }, "{caching:?} {takes_over}");
    }
}
