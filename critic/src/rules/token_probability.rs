//! What the engine's own probabilities say of its answer.
//!
//! An LLM that is at a loss spreads its probability: the tokens that it wrote were unlikely.
//! The critic reads the log-probabilities that came with the answer, at no further call. They
//! tell of doubt, not of truth: a sure LLM may be wrong (Kadavath et al., arXiv 2207.05221;
//! for the mean and the perplexity as signs see Malinin & Gales, arXiv 2002.07650).

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Judgement, Place, Skip, Token};

/// What counts as a loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Mean log-probability under which an answer is bad: ordinary answers lie above -1.
    /// Natural logarithm, -2.5 by default.
    pub min_mean: f64,
    /// Log-probability under which a token was unlikely. Natural logarithm, -4.6 (1 %) by default.
    pub low: f64,
    /// Share of unlikely tokens from which an answer is bad. Ratio, 0.25 by default.
    pub max_low_ratio: f64,
    /// Mean log-probability of any stretch of `window` tokens under which the answer is bad
    /// there. Natural logarithm, -4 by default.
    pub min_window_mean: f64,
    /// Length of the stretch, in tokens; 32 by default.
    pub window: usize,
    /// Tokens from which an answer is judged: a few say little. Count, 8 by default.
    pub min_tokens: usize,
}

/// The critic.
#[derive(Debug)]
pub struct TokenProbability {
    config: Config,
}

/// What the log-probabilities (natural logarithms) of an answer come to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Statistics {
    /// Tokens that had one.
    tokens: usize,
    mean: f64,
    /// Share of tokens under the limit that was given.
    low_ratio: f64,
    /// Lowest mean of a window, and the token at which that window begins; none for answers
    /// shorter than it.
    worst_window: Option<(f64, usize)>,
}

