//! Answers that say the same again and again.
//!
//! A part of the answer that comes round, word by word or sign by sign, more often than text
//! does by right. Refrains, tables, lists, code and lines of dashes stay: a loop needs many
//! rounds *and* a length, and one without letters needs much more of it.

mod tracker;

use serde::{Deserialize, Serialize};

pub use tracker::{Loop, Tracker};

use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip};

/// What counts as a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often the part must come round: songs and forms repeat a few times. Count, 6 by default.
    pub min_rounds: usize,
    /// How long all rounds together must be: `very very very very very very good` is a
    /// manner of speech. In bytes, 240 by default.
    pub min_bytes: usize,
    /// The same for what comes round without letters: rows of dashes, columns of zeros. In
    /// bytes, 2,000 by default.
    pub min_bytes_without_letters: usize,
}

/// The critic.
#[derive(Debug)]
pub struct RepetitionLoop {
    config: Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { min_rounds: 6, min_bytes: 240, min_bytes_without_letters: 2000 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        match self.min_rounds {
            0..=2 => vec![Fault::new("min_rounds", "is less than 3, which any refrain reaches", "set it to 3 or more")],
            _ => Vec::new(),
        }
    }

    /// Whether a run is a loop.
    pub(crate) fn is_met(&self, met: &Loop) -> bool {
        let least = if met.has_letters { self.min_bytes } else { self.min_bytes_without_letters };
        met.rounds >= self.min_rounds && met.end - met.start >= least
    }
}

impl RepetitionLoop {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn look(&self, place: Place, text: &str) -> Option<Finding> {
        if text.len() < self.config.min_bytes {
            return None;
        }
        let mut worst: Option<Loop> = None;
        let mut tracker = Tracker::default();
        let mut keep = |met: Loop| {
            if self.config.is_met(&met) {
                worst = Some(met);
            }
            // The first loop is followed to its end.
            worst.is_some_and(|worst| worst.start != met.start)
        };
        let _ended = tracker.push(text, &mut keep) || tracker.finish(&mut keep);
        let worst = worst?;
        let message = format!("the answer says the same {} times over; say it once and go on", worst.rounds);
        Some(Finding::new("repetition_loop", place, message).at(worst.start..worst.end))
    }
}

impl Critic for RepetitionLoop {
    fn version(&self) -> &str {
        "repetition_loop-2"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judges_parts(&self) -> bool {
        true
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        Judgement::of(case.texts().filter_map(|(place, text)| self.look(place, text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome};

    fn judge(text: &str) -> Judgement {
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        RepetitionLoop::new(Config::default()).judge(&Case { answers: vec![answer], ..Case::default() })
    }

    #[test]
    fn a_loop_is_found_where_it_runs() {
        let start = "Let me think: ";
        let text = format!("{start}{}and so on", "I am not sure what to say here. ".repeat(12));
        let finding = &judge(&text).findings[0];
        let span = finding.span.clone().unwrap();
        assert_eq!((finding.code.as_ref(), span.start), ("repetition_loop", start.len()));
        assert!(text[span.clone()].ends_with("here."), "{:?}", &text[span]);
    }

    #[test]
    fn loops_are_found_in_any_script() {
        for part in ["Не могу сказать точно. ", "我不知道该怎么说。", "ฉันไม่รู้", "لا أعرف ماذا أقول. ", "😀 yes ", "abc"]
        {
            assert_eq!(judge(&part.repeat(150)).outcome, Outcome::Fail, "{part}");
        }
    }

    #[test]
    fn what_repeats_by_right_stays() {
        let table: String = (0..60).map(|i| format!("| {i} | yes | no | {} |\n", i * 7 % 13)).collect();
        let list: String = (0..80).map(|i| format!("- item {i}\n")).collect();
        let code: String = (0..40).map(|i| format!("    values.push({i});\n")).collect();
        let song = "La la la la la la la la, we sing along and never stop,\n".repeat(4);
        let zeros = format!("let m = [{}];", "0, ".repeat(400));
        for text in [table, list, code, song, zeros, "-".repeat(300), "=-".repeat(400), "very ".repeat(30)] {
            assert_eq!(judge(&text).outcome, Outcome::Pass, "{text}");
        }
    }
}
