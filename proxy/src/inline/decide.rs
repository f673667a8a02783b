//! What follows from a ruling: the answer goes out, another one is asked for, or nobody can
//! do better here.
//!
//! Pure: no clock, no IO. After the commit point there is no retry and no escalation, so who
//! calls this holds the answer back until it has spoken.

use std::time::Duration;

use crate::exchange::judged::{Handling, Spent, Vote};

/// How far retries may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Answers that are asked for in all.
    pub max_answers: u32,
    /// Time since arrival after which no new one is asked for.
    pub within: Duration,
    /// Tokens made for the exchange after which no new one is asked for.
    pub max_tokens: u64,
    /// What the client gets when no answer was good enough.
    pub handling: Handling,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The answer goes out.
    Pass,
    /// It goes back with the critique.
    Retry,
    /// It was not good enough, and nothing more is tried.
    Escalate(Handling),
}

/// Decides.
pub fn decide(vote: Vote, spent: &Spent, limits: &Limits) -> Step {
    if vote == Vote::Pass {
        return Step::Pass;
    }
    let in_time = spent.left.is_none_or(|left| spent.longest <= left);
    let has_time = in_time && spent.elapsed.saturating_add(spent.longest) <= limits.within;
    let has_budget = spent.answers < limits.max_answers && spent.tokens < limits.max_tokens;
    if has_time && has_budget && spent.can_resend { Step::Retry } else { Step::Escalate(limits.handling) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits =
        Limits { max_answers: 3, within: Duration::from_secs(10), max_tokens: 100, handling: Handling::Fallback };

    #[test]
    fn a_bad_answer_goes_back_while_answers_time_and_tokens_are_left() {
        let spent = Spent { answers: 1, can_resend: true, ..Spent::default() };
        let seconds = Duration::from_secs;
        let table = [
            (spent, true),
            (Spent { answers: 2, ..spent }, true),
            (Spent { answers: 3, ..spent }, false),
            (Spent { elapsed: seconds(10), ..spent }, true),
            (Spent { elapsed: seconds(6), longest: seconds(5), ..spent }, false),
            (Spent { left: Some(seconds(2)), longest: seconds(3), ..spent }, false),
            (Spent { left: Some(seconds(3)), longest: seconds(3), ..spent }, true),
            (Spent { tokens: 99, ..spent }, true),
            (Spent { tokens: 100, ..spent }, false),
            (Spent { can_resend: false, ..spent }, false),
        ];
        for (spent, again) in table {
            let step = if again { Step::Retry } else { Step::Escalate(Handling::Fallback) };
            assert_eq!(decide(Vote::Fail, &spent, &LIMITS), step, "{spent:?}");
            assert_eq!(decide(Vote::Pass, &spent, &LIMITS), Step::Pass);
        }
    }

    proptest! {
        #[test]
        fn asking_again_always_ends(elapsed in 0u64..30, tokens in 0u64..200, max_answers in 1u32..8) {
            let limits = Limits { max_answers, ..LIMITS };
            let mut spent = Spent {
                elapsed: Duration::from_secs(elapsed), tokens, can_resend: true, answers: 1, ..Spent::default()
            };
            while decide(Vote::Fail, &spent, &limits) == Step::Retry {
                spent.answers += 1;
                prop_assert!(spent.answers <= max_answers);
            }
        }
    }
}
