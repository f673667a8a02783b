//! The breaker of one replica: stops calling an engine that keeps failing.
//!
//! One pure function of state, event and time. Only faults of the engine count; a client's
//! 4xx or hang-up never reaches this file.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::{Fault, Period};

/// When the breaker opens and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Consecutive faults of the engine that open the breaker.
    pub failures: u32,
    /// How long it stays open the first time; doubles with each failed trial.
    pub open: Period,
    /// The longest it stays open.
    pub open_max: Period,
}

impl Default for Config {
    fn default() -> Self {
        Self { failures: 5, open: Period::secs(2), open_max: Period::secs(30) }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.failures == 0 {
            faults.push(Fault::new(format!("{path}.failures"), "is 0, the breaker would never close", "use 1 or more"));
        }
        if self.open.is_zero() || self.open_max < self.open {
            let cure = "use a positive `open` and an `open_max` that is no shorter";
            faults.push(Fault::new(format!("{path}.open"), "does not fit `open_max`", cure));
        }
        faults
    }
}

/// State of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass; so many consecutive faults so far.
    Closed {
        /// Consecutive faults.
        failures: u32,
    },
    /// No calls until the moment; opened so many times in a row.
    Open {
        /// When a trial is allowed.
        until: Instant,
        /// Times opened without a success in between.
        times: u32,
    },
    /// One trial is under way since the moment.
    Trial {
        /// When the trial began.
        since: Instant,
        /// Times opened without a success in between.
        times: u32,
    },
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call is about to be made to this replica.
    Call,
    /// The engine began an answer: it is alive, if not yet proven.
    Began,
    /// The engine answered properly (a 4xx included).
    Success,
    /// The engine failed.
    Failure,
    /// The call ended without saying anything about the engine (the client left).
    Withdrawn,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl State {
    /// Whether a call may be made now. A trial that never reported back is given up after `open_max`.
    pub fn admits(self, config: &Config, now: Instant) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { until, .. } => now >= until,
            Self::Trial { since, .. } => now >= since + *config.open_max,
        }
    }

    /// How long until a call may be made; zero when it may be made now.
    pub fn wait(self, config: &Config, now: Instant) -> Duration {
        match self {
            Self::Closed { .. } => Duration::ZERO,
            Self::Open { until, .. } => until.saturating_duration_since(now),
            Self::Trial { since, .. } => (since + *config.open_max).saturating_duration_since(now),
        }
    }

    /// The gauge: 0 closed, 0.5 trial, 1 open.
    pub fn gauge(self) -> f64 {
        match self {
            Self::Closed { .. } => 0.0,
            Self::Trial { .. } => 0.5,
            Self::Open { .. } => 1.0,
        }
    }
}

/// The next state.
pub fn step(state: State, event: Event, now: Instant, config: &Config) -> State {
    match (state, event) {
        (State::Closed { failures }, Event::Failure) if failures + 1 >= config.failures => opened(1, now, config),
        (State::Closed { failures }, Event::Failure) => State::Closed { failures: failures + 1 },
        (State::Open { times, .. } | State::Trial { times, .. }, Event::Call) if state.admits(config, now) => {
            State::Trial { since: now, times }
        }
        (State::Trial { times, .. }, Event::Failure) => opened(times + 1, now, config),
        // One more fault opens it again, but nobody waits for the trial's last token.
        (State::Trial { .. }, Event::Began) => State::Closed { failures: config.failures - 1 },
        (State::Trial { times, .. }, Event::Withdrawn) => State::Open { until: now, times },
        (_, Event::Success) => State::default(),
        (state, _) => state,
    }
}

fn opened(times: u32, now: Instant, config: &Config) -> State {
    let period = config.open.saturating_mul(1 << (times - 1).min(16)).min(*config.open_max);
    State::Open { until: now + period, times }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: &Config, start: Instant, events: &[(u64, Event)]) -> State {
        let at = |ms| start + Duration::from_millis(ms);
        events.iter().fold(State::default(), |state, (ms, event)| step(state, *event, at(*ms), config))
    }

    #[test]
    fn it_opens_after_consecutive_failures_only() {
        let (config, now) = (Config { failures: 3, ..Config::default() }, Instant::now());
        let mixed = [(0, Event::Failure), (1, Event::Failure), (2, Event::Success), (3, Event::Failure)];
        assert_eq!(run(&config, now, &mixed), State::Closed { failures: 1 });
        let open = run(&config, now, &[(0, Event::Failure), (1, Event::Failure), (2, Event::Failure)]);
        assert!(matches!(open, State::Open { times: 1, .. }));
        assert!(!open.admits(&config, now + Duration::from_millis(500)));
        assert!(open.admits(&config, now + Duration::from_millis(2002)));
    }

    #[test]
    fn one_trial_decides_and_failed_trials_wait_longer() {
        let (config, now) = (Config { failures: 1, ..Config::default() }, Instant::now());
        let failed = run(&config, now, &[(0, Event::Failure), (2000, Event::Call), (2100, Event::Failure)]);
        assert_eq!(failed, State::Open { until: now + Duration::from_millis(6100), times: 2 });
        let trial = run(&config, now, &[(0, Event::Failure), (2000, Event::Call)]);
        assert!(!trial.admits(&config, now + Duration::from_millis(2001)), "a second call waits for the trial");
        assert_eq!(step(trial, Event::Success, now, &config), State::default());
        let left = step(trial, Event::Withdrawn, now + Duration::from_millis(2500), &config);
        assert!(left.admits(&config, now + Duration::from_millis(2500)), "a client that left proves nothing");
    }

    #[test]
    fn a_trial_that_began_its_answer_lets_others_in_and_one_fault_shuts_them_out() {
        let (config, now) = (Config { failures: 3, ..Config::default() }, Instant::now());
        let began = step(State::Trial { since: now, times: 2 }, Event::Began, now, &config);
        assert!(began.admits(&config, now));
        assert!(matches!(step(began, Event::Failure, now, &config), State::Open { .. }));
        assert_eq!(step(began, Event::Success, now, &config), State::default());
    }

    #[test]
    fn a_lost_trial_does_not_lock_the_replica_out() {
        let (config, now) = (Config { failures: 1, ..Config::default() }, Instant::now());
        let trial = run(&config, now, &[(0, Event::Failure), (2000, Event::Call)]);
        assert!(trial.admits(&config, now + Duration::from_millis(2000) + *config.open_max));
    }
}
