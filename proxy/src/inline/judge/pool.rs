//! Threads of their own for judgements that take milliseconds or wait: the request path's
//! threads never run them, whatever the load.
//!
//! Promises: two bounded queues, each refused when full, so that what nobody waits for can
//! neither fill nor lengthen the queue of what a client waits for; it is begun only while no
//! request waits, and on all threads but one at most, where there are two. A job that nobody
//! waits for any more is not begun; a panic costs one judgement. The threads end when the pool
//! is dropped.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use weir_critic::{Case, Critic, Judgement, Skip};

use super::Urgency;

/// Text that rules judge where they are asked; more of it takes too long there.
const SHORT_BYTES: usize = 64 << 10;

/// The threads.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rings for each job, and at the end.
    news: Condvar,
    /// Jobs that each queue takes.
    room: usize,
    /// Threads that may be at work for nobody at one time.
    spare: usize,
}

#[derive(Debug, Default)]
struct State {
    requests: VecDeque<Job>,
    background: VecDeque<Job>,
    /// Threads at work for nobody.
    spared: usize,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    critic: Arc<dyn Critic>,
    case: Arc<Case>,
    done: oneshot::Sender<Judgement>,
}

impl Pool {
    /// Starts so many threads, with so much room in each queue. Errors are the system's, when
    /// it has no thread to give.
    pub fn start(name: &str, threads: usize, room: usize) -> std::io::Result<Self> {
        let spare = threads.saturating_sub(1).max(1);
        let shared = Arc::new(Shared { state: Mutex::default(), news: Condvar::new(), room, spare });
        // Dropped where a thread does not start: then those that did end.
        let pool = Self { shared };
        for number in 0..threads {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("weir-{name}-{number}"));
            // Not waited for: it ends with the pool, and holds nothing that must be saved.
            thread.spawn(move || while shared.step() {})?;
        }
        Ok(pool)
    }

    /// Has a case judged. Dropping the future gives the judgement up.
    pub async fn judge(&self, critic: Arc<dyn Critic>, case: Arc<Case>, urgency: Urgency) -> Judgement {
        let (done, judgement) = oneshot::channel();
        if !self.shared.take_on(Job { critic, case, done }, urgency) {
            return Judgement::skipped(Skip::Shed);
        }
        judgement.await.unwrap_or_else(|_| Judgement::skipped(Skip::Failed))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.news.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job into its queue; false where that has no room.
    fn take_on(&self, job: Job, urgency: Urgency) -> bool {
        let mut state = self.lock();
        let queue = match urgency {
            Urgency::Request => &mut state.requests,
            Urgency::Background => &mut state.background,
        };
        // What was given up takes no room from what is waited for; the oldest is given up first.
        while queue.pop_front_if(|job| job.done.is_closed()).is_some() {}
        if queue.len() >= self.room {
            return false;
        }
        queue.push_back(job);
        drop(state);
        self.news.notify_one();
        true
    }

    /// Judges the next case; false when there will be none.
    fn step(&self) -> bool {
        let mut state = self.lock();
        let (job, urgency) = loop {
            if state.closed {
                return false;
            }
            if let Some(next) = state.next(self.spare) {
                break next;
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        job.run();
        if urgency == Urgency::Background {
            self.lock().spared -= 1;
        }
        true
    }
}

impl State {
    fn next(&mut self, spare: usize) -> Option<(Job, Urgency)> {
        if let Some(job) = self.requests.pop_front() {
            return Some((job, Urgency::Request));
        }
        if self.spared >= spare {
            return None;
        }
        let job = self.background.pop_front()?;
        self.spared += 1;
        Some((job, Urgency::Background))
    }
}

impl Job {
    fn run(self) {
        let Self { critic, case, done } = self;
        if !done.is_closed() {
            let judged = catch_unwind(AssertUnwindSafe(|| critic.judge(&case)));
            // Whoever asked may have given up in the meantime.
            let _gone = done.send(judged.unwrap_or_else(|_| Judgement::skipped(Skip::Failed)));
        }
    }
}

/// Whether rules judge a case where they are asked.
pub(super) fn is_short(case: &Case) -> bool {
    let answers = case.answers.iter().map(|answer| {
        let calls: usize = answer.tool_calls.iter().map(|call| call.arguments.len()).sum();
        answer.text.len() + answer.reasoning.len() + answer.refusal.len() + calls
    });
    let turns = case.conversation.iter().map(|turn| turn.text.len());
    let passages = case.context.iter().map(|passage| passage.text.len());
    answers.chain(turns).chain(passages).sum::<usize>() <= SHORT_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use weir_critic::{Answer, Effort};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Says which case it was given, and goes on when it is told to.
    #[derive(Debug)]
    struct Gate {
        begun: Mutex<Sender<String>>,
        pass: Mutex<Receiver<()>>,
    }

    impl Critic for Gate {
        fn version(&self) -> &str {
            "gate"
        }

        fn effort(&self) -> Effort {
            Effort::Model
        }

        fn judge(&self, case: &Case) -> Judgement {
            self.begun.lock().unwrap().send(case.answers[0].text.clone()).unwrap();
            self.pass.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            Judgement::pass()
        }
    }

    struct Bench {
        pool: Arc<Pool>,
        gate: Arc<Gate>,
        begun: Receiver<String>,
        pass: Sender<()>,
    }

    impl Bench {
        fn new(threads: usize, room: usize) -> Self {
            let (begins, begun) = channel();
            let (pass, passes) = channel();
            let gate = Arc::new(Gate { begun: Mutex::new(begins), pass: Mutex::new(passes) });
            Self { pool: Arc::new(Pool::start("test", threads, room).unwrap()), gate, begun, pass }
        }

        /// Asks, and is back when the job stands in its queue or was refused.
        async fn ask(&self, name: &str, urgency: Urgency) -> tokio::task::JoinHandle<Judgement> {
            let (pool, gate, case) = (self.pool.clone(), self.gate.clone(), said(name));
            let asked = tokio::spawn(async move { pool.judge(gate, case, urgency).await });
            // One thread runs all tasks: the other one has stopped at its first wait by now.
            tokio::task::yield_now().await;
            asked
        }

        fn next(&self) -> String {
            self.begun.recv_timeout(PATIENCE).unwrap()
        }
    }

    fn said(text: &str) -> Arc<Case> {
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        Arc::new(Case { answers: vec![answer], ..Case::default() })
    }

    #[tokio::test]
    async fn what_a_client_waits_for_is_begun_before_all_that_nobody_waits_for() {
        let bench = Bench::new(1, 8);
        let mut asked = vec![bench.ask("running", Urgency::Background).await];
        assert_eq!(bench.next(), "running");
        for name in ["audit 1", "audit 2"] {
            asked.push(bench.ask(name, Urgency::Background).await);
        }
        asked.push(bench.ask("request", Urgency::Request).await);
        (0..4).for_each(|_| bench.pass.send(()).unwrap());
        assert_eq!([bench.next(), bench.next(), bench.next()], ["request", "audit 1", "audit 2"]);
        for judged in asked {
            assert_eq!(judged.await.unwrap(), Judgement::pass());
        }
    }

    #[tokio::test]
    async fn audits_fill_neither_the_queue_of_requests_nor_the_last_thread() {
        let bench = Bench::new(2, 2);
        let mut audits = vec![bench.ask("audit", Urgency::Background).await];
        assert_eq!(bench.next(), "audit");
        for _ in 0..5 {
            audits.push(bench.ask("audit", Urgency::Background).await);
        }
        // One thread stands at an audit, their queue is full; the other thread is there.
        let request = bench.ask("request", Urgency::Request).await;
        assert_eq!(bench.next(), "request");
        (0..4).for_each(|_| bench.pass.send(()).unwrap());
        assert_eq!(request.await.unwrap(), Judgement::pass());
        let mut shed = 0;
        for audit in audits {
            shed += usize::from(audit.await.unwrap() == Judgement::skipped(Skip::Shed));
        }
        assert_eq!(shed, 3);
    }

    #[tokio::test]
    async fn what_was_given_up_takes_no_room() {
        let bench = Bench::new(1, 1);
        let running = bench.ask("running", Urgency::Request).await;
        assert_eq!(bench.next(), "running");
        let given_up = bench.ask("given up", Urgency::Request).await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        let asked = bench.ask("asked", Urgency::Request).await;
        (0..2).for_each(|_| bench.pass.send(()).unwrap());
        assert_eq!(bench.next(), "asked");
        assert_eq!((running.await.unwrap(), asked.await.unwrap()), (Judgement::pass(), Judgement::pass()));
    }
}
