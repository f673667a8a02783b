//! Threads that run a model for everybody who asks, behind a bounded queue.
//!
//! Promises: at most `threads` cores are used and at most `waiting` texts wait; who comes when the
//! queue is full is refused at once; equal texts that wait at the same time are run once;
//! when the service goes, whoever waits is told and the threads are waited for.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rten::ThreadPool;

use super::encoder::{Encoder, TokenVectors};

/// A model at work.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many texts wait.
    #[error("the queue of the model is full")]
    Full,
    /// The model failed.
    #[error("the model failed: {0}")]
    Failed(String),
    /// The service ends.
    #[error("the service ends")]
    Ended,
}

#[derive(Debug)]
struct Shared {
    encoder: Encoder,
    queue: Mutex<Queue>,
    /// Told when there is work, and at the end.
    work: Condvar,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    ended: bool,
}

#[derive(Debug)]
struct Job {
    task: Task,
    /// Everybody who wants it.
    replies: Vec<SyncSender<Reply>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Embed(String),
    Tokens(String),
    Classify(String, String),
}

#[derive(Clone, Debug)]
enum Reply {
    Vector(Arc<[f32]>),
    Tokens(Arc<TokenVectors>),
    Failed(String),
}

impl Service {
    /// Starts the threads; with one of them a model of 20 MB takes about 60 MB of memory.
    pub fn start(encoder: Encoder, threads: usize, waiting: usize) -> Self {
        let shared = Arc::new(Shared { encoder, queue: Mutex::default(), work: Condvar::new(), waiting });
        let start = |index| {
            let shared = Arc::clone(&shared);
            // A thread that cannot be had is one fewer; with none every job is refused as ended.
            std::thread::Builder::new().name(format!("model-{index}")).spawn(move || shared.serve()).ok()
        };
        let threads: Vec<JoinHandle<()>> = (0..threads).filter_map(start).collect();
        if threads.is_empty() {
            shared.lock().ended = true;
        }
        Self { shared, threads }
    }

    /// The vector of a text, of length 1. Waits for its turn.
    pub fn embed(&self, text: &str) -> Result<Arc<[f32]>, Refused> {
        self.vector(Task::Embed(text.to_owned()))
    }

    /// The vectors of a text's tokens, each of length 1. Waits for its turn.
    pub fn token_vectors(&self, text: &str) -> Result<Arc<TokenVectors>, Refused> {
        match self.ask(Task::Tokens(text.to_owned()))? {
            Reply::Tokens(tokens) => Ok(tokens),
            Reply::Failed(fault) => Err(Refused::Failed(fault)),
            Reply::Vector(_) => Err(Refused::Failed("another answer than was asked for".to_owned())),
        }
    }

    /// Decision values of a model that classifies pairs of texts. Waits for its turn.
    pub fn classify(&self, a: &str, b: &str) -> Result<Arc<[f32]>, Refused> {
        self.vector(Task::Classify(a.to_owned(), b.to_owned()))
    }

    fn vector(&self, task: Task) -> Result<Arc<[f32]>, Refused> {
        match self.ask(task)? {
            Reply::Vector(vector) => Ok(vector),
            Reply::Failed(fault) => Err(Refused::Failed(fault)),
            Reply::Tokens(_) => Err(Refused::Failed("another answer than was asked for".to_owned())),
        }
    }

    fn ask(&self, task: Task) -> Result<Reply, Refused> {
        let (reply, answer) = sync_channel(1);
        {
            let mut queue = self.shared.lock();
            if queue.ended {
                return Err(Refused::Ended);
            }
            let full = queue.jobs.len() >= self.shared.waiting;
            match queue.jobs.iter_mut().find(|job| job.task == task) {
                Some(job) if job.replies.len() < self.shared.waiting => job.replies.push(reply),
                _ if full => return Err(Refused::Full),
                _ => queue.jobs.push_back(Job { task, replies: vec![reply] }),
            }
        }
        self.shared.work.notify_one();
        answer.recv().map_err(|_| Refused::Ended)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.ended = true;
            queue.jobs.clear();
        }
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        while let Some(job) = self.next() {
            // A model that panics must not take its thread along: everybody else would wait for ever.
            let run = std::panic::AssertUnwindSafe(|| self.run(&job.task, &pool));
            let reply = std::panic::catch_unwind(run).unwrap_or_else(|_| Reply::Failed("it panicked".to_owned()));
            for asker in job.replies {
                // Who left does not want it any more.
                let _ = asker.try_send(reply.clone());
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.ended {
                return None;
            }
            match queue.jobs.pop_front() {
                Some(job) => return Some(job),
                None => queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn run(&self, task: &Task, pool: &Arc<ThreadPool>) -> Reply {
        let made = match task {
            Task::Embed(text) => self.encoder.embed(text, pool).map(|vector| Reply::Vector(vector.into())),
            Task::Tokens(text) => self.encoder.token_vectors(text, pool).map(|tokens| Reply::Tokens(Arc::new(tokens))),
            Task::Classify(a, b) => self.encoder.classify(a, b, pool).map(|vector| Reply::Vector(vector.into())),
        };
        made.unwrap_or_else(Reply::Failed)
    }
}
