//! A random schedule of joins, polls, departures and source steps, run by hand: only those that
//! were woken are polled, so that a lost wake-up shows as a stall.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use proptest::prelude::*;

use super::super::{Flight, Flights, Wanted};
use super::script::{Client, Script, Scripted, Step, flights, join, run_all, wanted};
use crate::exchange::Kind;

const KEYS: [&str; 2] = ["one key", "another"];

#[derive(Clone, Debug)]
enum Op {
    Join {
        key: usize,
    },
    Tell {
        flight: usize,
        step: Step,
    },
    /// Polls one client, if it was woken.
    Run {
        client: usize,
    },
    /// Polls one client, woken or not.
    Poke {
        client: usize,
    },
    Settle,
    Leave {
        client: usize,
    },
    Appetite {
        client: usize,
        pieces: usize,
    },
    Close {
        flight: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let step = prop_oneof![
        6 => (1..12_usize).prop_map(|length| Step::Piece(Bytes::from("x".repeat(length)))),
        1 => Just(Step::End),
        1 => Just(Step::Fail(Kind::EngineBroke)),
        2 => Just(Step::Yield),
        1 => Just(Step::Piece(Bytes::new())),
    ];
    let client = 0..8_usize;
    prop_oneof![
        3 => (0..KEYS.len()).prop_map(|key| Op::Join { key }),
        6 => (0..3_usize, step).prop_map(|(flight, step)| Op::Tell { flight, step }),
        6 => client.clone().prop_map(|client| Op::Run { client }),
        1 => client.clone().prop_map(|client| Op::Poke { client }),
        2 => Just(Op::Settle),
        2 => client.clone().prop_map(|client| Op::Leave { client }),
        2 => (client, prop_oneof![Just(0), 1..3_usize, Just(usize::MAX)])
            .prop_map(|(client, pieces)| Op::Appetite { client, pieces }),
        1 => (0..3_usize).prop_map(|flight| Op::Close { flight }),
    ]
}

/// A flight as the model sees it.
struct Known {
    flight: Weak<Flight<Scripted>>,
    script: Script,
    key: usize,
    /// It was led while another had its place.
    stray: bool,
    status: u16,
    told_end: bool,
    closed: bool,
}

struct World {
    flights: Flights<Scripted>,
    limit: usize,
    known: Vec<Known>,
    /// Each with its flight's place in `known`.
    clients: Vec<Client>,
    of: Vec<usize>,
    statuses: Vec<u16>,
    sent: u8,
}

impl World {
    fn new(limit: usize, statuses: Vec<u16>) -> Self {
        let (known, clients, of) = (Vec::new(), Vec::new(), Vec::new());
        Self { flights: flights(), limit, known, clients, of, statuses, sent: 0 }
    }

    fn apply(&mut self, op: Op) {
        let clients = self.clients.len().max(1);
        match op {
            Op::Join { key } => self.join(key),
            // The newest ones, where something still happens.
            Op::Tell { flight, step } => {
                let at = self.known.len().wrapping_sub(1 + flight);
                self.tell(at, step);
            }
            Op::Run { client } => self.clients.get_mut(client % clients).into_iter().for_each(Client::run),
            Op::Poke { client } => self.clients.get(client % clients).into_iter().for_each(Client::poke),
            Op::Settle => {
                run_all(&mut self.clients);
                self.check_nobody_stalls();
            }
            Op::Leave { client } => self.clients.get_mut(client % clients).into_iter().for_each(Client::leave),
            Op::Appetite { client, pieces } => {
                if let Some(client) = self.clients.get_mut(client % clients) {
                    client.appetite = pieces;
                    client.poke();
                }
            }
            Op::Close { flight } => {
                if let Some(known) = self.known.iter_mut().rev().nth(flight) {
                    known.closed = true;
                    known.flight.upgrade().iter().for_each(|flight| flight.close());
                }
            }
        }
        self.check();
    }

    fn join(&mut self, key: usize) {
        let found = self.known.iter().position(|known| known.key == key && known.is_joinable(self.limit));
        let other = self.known.iter().any(|known| known.key != key && known.is_joinable(self.limit));
        let status = self.statuses[self.known.len() % self.statuses.len()];
        let script = Script::default();
        let wanted = Wanted { limit_bytes: self.limit, ..wanted(KEYS[key]) };
        let (led, client) = join(&self.flights, wanted, &script);
        assert_eq!(led, found.is_none(), "led {led}, joinable {found:?}");
        if led {
            let flight = Arc::downgrade(client.flight());
            script.tell(Step::Head(status));
            self.known.push(Known { flight, script, key, stray: other, status, told_end: false, closed: false });
        }
        self.of.push(found.unwrap_or(self.known.len() - 1));
        self.clients.push(client);
    }

