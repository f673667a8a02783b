//! Topics as points: the mean vector of each topic's examples.
//!
//! A file is JSON: `{"model": checksum of the embedding model, "labels": [..], "vectors": [[..]..]}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Refused, Service, cosine};
use crate::classify::train::Row;

/// Examples of one topic that count; more move the mean no further.
pub const MAX_EXAMPLES: usize = 200;

/// Mean vectors of topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Centroids {
    /// First digits of the checksum of the model that made the vectors: no other may be compared with them.
    pub model: String,
    /// Topics.
    pub labels: Vec<String>,
    /// One vector of length 1 per topic.
    pub vectors: Vec<Vec<f32>>,
}

impl Centroids {
    /// Of labelled rows; `progress` is told how many of them are done.
    pub fn train(
        rows: &[Row],
        model: &str,
        service: &Service,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, Refused> {
        let mut by_label: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        rows.iter().for_each(|row| by_label.entry(&row.label).or_default().push(&row.text));
        let mut made = Self { model: model.to_owned(), labels: Vec::new(), vectors: Vec::new() };
        let mut done = 0;
        for (label, texts) in by_label {
            let mut sum: Vec<f32> = Vec::new();
            for text in texts.into_iter().take(MAX_EXAMPLES) {
                let vector = service.embed(text)?;
                sum.resize(vector.len(), 0.0);
                sum.iter_mut().zip(vector.iter()).for_each(|(sum, number)| *sum += number);
                done += 1;
                progress(done);
            }
            let length = cosine(&sum, &sum).sqrt().max(f32::MIN_POSITIVE);
            made.labels.push(label.to_owned());
            made.vectors.push(sum.into_iter().map(|number| number / length).collect());
        }
        Ok(made)
    }

    /// Reads a file.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|fault| fault.to_string())?;
        let width = read.vectors.first().map_or(0, Vec::len);
        let even = width > 0 && read.vectors.iter().all(|vector| vector.len() == width);
        match even && read.labels.len() == read.vectors.len() {
            true => Ok(read),
            false => Err("labels and vectors do not fit together".to_owned()),
        }
    }

    /// The nearest topic's index and the cosine of the angle to it.
    pub fn nearest(&self, vector: &[f32]) -> (usize, f32) {
        let near = self.vectors.iter().map(|own| cosine(own, vector)).enumerate();
        near.fold((0, f32::NEG_INFINITY), |best, (index, near)| if near > best.1 { (index, near) } else { best })
    }
}
