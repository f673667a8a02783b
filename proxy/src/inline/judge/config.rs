//! Settings: what judging may cost in all, and which critics a route asks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::case::Context;
use crate::exchange::judged::{Combine, Mode, OnSkip};
use crate::exchange::{ByteSize, Fault, Name, Period};

/// Critics by name, as configured.
pub type Critics = BTreeMap<Name, weir_critic::config::Named>;

/// What judging may cost, all routes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads for models that judge in process; audits have all but one of them at most, where
    /// there are two.
    pub threads: usize,
    /// Threads for critics that wait, such as commands; the same.
    pub slow_threads: usize,
    /// Judgements that may wait for a thread, audits apart from those that clients wait for;
    /// what is beyond is skipped as `shed`.
    pub queue: usize,
    /// Engine that answers the questions of critics; one of `[engines.NAME]`. The route's own
    /// first engine where left out.
    pub engine: Option<Name>,
    /// `model` of those questions; the exchange's own where left out.
    pub model: Option<String>,
    /// Questions that may be at engines at one time; audits have all but one of these places at
    /// most, where there are two.
    pub questions: usize,
    /// Exchanges whose audits may be under way or waiting; beyond, audits are skipped as `shed`.
    pub audits: usize,
    /// Bytes of those exchanges' bodies; beyond, the same.
    pub audit_bytes: ByteSize,
    /// Questions of audits wait while so many exchanges of users stand in the queue for a place
    /// in flight, or more.
    pub yield_at: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            threads: 2,
            slow_threads: 2,
            queue: 256,
            engine: None,
            model: None,
            questions: 2,
            audits: 1024,
            audit_bytes: ByteSize::mib(64),
            yield_at: 1,
        }
    }
}

/// Which critics a route asks, and what follows from what they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutePolicy {
    /// The critics.
    pub critics: Vec<Member>,
    /// How verdicts of enforced critics become one: `"any"`, `"all"`,
    /// `{ weighted = { threshold = 0.5 } }` or `{ cascade = { pass_at_most = 0.1, fail_at_least = 0.9 } }`.
    pub combine: Combine,
    /// Limits of what is judged before it goes out.
    pub limits: Limits,
    /// How streams are treated where a critic is enforced.
    pub stream: Stream,
    /// Rules that watch streams as they flow.
    pub watch: Watch,
    /// Where retrieved text stands in requests.
    pub context: Context,
    /// What goes back to the engine when an answer is not good enough.
    pub retry: Retry,
    /// What the client gets when no answer was good enough.
    pub escalate: Escalate,
}

/// A critic's place in a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The critic: one of `[critics.NAME]`.
    pub critic: Name,
    /// `enforce`: the answer waits for it and it decides; `audit`: it judges afterwards and is recorded.
    #[serde(default)]
    pub mode: Mode,
    /// Share of exchanges that it judges, 0..=1, drawn by the exchange's id.
    #[serde(default = "all")]
    pub sample_rate: f64,
    /// Time that it may take; beyond, it is skipped as `timed_out`.
    #[serde(default = "budget")]
    pub budget: Period,
    /// `open`: where it fails or is late, it counts as a pass; `closed`: as a fail. Recorded as
    /// skipped either way.
    #[serde(default)]
    pub on_skip: OnSkip,
    /// Its share in a weighted panel.
    #[serde(default = "one")]
    pub weight: f64,
    /// Kinds of work that it judges: `prose`, `code`, `json`, `tools`. Empty: all.
    #[serde(default)]
    pub tasks: Vec<weir_critic::Task>,
}

/// How streams are treated where a critic is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Everything is held, judged, and then replayed; comments keep the connection alive. Retry
    /// and escalation work as for plain answers.
    #[default]
    Hold,
    /// Held in windows that go out when they are clean; a violation ends the stream with an error.
    /// Windows are judged by rules that judge parts, the whole by all before the end goes out.
    /// Only with `combine = "any"`, where one verdict decides: with any other the final judgement
    /// alone rules, and streams are held as by `hold`.
    Window,
    /// Everything goes through at once; critics judge afterwards, and nothing is enforced.
    Audit,
}

/// Rules that watch streams as they flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// What follows when something is found: `off` (streams are not looked into), `record`, or
    /// `abort` (a generation that has gone wrong beyond repair is stopped).
    pub act: Act,
    /// What is looked for.
    pub rules: weir_critic::stream::Config,
}

/// What follows when a stream's rules find something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Streams are not looked into while they flow.
    Off,
    /// It is recorded.
    #[default]
    Record,
    /// A generation that has gone wrong beyond repair is stopped.
    Abort,
}

/// Limits of what is judged before it goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Time that all enforced critics of one answer may take together.
    pub budget: Period,
    /// Most bytes of an answer that are held; a larger one is not judged, which counts as
    /// skipped for every enforced critic.
    pub held_bytes: ByteSize,
    /// Letters of a window of a stream, counted for each of its texts (visible text, reasoning,
    /// refusal, arguments of a call; of each choice).
    pub window_chars: usize,
    /// Letters that wait at the end of a window and are judged with the next one again: the
    /// longest thing that must not be missed. 1 or more.
    pub overlap_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { budget: Period::secs(10), held_bytes: ByteSize::mib(4), window_chars: 800, overlap_chars: 200 }
    }
}

