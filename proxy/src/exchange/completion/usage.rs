//! Token counts in every spelling.
//!
//! OpenAI: `prompt_tokens`, `completion_tokens` and their details. Responses: `input_tokens`,
//! `output_tokens` and their details. Anthropic: `input_tokens` without what the cache gave,
//! which stands beside it. SGLang: `reasoning_tokens` beside the rest. llama.cpp: `timings`,
//! where the prompt is likewise told without its cached part.
//! Counts of a stream are running totals: a later one replaces an earlier one, field by field.

use super::Usage;
use super::json::count;
use crate::exchange::tree::Value;

/// What was told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    prompt: Option<u32>,
    completion: Option<u32>,
    cached: Option<u32>,
    reasoning: Option<u32>,
    /// Anthropic: cached tokens that `input_tokens` leaves out.
    cache_read: Option<u32>,
    cache_created: Option<u32>,
    /// llama.cpp: prompt, cached and generated tokens from `timings`.
    timings: [Option<u32>; 3],
}

impl Counts {
    /// Takes `usage` and `timings` of an object, where it has them.
    pub(super) fn read(&mut self, value: &Value) {
        if let Some(usage) = value.get("usage") {
            self.read_usage(usage);
        }
        if let Some(timings) = value.get("timings") {
            for (slot, key) in self.timings.iter_mut().zip(["prompt_n", "cache_n", "predicted_n"]) {
                *slot = count(timings, key).or(*slot);
            }
        }
    }

    /// Takes the fields of a usage object.
    pub(super) fn read_usage(&mut self, usage: &Value) {
        let detail = |objects: [&str; 2], key| objects.iter().find_map(|name| count(usage.get(name)?, key));
        let told = |slot: &mut Option<u32>, found: Option<u32>| *slot = found.or(*slot);
        told(&mut self.prompt, count(usage, "prompt_tokens").or_else(|| count(usage, "input_tokens")));
        told(&mut self.completion, count(usage, "completion_tokens").or_else(|| count(usage, "output_tokens")));
        let cached = detail(["prompt_tokens_details", "input_tokens_details"], "cached_tokens");
        told(&mut self.cached, cached.or_else(|| count(usage, "cached_tokens")));
        let reasoning = detail(["completion_tokens_details", "output_tokens_details"], "reasoning_tokens");
        told(&mut self.reasoning, reasoning.or_else(|| count(usage, "reasoning_tokens")));
        told(&mut self.cache_read, count(usage, "cache_read_input_tokens"));
        told(&mut self.cache_created, count(usage, "cache_creation_input_tokens"));
    }

    /// Takes the counts that a native answer of TGI or llama.cpp has under names of its own.
    pub(super) fn native(&mut self, prompt: Option<u32>, completion: Option<u32>) {
        self.prompt = prompt.or(self.prompt);
        self.completion = completion.or(self.completion);
    }

    /// The counts; none where nothing was told.
    pub(super) fn usage(self) -> Option<Usage> {
        let [fresh, reused, predicted] = self.timings;
        let outside = self.cache_read.unwrap_or(0).saturating_add(self.cache_created.unwrap_or(0));
        let timed = fresh.map(|n| n.saturating_add(reused.unwrap_or(0)));
        let prompt = self.prompt.map(|n| n.saturating_add(outside)).or(timed);
        let completion = self.completion.or(predicted);
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        Some(Usage {
            prompt_tokens: prompt.unwrap_or(0),
            completion_tokens: completion.unwrap_or(0),
            cached_tokens: self.cached.or(self.cache_read).or(reused).unwrap_or(0),
            reasoning_tokens: self.reasoning.unwrap_or(0),
        })
    }
}
