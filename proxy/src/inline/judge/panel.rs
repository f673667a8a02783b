//! The critics of one route, asked under one time budget: in parallel, cheapest first, with
//! early exit.
//!
//! Promises: every critic of the panel gives exactly one verdict, *skipped* with its reason
//! where it did not speak; no verdict is waited for longer than its own budget and the panel's.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use weir_critic::config::Built;
use weir_critic::{Case, Critic, Effort, Judgement, Questioner, Reply, Skip};

use super::ask::Ask;
use super::config::{Act, Member, RoutePolicy, Stream};
use super::matter::{Bench, Matter, Urgency};
use super::pool::is_short;
use super::trial::is_judged;
use super::{Judges, Metrics};
use crate::exchange::judged::{Combine, Cost, Mode, Verdict};
use crate::exchange::{ExchangeId, Request};

/// The critics of one route.
pub struct Panel {
    pub(super) policy: RoutePolicy,
    /// Cheapest first.
    seats: Vec<Seat>,
    judges: Arc<Judges>,
    ask: Arc<dyn Ask>,
    /// Rules for streams as they flow; none where nobody looks at them.
    pub(super) watch: Option<weir_critic::stream::Watch>,
}

/// A critic on a panel.
struct Seat {
    critic: Built,
    version: Arc<str>,
    name: Arc<str>,
    settings: Member,
}

/// A critic's turn, and what it has cost so far.
struct Turn<'a> {
    panel: &'a Panel,
    matter: &'a Matter,
    urgency: Urgency,
    cost: Mutex<Cost>,
}

type Pending<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

impl Panel {
    /// The panel of a route; `critic` finds a critic by name, with a digest of its settings.
    pub fn new(
        policy: RoutePolicy,
        critic: impl Fn(&str) -> Option<(Built, String)>,
        judges: Arc<Judges>,
        ask: Arc<dyn Ask>,
    ) -> Self {
        let seat = |member: &Member| {
            let (critic, digest) = critic(member.critic.as_str())?;
            let version = match &critic {
                Built::Alone(alone) => alone.version(),
                Built::Asking(asking) => asking.version(),
            };
            let (version, name) = (format!("{version}+{digest}").into(), member.critic.as_str().into());
            Some(Seat { version, name, critic, settings: member.clone() })
        };
        let mut seats: Vec<Seat> = policy.critics.iter().filter_map(seat).collect();
        seats.sort_by_key(Seat::rank);
        // Faulty rules do not come this far: a configuration is checked before it is used.
        let watch = (policy.watch.act != Act::Off).then(|| policy.watch.rules.clone());
        let watch = watch.and_then(|rules| weir_critic::stream::Watch::new(rules).ok());
        Self { policy, seats, judges, ask, watch }
    }

    /// Changes whenever the panel could find good what it had found bad: a number over its
    /// enforced critics, their versions and their settings.
    pub fn identity(&self) -> u64 {
        let mut hasher = blake3::Hasher::new_derive_key("weir panel identity v1");
        for seat in self.seats.iter().filter(|seat| seat.settings.mode == Mode::Enforce) {
            hasher.update(format!("{:?} {}\n", seat.settings, seat.version).as_bytes());
        }
        hasher.update(format!("{:?} {:?}", self.policy.combine, self.policy.stream).as_bytes());
        let mut head = [0; 8];
        head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(head)
    }

    /// Whether streams are judged otherwise than plain answers are.
    pub fn tells_forms_apart(&self) -> bool {
        self.policy.stream != Stream::Hold && self.has(Mode::Enforce)
    }

    /// Whether any critic judges in that mode.
    pub fn has(&self, mode: Mode) -> bool {
        self.seats.iter().any(|seat| seat.settings.mode == mode)
    }

    /// Whether the answer to a request has to wait for critics, whole or in windows.
    pub fn holds(&self, request: &Request) -> bool {
        is_judged(request) && self.has(Mode::Enforce)
    }

    /// Its settings.
    pub fn policy(&self) -> &RoutePolicy {
        &self.policy
    }

