//! BLEU (Papineni et al., ACL 2002) with the numbers of sacrebleu (Post, WMT 2018):
//! tokeniser 13a, exponential smoothing, case kept, effective order for single texts.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::LazyLock;

use regex::Regex;

const ORDERS: usize = 4;

/// What BLEU is made of; add the counts of many texts for the BLEU of a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    correct: [u64; ORDERS],
    total: [u64; ORDERS],
    length: u64,
    reference_length: u64,
}

/// BLEU of one text, 0..=1.
pub fn sentence(text: &str, references: &[&str]) -> f64 {
    Counts::of(text, references).sentence()
}

/// Words as mteval-v13a and sacrebleu cut them, separated by single spaces.
pub fn tokenise(text: &str) -> String {
    // A pattern that is a constant compiles or fails in the first test that comes here.
    static STEPS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"([{-~\[-` -&(-+:-@/])", " $1 "),
            (r"([^0-9])([.,])", "$1 $2 "),
            (r"([.,])([^0-9])", " $1 $2"),
            (r"([0-9])(-)", "$1 $2 "),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).expect("a constant that tests compile"), with))
        .into()
    });
    let line = text.trim_end_matches(super::is_space);
    let mut line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, with) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        line = line.replace(entity, with);
    }
    line = format!(" {line} ");
    for (pattern, with) in STEPS.iter() {
        line = pattern.replace_all(&line, *with).into_owned();
    }
    line.split(super::is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Counts {
    /// Counts of one text against its references.
    pub fn of(text: &str, references: &[&str]) -> Self {
        let text = tokenise(text);
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let references: Vec<String> = references.iter().map(|reference| tokenise(reference)).collect();
        let references: Vec<Vec<&str>> =
            references.iter().map(|r| r.split(' ').filter(|word| !word.is_empty()).collect()).collect();
        let nearest = references.iter().map(Vec::len).min_by_key(|&length| (length.abs_diff(words.len()), length));
        let mut counts =
            Self { length: words.len() as u64, reference_length: nearest.unwrap_or(0) as u64, ..Self::default() };
        for order in 1..=ORDERS {
            let allowed = most(&references, order);
            for (sequence, count) in sequences(&words, order) {
                counts.total[order - 1] += count;
                counts.correct[order - 1] += count.min(allowed.get(sequence).copied().unwrap_or(0));
            }
        }
        counts
    }

    /// BLEU as for a single text: orders that the text is too short for are left out.
    pub fn sentence(&self) -> f64 {
        self.score(self.total.iter().take_while(|total| **total > 0).count())
    }

    /// BLEU as for a corpus: all four orders.
    pub fn corpus(&self) -> f64 {
        if self.total.contains(&0) { 0.0 } else { self.score(ORDERS) }
    }

    fn score(&self, orders: usize) -> f64 {
        if self.correct.iter().all(|correct| *correct == 0) {
            return 0.0;
        }
        let (mut smoothing, mut logs) = (1.0, 0.0);
        for (correct, total) in self.correct.iter().zip(&self.total).take(orders) {
            let precision = match *correct {
                0 => {
                    smoothing *= 2.0;
                    1.0 / (smoothing * *total as f64)
                }
                some => some as f64 / *total as f64,
            };
            logs += precision.ln();
        }
        let brevity = match self.length < self.reference_length {
            true => (1.0 - self.reference_length as f64 / self.length as f64).exp(),
            false => 1.0,
        };
        brevity * (logs / orders as f64).exp()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        for order in 0..ORDERS {
            self.correct[order] += more.correct[order];
            self.total[order] += more.total[order];
        }
        self.length += more.length;
        self.reference_length += more.reference_length;
    }
}

fn sequences<'w, 't>(words: &'w [&'t str], order: usize) -> HashMap<&'w [&'t str], u64> {
    let mut counts = HashMap::new();
    for sequence in words.windows(order) {
        *counts.entry(sequence).or_default() += 1;
    }
    counts
}

/// How often a sequence stands in the reference that has it most often.
fn most<'w, 't>(references: &'w [Vec<&'t str>], order: usize) -> HashMap<&'w [&'t str], u64> {
    let mut most = HashMap::new();
    for reference in references {
        for (sequence, count) in sequences(reference, order) {
            let seen: &mut u64 = most.entry(sequence).or_default();
            *seen = count.max(*seen);
        }
    }
    most
}
