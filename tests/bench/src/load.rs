//! The load: many connections, each a thread that waits, as many clients do.
//!
//! A closed loop sends the next request when the last was answered: it shows the most that
//! goes through. An open loop sends at fixed moments and measures from the moment at which
//! a request *should* have left, so that a proxy that stalls cannot hide how many requests
//! would have waited (no coordinated omission).

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Heed, Seen, Served};
use crate::requests::Requests;

/// When requests leave.
#[derive(Clone, Debug)]
pub enum Pace {
    /// One after the other on each connection.
    Closed,
    /// So many each second over all connections.
    Rate(f64),
    /// Each request once, at its own time from the start; all that is seen counts.
    At(Vec<Duration>),
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Load {
    /// The requests.
    pub requests: Requests,
    /// Connections.
    pub connections: usize,
    /// When requests leave.
    pub pace: Pace,
    /// What is looked at.
    pub heed: Heed,
    /// Sent before anything is measured.
    pub warm: Duration,
    /// Measured for so long.
    pub window: Duration,
}

/// What was seen within the window.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Whole answers.
    pub requests: u64,
    /// Events in them.
    pub events: u64,
    /// Whole answers before, within and after the window.
    pub all_requests: u64,
    /// Events in them.
    pub all_events: u64,
    /// Answers that were not a whole 200.
    pub faults: u64,
    /// Answers within the window by where they came from, in the order of [`Served`].
    pub served: [u64; Served::COUNT],
    /// The first fault in words.
    pub fault: Option<String>,
    /// Length of the window.
    pub seconds: f64,
    /// Nanoseconds to the whole answer, sorted.
    pub latencies: Vec<u64>,
    /// Nanoseconds to the first content, sorted.
    pub firsts: Vec<u64>,
    /// Nanoseconds between events, sorted.
    pub gaps: Vec<u64>,
}

struct Shared<'a> {
    load: &'a Load,
    ready: Barrier,
    measuring: AtomicBool,
    over: AtomicBool,
    tickets: AtomicU64,
    began: std::sync::OnceLock<Instant>,
}

/// Sends the load. `mark` is called at both ends of the window.
pub fn run(address: SocketAddr, load: &Load, mut mark: impl FnMut()) -> Outcome {
    let shared = Shared {
        load,
        ready: Barrier::new(load.connections + 1),
        measuring: AtomicBool::new(false),
        over: AtomicBool::new(false),
        tickets: AtomicU64::new(0),
        began: std::sync::OnceLock::new(),
    };
    let mut seconds = 0.0;
    let parts: Vec<Outcome> = thread::scope(|scope| {
        let threads: Vec<_> = (0..load.connections).map(|_| scope.spawn(|| shared.client(address))).collect();
        let ends = || threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect();
        let list = matches!(load.pace, Pace::At(_));
        shared.measuring.store(list, Ordering::SeqCst);
        if list {
            mark();
        }
        shared.ready.wait();
        if list {
            let began = Instant::now();
            let parts = ends();
            seconds = began.elapsed().as_secs_f64();
            mark();
            return parts;
        }
        thread::sleep(load.warm);
        mark();
        let began = Instant::now();
        shared.measuring.store(true, Ordering::SeqCst);
        thread::sleep(load.window);
        shared.measuring.store(false, Ordering::SeqCst);
        seconds = began.elapsed().as_secs_f64();
        mark();
        shared.over.store(true, Ordering::SeqCst);
        ends()
    });
    let mut whole = Outcome { seconds, ..Outcome::default() };
    for part in parts {
        whole.add(part);
    }
    whole.latencies.sort_unstable();
    whole.firsts.sort_unstable();
    whole.gaps.sort_unstable();
    whole
}

