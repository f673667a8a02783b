//! Notices prompts that an engine cut without saying so: it counts far fewer prompt tokens
//! than were sent.
//!
//! How: characters are turned into a *floor* of tokens with the densest that common
//! tokenizers reach in each script, runs of one character counted as next to nothing.
//! What a model's real counts are in units of that floor is learned per engine and model
//! (a median and a low quantile over the last exchanges). A prompt is called cut where the
//! engine's count is below 0.6 of the low expectation and the prompt is long.
//! Promises: pure (no clock), bounded memory, few false alarms rather than few misses: what
//! learning may add to the floor is capped, because the next prompt may be of another kind.
//! What it must not know: records and where alarms go.
//!
//! A chat template and tool definitions only add tokens, so they cannot raise an alarm;
//! prompts with tools are not learned from. Prompts with images or sounds are not for here.

use std::collections::HashMap;

/// Engine and model pairs remembered; beyond it only the floor is used for new ones.
const PAIRS: usize = 256;
/// Exchanges remembered of each.
const HISTORY: usize = 128;
/// Exchanges after which what was learned counts.
const ENOUGH: usize = 20;
/// Shortest prompt that is judged, and learned from, in tokens of the floor.
const SHORTEST_JUDGED: f64 = 1024.0;
const SHORTEST_LEARNED: f64 = 128.0;
/// Share of the low expectation below which a prompt is called cut.
const SHARE: f64 = 0.6;
/// How far learning may lift the low expectation over the floor.
const LARGEST_LIFT: f64 = 1.5;

/// Characters per token that are hardly ever exceeded over a long text, by script. Measured
/// averages of current vocabularies of 100,000 tokens and more lie at 3 to 5 (ASCII), 2 to 4
/// (other alphabets) and 0.7 to 1.8 (CJK).
const ASCII_PER_TOKEN: f64 = 8.0;
const ALPHABET_PER_TOKEN: f64 = 6.0;
const CJK_PER_TOKEN: f64 = 3.0;
const OTHER_PER_TOKEN: f64 = 4.0;
/// Characters of a run of one character that count; the rest of the run does not.
const RUN: usize = 4;

/// How much text was sent, in tokens of the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sent {
    floor: f64,
}

/// What is expected of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Tokens that the prompt should have: learned, or the floor until enough is learned.
    pub tokens: u32,
    /// Whether the engine seems to have cut it.
    pub truncated: bool,
}

/// Whether a prompt teaches something about the tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// All that the engine counted is in the text.
    Whole,
    /// Tool definitions or the like were counted too.
    WithExtras,
}

/// Learns and judges.
#[derive(Debug, Default)]
pub struct Estimator {
    histories: HashMap<(String, String), History>,
}

/// Counted tokens per token of the floor, of the last exchanges.
#[derive(Debug, Default)]
struct History {
    /// In order of arrival, from `next` on round.
    ratios: Vec<f32>,
    next: usize,
    /// The same by size: quantiles are asked for at every exchange.
    sorted: Vec<f32>,
}

impl Sent {
    /// Adds a piece of the prompt.
    pub fn add(&mut self, text: &str) {
        if text.is_ascii() {
            self.floor += f64::from(ascii_characters(text.as_bytes())) / ASCII_PER_TOKEN;
            return;
        }
        let mut last = None;
        let mut run = 0;
        let (mut ascii, mut alphabet, mut cjk, mut other) = (0u32, 0u32, 0u32, 0u32);
        for char in text.chars() {
            run = if last == Some(char) { run + 1 } else { 1 };
            last = Some(char);
            if run > RUN {
                continue;
            }
            match u32::from(char) {
                0..0x80 => ascii += 1,
                0x80..0x1100 => alphabet += 1,
                0x1100..0x1200 | 0x2E80..0xD800 | 0xF900..0xFB00 | 0xFF00..0xFFF0 | 0x20000..0x32000 => cjk += 1,
                _ => other += 1,
            }
        }
        self.floor += f64::from(ascii) / ASCII_PER_TOKEN
            + f64::from(alphabet) / ALPHABET_PER_TOKEN
            + f64::from(cjk) / CJK_PER_TOKEN
            + f64::from(other) / OTHER_PER_TOKEN;
    }
}

