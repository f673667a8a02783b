//! ROUGE-L (Lin, ACL 2004): the longest common word sequence, with the numbers of rouge-score
//! without stemming. Its own tokeniser keeps ASCII only, so that Russian scores nothing: here
//! words are letters and digits of any script, which for English gives the same.

/// Shares of the longest common sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RougeL {
    /// Of the words of the text.
    pub precision: f64,
    /// Of the words of the reference.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// ROUGE-L of a text against one reference.
pub fn rouge_l(text: &str, reference: &str) -> RougeL {
    let (text, reference) = (text.to_lowercase(), reference.to_lowercase());
    let (ours, theirs) = (words(&text), words(&reference));
    let common = longest_common(&ours, &theirs) as f64;
    if common == 0.0 {
        return RougeL::default();
    }
    let (precision, recall) = (common / ours.len() as f64, common / theirs.len() as f64);
    RougeL { precision, recall, f1: 2.0 * precision * recall / (precision + recall) }
}

fn words(lower: &str) -> Vec<&str> {
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

fn longest_common(ours: &[&str], theirs: &[&str]) -> usize {
    // One row of the usual table: memory by one text only.
    let mut row = vec![0_usize; theirs.len() + 1];
    for word in ours {
        let mut diagonal = 0;
        for (column, other) in theirs.iter().enumerate() {
            let above = row[column + 1];
            row[column + 1] = if word == other { diagonal + 1 } else { above.max(row[column]) };
            diagonal = above;
        }
    }
    row[theirs.len()]
}
