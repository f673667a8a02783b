//! Tests of the recorder against a disk that fails and a keeper that panics.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::uri::PathAndQuery;
use uuid::Uuid;

use prometheus::Registry;

use super::*;
use crate::exchange::outbox::{Outbox, outbox};
use crate::exchange::stored::StoredExchange;
use crate::exchange::{Api, ExchangeId, Facts, Name, Outcome, Request, TraceContext};

/// Keeps each record as a row with its id; panics at the id 13.
struct Rows(Sender<u128>);

impl Keeper for Rows {
    fn see(&mut self, record: &Record) {
        self.0.send(record.request.id.0.as_u128()).unwrap();
    }

    fn keep(&mut self, record: &Record, out: &mut Vec<Stored>) {
        assert_ne!(record.request.id.0.as_u128(), 13, "unlucky");
        out.push(Stored::Exchange(Box::new(StoredExchange { exchange_id: record.request.id.0, ..Default::default() })));
    }
}

/// Takes what it may; what it took is seen from outside.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<(Vec<Stored>, Option<Lost>)>>);

impl Shelf {
    fn refuse(&self, lost: Option<Lost>) {
        self.0.lock().unwrap().1 = lost;
    }

    pub(super) fn rows(&self) -> Vec<u128> {
        let held = self.0.lock().unwrap();
        let id =
            |stored: &Stored| if let Stored::Exchange(row) = stored { Some(row.exchange_id.as_u128()) } else { None };
        held.0.iter().filter_map(id).collect()
    }

    pub(super) fn gaps(&self) -> Vec<(String, u64)> {
        let held = self.0.lock().unwrap();
        let gap =
            |stored: &Stored| if let Stored::Gap(gap) = stored { Some((gap.reason.clone(), gap.lost)) } else { None };
        held.0.iter().filter_map(gap).collect()
    }
}

impl Sink for Shelf {
    fn append(&mut self, payload: &[u8]) -> Result<(), Lost> {
        let mut held = self.0.lock().unwrap();
        if let Some(lost) = held.1 {
            return Err(lost);
        }
        held.0.push(rmp_serde::from_slice(payload).unwrap());
        Ok(())
    }

    fn append_account(&mut self, payload: &[u8]) -> Result<(), Lost> {
        self.0.lock().unwrap().0.push(rmp_serde::from_slice(payload).unwrap());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Waiting> {
        Ok(())
    }
}

/// A clock that the test moves.
#[derive(Clone)]
pub(super) struct Hand(Arc<Mutex<Duration>>, Instant);

impl Hand {
    pub(super) fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    pub(super) fn pass(&self, period: Duration) {
        *self.0.lock().unwrap() += period;
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + *self.0.lock().unwrap()
    }

    fn instant(&self) -> Instant {
        self.1 + *self.0.lock().unwrap()
    }

