//! Whether a finished answer is good enough to be given again.
//!
//! Pure: decides on what the background read in it. What cannot be seen there (`no-store`
//! of the engine, another engine than asked, a critic's verdict) is judged elsewhere.

use serde::de::IgnoredAny;

use super::config::RoutePolicy;
use crate::exchange::cached::{About, Reading, Rejected};
use crate::exchange::completion::{Choice, ToolCall};
use crate::exchange::{Api, Outcome, Record};

/// Letters of the prompt that are kept to show.
const PROMPT_CHARS: usize = 160;

/// How a choice ended, by the word that the engine gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself.
    Proper,
    /// At its token limit.
    Limit,
    /// By a filter, or by the model's refusal.
    Refused,
    /// By a fault or by whoever stopped it.
    Broken,
    /// No reason told, or none that is known.
    Untold,
}

/// Judges an answer. Gives what is to be known of it where it may be kept.
pub(super) fn admissible(record: &Record, read: &Reading<'_>, policy: &RoutePolicy) -> Result<About, Rejected> {
    match record.outcome {
        Outcome::EngineError => return Err(Rejected::Status),
        Outcome::Complete if record.status != 200 => return Err(Rejected::Status),
        Outcome::Complete => {}
        Outcome::Refused | Outcome::Failed | Outcome::Broken | Outcome::ClientLeft => return Err(Rejected::Unfinished),
    }
    let coding = record.response.content_encoding.as_str();
    if !(coding.is_empty() || coding.eq_ignore_ascii_case("identity")) {
        return Err(Rejected::Unreadable);
    }
    if record.response.is_truncated() {
        return Err(Rejected::TooLarge);
    }
    let completion = read.completion.ok_or(Rejected::Unreadable)?;
    if completion.error.is_some() {
        return Err(Rejected::Refused);
    }
    if !completion.ended {
        return Err(Rejected::Unfinished);
    }
    let api = record.request.api;
    if api != Api::Embeddings {
        if completion.choices.is_empty() {
            return Err(Rejected::Empty);
        }
        completion.choices.iter().try_for_each(|choice| good(choice, api, policy))?;
    }
    Ok(about(record, read))
}

fn about(record: &Record, read: &Reading<'_>) -> About {
    let completion = read.completion;
    let reasons = completion.map_or(&[][..], |completion| &completion.choices);
    let timings = &record.timings;
    About {
        source: record.request.id,
        model: completion.map(|completion| completion.model.clone()).unwrap_or_default(),
        finish_reasons: reasons.iter().map(|choice| choice.finish_reason.clone()).collect(),
        prompt_tokens: read.prompt_tokens,
        completion_tokens: read.completion_tokens,
        engine_time: timings.last_byte.unwrap_or_default().saturating_sub(timings.sent.unwrap_or_default()),
        prompt: read.prompt.chars().take(PROMPT_CHARS).collect(),
    }
}

fn good(choice: &Choice, api: Api, policy: &RoutePolicy) -> Result<(), Rejected> {
    if !choice.refusal.is_empty() {
        return Err(Rejected::Refused);
    }
    match end(&choice.finish_reason) {
        End::Proper => {}
        End::Limit if policy.keep_cut => {}
        End::Limit | End::Untold => return Err(Rejected::Cut),
        End::Refused => return Err(Rejected::Refused),
        End::Broken => return Err(Rejected::Unfinished),
    }
    if !choice.tool_calls.iter().all(|call| is_whole(call, api)) {
        return Err(Rejected::ToolCall);
    }
    // Reasoning alone answers nothing.
    let says_something = !choice.text.trim().is_empty() || !choice.tool_calls.is_empty();
    if says_something { Ok(()) } else { Err(Rejected::Empty) }
}

/// Words of all shapes and engines; none means one thing here and another there.
fn end(reason: &str) -> End {
    match reason {
        // OpenAI; TGI (`eos_token`, `stop_sequence`); llama.cpp (`eos`, `word`); Anthropic; Responses.
        "stop" | "tool_calls" | "function_call" | "eos_token" | "stop_sequence" | "eos" | "word" | "end_turn"
        | "tool_use" | "completed" => End::Proper,
        "length" | "max_tokens" | "max_output_tokens" | "limit" | "model_context_window_exceeded" => End::Limit,
        "content_filter" | "refusal" => End::Refused,
        // vLLM and SGLang (`abort`, `error`), TensorRT-LLM (`cancelled`, `timeout`), Anthropic
        // (`pause_turn`: the client is to go on), states of a Responses run that is not over.
        "abort" | "error" | "failed" | "cancelled" | "timeout" | "pause_turn" | "in_progress" | "queued" => End::Broken,
        _ => End::Untold,
    }
}

/// Whether a call can be made: it has a name, and a JSON object for arguments. A custom
/// tool's plain input cannot be told from broken arguments and counts as such.
fn is_whole(call: &ToolCall, api: Api) -> bool {
    let arguments = call.arguments.trim();
    // A streamed Messages block without arguments sends none.
    let is_object = (api == Api::Messages && arguments.is_empty())
        || (arguments.starts_with('{') && serde_json::from_str::<IgnoredAny>(arguments).is_ok());
    !call.name.is_empty() && is_object
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
