//! Models of the BERT kind in process: texts become vectors, pairs of texts become classes.
//!
//! One runtime (`rten`, all Rust), models by file with checksum, threads and queue bounded.
//! A text is run by itself, never in one tensor with others: the quantised models scale by what
//! is in the tensor, so that a verdict would depend on who else asked. What is shared is the queue, the
//! threads, the weights, and the work on equal texts that wait at once.

pub mod centroids;
mod encoder;
mod service;
mod wordpiece;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};

pub use centroids::Centroids;
pub use encoder::{Encoder, TokenVectors};
pub use service::{Refused, Service};
pub use wordpiece::{Encoding, WordPiece};

use crate::config::Fault;
use crate::models::file::ModelFile;

/// SHA-256 of the embedding model that `deploy/setup` fetches (all-MiniLM-L6-v2, int8, Apache-2.0).
pub const MINILM_SHA256: &str = "afdb6f1a0e45b715d0bb9b11772f032c399babd23bfc31fed1c170afc848bdb1";

/// Which model, and how much work it may take on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder with `model.onnx` and `tokenizer.json`; where `deploy/setup` puts them when empty.
    pub folder: PathBuf,
    /// SHA-256 of `model.onnx`; that of the fetched model when empty.
    pub sha256: String,
    /// Threads that run the model, 1..=64: each takes one core while there is work.
    pub threads: usize,
    /// Texts that may wait for a thread, 1..=65536; more are refused, and their critics say that they shed.
    pub waiting: usize,
    /// Tokens of a text that are read, 16..=512; what follows is not seen.
    pub tokens: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { folder: PathBuf::new(), sha256: String::new(), threads: 1, waiting: 256, tokens: 256 }
    }
}

/// Services that run, so that critics with the same model share one.
static RUNNING: LazyLock<Mutex<HashMap<String, Weak<Service>>>> = LazyLock::new(Mutex::default);

impl Config {
    /// What is wrong with the values, found without reading files.
    pub fn faults(&self) -> Vec<Fault> {
        let ranges = [
            ("embedding.threads", self.threads, 1..=64),
            ("embedding.waiting", self.waiting, 1..=65_536),
            ("embedding.tokens", self.tokens, 16..=512),
        ];
        let wrong = ranges.into_iter().filter(|(_, value, range)| !range.contains(value));
        let fault = |(key, value, range): (&'static str, usize, std::ops::RangeInclusive<usize>)| {
            Fault::new(key, format!("is {value}"), format!("give {} to {}", range.start(), range.end()))
        };
        let mut faults: Vec<Fault> = wrong.map(fault).collect();
        if !self.sha256.is_empty() && !self.model().is_well_formed() {
            faults.push(Fault::new("embedding.sha256", "is no SHA-256", "give 64 hexadecimal digits"));
        }
        faults
    }

    /// The service of these settings, started where none runs yet. Errors name the file.
    pub fn service(&self) -> Result<Arc<Service>, String> {
        let key = format!("{self:?}");
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = running.get(&key).and_then(Weak::upgrade) {
            return Ok(service);
        }
        let folder = self.place();
        let words = ModelFile { path: folder.join("tokenizer.json"), sha256: None }.read()?;
        let words =
            WordPiece::read(&words).map_err(|fault| format!("{}: {fault}", folder.join("tokenizer.json").display()))?;
        let bytes = self.model().read()?;
        let encoder =
            Encoder::new(bytes, words, self.tokens).map_err(|fault| format!("{}: {fault}", folder.display()))?;
        let service = Arc::new(Service::start(encoder, self.threads, self.waiting));
        running.retain(|_, service| service.strong_count() > 0);
        running.insert(key, Arc::downgrade(&service));
        Ok(service)
    }

    /// First digits of the model's checksum, for versions of critics.
    pub fn checksum(&self) -> &str {
        let sum = if self.sha256.is_empty() { MINILM_SHA256 } else { &self.sha256 };
        sum.get(..12).unwrap_or(sum)
    }

    fn place(&self) -> PathBuf {
        if self.folder.as_os_str().is_empty() { models_folder().join("all-MiniLM-L6-v2") } else { self.folder.clone() }
    }

    fn model(&self) -> ModelFile {
        let sha256 = if self.sha256.is_empty() { MINILM_SHA256.to_owned() } else { self.sha256.clone() };
        ModelFile { path: self.place().join("model.onnx"), sha256: Some(sha256) }
    }
}

/// Where models lie when nobody says otherwise: `$WEIR_MODELS`, else `weir/models` in the user's data folder.
pub fn models_folder() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = || named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share")));
    named("WEIR_MODELS").unwrap_or_else(|| data().unwrap_or_default().join("weir/models"))
}

/// Cosine of two vectors of length 1.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
