//! Exact match and token F1 as SQuAD has them (Rajpurkar et al., arXiv 1606.05250).
//!
//! Beside the original: typographic punctuation counts as space, and `ё` is `е`, or Russian
//! answers would never match their references.

use std::collections::HashMap;

/// The text without case, punctuation, English articles and needless space.
pub fn normalise(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'ё' => plain.push('е'),
            c if c.is_ascii_punctuation() => {}
            c if is_typographic(c) => plain.push(' '),
            c => plain.push(c),
        }
    }
    let words = plain.split(super::is_space).filter(|word| !matches!(*word, "" | "a" | "an" | "the"));
    words.collect::<Vec<_>>().join(" ")
}

/// Harmonic mean of the shares of words that both texts have.
pub fn token_f1(text: &str, reference: &str) -> f64 {
    let (text, reference) = (normalise(text), normalise(reference));
    let (ours, theirs) = (text.split_whitespace().count(), reference.split_whitespace().count());
    if ours == 0 || theirs == 0 {
        return f64::from(ours == theirs);
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in reference.split_whitespace() {
        *left.entry(word).or_default() += 1;
    }
    let common = text.split_whitespace().filter(|word| match left.get_mut(word) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    2.0 * common.count() as f64 / (ours + theirs) as f64
}

/// Punctuation beyond ASCII.
fn is_typographic(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}')
        || matches!(c, '«' | '»' | '¡' | '¿' | '·' | '！' | '，' | '．' | '：' | '；' | '？')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_would_not_call_a_difference_is_none() {
        for (a, b) in [
            ("The Eiffel Tower!", "eiffel tower"),
            ("«Мёртвые души»", "мертвые души"),
            ("Санкт‑Петербург — город", "санкт петербург город"),
            ("an  U.S. state", "US state"),
        ] {
            assert_eq!(normalise(a), normalise(b));
        }
        assert_ne!(normalise("not guilty"), normalise("guilty"));
    }

    #[test]
    fn a_repeated_word_counts_as_often_as_the_reference_has_it() {
        assert_eq!(token_f1("да да да", "да нет"), 0.4);
        assert_eq!((token_f1("", ""), token_f1("the", ""), token_f1("x", "")), (1.0, 1.0, 0.0));
    }
}
