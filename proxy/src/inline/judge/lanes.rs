//! What came of each text of a stream, as far as the next window needs it.
//!
//! ```text
//! gone │ overlap │ overlap │    window    │ to come
//!      │ released  held    │     held     │
//!      └────────── judged together ───────┘
//! ```
//!
//! Promises: a thing no longer than the overlap is judged at least once with text on both sides
//! of it before any of it may go out; what a cut makes look like one is not taken for it.

use std::ops::Range;

use weir_critic::{Answer, Finding, Judgement, Outcome, Place, ToolCall};

use crate::exchange::completion::{Channel, Delta};

/// Texts of one stream that are followed.
const MAX_LANES: usize = 1024;

/// The texts of one stream.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// Letters of a window, and those that wait at its end.
    window: usize,
    overlap: usize,
    /// A text came that has no lane.
    pub(super) is_full: bool,
}

/// One text of one choice. Places are counted in letters; `start` in bytes, as spans are.
#[derive(Debug)]
struct Lane {
    choice: usize,
    channel: Channel,
    /// The end of it: what is not judged, and what stands before.
    tail: String,
    /// Where the tail begins.
    first: usize,
    start: usize,
    came: usize,
    judged: usize,
    /// Something came since the last window of its choice.
    grows: bool,
}

/// A lane to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    lane: usize,
    /// More is to come: what its end seems to say may be cut.
    is_cut: bool,
}

impl Lanes {
    pub(super) fn new(window: usize, overlap: usize) -> Self {
        Self { lanes: Vec::new(), window, overlap, is_full: false }
    }

    /// Adds a text, and says which lane it is of and how many letters that has now.
    pub(super) fn push(&mut self, delta: &Delta<'_>) -> Option<(usize, usize)> {
        let known = |lane: &Lane| (lane.choice, lane.channel) == (delta.choice, delta.channel);
        let at = match self.lanes.iter().rposition(known) {
            Some(at) => at,
            None if self.lanes.len() == MAX_LANES => {
                self.is_full = true;
                return None;
            }
            None => {
                self.lanes.push(Lane::new(delta.choice, delta.channel));
                self.lanes.len() - 1
            }
        };
        let lane = &mut self.lanes[at];
        lane.tail.push_str(delta.text);
        lane.came += delta.text.chars().count();
        lane.grows = true;
        Some((at, lane.came))
    }

    /// Whether every lane is judged as far as that.
    pub(super) fn are_clean(&self, marks: &[(usize, usize)]) -> bool {
        marks.iter().all(|(lane, came)| *came <= self.lanes[*lane].judged)
    }

    /// Lanes of which a window is full, and with each those of its choice that have come to
    /// rest: nothing came to them for a whole window of another.
    pub(super) fn due(&mut self) -> Vec<Due> {
        let full = self.window.saturating_add(self.overlap);
        let is_full = |lane: &Lane| lane.came - lane.judged >= full;
        let mut choices: Vec<usize> = self.lanes.iter().filter(|lane| is_full(lane)).map(|lane| lane.choice).collect();
        choices.dedup();
        let mut due = Vec::new();
        let moved = self.lanes.iter_mut().enumerate().filter(|(_, lane)| choices.contains(&lane.choice));
        for (at, lane) in moved {
            let grows = std::mem::take(&mut lane.grows);
            if is_full(lane) {
                due.push(Due { lane: at, is_cut: true });
            } else if !grows && lane.came > lane.judged {
                due.push(Due { lane: at, is_cut: false });
            }
        }
        due
    }

    /// Lanes with something that is not judged, now that the stream is over.
    pub(super) fn rest(&self) -> Vec<Due> {
        let open = self.lanes.iter().enumerate().filter(|(_, lane)| lane.came > lane.judged);
        open.map(|(lane, _)| Due { lane, is_cut: false }).collect()
    }

    /// What is to be judged of a lane, as an answer.
    pub(super) fn part(&self, due: Due) -> Answer {
        let text = self.lanes[due.lane].tail.clone();
        match self.lanes[due.lane].channel {
            Channel::Text => Answer { text, ..Answer::default() },
            Channel::Reasoning => Answer { reasoning: text, ..Answer::default() },
            Channel::Refusal => Answer { refusal: text, ..Answer::default() },
            Channel::Arguments { .. } => {
                let call = ToolCall { name: String::new(), arguments: text };
                Answer { tool_calls: vec![call], ..Answer::default() }
            }
        }
    }

