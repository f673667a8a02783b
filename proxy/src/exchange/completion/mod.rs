//! A completion: what the LLM returned, read from any API shape, streamed or not.
//!
//! Pure. Foreign bytes: nothing here panics, whatever comes in.

pub mod sse;

use super::Api;

/// What the LLM returned, in one form for all shapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// `model` of the answer.
    pub model: String,
    /// `system_fingerprint` or the like; empty where not told.
    pub system_fingerprint: String,
    /// Choices by index.
    pub choices: Vec<Choice>,
    /// Token counts, where the engine told them.
    pub usage: Option<Usage>,
    /// Whether a stream came to its proper end (`[DONE]`, `message_stop`, `response.completed`)
    /// or a plain body was whole.
    pub ended: bool,
    /// Text of an error that came in place of, or within, the answer.
    pub error: Option<String>,
}

/// One of the choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Visible text.
    pub text: String,
    /// Reasoning text, where the engine separates it.
    pub reasoning: String,
    /// Refusal text (`refusal` of the OpenAI shapes).
    pub refusal: String,
    /// Tool calls in order.
    pub tool_calls: Vec<ToolCall>,
    /// `stop`, `length`, `tool_calls` ... as the engine wrote it; empty where none came.
    pub finish_reason: String,
}

/// A call of a tool that the LLM asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Id of the call.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments: JSON text as the LLM wrote it, perhaps invalid.
    pub arguments: String,
}

/// Token counts as the engine told them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Prompt tokens that came from the engine's prefix cache.
    pub cached_tokens: u32,
    /// Generated tokens that were reasoning.
    pub reasoning_tokens: u32,
}

/// Reads an answer. `stream` says whether the body is a stream of server-sent events.
/// None where the bytes are not of that shape at all.
pub fn read(_api: Api, _stream: bool, _body: &[u8]) -> Option<Completion> {
    None
}