/// What goes back to the engine when an answer is not good enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Answers that are asked for in all; 1 asks for no second one.
    pub max_answers: u32,
    /// No new answer is asked for when so much time has passed since the request arrived.
    pub within: Period,
    /// No new answer is asked for when the engine has made so many tokens for this exchange.
    pub max_tokens: u64,
    /// Engine that is asked again; one of `[engines.NAME]`. The route's own engines where left out.
    pub engine: Option<Name>,
    /// `temperature` of the new attempt; the client's where left out.
    pub temperature: Option<f64>,
    /// What is said to the LLM.
    pub critique: weir_critic::critique::Config,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_answers: 1,
            within: Period::secs(60),
            max_tokens: 8192,
            engine: None,
            temperature: None,
            critique: weir_critic::critique::Config::default(),
        }
    }
}

/// What the client gets when no answer was good enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Escalate {
    /// `refuse`: an error; `fallback`: the answer below; `deliver`: the best answer, flagged.
    pub handling: crate::exchange::judged::Handling,
    /// The answer of `fallback`.
    pub answer: String,
}

impl Default for Escalate {
    fn default() -> Self {
        let answer = "I cannot give a reliable answer to this.".to_owned();
        Self { handling: crate::exchange::judged::Handling::default(), answer }
    }
}

fn all() -> f64 {
    1.0
}
fn one() -> f64 {
    1.0
}
fn budget() -> Period {
    Period::secs(5)
}

impl Config {
    /// What is wrong with the values, given the engines that exist.
    pub fn faults(&self, path: &str, engines: &[Name]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let counts = [
            ("threads", self.threads, 64),
            ("slow_threads", self.slow_threads, 64),
            ("queue", self.queue, 1 << 20),
            ("questions", self.questions, 1024),
        ];
        for (key, value, most) in counts {
            if !(1..=most).contains(&value) {
                let cure = format!("write a number from 1 to {most}");
                faults.push(Fault::new(format!("{path}.{key}"), format!("{value} is out of range"), cure));
            }
        }
        faults.extend(unknown(&format!("{path}.engine"), self.engine.as_ref(), engines, "engines"));
        faults
    }
}

impl RoutePolicy {
    /// What is wrong with the values, given the names that exist.
    pub fn faults(&self, path: &str, engines: &[Name], critics: &[Name]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (i, member) in self.critics.iter().enumerate() {
            let path = format!("{path}.critics[{i}]");
            faults.extend(unknown(&format!("{path}.critic"), Some(&member.critic), critics, "critics"));
            if !(0.0..=1.0).contains(&member.sample_rate) {
                let problem = format!("{} is no ratio", member.sample_rate);
                faults.push(Fault::new(format!("{path}.sample_rate"), problem, "write a number from 0.0 to 1.0"));
            }
            if !(member.weight.is_finite() && member.weight >= 0.0) {
                let problem = format!("{} is no weight", member.weight);
                faults.push(Fault::new(format!("{path}.weight"), problem, "write a number from 0.0 on"));
            }
        }
        let own = self.combine.faults().into_iter();
        faults.extend(own.map(|fault| Fault::new(format!("{path}.{}", fault.key), fault.problem, fault.cure)));
        faults.extend(self.context.faults(&format!("{path}.context")));
        faults.extend(unknown(&format!("{path}.retry.engine"), self.retry.engine.as_ref(), engines, "engines"));
        let own = self.watch.rules.faults().into_iter();
        let key = |key| format!("{path}.watch.rules.{key}");
        faults.extend(own.map(|fault| Fault::new(key(fault.key), fault.problem, fault.cure)));
        let own = self.retry.critique.faults().into_iter();
        let key = |key| format!("{path}.retry.critique.{key}");
        faults.extend(own.map(|fault| Fault::new(key(fault.key), fault.problem, fault.cure)));
        if self.retry.max_answers == 0 {
            let problem = "is 0, no answer would be asked for";
            faults.push(Fault::new(format!("{path}.retry.max_answers"), problem, "use 1 or more"));
        }
        for (key, value) in [("window_chars", self.limits.window_chars), ("overlap_chars", self.limits.overlap_chars)] {
            if value == 0 {
                faults.push(Fault::new(format!("{path}.limits.{key}"), "is 0", "use 1 or more"));
            }
        }
        faults
    }

    /// Whether anything is looked at on this route.
    pub fn judges(&self) -> bool {
        !self.critics.is_empty() || self.watch.act != Act::Off
    }

    /// Whether the streams of enforced critics are held whole.
    pub fn holds_streams(&self) -> bool {
        match self.stream {
            Stream::Hold => true,
            Stream::Window => self.combine != Combine::Any,
            Stream::Audit => false,
        }
    }

    /// Whether an answer has to wait for anybody.
    pub fn enforces(&self) -> bool {
        self.critics.iter().any(|member| member.mode == Mode::Enforce)
    }
}

fn unknown(path: &str, used: Option<&Name>, known: &[Name], key: &str) -> Option<Fault> {
    let name = used.filter(|name| !known.contains(name))?;
    let known: Vec<_> = known.iter().map(Name::as_str).collect();
    let cure = format!("use one of [{}], or add it as [{key}.NAME]", known.join(", "));
    Some(Fault::new(path, format!("'{name}' is not configured"), cure))
}