    /// Verdicts of every critic of that mode, in panel order.
    pub async fn judge(&self, bench: Bench, urgency: Urgency, matter: &Matter) -> Vec<Verdict> {
        let started = Instant::now();
        let enforced = bench == Bench::Enforced;
        let seats: Vec<&Seat> = self.seats.iter().filter(|seat| bench.has(seat.settings.mode)).collect();
        let mut verdicts: Vec<Option<Verdict>> = seats.iter().map(|seat| seat.without_asking(matter)).collect();
        let budget = enforced.then(|| {
            let own = *self.policy.limits.budget;
            matter.left.map_or(own, |left| left.min(own))
        });
        let left = |seat: &Seat| {
            let own = *seat.settings.budget;
            budget.map_or(own, |budget| own.min(budget.saturating_sub(started.elapsed())))
        };
        let asked = |verdicts: &[Option<Verdict>]| -> Vec<usize> {
            let rank = seats.iter().zip(verdicts).filter(|(_, v)| v.is_none()).map(|(s, _)| s.tier(&self.policy)).min();
            (0..seats.len()).filter(|i| verdicts[*i].is_none() && Some(seats[*i].tier(&self.policy)) == rank).collect()
        };
        let in_place = matter.is_short();
        let turns: Vec<_> =
            seats.iter().map(|_| Turn { panel: self, matter, urgency, cost: Mutex::default() }).collect();
        loop {
            let tier = asked(&verdicts);
            if tier.is_empty() {
                break;
            }
            let mut pending: Vec<(usize, Pending<'_>)> = Vec::with_capacity(tier.len());
            for at in tier {
                if enforced && self.settled(&verdicts) {
                    verdicts[at] = Some(seats[at].skipped(Skip::EarlyExit, Duration::ZERO));
                } else if in_place && seats[at].is_rule() {
                    verdicts[at] = Some(seats[at].rule(matter));
                } else {
                    pending.push((at, Box::pin(seats[at].wait(left(seats[at]), &turns[at]))));
                }
            }
            while !pending.is_empty() {
                let (at, verdict) = first(&mut pending).await;
                verdicts[at] = Some(verdict);
                if enforced && self.settled(&verdicts) {
                    for (at, _) in pending.drain(..) {
                        let skipped = Judgement::skipped(Skip::EarlyExit);
                        verdicts[at] = Some(seats[at].verdict(skipped, started.elapsed(), turns[at].cost()));
                    }
                }
            }
        }
        let mut verdicts: Vec<Verdict> = verdicts.into_iter().flatten().collect();
        if !enforced {
            verdicts.iter_mut().for_each(|verdict| verdict.mode = Mode::Audit);
        }
        self.metrics().note(&verdicts);
        verdicts
    }

    /// Who judges an answer after it went out; none where nobody does.
    pub fn afterwards(&self, request: &Request) -> Option<Bench> {
        if !is_judged(request) {
            return None;
        }
        let through = request.facts.stream && self.policy.stream == Stream::Audit && self.has(Mode::Enforce);
        let bench = if through { Bench::Everybody } else { Bench::Audit };
        (through || self.has(Mode::Audit)).then_some(bench)
    }

    /// Whether [`Self::judge`] has its verdicts without a wait, at once.
    pub fn is_prompt(&self, bench: Bench, matter: &Matter) -> bool {
        let mut seats = self.seats.iter().filter(|seat| bench.has(seat.settings.mode));
        seats.all(|seat| (seat.is_rule() && matter.is_short()) || seat.without_asking(matter).is_some())
    }

    /// Verdicts of critics that were given nothing to do, for that reason.
    pub fn skip(&self, bench: Bench, skip: Skip) -> Vec<Verdict> {
        let seats = self.seats.iter().filter(|seat| bench.has(seat.settings.mode));
        let mut verdicts: Vec<Verdict> = seats.map(|seat| seat.skipped(skip, Duration::ZERO)).collect();
        if bench != Bench::Enforced {
            verdicts.iter_mut().for_each(|verdict| verdict.mode = Mode::Audit);
        }
        self.metrics().note(&verdicts);
        verdicts
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.judges.metrics
    }

    fn settled(&self, verdicts: &[Option<Verdict>]) -> bool {
        match self.policy.combine {
            // Without a gap.
            Combine::Cascade { .. } => self.policy.combine.settled(verdicts.iter().map_while(Option::as_ref)),
            _ => self.policy.combine.settled(verdicts.iter().flatten()),
        }
    }

    /// Verdicts of the enforced critics that judge parts of answers, in place.
    pub fn judge_part(&self, matter: &Matter) -> Vec<Verdict> {
        let rules = self.seats.iter().filter(|seat| seat.settings.mode == Mode::Enforce && seat.judges_parts());
        rules.map(|seat| seat.without_asking(matter).unwrap_or_else(|| seat.rule(matter))).collect()
    }
}

/// The first of several that is ready.
async fn first(pending: &mut Vec<(usize, Pending<'_>)>) -> (usize, Verdict) {
    std::future::poll_fn(|cx| {
        for slot in 0..pending.len() {
            if let std::task::Poll::Ready(verdict) = pending[slot].1.as_mut().poll(cx) {
                let (at, _) = pending.swap_remove(slot);
                return std::task::Poll::Ready((at, verdict));
            }
        }
        std::task::Poll::Pending
    })
    .await
}

impl Matter {
    fn is_short(&self) -> bool {
        self.case.as_deref().is_none_or(is_short)
    }
}

impl Seat {
    /// From cheap to dear.
    fn rank(&self) -> u8 {
        match &self.critic {
            Built::Alone(critic) => match critic.effort() {
                Effort::Rule => 0,
                Effort::Model => 1,
                Effort::Slow => 2,
            },
            Built::Asking(_) => 3,
        }
    }

    /// Those of one tier are asked at one time. A cascade asks one after the other.
    fn tier(&self, policy: &RoutePolicy) -> (u8, Option<usize>) {
        let place = || policy.critics.iter().position(|member| member == &self.settings);
        let one_by_one = matches!(policy.combine, Combine::Cascade { .. });
        (self.rank(), if one_by_one { place() } else { None })
    }

    fn is_rule(&self) -> bool {
        self.rank() == 0
    }

    fn judges_parts(&self) -> bool {
        matches!(&self.critic, Built::Alone(critic) if self.is_rule() && critic.judges_parts())
    }

    /// The verdict, where the critic need not be asked for it.
    fn without_asking(&self, matter: &Matter) -> Option<Verdict> {
        let skip = match &matter.case {
            None => Skip::Unreadable,
            _ if !is_drawn(matter.id, &self.name, self.settings.sample_rate) => Skip::NotSampled,
            Some(case) if !self.settings.tasks.is_empty() && !self.settings.tasks.contains(&case.task) => {
                Skip::NotApplicable
            }
            Some(_) => return None,
        };
        Some(self.skipped(skip, Duration::ZERO))
    }

    fn rule(&self, matter: &Matter) -> Verdict {
        let (Built::Alone(critic), Some(case)) = (&self.critic, &matter.case) else {
            return self.skipped(Skip::Failed, Duration::ZERO);
        };
        let started = Instant::now();
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| critic.judge(case)));
        let judged = judged.unwrap_or_else(|_| Judgement::skipped(Skip::Failed));
        self.verdict(judged, started.elapsed(), Cost::default())
    }

