//! Rules that watch an answer while it is written.
//!
//! Promises: fixed memory for each channel of a stream whatever its length, far under a
//! microsecond for a token, the same findings however the text is cut into pieces (for terms
//! and marks up to [`CARRY`] bytes). What they must not know: HTTP, events, who reads them.
//!
//! Each channel (the visible text, the reasoning, the arguments of each tool call, of every
//! choice) is watched by itself, and each rule speaks once for a channel. A finding says
//! whether the generation is *degenerate*: more of it can only be worse, so it is worth
//! aborting. Limits are wider than those of the rules that judge whole answers, since an
//! abort cannot be taken back.

mod channel;
mod validator;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use validator::Validator;

use crate::config::Fault;
use crate::rules::banned_terms::{self, BannedTerms};
use crate::{Finding, Format};
use channel::Channel;

/// Bytes of the last pieces that are kept, to see what lies across their borders.
pub const CARRY: usize = 256;

/// Channels watched in one stream: a request for more choices goes on unwatched.
const MAX_CHANNELS: usize = 256;

/// What is watched for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Text that runs in circles: degenerate. On by default.
    pub repetition: bool,
    /// Rounds from which it is a loop. Count, 16 by default.
    pub min_rounds: usize,
    /// Length of all rounds together from which it is a loop. In bytes, 1,200 by default.
    pub min_loop_bytes: usize,
    /// The same where no letters come round: dashes, zeros, base64 of nothing. In bytes,
    /// 16,384 by default.
    pub min_loop_bytes_without_letters: usize,
    /// Marks of the chat template in the text. On by default.
    pub leaked_tokens: bool,
    /// Marks from which a text is degenerate: one may be a quotation. Count, 4 by default.
    pub max_leaked_tokens: u32,
    /// Log-probabilities that fall and stay low: degenerate. On by default; silent where the
    /// engine tells none.
    pub probability: bool,
    /// Mean log-probability of `probability_tokens` under which the LLM has lost itself.
    /// Natural logarithm, -5 by default (random tokens of a large vocabulary lie near -11).
    pub min_mean_logprob: f32,
    /// Tokens over which the mean is taken, weighted towards the last. Count, 64 by default.
    pub probability_tokens: u32,
    /// Text that cannot become JSON where JSON was asked for, and such arguments of tools:
    /// degenerate. On by default.
    pub json: bool,
    /// Terms that must not be said; none by default. Never degenerate: the rest may be good.
    pub banned_terms: banned_terms::Config,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The visible text.
    Text,
    /// The reasoning.
    Reasoning,
    /// The arguments of a tool call.
    ToolArguments {
        /// Index of the call within the choice.
        call: usize,
    },
}

/// The next piece of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Index of the choice.
    pub choice: usize,
    /// Which of its channels.
    pub lane: Lane,
    /// The text, perhaps empty.
    pub text: &'a str,
    /// Natural logarithm of its probability, where the engine told it.
    pub logprob: Option<f32>,
}

/// Something that was found in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// What it is; the span counts from the channel's first byte.
    pub finding: Finding,
    /// Whether the generation is worth aborting.
    pub degenerate: bool,
}

/// The settings, ready for use by every stream.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Ready>);

#[derive(Debug)]
struct Ready {
    config: Config,
    terms: Option<BannedTerms>,
}

/// Watches one stream.
#[derive(Debug)]
pub struct Watcher {
    watch: Watch,
    /// Whether JSON was asked for.
    json: bool,
    channels: Vec<((usize, Lane), Channel)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            repetition: true,
            min_rounds: 16,
            min_loop_bytes: 1200,
            min_loop_bytes_without_letters: 16_384,
            leaked_tokens: true,
            max_leaked_tokens: 4,
            probability: true,
            min_mean_logprob: -5.0,
            probability_tokens: 64,
            json: true,
            banned_terms: banned_terms::Config::default(),
        }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.min_rounds < 3 {
            faults.push(Fault::new("min_rounds", "is less than 3, which any refrain reaches", "set it to 3 or more"));
        }
        if self.min_mean_logprob.is_nan() || self.min_mean_logprob >= 0.0 {
            faults.push(Fault::new("min_mean_logprob", "is no logarithm of a probability", "set it under 0"));
        }
        if self.probability_tokens == 0 {
            faults.push(Fault::new("probability_tokens", "is 0", "set it to 1 or more"));
        }
        if self.max_leaked_tokens == 0 {
            faults.push(Fault::new(
                "max_leaked_tokens",
                "is 0, so that any text would be degenerate",
                "set it to 1 or more",
            ));
        }
        if self.banned_terms.terms.iter().any(|term| term.len() > CARRY / 2) {
            faults.push(Fault::new(
                "banned_terms",
                "has a term too long to be seen across pieces",
                "keep terms under 128 bytes",
            ));
        }
        faults
    }
}

impl Watch {
    /// Makes the settings ready. Errors say which terms cannot be looked for.
    pub fn new(config: Config) -> Result<Self, String> {
        let terms = match config.banned_terms.terms.is_empty() {
            true => None,
            false => Some(BannedTerms::new(config.banned_terms.clone())?),
        };
        Ok(Self(Arc::new(Ready { config, terms })))
    }

    /// A watcher of one stream, whose client asked for this format.
    pub fn stream(&self, format: &Format) -> Watcher {
        Watcher { watch: self.clone(), json: *format != Format::Text, channels: Vec::new() }
    }
}

impl Watcher {
    /// Reads the next piece. At most one sighting is told for a piece; a degenerate one first.
    pub fn push(&mut self, piece: Piece<'_>) -> Option<Sighting> {
        let key = (piece.choice, piece.lane);
        // Pieces of one channel mostly follow each other.
        let at = match self.channels.iter().rposition(|(known, _)| *known == key) {
            Some(at) => at,
            None if self.channels.len() == MAX_CHANNELS => return None,
            None => {
                let json = self.json && piece.lane == Lane::Text || matches!(piece.lane, Lane::ToolArguments { .. });
                self.channels.push((key, Channel::new(&self.watch.0.config, json)));
                self.channels.len() - 1
            }
        };
        self.channels[at].1.push(&self.watch.0, piece)
    }
}

#[cfg(test)]
mod tests;
