//! Critics that nobody waits for: records on their way to the spool stop here until they are judged.
//!
//! Promises: rules are asked at once, where the record is; what takes longer happens on the
//! background's runtime, for a bounded number of records and bytes; beyond that, and at the
//! stop, critics are skipped, not records. A record that was taken always comes back. An answer
//! that several exchanges share is judged for one of them.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use weir_critic::Skip;

use crate::background::Audit;
use crate::exchange::judged::Verdict;
use crate::exchange::{Budget, ByteSize, Caching, Outcome, Record, Share, case};
use crate::inline::judge::{Bench, Matter, Panel, Urgency};
use crate::inline::{Path, judge};

/// Has records judged.
pub(super) struct Auditor {
    /// The path in force, whose routes have the panels.
    path: Arc<ArcSwap<Path>>,
    runtime: Handle,
    /// Bytes of records that wait for their verdicts.
    budget: Budget,
    most: usize,
    away: Arc<AtomicUsize>,
    back: Sender<Box<Record>>,
    returned: Mutex<Receiver<Box<Record>>>,
    /// Whether all are called back.
    recalled: watch::Sender<bool>,
}

/// Who judges a record.
#[derive(Clone)]
struct Court {
    panel: Arc<Panel>,
    bench: Bench,
}

/// A record that waits for its verdicts; comes back however that ends.
struct Lent {
    record: Option<Box<Record>>,
    court: Court,
    back: Sender<Box<Record>>,
    away: Arc<AtomicUsize>,
    _share: Share,
}

impl Auditor {
    pub(super) fn new(config: &judge::Config, path: Arc<ArcSwap<Path>>, runtime: Handle) -> Self {
        let (back, returned) = channel();
        Self {
            path,
            runtime,
            budget: Budget::new(ByteSize(config.audit_bytes.0)),
            most: config.audits,
            away: Arc::default(),
            back,
            returned: Mutex::new(returned),
            recalled: watch::Sender::new(false),
        }
    }

    /// Who judges an exchange afterwards.
    fn court(&self, record: &mut Record) -> Option<Court> {
        let is_answer = record.outcome == Outcome::Complete && (200..300).contains(&record.status);
        // What is given again was judged when it was made.
        if !is_answer || record.cache.caching == Caching::Hit {
            return None;
        }
        let path = self.path.load();
        let at = path.directory.routes.iter().position(|route| route.name == record.route)?;
        let panel = path.policies.get(at)?.panel.clone()?;
        let bench = panel.afterwards(&record.request)?;
        if record.shares_in_another() {
            // Whether it is kept is said by the one that it is judged for.
            record.cache.ticket = None;
            return None;
        }
        Some(Court { panel, bench })
    }

    fn lend(&self, record: Box<Record>, court: Court) -> Result<Lent, Box<Record>> {
        let mut share = self.budget.share();
        // As much again for what critics read of it.
        let bytes = record.body_bytes() + record.request.body.len() + record.response.body.len();
        let is_full = self.away.load(Ordering::Relaxed) >= self.most;
        if is_full || *self.recalled.borrow() || !share.grow(bytes) {
            return Err(record);
        }
        self.away.fetch_add(1, Ordering::Relaxed);
        Ok(Lent { record: Some(record), court, back: self.back.clone(), away: self.away.clone(), _share: share })
    }
}

impl Audit for Auditor {
    fn judge(&self, mut record: Box<Record>) -> Option<Box<Record>> {
        let Some(court) = self.court(&mut record) else { return Some(record) };
        let matter = matter(&record, &court.panel);
        if let Some(verdicts) = court.at_once(&matter) {
            record.judged.add_audit(verdicts);
            return Some(record);
        }
        match self.lend(record, court.clone()) {
            Ok(lent) => {
                let mut recalled = self.recalled.subscribe();
                self.runtime.spawn(async move {
                    tokio::select! {
                        verdicts = court.panel.judge(court.bench, Urgency::Background, &matter) => lent.give_back(verdicts),
                        _ = recalled.wait_for(|recalled| *recalled) => drop(lent),
                    }
                });
                None
            }
            Err(mut record) => {
                record.judged.add_audit(court.panel.skip(court.bench, Skip::Shed));
                Some(record)
            }
        }
    }

    fn returned(&self) -> Option<Box<Record>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()
    }

    fn away(&self) -> usize {
        self.away.load(Ordering::Acquire)
    }

    fn recall(&self) {
        self.recalled.send_replace(true);
    }
}

impl Court {
    /// The verdicts of a panel that has them without a wait: one of rules, on short texts.
    fn at_once(&self, matter: &Matter) -> Option<Vec<Verdict>> {
        if !self.panel.is_prompt(self.bench, matter) {
            return None;
        }
        let judging = pin!(self.panel.judge(self.bench, Urgency::Background, matter));
        match judging.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdicts) => Some(verdicts),
            Poll::Pending => None,
        }
    }
}

impl Lent {
    fn give_back(mut self, verdicts: Vec<Verdict>) {
        self.send(verdicts);
    }

    fn send(&mut self, verdicts: Vec<Verdict>) {
        let Some(mut record) = self.record.take() else { return };
        record.judged.add_audit(verdicts);
        // The recorder is gone only when nothing is kept any more.
        let _gone = self.back.send(record);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.record.is_some() {
            let skip = if std::thread::panicking() { Skip::Failed } else { Skip::Shed };
            self.send(self.court.panel.skip(self.court.bench, skip));
        }
        // Whoever reads that it is back finds it there.
        self.away.fetch_sub(1, Ordering::Release);
    }
}

fn matter(record: &Record, panel: &Panel) -> Matter {
    let response = &record.response;
    let given = case::Given {
        content_type: &response.content_type,
        content_encoding: &response.content_encoding,
        body: &response.body,
    };
    let case = match response.is_truncated() {
        true => None,
        false => case::read(&record.request, &given, &panel.policy().context).1,
    };
    Matter { id: record.request.id, case: case.map(Arc::new), model: record.request.facts.model.clone(), left: None }
}
