//! Walks over the few bytes of a text at which a find can be recognised (`@`, digits, the
//! `_` of `ghp_`, the `J` of `eyJ` ...), 16 bytes at a time.

/// Bytes that are looked at together.
const STEP: usize = 16;

/// What can be recognised at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    At,
    Digit,
    Secret,
}

impl Trigger {
    pub(super) fn of(byte: u8) -> Self {
        match byte {
            b'@' => Self::At,
            b'0'..=b'9' => Self::Digit,
            _ => Self::Secret,
        }
    }
}

/// The triggers of a text, in order.
pub(super) struct Triggers<'a> {
    bytes: &'a [u8],
    /// Where the bytes begin that `marks` tells of.
    base: usize,
    /// A byte for each of them, 1 where it is a trigger.
    marks: u128,
}

impl<'a> Triggers<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, base: 0, marks: marks(bytes) }
    }

    /// The first trigger at `at` or behind it. `at` never goes back.
    pub(super) fn from(&mut self, at: usize) -> Option<usize> {
        match at.saturating_sub(self.base) {
            gone @ 0..STEP => self.marks &= u128::MAX << (8 * gone),
            _ => (self.base, self.marks) = (at, marks(self.bytes.get(at..)?)),
        }
        while self.marks == 0 {
            self.base += STEP;
            self.marks = marks(self.bytes.get(self.base..)?);
        }
        Some(self.base + self.marks.trailing_zeros() as usize / 8)
    }
}

fn marks(rest: &[u8]) -> u128 {
    let mut marks = [0; STEP];
    match rest.first_chunk::<STEP>() {
        Some(step) => marks.iter_mut().zip(step).for_each(|(to, byte)| *to = mark(*byte)),
        None => marks.iter_mut().zip(rest).for_each(|(to, byte)| *to = mark(*byte)),
    }
    u128::from_le_bytes(marks)
}

/// 1 for a trigger. Written without branches or tables, so that a step becomes a few vector
/// instructions; `:` follows the digits, `A` and `B` follow `@`.
fn mark(byte: u8) -> u8 {
    u8::from(byte.wrapping_sub(b'0') <= b':' - b'0')
        | u8::from(byte.wrapping_sub(b'@') <= b'B' - b'@')
        | u8::from(byte == b'-')
        | u8::from(byte == b'_')
        | u8::from(byte == b'=')
        | u8::from(byte == b'J')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_triggers_are_those_that_recognisers_know() {
        let known: Vec<u8> = (0..=255).filter(|byte| mark(*byte) == 1).collect();
        assert_eq!(String::from_utf8(known).unwrap(), "-0123456789:=@ABJ_");
    }

    proptest! {
        #[test]
        fn every_trigger_from_a_place_on_is_met_once_and_in_order(text in "[a-z@0-9:_ é]{0,80}", skip in 1usize..40) {
            let bytes = text.as_bytes();
            let (mut triggers, mut at) = (Triggers::of(bytes), 0);
            loop {
                let expected = (at..bytes.len()).find(|at| mark(bytes[*at]) == 1);
                prop_assert_eq!(triggers.from(at), expected);
                let Some(met) = expected else { break };
                at = met + 1 + (met * 7) % skip;
            }
        }
    }
}
