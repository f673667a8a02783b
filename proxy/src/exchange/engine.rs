//! What is known of an engine: its kind and its fingerprint.

use serde::{Deserialize, Serialize};

/// The program that serves the model. Decides health, version and metrics dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// vLLM's OpenAI-compatible server.
    Vllm,
    /// SGLang.
    Sglang,
    /// TensorRT-LLM's `trtllm-serve`.
    TensorrtLlm,
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// Hugging Face text-generation-inference.
    Tgi,
    /// Any other server that speaks the OpenAI API.
    #[default]
    Openai,
}

impl EngineKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 6] = [Self::Vllm, Self::Sglang, Self::TensorrtLlm, Self::LlamaCpp, Self::Tgi, Self::Openai];

    /// The word used in configuration, labels and columns.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::TensorrtLlm => "tensorrt-llm",
            Self::LlamaCpp => "llama-cpp",
            Self::Tgi => "tgi",
            Self::Openai => "openai",
        }
    }
}

/// What identified the engine when it answered: a change here may change quality.
/// Fields that an engine does not tell stay empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Version of the engine program, as it reports it.
    pub version: String,
    /// Model id or file name that the engine serves.
    pub model: String,
    /// Quantisation, where told (`Q4_1`, `fp8`, `awq` ...).
    pub quantisation: String,
    /// BLAKE3 of the chat template in hex, first 16 digits.
    pub template_hash: String,
    /// Context length per request in tokens; 0 where unknown.
    pub context_tokens: u32,
    /// Other flags seen, `key=value`, sorted by key.
    pub flags: Vec<String>,
}

impl Fingerprint {
    /// Short identity: BLAKE3 over all fields, first 16 hex digits.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let context = self.context_tokens.to_string();
        let fields = [&self.version, &self.model, &self.quantisation, &self.template_hash, &context];
        for field in fields.into_iter().chain(&self.flags) {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }
}