/// Characters that count, of a text without any beyond ASCII: those in a run that are no
/// further than [`RUN`] from its start. One comparison of slices laid over each other, which
/// becomes vector instructions.
fn ascii_characters(text: &[u8]) -> u32 {
    const { assert!(RUN == 4) };
    let places = text.len().saturating_sub(RUN);
    let laid = |by: usize| text.get(by..by + places).unwrap_or_default();
    let [a, b, c, d, e] = [laid(0), laid(1), laid(2), laid(3), laid(4)];
    let same = |at: usize| (a[at] == b[at]) & (b[at] == c[at]) & (c[at] == d[at]) & (d[at] == e[at]);
    let surplus: u32 = (0..places).map(|at| u32::from(same(at))).sum();
    text.len() as u32 - surplus
}

impl Estimator {
    /// Judges a prompt by the engine's count and learns from it.
    pub fn judge(&mut self, engine: &str, model: &str, sent: Sent, lesson: Lesson, counted: u32) -> Expected {
        let pair = (engine.to_owned(), model.to_owned());
        let kept = self.histories.len() < PAIRS || self.histories.contains_key(&pair);
        let mut unknown = History::default();
        let history = if kept { self.histories.entry(pair).or_default() } else { &mut unknown };
        let (low, median) = history.quantiles().unwrap_or((1.0, 1.0));
        let least = sent.floor * low.min(LARGEST_LIFT);
        let truncated = sent.floor >= SHORTEST_JUDGED && f64::from(counted) < SHARE * least;
        if !truncated && lesson == Lesson::Whole && counted > 0 && sent.floor >= SHORTEST_LEARNED {
            history.learn((f64::from(counted) / sent.floor) as f32);
        }
        Expected { tokens: (sent.floor * median).round() as u32, truncated }
    }
}

impl History {
    fn learn(&mut self, ratio: f32) {
        if self.ratios.len() < HISTORY {
            self.ratios.push(ratio);
        } else {
            let old = std::mem::replace(&mut self.ratios[self.next], ratio);
            let at = self.place(old).min(self.sorted.len() - 1);
            self.sorted.remove(at);
        }
        self.sorted.insert(self.place(ratio), ratio);
        self.next = (self.next + 1) % HISTORY;
    }

    /// Where a ratio lies in, or belongs into, the sorted ones.
    fn place(&self, ratio: f32) -> usize {
        self.sorted.partition_point(|other| other.total_cmp(&ratio).is_lt())
    }

