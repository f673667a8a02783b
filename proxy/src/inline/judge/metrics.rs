//! What judging counts. Labels are names from the configuration and closed sets, never text.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use weir_critic::Outcome;

use crate::exchange::judged::{Cost, Decision, Handling, Verdict};

/// The counters.
#[derive(Clone, Debug)]
pub struct Metrics {
    verdicts: IntCounterVec,
    seconds: HistogramVec,
    tokens: IntCounterVec,
    engine_seconds: prometheus::CounterVec,
    pub(super) retries: IntCounterVec,
    pub(super) decisions: IntCounterVec,
    pub(super) stopped: IntCounterVec,
    pub(super) saved_tokens: IntCounter,
    pub(super) watched: IntCounter,
}

impl Metrics {
    /// Registers the counters.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let verdicts =
            Opts::new("weir_critic_verdicts_total", "Verdicts by critic, mode, outcome and why it was skipped");
        let verdicts = IntCounterVec::new(verdicts, &["critic", "mode", "outcome", "reason"])?;
        let seconds = HistogramOpts::new("weir_critic_duration_seconds", "Time from a critic's turn to its verdict")
            .buckets(vec![0.000_02, 0.000_1, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0]);
        let seconds = HistogramVec::new(seconds, &["critic"])?;
        let tokens = Opts::new("weir_critic_tokens_total", "Tokens that engines read or made for critics");
        let tokens = IntCounterVec::new(tokens, &["critic", "kind"])?;
        let engine_seconds =
            Opts::new("weir_critic_engine_seconds_total", "Time that engines had questions of critics");
        let engine_seconds = prometheus::CounterVec::new(engine_seconds, &["critic"])?;
        let retries = Opts::new(
            "weir_judge_retries_total",
            "Answers sent back with a critique, by whether the next one was good",
        );
        let retries = IntCounterVec::new(retries, &["result"])?;
        let decisions =
            Opts::new("weir_judge_decisions_total", "Decisions about judged answers, and what the client got");
        let decisions = IntCounterVec::new(decisions, &["decision", "handling"])?;
        let stopped = Opts::new("weir_judge_stopped_total", "Streams that rules ended before their end, by cause");
        let stopped = IntCounterVec::new(stopped, &["cause"])?;
        let saved_tokens = IntCounter::new(
            "weir_judge_saved_tokens_total",
            "Tokens that stopped generations might still have made, by the limit that their requests named",
        )?;
        let watched = IntCounter::new("weir_judge_watched_total", "Streams that rules looked at while they flowed")?;
        let metrics =
            Self { watched, verdicts, seconds, tokens, engine_seconds, retries, decisions, stopped, saved_tokens };
        metrics.fill();
        registry.register(Box::new(metrics.verdicts.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.tokens.clone()))?;
        registry.register(Box::new(metrics.engine_seconds.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.decisions.clone()))?;
        registry.register(Box::new(metrics.stopped.clone()))?;
        registry.register(Box::new(metrics.saved_tokens.clone()))?;
        registry.register(Box::new(metrics.watched.clone()))?;
        Ok(metrics)
    }

    /// A rate over a series that is not there yet misses its first events.
    fn fill(&self) {
        ["repaired", "bad", "failed"].iter().for_each(|result| drop(self.retries.with_label_values(&[result])));
        self.decisions.with_label_values(&[Decision::Pass.as_str(), ""]);
        for handling in Handling::ALL {
            self.decisions.with_label_values(&[Decision::Escalate(handling).as_str(), handling.as_str()]);
        }
        ["degenerate", "violation"].iter().for_each(|cause| drop(self.stopped.with_label_values(&[cause])));
    }

    /// Counts a verdict.
    pub fn verdict(&self, verdict: &Verdict) {
        let (critic, outcome) = (&*verdict.critic, verdict.judgement.outcome);
        let reason = match outcome {
            Outcome::Skipped(skip) => skip.as_str(),
            Outcome::Pass | Outcome::Fail => "",
        };
        self.verdicts.with_label_values(&[critic, verdict.mode.as_str(), outcome.as_str(), reason]).inc();
        if !verdict.took.is_zero() {
            self.seconds.with_label_values(&[critic]).observe(verdict.took.as_secs_f64());
        }
    }

    pub(super) fn note(&self, verdicts: &[Verdict]) {
        verdicts.iter().for_each(|verdict| self.verdict(verdict));
    }

    /// Counts what an engine did for a critic's question.
    pub fn spent(&self, critic: &str, cost: &Cost) {
        self.tokens.with_label_values(&[critic, "prompt"]).inc_by(cost.prompt_tokens);
        self.tokens.with_label_values(&[critic, "completion"]).inc_by(cost.completion_tokens);
        self.engine_seconds.with_label_values(&[critic]).inc_by(cost.engine_time.as_secs_f64());
    }

    /// Counts a decision.
    pub fn decision(&self, decision: Decision) {
        self.decisions.with_label_values(&[decision.as_str(), decision.handling()]).inc();
    }
}
