//! Answers made worse, or left as good, in a known way.
//!
//! They teach the models what a label of a whole answer cannot: that one number is enough.
//! The same makers measure robustness; what they draw comes from the seed.

use std::collections::HashSet;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::super::lexicon::{Lexicon, class};
use super::super::text::{Text, Token};
use super::Example;
use super::boost::Random;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The context of another question.
    Context,
    /// What the context says of one sentence of the answer, taken out of it.
    Support,
    /// One number of the answer.
    Number,
    /// One name of the answer.
    Name,
    /// A negation put in or taken out.
    Negation,
    /// A sentence that claims nothing, after the answer.
    Neutral,
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 6] = [Self::Context, Self::Support, Self::Number, Self::Name, Self::Negation, Self::Neutral];

    /// The word for it in cards and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Support => "support",
            Self::Number => "number",
            Self::Name => "name",
            Self::Negation => "negation",
            Self::Neutral => "neutral",
        }
    }
}

/// Sentences that claim nothing, for training; measurements use others.
const NEUTRAL: [&str; 14] = [
    "I hope this helps!",
    "Let me know if you have any further questions.",
    "Please feel free to ask if anything is unclear.",
    "That is all I can say from the given passages.",
    "This answer is based on the passages provided.",
    "These are the main points of the text.",
    "Thank you for your question.",
    "I have tried to keep the answer short.",
    "In short, this is what the context says.",
    "You can read the passages for more details.",
    "Надеюсь, это поможет.",
    "Если у вас есть вопросы, обращайтесь.",
    "Этот ответ основан на приведённых отрывках.",
    "Спасибо за вопрос.",
];

/// The example changed, where it can be; `other` gives what is put in.
pub(crate) fn change(example: &Example, other: &Example, change: Change, random: &mut Random) -> Option<Example> {
    match change {
        Change::Context => {
            let all: Vec<Range<usize>> = std::iter::once(0..example.answer.len()).collect();
            let changed = Example { passages: other.passages.clone(), spans: all, bad: true, ..example.clone() };
            (other.group != example.group).then_some(changed)
        }
        Change::Support => support(example, random),
        Change::Number => number(example, random),
        Change::Name => name(example, other, random),
        Change::Negation => negation(example, random),
        Change::Neutral => {
            let sentence = NEUTRAL[random.below(NEUTRAL.len())];
            Some(append(example, sentence))
        }
    }
}

/// The example changed as the seed draws it, for measuring robustness.
pub fn draw(example: &Example, other: &Example, kind: Change, seed: u64) -> Option<Example> {
    change(example, other, kind, &mut Random::new(seed))
}

/// The example with a sentence after its answer.
pub fn append(example: &Example, sentence: &str) -> Example {
    Example { answer: format!("{} {sentence}", example.answer.trim_end()), ..example.clone() }
}

/// Replaces bytes of the answer and marks the new ones as bad.
fn replaced(example: &Example, at: Range<usize>, with: &str) -> Example {
    let answer = format!("{}{with}{}", &example.answer[..at.start], &example.answer[at.end..]);
    let span = at.start..at.start + with.len().max(1).min(answer.len() - at.start);
    Example { answer, spans: vec![span], bad: true, ..example.clone() }
}

/// Share of a sentence's words from which a sentence of the context supports it.
const SUPPORTS: f32 = 0.35;

fn support(example: &Example, random: &mut Random) -> Option<Example> {
    let mut lexicon = Lexicon::of(&example.answer);
    let answer = Text::cut(&example.answer, &mut lexicon);
    let sentence = answer.sentences.get(random.below(answer.sentences.len().max(1)))?;
    let said: HashSet<u32> = answer.tokens[sentence.tokens.clone()]
        .iter()
        .filter(|token| carries(token, &lexicon))
        .map(|token| token.stem)
        .collect();
    let (mut removed, mut passages) = (false, Vec::new());
    for passage in &example.passages {
        let cut = Text::cut(passage, &mut lexicon);
        let mut left = String::new();
        for part in &cut.sentences {
            let theirs: HashSet<u32> = cut.tokens[part.tokens.clone()].iter().map(|token| token.stem).collect();
            let shared = said.intersection(&theirs).count() as f32;
            match said.len() >= 4 && shared >= SUPPORTS * said.len() as f32 {
                true => removed = true,
                false => left.extend([&passage[part.span.clone()], "\n"]),
            }
        }
        passages.push(left);
    }
    let left = passages.iter().any(|passage| passage.split_whitespace().count() > 20);
    let changed = Example { passages, spans: vec![sentence.span.clone()], bad: true, ..example.clone() };
    (removed && left).then_some(changed)
}