    /// Puts what was found in a part where it stands in the stream, and leaves out what the next
    /// window shows better or an earlier one has shown.
    pub(super) fn place(&self, due: Due, judgement: &mut Judgement) {
        let lane = &self.lanes[due.lane];
        let found = judgement.findings.len();
        let edges = lane.edges(due.is_cut, self.overlap);
        judgement.findings.retain(|finding| !finding.span.as_ref().is_some_and(|span| edges.cut(&lane.tail, span)));
        if judgement.outcome == Outcome::Fail && found > 0 && judgement.findings.is_empty() {
            *judgement = Judgement::pass();
        }
        let place = self.place_of(lane);
        judgement.findings.iter_mut().for_each(|finding| lane.put(finding, place));
    }

    /// A lane was found clean.
    pub(super) fn passed(&mut self, due: Due) {
        let lane = &mut self.lanes[due.lane];
        let held = if due.is_cut { self.overlap } else { 0 };
        lane.judged = lane.came.saturating_sub(held).max(lane.judged);
        let gone = lane.judged.saturating_sub(self.overlap).saturating_sub(lane.first);
        let bytes = lane.byte(gone);
        lane.tail.drain(..bytes);
        (lane.first, lane.start) = (lane.first + gone, lane.start + bytes);
    }

    fn place_of(&self, lane: &Lane) -> Place {
        let choice = lane.choice;
        match lane.channel {
            Channel::Text => Place::Text { choice },
            Channel::Reasoning => Place::Reasoning { choice },
            Channel::Refusal => Place::Refusal { choice },
            // Calls may be numbered among blocks of other kinds.
            Channel::Arguments { call } => {
                let is_before = |other: &&Lane| {
                    other.choice == choice && matches!(other.channel, Channel::Arguments { call: at } if at < call)
                };
                Place::ToolCall { choice, call: self.lanes.iter().filter(is_before).count() }
            }
        }
    }
}

/// Bytes of a tail at which a cut may have made something.
struct Edges {
    /// What begins before this byte was shown by an earlier window, if it is no longer than the overlap.
    start: usize,
    /// What ends after this byte is shown by the next, if it begins at or after `held`.
    end: usize,
    held: usize,
    overlap: usize,
}

impl Edges {
    fn cut(&self, tail: &str, span: &Range<usize>) -> bool {
        let Some(found) = tail.get(span.clone()) else { return false };
        let was_shown = span.start < self.start && found.chars().count() <= self.overlap;
        was_shown || (span.end > self.end && span.start >= self.held)
    }
}

impl Lane {
    fn new(choice: usize, channel: Channel) -> Self {
        Self { choice, channel, tail: String::new(), first: 0, start: 0, came: 0, judged: 0, grows: false }
    }

    /// The byte of the tail at which its letter of that number begins.
    fn byte(&self, letter: usize) -> usize {
        self.tail.char_indices().nth(letter).map_or(self.tail.len(), |(at, _)| at)
    }

    /// A word at a cut is doubtful as a whole, up to half the overlap: there are languages
    /// without spaces.
    fn edges(&self, is_cut: bool, overlap: usize) -> Edges {
        let most = overlap / 2;
        let word = |letters: &mut dyn Iterator<Item = char>| -> usize {
            letters.take(most).take_while(|letter| !letter.is_whitespace()).map(char::len_utf8).sum()
        };
        let start = if self.first > 0 { word(&mut self.tail.chars()) } else { 0 };
        let end = if is_cut { word(&mut self.tail.chars().rev()).max(1) } else { 0 };
        let held = self.byte((self.came - self.first).saturating_sub(overlap));
        Edges { start, end: self.tail.len().saturating_sub(end), held, overlap }
    }

