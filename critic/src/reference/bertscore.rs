//! BERTScore (Zhang et al., ICLR 2020, arXiv 1904.09675) over vectors that somebody else made:
//! each token is matched with its most similar one in the other text.

/// Mean best similarities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BertScore {
    /// Over the tokens of the text.
    pub precision: f64,
    /// Over the tokens of the reference.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// One vector for each token; all of one length. Without importance weights and without the
/// rescaling by a baseline. None where a text has no tokens or its vectors are no numbers or
/// do not fit.
pub fn bertscore(text: &[Vec<f32>], reference: &[Vec<f32>]) -> Option<BertScore> {
    let length = text.first()?.len();
    let unfit = |vector: &Vec<f32>| vector.len() != length || vector.iter().any(|x| !x.is_finite());
    if reference.is_empty() || text.iter().chain(reference).any(unfit) {
        return None;
    }
    let (text, reference) = (unit(text), unit(reference));
    let (mut of_text, mut of_reference) = (vec![-1.0_f64; text.len()], vec![-1.0_f64; reference.len()]);
    for (best, ours) in of_text.iter_mut().zip(&text) {
        for (other_best, theirs) in of_reference.iter_mut().zip(&reference) {
            let cosine: f64 = ours.iter().zip(theirs).map(|(a, b)| a * b).sum();
            *best = best.max(cosine);
            *other_best = other_best.max(cosine);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (precision, recall) = (mean(&of_text), mean(&of_reference));
    let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    Some(BertScore { precision, recall, f1 })
}

fn unit(vectors: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let unit = |vector: &Vec<f32>| {
        let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        // A vector of zeros is similar to nothing.
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        vector.iter().map(|x| f64::from(*x) * scale).collect()
    };
    vectors.iter().map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_matched_with_its_nearest() {
        let (x, y, between) = (vec![2.0, 0.0], vec![0.0, 3.0], vec![1.0, 1.0]);
        let same = bertscore(&[x.clone(), y.clone()], &[y.clone(), x.clone()]).unwrap();
        assert_eq!((same.precision, same.recall, same.f1), (1.0, 1.0, 1.0));
        let half = bertscore(std::slice::from_ref(&x), &[x.clone(), y.clone()]).unwrap();
        assert_eq!((half.precision, half.recall), (1.0, 0.5));
        let near = bertscore(std::slice::from_ref(&between), &[x.clone(), y.clone()]).unwrap();
        assert!((near.f1 - 0.5_f64.sqrt()).abs() < 1e-9);
        assert_eq!(bertscore(&[vec![0.0, 0.0]], &[x]).unwrap().f1, 0.0);
    }

    #[test]
    fn what_cannot_be_compared_gives_nothing() {
        assert_eq!(bertscore(&[], &[vec![1.0]]), None);
        assert_eq!(bertscore(&[vec![1.0]], &[vec![1.0, 2.0]]), None);
        assert_eq!(bertscore(&[vec![f32::NAN]], &[vec![1.0]]), None);
    }
}