    fn tell(&mut self, at: usize, step: Step) {
        let Some(known) = self.known.get_mut(at).filter(|known| !known.told_end) else { return };
        known.told_end = matches!(step, Step::End | Step::Fail(_));
        known.script.tell(match step {
            // Every piece reads differently, so that none can stand for another.
            Step::Piece(piece) => {
                self.sent = self.sent.wrapping_add(1);
                Step::Piece(Bytes::from(vec![self.sent; piece.len()]))
            }
            step => step,
        });
    }

    /// What holds at any time.
    fn check(&self) {
        for (at, known) in self.known.iter().enumerate() {
            let on_board = |(client, of): (&Client, &usize)| *of == at && client.participant.is_some();
            // One that was cut left with its error.
            let stays = |client: &Client| client.end != Some(Err(Kind::SlowReader));
            let stay = self.clients.iter().zip(&self.of).filter(|pair| on_board(*pair) && stays(pair.0)).count();
            assert_eq!(known.script.is_dropped(), known.script.is_over() || stay == 0, "flight {at} with {stay}");
            if let Some(flight) = known.flight.upgrade() {
                assert_eq!(flight.is_joinable(), known.is_joinable(self.limit), "flight {at}");
                let whole = known.script.given().len() <= self.limit;
                assert_eq!(flight.is_whole(), whole);
                assert!(flight.bytes().is_none_or(|bytes| bytes == known.script.given()));
            }
        }
        self.clients.iter().zip(&self.of).for_each(|(client, of)| self.check_client(client, &self.known[*of].script));
    }

    fn check_client(&self, client: &Client, script: &Script) {
        let (got, given) = (client.got(), script.given());
        assert!(given.starts_with(&got), "{got:?} of {given:?}");
        match client.end {
            Some(Ok(())) => assert!(got == given && script.is_over()),
            Some(Err(Kind::SlowReader)) => assert!(given.len() - got.len() > self.limit, "cut too early"),
            Some(Err(kind)) => assert!(kind == Kind::EngineBroke && got == given && script.is_over()),
            None => {}
        }
    }

    /// Whoever reads has everything that its source was told, once nobody is woken any more.
    fn check_nobody_stalls(&self) {
        for (client, of) in self.clients.iter().zip(&self.of) {
            let reads = client.participant.is_some() && client.appetite > 0 && client.end.is_none();
            let known = &self.known[*of];
            assert!(!reads || known.script.is_done() && !known.script.is_over(), "a client of flight {of} stalls");
            assert!(!reads || client.got() == known.script.given());
        }
    }

    /// Everybody reads, every source ends.
    fn end(mut self) {
        (0..self.known.len()).for_each(|at| self.tell(at, Step::End));
        for client in &mut self.clients {
            client.appetite = usize::MAX;
            client.poke();
        }
        run_all(&mut self.clients);
        self.check();
        self.check_nobody_stalls();
        assert!(self.clients.iter().all(|client| client.participant.is_none() || client.end.is_some()));
        self.clients.clear();
        assert_eq!(self.flights.count(), 0);
    }
}

impl Known {
    /// Whether a request of the same key must share it.
    fn is_joinable(&self, limit: usize) -> bool {
        let given = self.script.given().len();
        let failed = self.script.is_dropped() && !self.ended_well();
        let refused = self.status != 200 && self.script.has_begun();
        let held = self.flight.strong_count() > 0;
        held && !self.stray && !self.closed && !failed && !refused && given <= limit
    }

    fn ended_well(&self) -> bool {
        self.script.is_over() && !self.script.has_failed()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_participant_that_stays_gets_what_the_source_gave_whatever_the_others_do(
        ops in prop::collection::vec(op(), 1..80),
        limit in prop_oneof![Just(4_usize), Just(20), Just(1 << 20)],
        statuses in prop::collection::vec(prop_oneof![5 => Just(200_u16), 1 => Just(500)], 1..4),
    ) {
        let mut world = World::new(limit, statuses);
        ops.into_iter().for_each(|op| world.apply(op));
        world.end();
    }
}
