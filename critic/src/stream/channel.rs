//! One channel of a stream: what every rule remembers of it.

use super::{CARRY, Config, Lane, Piece, Ready, Sighting, Validator};
use crate::rules::banned_terms::{BannedTerms, Found};
use crate::rules::leaked_tokens;
use crate::rules::repetition_loop::{Loop, Tracker};
use crate::{Finding, Place};

/// What is remembered of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// Follows circles; gone once one was told.
    tracker: Option<Tracker>,
    /// Follows JSON; gone once it was broken.
    validator: Option<Validator>,
    /// The end of what came: at most [`CARRY`] bytes.
    tail: String,
    /// Bytes that came.
    bytes: usize,
    /// Byte up to which marks and terms are told.
    told: usize,
    /// Marks that were seen.
    marks: u32,
    /// Terms were told already.
    terms_told: bool,
    probability: Option<Probability>,
}

/// An exponentially weighted mean of log-probabilities (Roberts, Technometrics 1959).
#[derive(Debug, Default)]
struct Probability {
    mean: f32,
    tokens: u32,
}

impl Channel {
    pub(super) fn new(config: &Config, json: bool) -> Self {
        Self {
            tracker: config.repetition.then(Tracker::default),
            validator: (config.json && json).then(Validator::default),
            tail: String::new(),
            bytes: 0,
            told: 0,
            marks: 0,
            terms_told: false,
            probability: config.probability.then(Probability::default),
        }
    }

    /// Reads a piece by every rule; all must read it, the first that found something speaks.
    pub(super) fn push(&mut self, ready: &Ready, piece: Piece<'_>) -> Option<Sighting> {
        let text = piece.text;
        let met = self.repetition(&ready.config, text);
        let broken = self.validator.as_mut().and_then(|validator| validator.push(text).err());
        let lost = self.probability(&ready.config, piece.logprob);
        let at = self.bytes;
        self.bytes += text.len();
        self.carry(text);
        let across = match self.is_dull(ready, &piece) {
            true => None,
            false => self.across(ready, &piece),
        };
        // Nearly every piece ends here: a sighting is made only where there is one.
        if met.is_none() && broken.is_none() && !lost {
            return across;
        }
        let place = place(&piece);
        if let Some(met) = met {
            // What is broken stays broken: one word of it is enough.
            self.validator = self.validator.take().filter(|_| broken.is_none());
            return Some(self.circling(place, &met));
        }
        Some(match broken {
            Some(step) => self.broken(place, at + step),
            None => self.lost(place, at),
        })
    }

    fn repetition(&mut self, config: &Config, text: &str) -> Option<Loop> {
        let mut found: Option<Loop> = None;
        let is_loop = |met: Loop| {
            let least = if met.has_letters { config.min_loop_bytes } else { config.min_loop_bytes_without_letters };
            found = (met.rounds >= config.min_rounds && met.end - met.start >= least).then_some(met);
            found.is_some()
        };
        self.tracker.as_mut()?.push(text, is_loop);
        found
    }

    #[cold]
    fn circling(&mut self, place: Place, found: &Loop) -> Sighting {
        self.tracker = None;
        let message = format!("the answer says the same {} times over; say it once and go on", found.rounds);
        let finding = Finding::new("repetition_loop", place, message).at(found.start..found.end);
        Sighting { finding, degenerate: true }
    }

    #[cold]
    fn broken(&mut self, place: Place, at: usize) -> Sighting {
        self.validator = None;
        let message = "this is no JSON from here on; answer with JSON and nothing else";
        Sighting { finding: Finding::new("invalid_json", place, message).at(at..at), degenerate: true }
    }

    #[cold]
    fn lost(&mut self, place: Place, at: usize) -> Sighting {
        self.probability = None;
        let message = "the LLM lost itself here; write this part again, in plain words";
        Sighting { finding: Finding::new("low_probability", place, message).at(at..at), degenerate: true }
    }

    /// Whether the probabilities fell and stayed low.
    fn probability(&mut self, config: &Config, logprob: Option<f32>) -> bool {
        // Some engines write -9999 or -inf for "not known".
        let Some(logprob) = logprob.filter(|logprob| *logprob > -1000.0) else { return false };
        let Some(probability) = self.probability.as_mut() else { return false };
        probability.tokens = probability.tokens.saturating_add(1);
        let weight = 2.0 / (probability.tokens.min(config.probability_tokens) as f32 + 1.0);
        probability.mean += weight * (logprob - probability.mean);
        probability.tokens >= config.probability_tokens && probability.mean < config.min_mean_logprob
    }

