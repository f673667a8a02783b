//! How good a classifier is, and the line that makes its decision values probabilities.
//!
//! Sources: Platt, "Probabilistic Outputs for Support Vector Machines", 1999; the fit with
//! smoothed targets is Lin, Lin, Weng, "A Note on Platt's Probabilistic Outputs", 2007.

use super::artefact::{Calibration, Quality};
use super::largest;

/// Calibration and quality from decision values of rows that their model had not seen.
pub(super) fn measure(decided: &[Vec<f32>], labels: &[usize], folds: usize) -> (Calibration, Quality) {
    let two = decided.first().is_some_and(|values| values.len() == 1);
    let best: Vec<(usize, f64)> =
        decided.iter().map(|values| largest(values)).map(|(at, v)| (at, f64::from(v))).collect();
    let truth: Vec<bool> =
        best.iter().zip(labels).map(|((at, _), label)| if two { *label == 1 } else { at == label }).collect();
    let values: Vec<f64> = best.iter().map(|(_, value)| *value).collect();
    let calibration = platt(&values, &truth);
    let said: Vec<f64> = values.iter().map(|value| calibration.probability(*value)).collect();
    let chosen: Vec<usize> = match two {
        true => said.iter().map(|said| usize::from(*said >= 0.5)).collect(),
        false => best.iter().map(|(at, _)| *at).collect(),
    };
    let right = chosen.iter().zip(labels).filter(|(a, b)| a == b).count();
    let quality = Quality {
        folds,
        accuracy: right as f64 / labels.len().max(1) as f64,
        auroc: auroc(&values, &truth),
        f1: f1(&chosen, labels, two),
        calibration_error: calibration_error(&said, &truth),
    };
    (calibration, quality)
}

/// Newton's method on the cross entropy; targets are drawn in so that no value is certain.
fn platt(values: &[f64], truth: &[bool]) -> Calibration {
    let positives = truth.iter().filter(|truth| **truth).count() as f64;
    let negatives = truth.len() as f64 - positives;
    let target = |truth: bool| if truth { (positives + 1.0) / (positives + 2.0) } else { 1.0 / (negatives + 2.0) };
    let loss = |line: &Calibration| -> f64 {
        let each = |(value, truth): (&f64, &bool)| {
            let logit = line.slope * value + line.offset;
            // ln(1 + e^x) without overflow.
            logit.max(0.0) + (-logit.abs()).exp().ln_1p() - target(*truth) * logit
        };
        values.iter().zip(truth).map(each).sum()
    };
    let mut line = Calibration { slope: 1.0, offset: 0.0 };
    for _ in 0..100 {
        let (mut g1, mut g2, mut h11, mut h22, mut h12) = (0.0, 0.0, 1e-12, 1e-12, 0.0);
        for (value, truth) in values.iter().zip(truth) {
            let p = line.probability(*value);
            let (gap, curve) = (p - target(*truth), p * (1.0 - p));
            g1 += gap * value;
            g2 += gap;
            h11 += curve * value * value;
            h22 += curve;
            h12 += curve * value;
        }
        if g1.abs() < 1e-6 && g2.abs() < 1e-6 {
            break;
        }
        let determinant = h11 * h22 - h12 * h12;
        let step = ((h22 * g1 - h12 * g2) / determinant, (h11 * g2 - h12 * g1) / determinant);
        let before = loss(&line);
        let at = |size: f64| Calibration { slope: line.slope - size * step.0, offset: line.offset - size * step.1 };
        let sizes = (0..20).map(|halvings| 0.5f64.powi(halvings));
        match sizes.map(at).find(|line| loss(line) < before) {
            Some(better) => line = better,
            None => break,
        }
    }
    line
}

/// Area under the ROC curve by ranks, ties counted half (Mann and Whitney); 1/2 where one side is empty.
fn auroc(values: &[f64], truth: &[bool]) -> f64 {
    let mut order: Vec<(f64, bool)> = values.iter().copied().zip(truth.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = truth.iter().filter(|truth| **truth).count() as f64;
    let negatives = truth.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return 0.5;
    }
    let (mut below, mut area) = (0.0, 0.0);
    for ties in order.chunk_by(|a, b| a.0 == b.0) {
        let up = ties.iter().filter(|(_, truth)| *truth).count() as f64;
        let down = ties.len() as f64 - up;
        area += up * (below + down / 2.0);
        below += down;
    }
    area / (positives * negatives)
}

/// F1 of label 1 where there are two, else the mean over labels.
fn f1(chosen: &[usize], labels: &[usize], two: bool) -> f64 {
    let own = |label: usize| {
        let count = |of: &dyn Fn(bool, bool) -> bool| {
            chosen.iter().zip(labels).filter(|(a, b)| of(**a == label, **b == label)).count() as f64
        };
        let right = count(&|said, is| said && is);
        let wrong = count(&|said, is| said != is);
        if right == 0.0 { 0.0 } else { 2.0 * right / (2.0 * right + wrong) }
    };
    let last = labels.iter().copied().max().unwrap_or(0);
    if two { own(1) } else { (0..=last).map(own).sum::<f64>() / (last + 1) as f64 }
}

fn calibration_error(said: &[f64], truth: &[bool]) -> f64 {
    let mut bins = [(0.0, 0.0); 10];
    for (said, truth) in said.iter().zip(truth) {
        let bin = &mut bins[((said * 10.0) as usize).min(9)];
        bin.0 += said;
        bin.1 += f64::from(u8::from(*truth));
    }
    bins.iter().map(|(said, is): &(f64, f64)| (said - is).abs()).sum::<f64>() / said.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_is_the_share_of_pairs_in_order_with_ties_half() {
        let truth = [false, false, true, true];
        assert_eq!(auroc(&[0.1, 0.2, 0.3, 0.4], &truth), 1.0);
        assert_eq!(auroc(&[0.4, 0.3, 0.2, 0.1], &truth), 0.0);
        assert_eq!(auroc(&[0.1, 0.4, 0.4, 0.9], &truth), 0.875);
        assert_eq!(auroc(&[0.1], &[true]), 0.5);
    }

    #[test]
    fn calibrated_values_are_as_often_right_as_they_say() {
        // 20 % right at -1, 90 % right at 2: two points, so a line through them fits exactly.
        let (mut values, mut truth) = (Vec::new(), Vec::new());
        for at in 0..1_000 {
            values.extend([-1.0, 2.0]);
            truth.extend([at % 10 < 2, at % 10 < 9]);
        }
        let line = platt(&values, &truth);
        assert!(
            (line.probability(-1.0) - 0.2).abs() < 0.005 && (line.probability(2.0) - 0.9).abs() < 0.005,
            "{line:?}"
        );
    }

    #[test]
    fn what_is_always_right_is_never_said_to_be_certain() {
        let values: Vec<f64> = (0..40).map(|at| if at < 20 { -3.0 } else { 3.0 }).collect();
        let truth: Vec<bool> = (0..40).map(|at| at >= 20).collect();
        let line = platt(&values, &truth);
        assert!(line.probability(3.0) < 0.99 && line.probability(3.0) > 0.9, "{line:?}");
    }
}
