//! Judges: critics that ask an LLM, over written criteria, in pairs, or for what is wrong.
//!
//! What holds for all of them. The text that is judged is data: it stands between marks made
//! from its own digest, which it cannot know, and control tokens in it are broken. A reply is
//! one JSON object that the engine's grammar enforces; what it says is weighed by the
//! probabilities of its tokens where the engine tells them. A reply that cannot be read, or that
//! contradicts itself, is an abstention: never a pass and never a failure.

mod material;
pub mod pairwise;
pub mod reflection;
mod reply;
pub mod rubric;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Fault;
use crate::{Finding, Judgement, Place, Skip};

/// What a question may hold and what a reply may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest answer that is judged, in bytes; a longer one is skipped as unreadable, because
    /// what is wrong could stand in the part that is left out.
    pub max_answer_bytes: usize,
    /// Most of the conversation and its context that is shown, in bytes. More is cut, oldest
    /// turns and ends of passages first, and said in a finding.
    pub max_context_bytes: usize,
    /// Tokens that a reply may have.
    pub max_tokens: u32,
    /// Likeliest tokens asked for at each place, for weighing; 0 asks for none. Engines allow 20
    /// at most, some fewer.
    pub top_logprobs: u8,
}

/// Most questions to one case: choices times criteria.
pub(crate) const MAX_QUESTIONS: usize = 32;

impl Default for Limits {
    fn default() -> Self {
        Self { max_answer_bytes: 16 << 10, max_context_bytes: 24 << 10, max_tokens: 200, top_logprobs: 10 }
    }
}

impl Limits {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.max_answer_bytes == 0 {
            faults.push(Fault::new("limits.max_answer_bytes", "is 0, nothing would be judged", "give at least 1"));
        }
        if self.max_tokens < 16 {
            let problem = format!("{} tokens hold no verdict", self.max_tokens);
            faults.push(Fault::new("limits.max_tokens", problem, "give 16 or more"));
        }
        if self.top_logprobs > 20 {
            let problem = format!("{} is more than engines allow", self.top_logprobs);
            faults.push(Fault::new("limits.top_logprobs", problem, "give 20 or less"));
        }
        faults
    }

    /// A request with these messages whose reply has this shape.
    fn request(&self, messages: &[Value], shape: &Value) -> Value {
        let mut body = json!({
            "messages": messages,
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "stream": false,
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "verdict", "strict": true, "schema": shape },
            },
        });
        if self.top_logprobs > 0 {
            body["logprobs"] = json!(true);
            body["top_logprobs"] = json!(self.top_logprobs);
        }
        body
    }
}

fn message(role: &str, text: impl Into<String>) -> Value {
    json!({ "role": role, "content": text.into() })
}

/// An object with exactly these properties. Engines write them in the order in which they come
/// here, which is that of their names: what is decided first has the earlier name.
fn object(properties: Value) -> Value {
    let names: Vec<String> = properties.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

/// Changes with the settings and with the words of the prompt.
fn version(kind: &str, settings: &impl Serialize, prompt: &str) -> String {
    let settings = serde_json::to_string(settings).unwrap_or_default();
    let digest = blake3::hash(format!("{settings}\n{prompt}").as_bytes());
    format!("{kind}-1-{}", &digest.to_hex()[..12])
}

fn too_long(limits: &Limits) -> Judgement {
    let message = format!("the answer is longer than the {} bytes that this judge reads", limits.max_answer_bytes);
    Judgement {
        findings: vec![Finding::new("too_long", Place::Whole, message)],
        ..Judgement::skipped(Skip::Unreadable)
    }
}

fn judged_in_part() -> Finding {
    let message = "the conversation or its context was longer than what this judge reads: it saw the last part";
    Finding::new("judged_in_part", Place::Whole, message)
}

fn is_ratio(key: &'static str, value: f64) -> Option<Fault> {
    let fault = Fault::new(key, format!("{value} is no probability"), "give a number from 0 to 1");
    (!(0.0..=1.0).contains(&value)).then_some(fault)
}

#[cfg(test)]
mod tests;