fn carries(token: &Token, lexicon: &Lexicon) -> bool {
    lexicon.get(token.word).class & class::STOP == 0
}

fn number(example: &Example, random: &mut Random) -> Option<Example> {
    let context = example.passages.join("\n");
    let numbers: Vec<(usize, &str)> = example
        .answer
        .unicode_word_indices()
        .filter(|(at, word)| {
            let line = example.answer[..*at].rsplit('\n').next().unwrap_or("");
            let listed = line.trim().is_empty();
            let cited = example.answer[..*at].to_lowercase().trim_end().ends_with("passage");
            word.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'.')
                && !listed
                && !cited
                && context.contains(word)
        })
        .collect();
    let (at, word) = *numbers.get(random.below(numbers.len().max(1)))?;
    let digits: Vec<usize> = word.bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).map(|(at, _)| at).collect();
    // Half of the changes take the first digit, half the last: both kinds of mistake are made.
    let place = if random.unit() < 0.5 { digits[0] } else { digits[digits.len() - 1] };
    let old = word.as_bytes()[place] - b'0';
    let new = 1 + (old as usize + random.below(8)) % 9;
    let new = if new == usize::from(old) { new % 9 + 1 } else { new };
    let changed = format!("{}{new}{}", &word[..place], &word[place + 1..]);
    Some(replaced(example, at..at + word.len(), &changed))
}

fn name(example: &Example, other: &Example, random: &mut Random) -> Option<Example> {
    let context = example.passages.join("\n");
    let own = names(&example.answer);
    let own: Vec<&(usize, String)> = own.iter().filter(|(_, name)| context.contains(name.as_str())).collect();
    let theirs = names(&other.passages.join("\n"));
    let theirs: Vec<&(usize, String)> = theirs.iter().filter(|(_, name)| !context.contains(name.as_str())).collect();
    let (at, old) = *own.get(random.below(own.len().max(1)))?;
    let (_, new) = *theirs.get(random.below(theirs.len().max(1)))?;
    Some(replaced(example, *at..*at + old.len(), new))
}

fn names(text: &str) -> Vec<(usize, String)> {
    let mut lexicon = Lexicon::of(text);
    let cut = Text::cut(text, &mut lexicon);
    let names = cut.tokens.iter().filter(|token| token.name && token.end - token.start > 2);
    names.map(|token| (token.start, text[token.start..token.end].to_owned())).collect()
}

/// Verbs after which "not" turns a statement round.
const VERBS: [&str; 14] =
    ["is", "are", "was", "were", "can", "will", "should", "may", "has", "does", "must", "could", "would", "do"];

fn negation(example: &Example, random: &mut Random) -> Option<Example> {
    let words: Vec<(usize, &str)> = example.answer.unicode_word_indices().collect();
    let mut places: Vec<(Range<usize>, String)> = Vec::new();
    for pair in words.windows(2) {
        let ((at, word), (next_at, next)) = (pair[0], pair[1]);
        let end = at + word.len();
        if next == "not" {
            places.push((end..next_at + next.len(), String::new()));
        } else if VERBS.contains(&word) {
            places.push((end..end, " not".to_owned()));
        } else if word.eq_ignore_ascii_case("не") {
            places.push((at..next_at, String::new()));
        }
    }
    let (at, with) = places.get(random.below(places.len().max(1)))?.clone();
    Some(replaced(example, at, &with))
}
