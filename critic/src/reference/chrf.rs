//! chrF2 (Popović, WMT 2015) with the numbers of sacrebleu: characters without whitespace in
//! sequences of one to six, recall twice as heavy as precision, case kept.

use std::collections::HashMap;

const ORDERS: usize = 6;
const BETA_SQUARED: f64 = 4.0;

/// chrF2 of one text against the nearest of its references, 0..=1.
pub fn sentence(text: &str, references: &[&str]) -> f64 {
    let ours = Sequences::of(text);
    references.iter().map(|reference| ours.against(&Sequences::of(reference))).fold(0.0, f64::max)
}

/// The characters of a text, in the order in which they stand.
struct Sequences(Vec<char>);

impl Sequences {
    fn of(text: &str) -> Self {
        Self(text.chars().filter(|c| !super::is_space(*c)).collect())
    }

    fn counts(&self, order: usize) -> HashMap<&[char], usize> {
        let mut counts = HashMap::new();
        for sequence in self.0.windows(order) {
            *counts.entry(sequence).or_default() += 1;
        }
        counts
    }

    fn against(&self, reference: &Self) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for order in 1..=ORDERS.min(self.0.len()).min(reference.0.len()) {
            let theirs = reference.counts(order);
            let common = self.counts(order).into_iter().map(|(s, n)| n.min(theirs.get(s).copied().unwrap_or(0)));
            let common = common.sum::<usize>() as f64;
            precision += common / (self.0.len() + 1 - order) as f64;
            recall += common / (reference.0.len() + 1 - order) as f64;
            orders += 1.0;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / orders, recall / orders);
        (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    }
}