impl Default for Config {
    fn default() -> Self {
        Self { min_mean: -2.5, low: -4.6, max_low_ratio: 0.25, min_window_mean: -4.0, window: 32, min_tokens: 8 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (key, value) in [("min_mean", self.min_mean), ("low", self.low), ("min_window_mean", self.min_window_mean)]
        {
            if value.is_nan() || value >= 0.0 {
                faults.push(Fault::new(
                    key,
                    format!("is {value}, but logarithms of probabilities are negative"),
                    "set it under 0",
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.max_low_ratio) {
            faults.push(Fault::new("max_low_ratio", "is no ratio", "set it between 0 and 1"));
        }
        if self.window == 0 {
            faults.push(Fault::new("window", "is 0", "set it to 1 or more"));
        }
        faults
    }
}

impl Statistics {
    /// Statistics of the tokens, in one pass; none where no token has a finite log-probability.
    fn of(tokens: &[Token], low: f64, window: usize) -> Option<Self> {
        let window = window.max(1);
        let (mut count, mut sum, mut lows) = (0usize, 0.0, 0usize);
        let (mut last, mut worst) = (0.0, None::<(f64, usize)>);
        let mut gone = known(tokens);
        for logprob in known(tokens) {
            count += 1;
            sum += logprob;
            last += logprob;
            lows += usize::from(logprob < low);
            if count > window {
                last -= gone.next().unwrap_or(0.0);
            }
            if count >= window && worst.is_none_or(|(worst, _)| last < worst) {
                worst = Some((last, count - window));
            }
        }
        let part = |sum: f64| sum / count as f64;
        (count > 0).then(|| Self {
            tokens: count,
            mean: part(sum),
            low_ratio: part(lows as f64),
            worst_window: worst.map(|(sum, first)| (sum / window as f64, first)),
        })
    }
}

impl TokenProbability {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn look(&self, choice: usize, answer: &Answer, statistics: &Statistics) -> Option<Finding> {
        let config = &self.config;
        let place = Place::Text { choice };
        let doubt = "the LLM was unsure of nearly every word; answer only what is known, or say that it is not";
        if statistics.mean < config.min_mean || statistics.low_ratio > config.max_low_ratio {
            return Some(Finding::new("low_probability", place, doubt));
        }
        let (mean, first) = statistics.worst_window?;
        if mean >= config.min_window_mean {
            return None;
        }
        let message = "the LLM lost itself here; write this part again, in plain words";
        let finding = Finding::new("low_probability", place, message);
        Some(match span(answer, first, config.window) {
            Some(span) => finding.at(span),
            None => finding,
        })
    }
}

impl Critic for TokenProbability {
    fn version(&self) -> &str {
        "token_probability-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        let (mut judged, mut worst, mut findings) = (false, f64::MAX, Vec::new());
        for (choice, answer) in case.answers.iter().enumerate() {
            let Some(statistics) = Statistics::of(&answer.tokens, self.config.low, self.config.window) else {
                continue;
            };
            if statistics.tokens >= self.config.min_tokens {
                judged = true;
                worst = worst.min(statistics.mean);
                findings.extend(self.look(choice, answer, &statistics));
            }
        }
        if !judged {
            return Judgement::skipped(Skip::NotApplicable);
        }
        // One less the tokens' geometric mean probability: in order, but not calibrated.
        Judgement { score: Some((1.0 - worst.exp()).clamp(0.0, 1.0)), ..Judgement::of(findings) }
    }
}

/// The log-probabilities that are known: some engines write -9999 or -inf for "not known".
fn known(tokens: &[Token]) -> impl Iterator<Item = f64> {
    tokens.iter().map(|token| f64::from(token.logprob)).filter(|logprob| *logprob > -1000.0)
}

/// The bytes of `window` tokens from the `first` on, where the tokens make up the text.
fn span(answer: &Answer, first: usize, window: usize) -> Option<std::ops::Range<usize>> {
    let bytes = |n: usize| answer.tokens.iter().take(n).map(|token| token.text.len()).sum::<usize>();
    let span = bytes(first)..bytes(first + window);
    answer.text.get(span.clone()).map(|_| span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn judge(logprobs: &[f32]) -> Judgement {
        let token = |logprob: &f32| Token { text: "ж ".to_owned(), logprob: *logprob, top: Vec::new() };
        let tokens: Vec<Token> = logprobs.iter().map(token).collect();
        let text = "ж ".repeat(tokens.len());
        let answers = vec![Answer { text, tokens, ..Answer::default() }];
        TokenProbability::new(Config::default()).judge(&Case { answers, ..Case::default() })
    }

    #[test]
    fn statistics_are_those_of_a_small_example() {
        let token = |logprob: f32| Token { text: "a".to_owned(), logprob, ..Token::default() };
        let tokens: Vec<Token> = [-1.0, -3.0, -5.0, -1.0, f32::NEG_INFINITY].map(token).to_vec();
        let statistics = Statistics::of(&tokens, -4.6, 2).unwrap();
        assert_eq!((statistics.tokens, statistics.mean), (4, -2.5));
        assert_eq!((statistics.low_ratio, statistics.worst_window), (0.25, Some((-4.0, 1))));
        assert_eq!(Statistics::of(&tokens, -4.6, 5).unwrap().worst_window, None);
    }

    #[test]
    fn a_sure_answer_passes_and_one_at_a_loss_fails() {
        let sure = judge(&[-0.2; 100]);
        assert_eq!(sure.outcome, Outcome::Pass);
        let lost = judge(&[-3.0; 100]);
        assert_eq!(lost.outcome, Outcome::Fail);
        assert!(sure.score < lost.score);
    }

    #[test]
    fn a_stretch_at_a_loss_is_found_where_it_is() {
        let mut logprobs = [-0.1f32; 400];
        logprobs[100..132].fill(-4.5);
        let judged = judge(&logprobs);
        assert_eq!(judged.findings[0].span, Some(300..396));
    }

    #[test]
    fn an_answer_without_probabilities_is_not_judged() {
        assert_eq!(judge(&[]).outcome, Outcome::Skipped(Skip::NotApplicable));
        assert_eq!(judge(&[-9999.0; 20]).outcome, Outcome::Skipped(Skip::NotApplicable));
    }
}
