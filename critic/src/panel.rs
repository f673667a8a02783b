//! What the verdicts of a panel say together, and when enough has been said.
//!
//! Pure: the same verdicts give the same ruling, whoever calls and whenever. Only enforced
//! verdicts rule; an audit verdict never changes a ruling. A critic that should have spoken
//! and did not counts by its [`OnSkip`] and is named in the ruling: there is no silent pass.

use std::cmp::Ordering;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Judgement, Outcome};

/// What one critic said of one attempt, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the critic in the configuration.
    pub critic: Arc<str>,
    /// Version of the critic that judged.
    pub version: Arc<str>,
    /// Whether it acts or only watches.
    pub mode: Mode,
    /// What it counts as when it should have spoken and did not.
    #[serde(default)]
    pub on_skip: OnSkip,
    /// Its share in a weighted score; not a probability, any number from 0 on.
    #[serde(default = "one")]
    pub weight: f64,
    /// What it said.
    pub judgement: Judgement,
    /// From the moment when it was its turn until it had spoken.
    pub took: Duration,
    /// What it spent at an engine.
    #[serde(default)]
    pub cost: Cost,
}

/// Whether a critic acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its verdict rules before anything is sent.
    Enforce,
    /// Its verdict is recorded and changes nothing.
    #[default]
    Audit,
}

/// What a critic counts as when it should have spoken and did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnSkip {
    /// Fail-open: as if it had found the answer good.
    #[default]
    Open,
    /// Fail-closed: as if it had found the answer bad.
    Closed,
}

/// What a verdict spent at an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Tokens that the engine read.
    pub prompt_tokens: u64,
    /// Tokens that the engine made.
    pub completion_tokens: u64,
    /// Time that the engine had its questions, added over questions.
    pub engine_time: Duration,
}

/// How verdicts become one ruling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Combine {
    /// Bad where any critic says bad.
    #[default]
    Any,
    /// Bad where every critic that counts says bad, and at least one does.
    All,
    /// Bad where the weighted mean of the scores reaches the threshold; a critic without a
    /// scale counts 0 or 1.
    Weighted {
        /// Weighted mean from which the answer is bad, 0..=1.
        threshold: f64,
    },
    /// The first critic, from cheap to dear, that is sure decides; where none is, the dearest
    /// that spoke.
    Cascade {
        /// A critic with a score up to this is sure that the answer is good. A critic without
        /// a scale that finds nothing is never sure: it looked for something else.
        pass_at_most: f64,
        /// A critic with a score from this on is sure that the answer is bad, as is one
        /// without a scale that found something.
        fail_at_least: f64,
    },
}

/// What enforced verdicts say together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// Whether the answer may go out.
    pub decision: Decision,
    /// Enforced critics that found it bad, in panel order; fail-closed skips among them.
    pub failed: Vec<Arc<str>>,
    /// Enforced critics that should have spoken and did not, whatever they count as.
    pub skipped: Vec<Arc<str>>,
    /// How many enforced critics really judged: 0 beside [`Decision::Pass`] means unjudged.
    pub judged: usize,
    /// For choosing among attempts.
    pub badness: Badness,
}

/// Good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may go out.
    Pass,
    /// It may not.
    Fail,
}

/// How bad an attempt is against other attempts at the same question: fewest failures first,
/// then the lowest weighted score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Badness {
    /// Enforced critics that found it bad.
    pub failures: usize,
    /// Weighted mean of the scores of enforced critics, 0..=1; 0 where none counts.
    pub score: f64,
}

