//! Finds the weights of a classifier: logistic regression, one output per label against the
//! rest, by stochastic gradient steps whose size falls with what a weight has moved already.
//! Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.

use super::features::{Feature, hash, mix};
use super::train::{Prepared, Settings};

/// Gradients under this change nothing that can be seen, and most are under it when labels are many.
const SMALLEST_GRADIENT: f32 = 1e-3;

/// Weights before they are made small.
pub(super) struct Model {
    /// Outputs of a bucket side by side.
    weights: Vec<f32>,
    pub(super) biases: Vec<f32>,
}

/// State of one descent.
struct Descent<'a> {
    rows: &'a Prepared,
    settings: &'a Settings,
    model: Model,
    /// Sum of squared gradients of each weight.
    moved: Vec<f32>,
    moved_biases: Vec<f32>,
}

/// Fits all rows but those of the split that is left out.
pub(super) fn fit(rows: &Prepared, without: Option<usize>, settings: &Settings, pass: &mut dyn FnMut()) -> Model {
    let size = rows.buckets * rows.outputs;
    let mut used: Vec<usize> = (0..rows.labels.len()).filter(|row| Some(rows.folds[*row]) != without).collect();
    let rarity = rarity(rows, &used);
    let model = Model { weights: vec![0.0; size], biases: vec![0.0; rows.outputs] };
    let (moved, moved_biases) = (vec![1e-6; size], vec![1e-6; rows.outputs]);
    let mut descent = Descent { rows, settings, model, moved, moved_biases };
    for epoch in 0..settings.epochs {
        shuffle(&mut used, mix(settings.seed) ^ hash(b'e', &epoch.to_le_bytes()));
        for &row in &used {
            let scaled: Vec<Feature> =
                rows.features[row].iter().map(|&(bucket, value)| (bucket, value * rarity[bucket as usize])).collect();
            descent.step(row, &scaled);
        }
        pass();
    }
    let mut model = descent.model;
    for (bucket, rarity) in rarity.iter().enumerate() {
        model.weights[bucket * rows.outputs..(bucket + 1) * rows.outputs].iter_mut().for_each(|w| *w *= rarity);
    }
    model
}

/// What a feature tells by being rare: ln of rows over rows that have it. It ends up in the weights.
fn rarity(rows: &Prepared, used: &[usize]) -> Vec<f32> {
    let mut having = vec![0u32; rows.buckets];
    used.iter().flat_map(|row| &rows.features[*row]).for_each(|(bucket, _)| having[*bucket as usize] += 1);
    having.iter().map(|count| ((1.0 + used.len() as f32) / (1.0 + *count as f32)).ln() + 1.0).collect()
}

impl Descent<'_> {
    fn step(&mut self, row: usize, features: &[Feature]) {
        let outputs = self.rows.outputs;
        let label = self.rows.labels[row];
        let weight = self.rows.weights[label];
        let decided = self.model.decide(features);
        let gradient = |(output, value): (usize, f32)| {
            let wanted = if outputs == 1 { label == 1 } else { label == output };
            let gradient = (1.0 / (1.0 + (-value).exp()) - f32::from(u8::from(wanted))) * weight;
            (gradient.abs() > SMALLEST_GRADIENT).then_some((output, gradient))
        };
        let gradients: Vec<(usize, f32)> = decided.into_iter().enumerate().filter_map(gradient).collect();
        for &(output, gradient) in &gradients {
            self.moved_biases[output] += gradient * gradient;
            self.model.biases[output] -= self.settings.rate * 0.1 * gradient / self.moved_biases[output].sqrt();
        }
        for &(bucket, value) in features {
            for &(output, gradient) in &gradients {
                let at = bucket as usize * outputs + output;
                let slope = gradient * value + self.settings.decay * self.model.weights[at];
                self.moved[at] += slope * slope;
                self.model.weights[at] -= self.settings.rate * slope / self.moved[at].sqrt();
            }
        }
    }
}

impl Model {
    /// Decision values of a row's features.
    pub(super) fn decide(&self, features: &[Feature]) -> Vec<f32> {
        let outputs = self.biases.len();
        let mut sums = self.biases.clone();
        for &(bucket, value) in features {
            let from = bucket as usize * outputs;
            sums.iter_mut().zip(&self.weights[from..from + outputs]).for_each(|(sum, weight)| *sum += value * weight);
        }
        sums
    }

    /// A byte per weight, and for each output what a byte stands for.
    pub(super) fn quantise(&self) -> (Box<[i8]>, Vec<f32>) {
        let outputs = self.biases.len();
        let mut scales = vec![f32::MIN_POSITIVE; outputs];
        for (at, weight) in self.weights.iter().enumerate() {
            scales[at % outputs] = scales[at % outputs].max(weight.abs() / 127.0);
        }
        let byte = |(at, weight): (usize, &f32)| (weight / scales[at % outputs]).round() as i8;
        (self.weights.iter().enumerate().map(byte).collect(), scales)
    }
}

/// Fisher and Yates, by numbers that follow from the seed.
fn shuffle(order: &mut [usize], seed: u64) {
    let mut state = seed;
    for last in (1..order.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        order.swap(last, (mix(state) % (last as u64 + 1)) as usize);
    }
}
