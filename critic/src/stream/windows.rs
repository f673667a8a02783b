//! Decides what of a flowing answer may be released in `window` mode.
//!
//! Promises: pure; what was not judged clean is not released; memory of one window and its
//! overlap for each channel. A channel is judged in windows: each is judged together with the
//! last bytes before it, so that what lies across two windows is seen, and its own last bytes
//! are kept back until the next window shows how they go on. The critics are those whose
//! judgement of a part means something ([`Critic::judges_parts`]).

use std::sync::Arc;

use super::{Lane, Piece};
use crate::{Answer, Case, Critic, Finding, Format, Outcome, Place, ToolCall};

/// Sizes of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of new text from which a window is judged.
    pub window_bytes: usize,
    /// Bytes that are kept back at a window's end, and read again before the next: the
    /// longest thing that must not be missed.
    pub overlap_bytes: usize,
}

/// What may happen to a channel after a piece.
#[derive(Clone, Debug, PartialEq)]
pub enum Release {
    /// Nothing more may go out yet.
    Hold,
    /// All of the channel up to this byte may go out.
    Until(usize),
    /// A critic found something; nothing more may go out. Spans count from the channel's
    /// first byte.
    Violation {
        /// Index of the critic in the list.
        critic: usize,
        /// What it found.
        findings: Vec<Finding>,
    },
}

/// The windows of one stream.
#[derive(Debug)]
pub struct Windows {
    critics: Vec<Arc<dyn Critic>>,
    settings: Settings,
    /// What was sent: windows are judged with it.
    case: Case,
    channels: Vec<Channel>,
    /// A violation was found: nothing more is read.
    violated: bool,
}

/// A channel whose end is not released.
#[derive(Debug)]
struct Channel {
    choice: usize,
    lane: Lane,
    /// Overlap that was released, then what was not.
    text: String,
    /// Byte of the channel at which `text` begins.
    start: usize,
    /// Byte of the channel up to which it is released.
    released: usize,
    /// Byte of the channel up to which it was judged.
    judged: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window_bytes: 400, overlap_bytes: 160 }
    }
}

impl Windows {
    /// Windows of a stream that answers `case` (its answers are not read). Critics that judge
    /// no parts are left out; their indices stay.
    pub fn new(critics: &[Arc<dyn Critic>], settings: Settings, case: &Case) -> Self {
        let case = Case { answers: Vec::new(), format: Format::Text, ..case.clone() };
        Self { critics: critics.to_vec(), settings, case, channels: Vec::new(), violated: false }
    }

    /// Reads a piece, and judges when enough came.
    pub fn push(&mut self, piece: Piece<'_>) -> Release {
        let at = self.channel(piece.choice, piece.lane);
        let channel = &mut self.channels[at];
        channel.text.push_str(piece.text);
        match channel.end() - channel.judged >= self.settings.window_bytes.max(1) {
            true => self.judge(at, self.settings.overlap_bytes),
            false => Release::Hold,
        }
    }

    /// Judges what is left of a channel, which has ended.
    pub fn finish(&mut self, choice: usize, lane: Lane) -> Release {
        let at = self.channel(choice, lane);
        self.judge(at, 0)
    }

    /// Channels that hold something back, for the end of a stream.
    pub fn open(&self) -> Vec<(usize, Lane)> {
        let open = self.channels.iter().filter(|channel| channel.released < channel.end());
        open.map(|channel| (channel.choice, channel.lane)).collect()
    }

    fn channel(&mut self, choice: usize, lane: Lane) -> usize {
        let known = self.channels.iter().rposition(|channel| channel.choice == choice && channel.lane == lane);
        known.unwrap_or_else(|| {
            self.channels.push(Channel { choice, lane, text: String::new(), start: 0, released: 0, judged: 0 });
            self.channels.len() - 1
        })
    }

    /// Judges a channel's text; all but its last `keep` bytes may then go out.
    fn judge(&mut self, at: usize, keep: usize) -> Release {
        let channel = &mut self.channels[at];
        if self.violated || channel.released == channel.end() {
            return Release::Hold;
        }
        self.case.answers = vec![channel.answer()];
        for (critic, judge) in self.critics.iter().enumerate().filter(|(_, critic)| critic.judges_parts()) {
            let judged = judge.judge(&self.case);
            if judged.outcome == Outcome::Fail {
                self.violated = true;
                let findings = judged.findings.into_iter().map(|finding| channel.placed(finding)).collect();
                return Release::Violation { critic, findings };
            }
        }
        channel.judged = channel.end();
        channel.released = channel.boundary(channel.end().saturating_sub(keep).max(channel.released));
        channel.forget(self.settings.overlap_bytes);
        Release::Until(channel.released)
    }
}

impl Channel {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// The window as an answer of its own.
    fn answer(&self) -> Answer {
        let text = self.text.clone();
        match self.lane {
            Lane::Text => Answer { text, ..Answer::default() },
            Lane::Reasoning => Answer { reasoning: text, ..Answer::default() },
            Lane::ToolArguments { .. } => {
                let call = ToolCall { name: String::new(), arguments: text };
                Answer { tool_calls: vec![call], ..Answer::default() }
            }
        }
    }

    /// The finding where it stands in the stream.
    fn placed(&self, mut finding: Finding) -> Finding {
        let choice = self.choice;
        finding.place = match self.lane {
            Lane::Text => Place::Text { choice },
            Lane::Reasoning => Place::Reasoning { choice },
            Lane::ToolArguments { call } => Place::ToolCall { choice, call },
        };
        finding.span = finding.span.map(|span| span.start + self.start..span.end + self.start);
        finding
    }

    /// The last character boundary at or before a byte of the channel.
    fn boundary(&self, byte: usize) -> usize {
        let at = byte - self.start;
        self.start + (0..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// Drops what was released and is not read again.
    fn forget(&mut self, overlap: usize) {
        let from = self.boundary(self.released.saturating_sub(overlap).max(self.start));
        self.text.drain(..from - self.start);
        self.start = from;
    }
}