impl Combine {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let ratio = |key, value: f64| {
            let fault = Fault::new(key, format!("{value} is no probability"), "give a number from 0 to 1");
            (!(0.0..=1.0).contains(&value)).then_some(fault)
        };
        match *self {
            Self::Any | Self::All => Vec::new(),
            Self::Weighted { threshold } => ratio("combine.weighted.threshold", threshold).into_iter().collect(),
            Self::Cascade { pass_at_most, fail_at_least } => {
                let mut faults: Vec<Fault> = ratio("combine.cascade.pass_at_most", pass_at_most).into_iter().collect();
                faults.extend(ratio("combine.cascade.fail_at_least", fail_at_least));
                if pass_at_most >= fail_at_least {
                    let problem = format!("{pass_at_most} is not below fail_at_least, {fail_at_least}");
                    faults.push(Fault::new("combine.cascade.pass_at_most", problem, "leave room between the two"));
                }
                faults
            }
        }
    }

    /// What the verdicts say, in panel order: for a cascade from cheap to dear.
    pub fn rule(&self, verdicts: &[Verdict]) -> Ruling {
        let enforced = || verdicts.iter().filter(|verdict| verdict.mode == Mode::Enforce);
        let failed: Vec<_> = enforced().filter(|v| v.vote() == Some(Decision::Fail)).map(name).collect();
        let badness = Badness { failures: failed.len(), score: weighted(enforced()) };
        Ruling {
            decision: self.decide(enforced(), badness),
            failed,
            skipped: enforced().filter(|verdict| verdict.owed()).map(name).collect(),
            judged: enforced().filter(|verdict| verdict.spoke()).count(),
            badness,
        }
    }

    /// Whether the verdicts so far decide, whatever those still to come will say. For a cascade
    /// they must be the first of the panel, without a gap. A weighted panel is heard to its end.
    pub fn settled<'v>(&self, so_far: impl IntoIterator<Item = &'v Verdict>) -> bool {
        let mut enforced = so_far.into_iter().filter(|verdict| verdict.mode == Mode::Enforce);
        match self {
            Self::Any => enforced.any(|verdict| verdict.vote() == Some(Decision::Fail)),
            Self::All => enforced.any(|verdict| verdict.vote() == Some(Decision::Pass)),
            Self::Weighted { .. } => false,
            Self::Cascade { pass_at_most, fail_at_least } => {
                enforced.any(|verdict| verdict.sure(*pass_at_most, *fail_at_least).is_some())
            }
        }
    }

    fn decide<'v>(&self, mut enforced: impl Iterator<Item = &'v Verdict> + Clone, badness: Badness) -> Decision {
        let bad = match *self {
            Self::Any => badness.failures > 0,
            Self::All => {
                let passed = enforced.any(|verdict| verdict.vote() == Some(Decision::Pass));
                badness.failures > 0 && !passed
            }
            Self::Weighted { threshold } => enforced.any(|v| v.vote().is_some()) && badness.score >= threshold,
            Self::Cascade { pass_at_most, fail_at_least } => {
                let sure = enforced.clone().find_map(|verdict| verdict.sure(pass_at_most, fail_at_least));
                // A fail-open skip of the dearest must not wash away what a cheaper one said.
                let last = || enforced.filter(|v| v.spoke()).last().and_then(Verdict::vote);
                sure.or_else(last) == Some(Decision::Fail)
            }
        };
        if bad { Decision::Fail } else { Decision::Pass }
    }
}

impl Verdict {
    /// What it counts as; none where it has no say: not applicable, not sampled, not needed.
    pub fn vote(&self) -> Option<Decision> {
        match self.judgement.outcome {
            Outcome::Pass => Some(Decision::Pass),
            Outcome::Fail => Some(Decision::Fail),
            Outcome::Skipped(skip) if !skip.is_failure() => None,
            Outcome::Skipped(_) => Some(match self.on_skip {
                OnSkip::Open => Decision::Pass,
                OnSkip::Closed => Decision::Fail,
            }),
        }
    }

    fn spoke(&self) -> bool {
        !matches!(self.judgement.outcome, Outcome::Skipped(_))
    }

    /// It should have spoken and did not.
    fn owed(&self) -> bool {
        matches!(self.judgement.outcome, Outcome::Skipped(skip) if skip.is_failure())
    }

    fn sure(&self, pass_at_most: f64, fail_at_least: f64) -> Option<Decision> {
        match (self.vote()?, self.judgement.score) {
            (vote, Some(_)) if !self.spoke() => (vote == Decision::Fail).then_some(Decision::Fail),
            (_, Some(score)) if score >= fail_at_least => Some(Decision::Fail),
            (_, Some(score)) if score <= pass_at_most => Some(Decision::Pass),
            (_, Some(_)) => None,
            (Decision::Fail, None) => Some(Decision::Fail),
            (Decision::Pass, None) => None,
        }
    }

    /// Score that it adds to a mean.
    fn share(&self) -> Option<f64> {
        let vote = self.vote()?;
        let by_vote = if vote == Decision::Fail { 1.0 } else { 0.0 };
        let score = self.judgement.score.filter(|score| self.spoke() && (0.0..=1.0).contains(score));
        Some(score.unwrap_or(by_vote))
    }
}

impl Ruling {
    /// Whether every enforced critic that should have spoken did.
    pub fn is_whole(&self) -> bool {
        self.skipped.is_empty()
    }

    /// The attempt to keep: the least bad, the earliest of equals; none where there is none.
    pub fn best<'r>(attempts: impl IntoIterator<Item = &'r Ruling>) -> Option<usize> {
        let numbered = attempts.into_iter().enumerate();
        numbered.min_by(|(_, a), (_, b)| a.badness.compare(b.badness)).map(|(index, _)| index)
    }
}

impl Badness {
    /// Less is better.
    pub fn compare(self, other: Self) -> Ordering {
        self.failures.cmp(&other.failures).then(self.score.total_cmp(&other.score))
    }
}

impl Mode {
    /// The word used in headers, labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

impl OnSkip {
    /// The word used in labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl Decision {
    /// The word used in headers, labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(more.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(more.completion_tokens);
        self.engine_time = self.engine_time.saturating_add(more.engine_time);
    }
}

fn name(verdict: &Verdict) -> Arc<str> {
    verdict.critic.clone()
}

fn weighted<'v>(enforced: impl Iterator<Item = &'v Verdict>) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for verdict in enforced {
        let Some(share) = verdict.share() else { continue };
        // A weight that is no number must not make every comparison of attempts meaningless.
        let own = if verdict.weight.is_finite() { verdict.weight.max(0.0) } else { 0.0 };
        sum += own * share;
        weight += own;
    }
    if weight > 0.0 { (sum / weight).clamp(0.0, 1.0) } else { 0.0 }
}

fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests;