    /// Whether nothing can be seen across pieces that was not seen before: no terms are looked
    /// for, and no byte came that closes a mark.
    fn is_dull(&self, ready: &Ready, piece: &Piece<'_>) -> bool {
        if ready.terms.is_some() && !self.terms_told {
            return false;
        }
        let closes = |byte: u8| matches!(byte, b'>' | b']' | b'\n' | b':' | b'=');
        // Without a way out: a token is shorter than a wrong guess of the processor.
        !self.looks_for_marks(ready, piece) || !piece.text.bytes().fold(false, |any, byte| any | closes(byte))
    }

    /// Tool calls hold what they hold: marks there are the parser's business.
    fn looks_for_marks(&self, ready: &Ready, piece: &Piece<'_>) -> bool {
        ready.config.leaked_tokens && !matches!(piece.lane, Lane::ToolArguments { .. })
    }

    /// Marks and terms, which may lie across the borders of pieces.
    fn across(&mut self, ready: &Ready, piece: &Piece<'_>) -> Option<Sighting> {
        let (place, start) = (place(piece), self.bytes - self.tail.len());
        let marked = match self.looks_for_marks(ready, piece) {
            true => self.marks(&ready.config, place, start),
            false => None,
        };
        let terms = ready.terms.as_ref().filter(|_| !self.terms_told);
        let banned = terms.and_then(|terms| self.terms(terms, place, start));
        marked.or(banned)
    }

    /// Marks in the tail, whose first byte is byte `start` of the channel.
    fn marks(&mut self, config: &Config, place: Place, start: usize) -> Option<Sighting> {
        let mut first = None;
        let mut from = self.told.saturating_sub(start);
        while let Some(mark) = leaked_tokens::find_from(&self.tail, from) {
            // `</s>` counts only at the very end, which a stream does not know.
            from = mark.end;
            self.told = start + mark.end;
            if self.tail[mark.start..].starts_with("</s>") {
                continue;
            }
            self.marks = self.marks.saturating_add(1);
            first = first.or(Some(mark));
        }
        // One sighting for the first mark, one when there are too many.
        let mark = first.filter(|_| self.marks == 1 || self.marks >= config.max_leaked_tokens)?;
        let degenerate = self.marks >= config.max_leaked_tokens;
        let message = format!("the answer holds a mark of the chat template ({}); leave it out", mark.family.as_str());
        let finding = Finding::new("leaked_tokens", place, message).at(start + mark.start..start + mark.end);
        Some(Sighting { finding, degenerate })
    }

    /// Terms in the tail that are not cut at its end.
    fn terms(&mut self, terms: &BannedTerms, place: Place, start: usize) -> Option<Sighting> {
        let mut first: Option<Found> = None;
        let tail = &self.tail;
        // At the head of the tail a word may be cut.
        let cut = start > 0;
        terms.find(tail, |found| {
            let whole = found.end < tail.len() && (found.start > 0 || !cut);
            if whole && first.as_ref().is_none_or(|first| found.start < first.start) {
                first = Some(found);
            }
        });
        let found = first?;
        self.terms_told = true;
        let mut finding = BannedTerms::finding(place, tail, &found);
        finding.span = Some(start + found.start..start + found.end);
        Some(Sighting { finding, degenerate: false })
    }

    /// Keeps the end of what came. Cut rarely, so that a byte is not moved for every piece.
    fn carry(&mut self, text: &str) {
        if self.tail.len() > 2 * CARRY {
            let at = (0..=self.tail.len() - CARRY).rev().find(|at| self.tail.is_char_boundary(*at)).unwrap_or(0);
            self.tail.drain(..at);
        }
        self.tail.push_str(text);
    }
}

fn place(piece: &Piece<'_>) -> Place {
    let choice = piece.choice;
    match piece.lane {
        Lane::Text => Place::Text { choice },
        Lane::Reasoning => Place::Reasoning { choice },
        Lane::ToolArguments { call } => Place::ToolCall { choice, call },
    }
}
