//! Follows a text as it comes and tells when it runs in circles.
//!
//! Promises: fixed memory whatever the length of the text, one pass, the same result however
//! the text is cut into pieces. What it must not know: where the text comes from.
//!
//! How. The text is read as *units*: a run of letters and digits (at most [`LONGEST`]
//! characters, so that `hahaha...` has units too), or one other visible character; a
//! character of a script that is written without blanks is a unit of its own. Blanks do not
//! count. A unit's hash is compared with the one `period` units ago; where they differ, the
//! place where the last [`SEED`] units stood before is looked up for a new period. A loop is
//! a run in which every unit equals the one a period ago (the definition of a periodic
//! string, see Lothaire, "Combinatorics on Words", 1997, section 1.3).

use crate::rules::words::Class;

/// Units remembered: the longest period that is seen.
const MEMORY: usize = 512;

/// Units that must agree for a new period to be tried.
const SEED: usize = 3;

/// Characters after which a run of letters is cut into a further unit.
const LONGEST: u32 = 24;

/// ASCII by its class; every other character is asked for one by one.
const ASCII: [Class; 128] = {
    let mut classes = [Class::Mark; 128];
    let mut byte = 0u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b' ' | b'\n' | b'\t' | b'\r' => Class::Blank,
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            _ => Class::Mark,
        };
        byte += 1;
    }
    classes
};

/// A run in circles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Byte of the text at which the run begins.
    pub start: usize,
    /// Byte after the last unit of the run so far.
    pub end: usize,
    /// Units after which it comes round.
    pub period: usize,
    /// How often it has come round, the first time included.
    pub rounds: usize,
    /// Whether what comes round holds letters: dashes, dots and columns of numbers often
    /// repeat by right.
    pub has_letters: bool,
}

/// A text on its way.
#[derive(Clone, Debug)]
pub struct Tracker {
    memory: Box<Memory>,
    /// Units so far.
    count: u32,
    /// The period that is being followed; 0 where none is.
    period: u32,
    /// Units that agreed with it, in a row.
    run: u32,
    /// Byte at which the run's first round begins.
    run_start: u32,
    /// Units of the run since the last one with a letter.
    since_letter: u32,
    /// The unit that is being read: its hash, characters, first byte, and whether it has a letter.
    unit: Unit,
    /// Bytes so far.
    bytes: u32,
}

/// What is known of the last units.
#[derive(Clone, Debug)]
struct Memory {
    /// Their hashes, by position modulo [`MEMORY`].
    units: [u32; MEMORY],
    /// Their first bytes, in the same order.
    starts: [u32; MEMORY],
    /// Position after the last place at which a seed stood, by its hash; 0 where none was.
    seeds: [u32; MEMORY],
}

#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    hash: u32,
    characters: u32,
    start: u32,
    letter: bool,
}

impl Unit {
    fn take(&mut self, class: Class, c: u32) {
        self.hash = step(self.hash, c);
        self.letter |= matches!(class, Class::Letter | Class::Sign);
        // A sign is closed by whatever follows it.
        self.characters = if matches!(class, Class::Sign | Class::Mark) { LONGEST } else { self.characters + 1 };
    }

    /// Takes the ASCII letters that follow, as many as belong to it. How many there were.
    fn letters(&mut self, bytes: &[u8]) -> usize {
        let room = (LONGEST - self.characters) as usize;
        let letters = bytes.iter().take(room).take_while(|byte| byte.is_ascii_alphabetic());
        let (hash, taken) = letters.fold((self.hash, 0), |(hash, n), byte| (step(hash, u32::from(*byte)), n + 1));
        self.hash = hash;
        self.characters += taken;
        taken as usize
    }
}

/// One character more. The product does not wait for the hash so far, so that a step takes
/// two cycles; a character's place shows as a rotation, by less than the hash's width.
fn step(hash: u32, c: u32) -> u32 {
    hash.rotate_left(5) ^ c.wrapping_add(1).wrapping_mul(0x9E37_79B1)
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            memory: Box::new(Memory { units: [0; MEMORY], starts: [0; MEMORY], seeds: [0; MEMORY] }),
            count: 0,
            period: 0,
            run: 0,
            run_start: 0,
            since_letter: 0,
            unit: Unit::default(),
            bytes: 0,
        }
    }
}

impl Tracker {
    /// Reads the next piece; `met` is asked after each unit of a run, and ends the reading
    /// by saying that it has seen enough.
    pub fn push(&mut self, piece: &str, mut met: impl FnMut(Loop) -> bool) -> bool {
        let mut at = 0;
        while let Some(byte) = piece.as_bytes().get(at) {
            let begin = self.bytes.saturating_add(at as u32);
            let (class, c) = match ASCII.get(*byte as usize) {
                Some(class) => (*class, u32::from(*byte)),
                None => piece[at..].chars().next().map_or((Class::Blank, 0), |c| (Class::of(c), c as u32)),
            };
            let joins = matches!(class, Class::Letter | Class::Digit) && self.unit.characters < LONGEST;
            if self.unit.characters > 0 && !joins && self.close(begin, &mut met) {
                return true;
            }
            at += if c < 0x80 { 1 } else { char::from_u32(c).map_or(1, char::len_utf8) };
            if class == Class::Blank {
                continue;
            }
            if self.unit.characters == 0 {
                self.unit = Unit { start: begin, ..Unit::default() };
            }
            self.unit.take(class, c);
            if class == Class::Letter && c < 0x80 {
                at += self.unit.letters(&piece.as_bytes()[at..]);
            }
        }
        self.bytes = self.bytes.saturating_add(piece.len() as u32);
        false
    }

