//! Phrases by their first bytes, so that most words of a text are passed over at a look.
//!
//! Promises: for ASCII text, the same hits as looking for every phrase at every beginning of
//! a word; a few nanoseconds for a word. Other text has the automaton.

/// Bytes of a phrase that tell it apart from most words.
const HEAD: usize = 4;

/// ASCII phrases.
pub(super) struct Openings {
    /// A bit for each hash of first bytes that a phrase has.
    known: [u64; 64],
    /// First bytes and phrase, sorted.
    phrases: Vec<(u32, &'static str)>,
}

impl Openings {
    /// Those of the phrases that an ASCII text can hold. None may be shorter than [`HEAD`].
    pub(super) fn of(phrases: impl Iterator<Item = &'static str>) -> Self {
        let ascii = phrases.filter(|phrase| phrase.is_ascii());
        let mut phrases: Vec<_> = ascii.filter_map(|phrase| Some((first(phrase.as_bytes())?, phrase))).collect();
        phrases.sort_unstable();
        let mut known = [0; 64];
        for (first, _) in &phrases {
            let (word, bit) = place(*first);
            known[word] |= bit;
        }
        Self { known, phrases }
    }

    /// Where phrases begin in an ASCII text, at beginnings of words.
    pub(super) fn hits<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = text.as_bytes();
        bytes.windows(HEAD).enumerate().filter_map(move |(at, head)| {
            let begins = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
            (begins && self.begins(head, &text[at..])).then_some(at)
        })
    }

    fn begins(&self, head: &[u8], rest: &str) -> bool {
        let Some(first) = first(head) else { return false };
        let (word, bit) = place(first);
        if self.known[word] & bit == 0 {
            return false;
        }
        let from = self.phrases.partition_point(|(known, _)| *known < first);
        let alike = self.phrases[from..].iter().take_while(|(known, _)| *known == first);
        alike.into_iter().any(|(_, phrase)| rest.starts_with(phrase))
    }
}

fn first(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<HEAD>().map(|head| u32::from_le_bytes(*head))
}

fn place(first: u32) -> (usize, u64) {
    let hash = first.wrapping_mul(0x9E37_79B1) >> 20;
    (hash as usize >> 6, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::super::phrases::phrases;
    use super::*;

    #[test]
    fn every_ascii_phrase_is_met_where_a_word_begins() {
        let openings = Openings::of(phrases());
        for phrase in phrases().filter(|phrase| phrase.is_ascii()) {
            assert!(phrase.len() >= HEAD, "{phrase}");
            assert_eq!(openings.hits(&format!("so, {phrase}")).next(), Some(4), "{phrase}");
            assert!(openings.hits(&format!("xx{phrase}")).all(|at| at > 2), "{phrase}");
        }
    }
}
