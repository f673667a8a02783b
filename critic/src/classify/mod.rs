//! Text classifiers that are trained here and judge in microseconds.
//!
//! Sparse logistic regression over hashed words and pieces of words: `features` turns a text
//! into numbers, `train` finds weights, `artefact` is the file between the two. Same rows,
//! same settings: the same file, byte for byte.
//! Knows no critic: critics ask an [`Artefact`] for a probability.

pub mod artefact;
pub mod features;
mod fit;
pub mod phrases;
mod quality;
pub mod train;

pub use artefact::{Artefact, Card, Error};
pub use features::Shape;

/// Index and value of the largest; the first of equals, and of nothing `(0, -inf)`.
fn largest(values: &[f32]) -> (usize, f32) {
    let start = (0, f32::NEG_INFINITY);
    values.iter().enumerate().fold(start, |best, (index, &value)| if value > best.1 { (index, value) } else { best })
}