    fn put(&self, finding: &mut Finding, place: Place) {
        if matches!(finding.place, Place::Whole | Place::Turn { .. } | Place::Passage { .. }) {
            return;
        }
        finding.place = place;
        finding.span = finding.span.take().map(|span| span.start + self.start..span.end + self.start);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_critic::rules::{banned_terms, personal_data};
    use weir_critic::{Case, Critic};

    use super::*;

    const WINDOW: usize = 20;
    const OVERLAP: usize = 24;

    /// What went out of each lane when a critic had been asked for every window, and what it found.
    struct Told {
        released: usize,
        found: Vec<Finding>,
    }

    fn tell(critic: &dyn Critic, text: &str, cut: usize) -> Told {
        let mut lanes = Lanes::new(WINDOW, OVERLAP);
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(cut) {
            let text: String = piece.iter().collect();
            lanes.push(&Delta { choice: 1, channel: Channel::Text, text: &text });
            if let Some(told) = judge(&mut lanes, critic, Lanes::due) {
                return told;
            }
        }
        judge(&mut lanes, critic, |lanes| lanes.rest())
            .unwrap_or_else(|| Told { released: lanes.lanes.first().map_or(0, |lane| lane.judged), found: Vec::new() })
    }

    fn judge(lanes: &mut Lanes, critic: &dyn Critic, due: impl Fn(&mut Lanes) -> Vec<Due>) -> Option<Told> {
        for due in due(lanes) {
            let case = Case { answers: vec![lanes.part(due)], ..Case::default() };
            let mut judgement = critic.judge(&case);
            lanes.place(due, &mut judgement);
            if judgement.outcome == Outcome::Fail {
                return Some(Told { released: lanes.lanes[due.lane].judged, found: judgement.findings });
            }
            lanes.passed(due);
        }
        None
    }

    fn terms(term: &str) -> banned_terms::BannedTerms {
        let config = banned_terms::Config { terms: vec![term.to_owned()], ..banned_terms::Config::default() };
        banned_terms::BannedTerms::new(config).unwrap()
    }

    proptest! {
        #[test]
        fn a_leak_never_goes_out_and_is_told_where_it_stands(
            head in "[a-zя ]{0,150}", tail in "[a-zя ]{0,150}", cut in 1usize..12,
        ) {
            let text = format!("{head} ann@example.org {tail}");
            let told = tell(&personal_data::PersonalData::new(Default::default()), &text, cut);
            prop_assert!(told.released <= head.chars().count() + 1, "{}", told.released);
            prop_assert_eq!(told.found[0].place, Place::Text { choice: 1 });
            let found = told.found[0].span.clone().map(|span| &text[span]);
            prop_assert_eq!(found, Some("ann@example.org"));
        }

        #[test]
        fn a_word_that_a_cut_leaves_of_another_is_not_taken_for_it(words in "(class|assign|я| ){0,120}", cut in 1usize..9) {
            let told = tell(&terms("ass"), &words, cut);
            let whole: Vec<&str> = words.split(' ').collect();
            prop_assert_eq!(told.found.is_empty(), !whole.contains(&"ass"));
            prop_assert_eq!(told.released, words.chars().count());
        }
    }

    #[test]
    fn a_text_without_spaces_is_judged_as_any_other() {
        for before in 0..120 {
            let text = format!("{}{}{}", "好".repeat(before), "坏", "好".repeat(120));
            let told = tell(&Char('坏'), &text, 3);
            assert!(told.released <= before, "{before}");
            assert_eq!(told.found[0].span, Some(before * 3..before * 3 + 3));
        }
    }

    /// Finds a letter.
    #[derive(Debug)]
    struct Char(char);

    impl Critic for Char {
        fn version(&self) -> &str {
            "1"
        }

        fn effort(&self) -> weir_critic::Effort {
            weir_critic::Effort::Rule
        }

        fn judge(&self, case: &Case) -> Judgement {
            let found = case.texts().flat_map(|(place, text)| {
                text.match_indices(self.0).map(move |(at, bad)| Finding::new("bad", place, "").at(at..at + bad.len()))
            });
            Judgement::of(found.collect())
        }
    }

    #[test]
    fn a_text_that_came_to_rest_waits_no_longer_than_a_window_of_the_next_and_only_of_its_choice() {
        let mut lanes = Lanes::new(WINDOW, OVERLAP);
        let push = |lanes: &mut Lanes, choice, channel| lanes.push(&Delta { choice, channel, text: "0123456789" });
        let quiet = push(&mut lanes, 0, Channel::Reasoning).unwrap();
        let other = push(&mut lanes, 1, Channel::Reasoning).unwrap();
        let mut windows = 0;
        while !lanes.are_clean(&[quiet]) {
            push(&mut lanes, 0, Channel::Text);
            for due in lanes.due() {
                windows += usize::from(due.is_cut);
                lanes.passed(due);
            }
        }
        assert_eq!(windows, 2);
        assert!(!lanes.are_clean(&[other]));
    }
}
