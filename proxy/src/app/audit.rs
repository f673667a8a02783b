//! Critics that nobody waits for: records on their way to the spool stop here until they are judged.
//!
//! Promises: rules are asked at once, where the record is; what takes longer happens on the
//! background's runtime, for a bounded number of records and bytes; beyond that, and at the
//! stop, critics are skipped, not records. A record that was taken always comes back.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
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
}

/// A record that waits for its verdicts; comes back however that ends.
struct Lent {
    record: Option<Box<Record>>,
    back: Sender<Box<Record>>,
    away: Arc<AtomicUsize>,
    _share: Share,
}

type Judging = Pin<Box<dyn Future<Output = Vec<Verdict>> + Send>>;

impl Auditor {
    pub(super) fn new(config: &judge::Config, path: Arc<ArcSwap<Path>>, runtime: Handle) -> Self {
        let (back, returned) = channel();
        let budget = Budget::new(ByteSize(config.audit_bytes.0));
        Self { path, runtime, budget, most: config.audits, away: Arc::default(), back, returned: Mutex::new(returned) }
    }

    /// The panel that judges an exchange afterwards.
    fn panel(&self, record: &Record) -> Option<(Arc<Panel>, Bench)> {
        let is_answer = record.outcome == Outcome::Complete && (200..300).contains(&record.status);
        // What is given again was judged when it was made.
        if !is_answer || record.cache.caching == Caching::Hit {
            return None;
        }
        let path = self.path.load();
        let at = path.directory.routes.iter().position(|route| route.name == record.route)?;
        let panel = path.policies.get(at)?.panel.clone()?;
        let bench = panel.afterwards(&record.request)?;
        Some((panel, bench))
    }

    fn lend(&self, record: Box<Record>) -> Result<Lent, Box<Record>> {
        let mut share = self.budget.share();
        let bytes = record.request.body.len() + record.response.body.len();
        if self.away.load(Ordering::Relaxed) >= self.most || !share.grow(bytes) {
            return Err(record);
        }
        self.away.fetch_add(1, Ordering::Relaxed);
        Ok(Lent { record: Some(record), back: self.back.clone(), away: self.away.clone(), _share: share })
    }
}

impl Audit for Auditor {
    fn judge(&self, mut record: Box<Record>) -> Option<Box<Record>> {
        record.judged.settle();
        let Some((panel, bench)) = self.panel(&record) else { return Some(record) };
        let matter = matter(&record, &panel);
        let asked = panel.clone();
        let mut judging: Judging = Box::pin(async move { asked.judge(bench, Urgency::Background, &matter).await });
        // Timers of what takes longer belong to the runtime.
        let _entered = self.runtime.enter();
        // A panel of rules is done after the first look.
        if let Poll::Ready(verdicts) = judging.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            record.judged.add_audit(verdicts);
            return Some(record);
        }
        match self.lend(record) {
            Ok(lent) => {
                // Owned by the lent record: it counts as away until it is back.
                self.runtime.spawn(async move { lent.give_back(judging.await) });
                None
            }
            Err(mut record) => {
                record.judged.add_audit(panel.skip(bench, Skip::Shed));
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
}

impl Lent {
    fn give_back(mut self, verdicts: Vec<Verdict>) {
        if let Some(record) = &mut self.record {
            record.judged.add_audit(verdicts);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            // The recorder is gone only when nothing is kept any more.
            let _gone = self.back.send(record);
        }
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