    fn nap(&self, _: Duration) {
        std::thread::yield_now();
    }
}

struct Bench {
    outbox: Outbox,
    shelf: Shelf,
    hand: Hand,
    seen: Receiver<u128>,
    metrics: Metrics,
}

fn bench(limit: usize) -> (Bench, Work<Rows, Shelf, Hand>) {
    let (outbox, inbox) = outbox(limit, 16 << 20);
    let (sender, seen) = channel();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let (shelf, hand) = (Shelf::default(), Hand::new());
    let parts = Parts {
        inbox,
        gauge: outbox.gauge().clone(),
        keeper: Rows(sender),
        sink: shelf.clone(),
        clock: hand.clone(),
        metrics: metrics.clone(),
        instance: "here".to_owned(),
    };
    (Bench { outbox, shelf, hand, seen, metrics }, Work::new(parts))
}

pub(super) fn record(id: u128) -> Box<Record> {
    let request = Request {
        id: ExchangeId(Uuid::from_u128(id)),
        received_at: UNIX_EPOCH,
        arrived: Instant::now(),
        api: Api::Chat,
        method: http::Method::POST,
        target: PathAndQuery::from_static("/"),
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        facts: Facts::default(),
        again: None,
        deadline: None,
    };
    let nobody = Name::new("t").unwrap();
    Box::new(Record {
        outcome: Outcome::Complete,
        status: 200,
        ..Record::begin(request, nobody, TraceContext::default())
    })
}

pub(super) fn gap(reason: Lost, lost: u64) -> (String, u64) {
    (reason.as_str().to_owned(), lost)
}

#[test]
fn every_record_is_seen_once_and_kept_in_order() {
    let (bench, mut work) = bench(1000);
    for id in 1..=600 {
        bench.outbox.offer(record(id + 100)).unwrap();
    }
    while work.batch() > 0 {}
    work.account(GAP_EVERY);
    let ids: Vec<u128> = (101..=700).collect();
    assert_eq!(
        (bench.seen.try_iter().collect::<Vec<_>>(), bench.shelf.rows(), bench.shelf.gaps()),
        (ids.clone(), ids, vec![])
    );
    assert_eq!((bench.metrics.seen.get(), bench.metrics.kept.get()), (600, 600));
}

#[test]
fn refusals_of_the_outbox_become_a_gap() {
    let (bench, mut work) = bench(2);
    let refused = (0..5).filter(|id| bench.outbox.offer(record(*id)).is_err()).count();
    assert_eq!(refused, 3);
    work.batch();
    work.account(GAP_EVERY);
    work.account(GAP_EVERY);
    assert_eq!((bench.shelf.rows().len(), bench.shelf.gaps()), (2, vec![gap(Lost::OutboxFull, 3)]));
}

#[test]
fn losses_are_gathered_for_a_second_and_kept_until_the_sink_takes_them() {
    let (bench, mut work) = bench(100);
    let mut lose = |n: u128, period: Duration| {
        (0..n).for_each(|id| bench.outbox.offer(record(id)).unwrap());
        work.batch();
        work.account(GAP_EVERY);
        bench.hand.pass(period);
    };
    bench.shelf.refuse(Some(Lost::SpoolFull));
    lose(3, Duration::from_millis(400));
    lose(2, Duration::from_millis(700));
    assert_eq!(bench.shelf.gaps(), []);
    bench.shelf.refuse(None);
    lose(0, Duration::ZERO);
    assert_eq!(bench.shelf.gaps(), [gap(Lost::SpoolFull, 5)]);
    bench.shelf.refuse(Some(Lost::SpoolFull));
    lose(4, Duration::from_millis(100));
    bench.shelf.refuse(None);
    lose(0, Duration::from_secs(1));
    assert_eq!(bench.shelf.gaps().len(), 1, "not twice within a second");
    lose(0, Duration::ZERO);
    assert_eq!(bench.shelf.gaps(), [gap(Lost::SpoolFull, 5), gap(Lost::SpoolFull, 4)]);
    let held = bench.shelf.0.lock().unwrap();
    let Stored::Gap(first) = &held.0[0] else { panic!("no gap") };
    assert_eq!((first.from_at, first.to_at, first.instance.as_str()), (0, 400_000, "here"));
}

#[test]
fn losses_at_a_full_spool_are_accounted_for_within_a_minute_and_at_the_stop() {
    let (bench, mut work) = bench(100);
    bench.shelf.refuse(Some(Lost::SpoolFull));
    let mut lose = |seconds| {
        bench.outbox.offer(record(1)).unwrap();
        work.batch();
        work.account(GAP_EVERY);
        bench.hand.pass(Duration::from_secs(seconds));
        bench.shelf.gaps()
    };
    assert_eq!(lose(59), []);
    assert_eq!(lose(1), []);
    assert_eq!(lose(5), [gap(Lost::SpoolFull, 3)]);
    assert_eq!(lose(5).len(), 1, "the room kept for accounts is small");
    work.drain(Duration::ZERO);
    assert_eq!(bench.shelf.gaps(), [gap(Lost::SpoolFull, 3), gap(Lost::SpoolFull, 1)]);
}

#[test]
fn a_panic_costs_one_record() {
    let (bench, mut work) = bench(100);
    for id in 12..=14 {
        bench.outbox.offer(record(id)).unwrap();
    }
    work.batch();
    work.account(GAP_EVERY);
    assert_eq!((bench.shelf.rows(), bench.shelf.gaps()), (vec![12, 14], vec![gap(Lost::Panicked, 1)]));
}

#[test]
fn stopping_empties_the_outbox_or_says_what_it_left() {
    for (grace, rows, gaps) in [(Duration::from_secs(5), 8, vec![]), (Duration::ZERO, 0, vec![gap(Lost::Stopped, 8)])] {
        let (bench, mut work) = bench(100);
        for id in 100..108 {
            bench.outbox.offer(record(id)).unwrap();
        }
        work.drain(grace);
        assert_eq!((bench.shelf.rows().len(), bench.shelf.gaps()), (rows, gaps));
        assert_eq!(bench.seen.try_iter().count(), 8, "seen all the same");
    }
}

#[test]
fn the_thread_runs_wakes_from_idleness_and_stops() {
    let (bench, work) = bench(100);
    let recorder = Recorder::start(work.parts).unwrap();
    let next = || bench.seen.recv_timeout(Duration::from_secs(20)).unwrap();
    bench.outbox.offer(record(1)).unwrap();
    assert_eq!(next(), 1);
    bench.hand.pass(IDLE * 2);
    bench.outbox.offer(record(2)).unwrap();
    assert_eq!(next(), 2);
    bench.outbox.offer(record(3)).unwrap();
    assert!(recorder.stop(Duration::from_secs(20)));
    assert_eq!(bench.shelf.rows(), [1, 2, 3]);
}