    /// Reads the last unit, which nothing follows.
    pub fn finish(&mut self, mut met: impl FnMut(Loop) -> bool) -> bool {
        self.unit.characters > 0 && self.close(self.bytes, &mut met)
    }

    /// Takes the unit that ends at byte `end` into the run, or begins a new one.
    fn close(&mut self, end: u32, met: &mut impl FnMut(Loop) -> bool) -> bool {
        let unit = std::mem::take(&mut self.unit);
        let at = self.count as usize;
        let agrees = self.period > 0 && self.memory.units[(at - self.period as usize) % MEMORY] == unit.hash;
        self.memory.units[at % MEMORY] = unit.hash;
        self.memory.starts[at % MEMORY] = unit.start;
        self.count = self.count.saturating_add(1);
        match agrees {
            true => self.run = self.run.saturating_add(1),
            false => (self.period, self.run) = (0, 0),
        }
        if self.count as usize >= SEED {
            self.seed(at);
        }
        self.since_letter = if unit.letter { 0 } else { self.since_letter.saturating_add(1) };
        self.run >= self.period && self.period > 0 && met(self.found(end))
    }

    /// Notes where the seed that ends at unit `at` stands, and follows the period that its
    /// last place gives where no run is being followed.
    fn seed(&mut self, at: usize) {
        let last = |back: usize| self.memory.units[(at - back) % MEMORY];
        let hash = last(0).rotate_left(7).wrapping_add(last(1)).rotate_left(7).wrapping_add(last(2));
        let slot = (hash.wrapping_mul(0x9E37_79B1) >> 23) as usize % MEMORY;
        let before = self.memory.seeds[slot] as usize;
        self.memory.seeds[slot] = self.count;
        let here = at + 1;
        let period = here - before;
        if self.period > 0 || before < SEED || period + SEED > MEMORY {
            return;
        }
        if (0..SEED).all(|back| self.memory.units[(before - 1 - back) % MEMORY] == last(back)) {
            let first = (before - SEED) % MEMORY;
            (self.period, self.run, self.run_start) = (period as u32, SEED as u32, self.memory.starts[first]);
        }
    }

    fn found(&self, end: u32) -> Loop {
        Loop {
            start: self.run_start as usize,
            end: end as usize,
            period: self.period as usize,
            rounds: (self.run / self.period) as usize + 1,
            has_letters: self.since_letter < self.period,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn longest(pieces: &[&str]) -> Option<Loop> {
        let (mut tracker, mut best) = (Tracker::default(), None);
        let mut keep = |met: Loop| {
            best = Some(met).filter(|met| best.is_none_or(|best: Loop| met.rounds >= best.rounds)).or(best);
            false
        };
        for piece in pieces {
            tracker.push(piece, &mut keep);
        }
        tracker.finish(&mut keep);
        best
    }

    #[test]
    fn a_loop_is_seen_with_its_period_and_its_rounds() {
        let met = longest(&["Well, then: ", &"I do not know. ".repeat(10)]).unwrap();
        assert_eq!((met.period, met.rounds, met.start, met.has_letters), (5, 10, 12, true));
        let met = longest(&[&"не знаю, ".repeat(20)]).unwrap();
        assert_eq!((met.period, met.rounds), (3, 20));
        let met = longest(&[&"我不知道。".repeat(12)]).unwrap();
        assert_eq!((met.period, met.rounds), (5, 12));
        let met = longest(&[&"-".repeat(100)]).unwrap();
        assert!(met.rounds > 90 && !met.has_letters);
        assert!(longest(&[&"ha".repeat(200)]).unwrap().has_letters);
    }

    #[test]
    fn ordinary_text_has_no_loop() {
        let text = "The engine reads the prompt and then writes the answer one token after the other, \
                    until it has said all or the limit is hit; then the client reads the answer.";
        assert_eq!(longest(&[text]), None);
    }

    proptest! {
        #[test]
        fn what_is_seen_does_not_depend_on_the_pieces(
            words in prop::collection::vec("[a-cж我 .-]{1,4}", 1..8), rounds in 1usize..12, cut in 1usize..7,
        ) {
            let text = words.join(" ").repeat(rounds);
            let characters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = characters.chunks(cut).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(longest(&pieces), longest(&[&text]));
        }

        #[test]
        fn every_long_loop_is_seen(words in prop::collection::vec("[a-z]{1,9}", 1..60), rounds in 4usize..12) {
            let text = format!("{} ", words.join(" ")).repeat(rounds);
            let met = longest(&[&text]);
            prop_assert!(met.is_some_and(|met| met.rounds + 1 >= rounds), "{:?}", met);
        }
    }
}
