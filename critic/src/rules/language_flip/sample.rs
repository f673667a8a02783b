//! The first words of a text: their script, and the language of which they hold common words.
//!
//! Promises: one look at a bounded part of the text, which is copied only where code or links
//! must be left out of it.

use std::borrow::Cow;
use std::sync::LazyLock;

use whatlang::{Lang, Script};

use crate::rules::words::{is_letter, words};

/// Bytes of a text that are read: a language shows at once.
pub(super) const READ: usize = 600;

/// The first words of a text, without code and links.
pub(super) struct Sample<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) letters: usize,
    /// The script of most of its letters.
    pub(super) script: Option<Script>,
}

/// Common words of languages that share a script, parted by blanks; one word may belong to several.
const COMMON: [(Lang, &str); 20] = [
    (Lang::Eng, "the and of to is in that for you it are with what how this be as by can from or have was not your i"),
    (Lang::Deu, "der die und das ist nicht ein zu den mit eine sie von für auf wie ich auch sich dem des im werden"),
    (Lang::Fra, "le la les et est des une pour que dans vous du en un qui sur pas plus par avec au ce sont comment"),
    (Lang::Spa, "el la los y es que en una por las del para un con no se su como más al lo cómo son"),
    (Lang::Ita, "il di che è per un con della sono gli non una la le si come dei nel del alla più da anche"),
    (Lang::Por, "o que do da em um para não uma os com são é de e as por como no na mais dos se você"),
    (Lang::Nld, "de het een en van dat niet met zijn voor op te is in hoe die aan wordt ook je wat deze om"),
    (Lang::Pol, "i w nie się na jest że do to jak z o są lub dla po przez od oraz tym co może"),
    (Lang::Ces, "a v je se na že to jak s pro do z nebo jsou není být který při podle ve o jako"),
    (Lang::Tur, "ve bir bu için ile da de olarak daha gibi olan ne çok veya nasıl değil mi her en"),
    (Lang::Ron, "și de la în un o este pentru cu să nu care pe din mai se sau sunt prin ca"),
    (Lang::Hun, "a az és hogy nem egy is vagy ez meg azt van csak ha mint ezt el kell"),
    (Lang::Swe, "och att det som en på är av för med till den inte ett om har i de kan eller"),
    (Lang::Dan, "og at det som en på er af for med til den ikke et om har i de kan eller"),
    (Lang::Fin, "ja on ei se että hän oli mutta kun ovat joka tai kuin myös voi tämä"),
    (Lang::Ind, "dan yang di untuk dengan ini dari dalam tidak pada adalah itu ke akan atau juga bisa apa"),
    (Lang::Vie, "và của là có cho không một các được trong người với những này để khi từ như về làm"),
    (Lang::Rus, "и в не на что как с по для это из или к от он при так но был быть его я чтобы если"),
    (Lang::Ukr, "і в не на що як з та для це у або до від він при так але був бути його я щоб якщо є"),
    (Lang::Bul, "и в не на че как с по за това от или към той при така но беше да се са е"),
];

/// Words of a text that vote.
const VOTERS: usize = 120;

/// Every common word's hash with a bit for each language that has it: at the place that the
/// hash names, or behind it; 0 where no word is.
static BY_WORD: LazyLock<Vec<(u32, u32)>> = LazyLock::new(|| {
    let mut slots = vec![(0, 0); SLOTS];
    for (language, (_, common)) in COMMON.iter().enumerate() {
        for word in words(common) {
            let mut at = word.hash as usize % SLOTS;
            while slots[at].1 != 0 && slots[at].0 != word.hash {
                at = (at + 1) % SLOTS;
            }
            slots[at] = (word.hash, slots[at].1 | 1 << language);
        }
    }
    slots
});

/// Places for common words, several times as many as there are words.
const SLOTS: usize = 2048;

impl<'a> Sample<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let head = head(text);
        let bytes = head.as_bytes();
        let plain = memchr::memchr(b'`', bytes).is_none() && memchr::memmem::find(bytes, b"://").is_none();
        let text = if plain { Cow::Borrowed(head) } else { Cow::Owned(prose(text)) };
        let (letters, script) = letters(&text);
        Self { text, letters, script }
    }

    /// The language that most of its common words are of, where two more than one of any other are.
    pub(super) fn leading(&self) -> Option<Lang> {
        let slots = &*BY_WORD;
        let mut counts = [0u32; COMMON.len()];
        for word in words(&self.text).take(VOTERS) {
            let mut at = word.hash as usize % SLOTS;
            while slots[at].1 != 0 && slots[at].0 != word.hash {
                at = (at + 1) % SLOTS;
            }
            let mut languages = slots[at].1;
            while languages != 0 {
                counts[languages.trailing_zeros() as usize] += 1;
                languages &= languages - 1;
            }
        }
        let best = (0..counts.len()).max_by_key(|at| counts[*at])?;
        let second = (0..counts.len()).filter(|at| *at != best).map(|at| counts[at]).max()?;
        (counts[best] >= second + 2).then(|| COMMON[best].0)
    }
}

/// The first [`READ`] bytes of a text and what is left of the last word.
fn head(text: &str) -> &str {
    let rest = text.as_bytes().get(READ..).unwrap_or_default();
    // A blank is a character of its own. Words are not longer than this.
    match rest.iter().take(READ).position(u8::is_ascii_whitespace) {
        Some(more) => &text[..READ + more],
        None if rest.is_empty() => text,
        None => &text[..(0..=READ).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)],
    }
}

/// The first words of a text with code and links in it, without these.
fn prose(text: &str) -> String {
    let mut kept = String::with_capacity(READ.min(text.len()));
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let parts = line.split('`').step_by(2).flat_map(str::split_whitespace);
            for word in parts.filter(|word| !word.contains("://")) {
                kept.extend([word, " "]);
                if kept.len() >= READ {
                    return kept;
                }
            }
        }
    }
    kept
}

/// The number of letters, and the script of most of them.
fn letters(text: &str) -> (usize, Option<Script>) {
    let latin = text.bytes().filter(u8::is_ascii_alphabetic).count();
    if text.is_ascii() {
        return (latin, (latin > 0).then_some(Script::Latin));
    }
    let (mut cyrillic, mut others) = (0, 0);
    for c in text.chars().filter(|c| !c.is_ascii() && is_letter(*c)) {
        match c {
            '\u{400}'..='\u{484}' | '\u{487}'..='\u{52F}' => cyrillic += 1,
            _ => others += 1,
        }
    }
    let script = match (latin, cyrillic) {
        (0, 0) if others == 0 => None,
        _ if cyrillic > latin + others => Some(Script::Cyrillic),
        _ if latin > cyrillic + others => Some(Script::Latin),
        _ => whatlang::detect_script(text),
    };
    (latin + cyrillic + others, script)
}
