//! Tests of the stop while records are with those who judge them.

use std::collections::VecDeque;

use prometheus::Registry;

use super::tests::{Hand, Shelf, gap, record};
use super::*;
use crate::exchange::outbox::outbox;
use crate::exchange::stored::StoredExchange;

/// When a record that is away comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    /// Right after a look that found nothing.
    Meanwhile,
    /// When it is called back.
    Recalled,
    /// Never.
    Never,
}

/// Gives every record away to be judged.
struct Judges {
    back: Back,
    away: VecDeque<Box<Record>>,
    returned: VecDeque<Box<Record>>,
    /// Looks that found nothing.
    looks: usize,
}

impl Keeper for Judges {
    fn see(&mut self, _: &Record) {}

    fn judge(&mut self, record: Box<Record>) -> Option<Box<Record>> {
        self.away.push_back(record);
        None
    }

    fn returned(&mut self) -> Option<Box<Record>> {
        let found = self.returned.pop_front();
        self.looks += usize::from(found.is_none());
        if self.back == Back::Meanwhile && self.looks == 2 {
            self.returned.extend(self.away.drain(..));
        }
        found
    }

    fn away(&self) -> usize {
        self.away.len()
    }

    fn recall(&mut self) {
        if self.back == Back::Recalled {
            self.returned.extend(self.away.drain(..));
        }
    }

    fn keep(&mut self, record: &Record, out: &mut Vec<Stored>) {
        out.push(Stored::Exchange(Box::new(StoredExchange { exchange_id: record.request.id.0, ..Default::default() })));
    }
}

/// Time passes while it naps.
struct Passing(Hand);

impl Clock for Passing {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn instant(&self) -> Instant {
        self.0.instant()
    }

    fn nap(&self, period: Duration) {
        self.0.pass(period);
    }
}

#[test]
fn records_that_are_being_judged_are_kept_at_the_stop_or_said_to_be_lost() {
    let table = [
        (Back::Meanwhile, 5, vec![1, 2, 3], vec![]),
        (Back::Recalled, 5, vec![1, 2, 3], vec![]),
        (Back::Never, 5, vec![], vec![gap(Lost::Stopped, 3)]),
        // No time at all: what was taken before is still called back, the rest is lost.
        (Back::Recalled, 0, vec![1, 2], vec![gap(Lost::Stopped, 1)]),
    ];
    for (back, seconds, kept, gaps) in table {
        let (outbox, inbox) = outbox(100, 1 << 20);
        let (shelf, hand) = (Shelf::default(), Hand::new());
        let parts = Parts {
            inbox,
            gauge: outbox.gauge().clone(),
            keeper: Judges { back, away: VecDeque::new(), returned: VecDeque::new(), looks: 0 },
            sink: shelf.clone(),
            clock: Passing(hand),
            metrics: Metrics::register(&Registry::new()).unwrap(),
            instance: "here".to_owned(),
        };
        let mut work = Work::new(parts);
        (1..=2).for_each(|id| outbox.offer(record(id)).unwrap());
        if seconds == 0 {
            work.batch();
        }
        outbox.offer(record(3)).unwrap();
        work.drain(Duration::from_secs(seconds));
        assert_eq!((shelf.rows(), shelf.gaps()), (kept, gaps), "{back:?} {seconds}");
    }
}