impl Shared<'_> {
    fn client(&self, address: SocketAddr) -> Outcome {
        let mut outcome = Outcome::default();
        let opened = Connection::open(address, self.load.heed);
        self.ready.wait();
        let began = *self.began.get_or_init(Instant::now);
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(fault) => {
                outcome.failed(&fault);
                return outcome;
            }
        };
        let mut buffer = Vec::new();
        while let Some((turn, intended)) = self.next(began) {
            let result = connection.exchange(self.load.requests.bytes(turn, &mut buffer));
            let counts = self.measuring.load(Ordering::Relaxed);
            if let Ok(seen) = &result {
                outcome.all_requests += 1;
                outcome.all_events += seen.events;
            }
            match result {
                Ok(seen) if counts => outcome.note(intended, seen),
                Ok(_) => {}
                Err(fault) => {
                    outcome.failed(&fault);
                    // A target that takes no connections would be asked in a tight loop.
                    if connection.reopen().is_err() {
                        return outcome;
                    }
                }
            }
        }
        outcome
    }

    /// Which request is next and when it is meant to leave, waiting until then; none when it is over.
    fn next(&self, began: Instant) -> Option<(u64, Instant)> {
        let turn = self.tickets.fetch_add(1, Ordering::Relaxed);
        let since = match &self.load.pace {
            Pace::Closed => {
                return (!self.over.load(Ordering::Relaxed)).then(|| (turn, Instant::now()));
            }
            Pace::Rate(rate) => Duration::from_secs_f64(turn as f64 / rate),
            Pace::At(moments) => *moments.get(turn as usize)?,
        };
        let intended = began + since;
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        (!self.over.load(Ordering::Relaxed)).then_some((turn, intended))
    }
}

impl Outcome {
    fn note(&mut self, intended: Instant, seen: Seen) {
        let since = |moment: Option<Instant>| {
            let took = moment.map_or(Duration::MAX, |moment| moment.saturating_duration_since(intended));
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
        };
        self.requests += 1;
        self.events += seen.events;
        self.served[seen.served as usize] += 1;
        self.latencies.push(since(seen.last));
        self.firsts.push(since(seen.first));
        self.gaps.extend(seen.gaps);
    }

    fn failed(&mut self, fault: &std::io::Error) {
        self.faults += 1;
        self.fault.get_or_insert_with(|| fault.to_string());
    }

    fn add(&mut self, part: Self) {
        self.requests += part.requests;
        self.events += part.events;
        self.all_requests += part.all_requests;
        self.all_events += part.all_events;
        self.faults += part.faults;
        self.served.iter_mut().zip(part.served).for_each(|(sum, count)| *sum += count);
        self.fault = self.fault.take().or(part.fault);
        self.latencies.extend(part.latencies);
        self.firsts.extend(part.firsts);
        self.gaps.extend(part.gaps);
    }
}

/// A quantile of sorted nanoseconds, in microseconds; 0 of none.
pub fn quantile_us(sorted: &[u64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).map_or(0.0, |&nanos| nanos as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Answers every request and tells its first line and when it came.
    fn answer(stream: TcpStream, seen: &Sender<(String, Instant)>) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let mut stream = stream;
        loop {
            seen.send((lines.next()?.ok()?, Instant::now())).ok()?;
            // To the blank line that ends the head.
            lines.by_ref().find(|line| line.as_ref().map_or(true, String::is_empty))?.ok()?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nCache-Status: weir; hit\r\nContent-Length: 2\r\n\r\nok").ok()?;
        }
    }

    #[test]
    fn each_request_of_a_list_is_sent_once_and_not_before_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || answer(stream, &sender));
            }
        });
        let count = 40_u32;
        let moments: Vec<Duration> = (0..count).map(|number| Duration::from_millis(2) * number).collect();
        let load = Load {
            requests: Requests::InTurn((0..count).map(|n| format!("GET /{n} HTTP/1.1\r\n\r\n").into_bytes()).collect()),
            connections: 3,
            pace: Pace::At(moments.clone()),
            heed: Heed::Cache,
            warm: Duration::ZERO,
            window: Duration::ZERO,
        };
        let (before, mut marks) = (Instant::now(), 0);
        let outcome = run(address, &load, || marks += 1);
        assert_eq!((outcome.requests, outcome.all_requests, outcome.faults, marks), (40, 40, 0, 2));
        assert_eq!(outcome.served[Served::Hit as usize], 40);
        let mut came: Vec<(String, Instant)> = receiver.try_iter().collect();
        came.sort_by_key(|(line, _)| line[5..].split(' ').next().unwrap().parse::<usize>().unwrap());
        assert_eq!(came.len(), 40);
        for (number, ((line, at), moment)) in came.iter().zip(&moments).enumerate() {
            assert!(line.starts_with(&format!("GET /{number} ")), "{line}");
            assert!(*at >= before + *moment, "{line} came too early");
        }
    }
}