    async fn wait(&self, budget: Duration, turn: &Turn<'_>) -> Verdict {
        let started = Instant::now();
        let Some(case) = &turn.matter.case else { return self.skipped(Skip::Unreadable, Duration::ZERO) };
        let judging = async {
            match &self.critic {
                Built::Alone(critic) => {
                    self.pool(turn.panel, critic).judge(critic.clone(), case.clone(), turn.urgency).await
                }
                Built::Asking(asking) => self.question(&**asking, case, turn).await,
            }
        };
        let judged = timeout(budget, judging).await.unwrap_or_else(|_| Judgement::skipped(Skip::TimedOut));
        self.verdict(judged, started.elapsed(), turn.cost())
    }

    /// Puts the critic's questions to the engine, one after the other: its places are few.
    async fn question(&self, critic: &dyn Questioner, case: &Case, turn: &Turn<'_>) -> Judgement {
        let mut replies = Vec::new();
        let questions = critic.ask(case);
        if questions.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        for question in questions {
            match turn.panel.ask.ask(question, turn.matter.model.as_deref(), turn.urgency).await {
                Ok((reply, engine_time)) => {
                    turn.spend(&self.name, &reply, engine_time);
                    replies.push(Some(reply));
                }
                Err(Skip::Shed) => return Judgement::skipped(Skip::Shed),
                Err(_) => replies.push(None),
            }
        }
        if replies.iter().all(Option::is_none) {
            return Judgement::skipped(Skip::Failed);
        }
        critic.read(case, &replies)
    }

    fn pool<'p>(&self, panel: &'p Panel, critic: &Arc<dyn Critic>) -> &'p super::Pool {
        if critic.effort() == Effort::Slow { &panel.judges.slow } else { &panel.judges.models }
    }

    fn skipped(&self, skip: Skip, took: Duration) -> Verdict {
        self.verdict(Judgement::skipped(skip), took, Cost::default())
    }

    fn verdict(&self, judgement: Judgement, took: Duration, cost: Cost) -> Verdict {
        let Member { mode, on_skip, weight, .. } = self.settings;
        let (critic, version) = (self.name.clone(), self.version.clone());
        Verdict { critic, version, mode, on_skip, weight, judgement, took, cost }
    }
}

impl Turn<'_> {
    /// Counts a reply when it is there: whoever asked may give up before the next one.
    fn spend(&self, critic: &str, reply: &Reply, engine_time: Duration) {
        let (prompt_tokens, completion_tokens) = (reply.prompt_tokens.into(), reply.completion_tokens.into());
        let cost = Cost { prompt_tokens, completion_tokens, engine_time };
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner) += cost;
        self.panel.metrics().spent(critic, &cost);
    }

    fn cost(&self) -> Cost {
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is a critic's turn: drawn by the exchange's id, so that the same exchange gives
/// the same draw, and independently for each critic.
fn is_drawn(id: ExchangeId, critic: &str, rate: f64) -> bool {
    if rate >= 1.0 {
        return true;
    }
    let mut hasher = blake3::Hasher::new_derive_key("weir critic sampling v1");
    hasher.update(id.0.as_bytes()).update(critic.as_bytes());
    let mut head = [0; 8];
    head.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    ((u64::from_le_bytes(head) >> 11) as f64 / (1u64 << 53) as f64) < rate
}

#[cfg(test)]
#[path = "panel_tests.rs"]
mod tests;