    /// The 5 per cent quantile and the median, once there is enough to tell.
    fn quantiles(&self) -> Option<(f64, f64)> {
        let sorted = &self.sorted;
        if sorted.len() < ENOUGH {
            return None;
        }
        let at = |share: f64| f64::from(sorted[(share * (sorted.len() - 1) as f64) as usize]);
        Some((at(0.05), at(0.5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Sent {
        let mut sent = Sent::default();
        sent.add(text);
        sent
    }

    const ENGLISH: &str = "The river rises in the hills above the town and falls, after forty miles, into the sea. ";
    const RUSSIAN: &str = "Река берёт начало в холмах над городом и впадает, пройдя сорок миль, в холодное море. ";
    const CHINESE: &str = "这条河发源于城镇上方的山丘，流经四十英里后汇入大海，沿途灌溉了许多村庄和田野。";
    const CODE: &str =
        "    for (index, value) in values.iter().enumerate() {\n        total += value * weights[index];\n    }\n";
    const JSON: &str = "{\"id\": 48211, \"name\": \"pump station\", \"levels\": [0.12, 0.44, 0.91], \"open\": true},\n";

    /// Characters per token at which dense vocabularies write these texts; the engine's true
    /// count is at least so many tokens.
    const KINDS: [(&str, &str, f64); 5] = [
        ("english", ENGLISH, 4.9),
        ("russian", RUSSIAN, 4.6),
        ("chinese", CHINESE, 1.9),
        ("code", CODE, 4.2),
        ("json", JSON, 2.9),
    ];

    fn prompt(unit: &str, tokens: f64, per_token: f64) -> (Sent, u32) {
        let repeats = (tokens * per_token / unit.chars().count() as f64) as usize;
        let text = unit.repeat(repeats);
        (sent(&text), (text.chars().count() as f64 / per_token) as u32)
    }

    #[test]
    fn whole_prompts_of_any_kind_and_in_any_order_raise_no_alarm() {
        for first in KINDS {
            let mut estimator = Estimator::default();
            for _ in 0..HISTORY {
                let (sent, counted) = prompt(first.1, 3000.0, first.2);
                assert!(!estimator.judge("e", "m", sent, Lesson::Whole, counted).truncated, "{}", first.0);
            }
            for (name, unit, per_token) in KINDS {
                let (sent, counted) = prompt(unit, 20_000.0, per_token);
                let expected = estimator.judge("e", "m", sent, Lesson::Whole, counted);
                assert!(!expected.truncated, "{name} after {}: {expected:?}, counted {counted}", first.0);
            }
        }
    }

    #[test]
    fn long_runs_of_one_character_raise_no_alarm() {
        for unit in [" ", "=", "-", "a", "\n", "哈", "🙂"] {
            // Vocabularies hold runs of up to 128 of such characters as one token.
            let text = format!("{}{}", ENGLISH.repeat(50), unit.repeat(500_000));
            let counted = (ENGLISH.len() as f64 * 50.0 / 4.9) as u32 + 500_000 / 128;
            let expected = Estimator::default().judge("e", "m", sent(&text), Lesson::Whole, counted);
            assert!(!expected.truncated, "{unit:?}: {expected:?}");
        }
    }

    #[test]
    fn a_prompt_of_160_thousand_tokens_cut_to_16_thousand_is_noticed_at_once_and_later() {
        for (name, unit, per_token) in KINDS {
            let (sent, counted) = prompt(unit, 160_000.0, per_token);
            assert!(counted > 159_000);
            let mut estimator = Estimator::default();
            assert!(estimator.judge("e", "m", sent, Lesson::Whole, 16_384).truncated, "{name}");
            for _ in 0..HISTORY {
                let (sent, counted) = prompt(unit, 3000.0, per_token);
                estimator.judge("e", "m", sent, Lesson::Whole, counted);
            }
            let expected = estimator.judge("e", "m", sent, Lesson::WithExtras, 16_384);
            assert!(expected.truncated, "{name}");
            let off = f64::from(expected.tokens) / f64::from(counted);
            assert!((0.9..1.1).contains(&off), "{name}: expected {} of {counted}", expected.tokens);
        }
    }

    #[test]
    fn characters_beyond_ascii_do_not_change_how_the_others_are_counted() {
        for text in ["", "abc", "aaaa", "aaaaa", "aaaaaaaaab", "abbbbbcccccccd", ENGLISH, CODE, JSON] {
            let (plain, mixed, extra) = (sent(text), sent(&format!("{text}é")), sent("é"));
            assert!((plain.floor + extra.floor - mixed.floor).abs() < 1e-9, "{text}");
        }
    }

    #[test]
    fn only_the_last_exchanges_are_remembered() {
        let mut history = History::default();
        for n in 0..5 * HISTORY {
            history.learn(((n * 37) % 101) as f32 / 7.0);
        }
        let mut last = history.ratios.clone();
        last.sort_unstable_by(f32::total_cmp);
        assert_eq!((history.sorted, last.len()), (last, HISTORY));
    }

    #[test]
    fn cut_prompts_do_not_teach() {
        let mut estimator = Estimator::default();
        let (sent, _) = prompt(ENGLISH, 160_000.0, 4.9);
        for _ in 0..3 * HISTORY {
            assert!(estimator.judge("e", "m", sent, Lesson::Whole, 16_384).truncated);
        }
    }

    #[test]
    fn short_prompts_are_not_judged_and_memory_is_bounded() {
        let mut estimator = Estimator::default();
        assert!(!estimator.judge("e", "m", sent(&ENGLISH.repeat(20)), Lesson::Whole, 1).truncated);
        for n in 0..2 * PAIRS {
            estimator.judge("e", &n.to_string(), sent(ENGLISH), Lesson::Whole, 20);
        }
        assert_eq!(estimator.histories.len(), PAIRS);
    }
}
