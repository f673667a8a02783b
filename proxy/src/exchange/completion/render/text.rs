//! An answer that Weir itself gives, in the shape and form that the client asked for.
//!
//! No engine made it, so it counts no tokens.

use bytes::Bytes;
use serde_json::json;

use super::{Form, events, to_stream};
use crate::exchange::Api;

/// What is said, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// `model` of the answer.
    pub model: &'a str,
    /// `id` of the answer.
    pub id: &'a str,
    /// When it was made, seconds since the Unix epoch; Messages has no place for it.
    pub created: u64,
    /// The whole visible text.
    pub text: &'a str,
}

/// A completed answer that says this text and nothing else; none for shapes that say no text,
/// and for an id or model too long for every event to repeat.
pub fn of_text(api: Api, said: &Text<'_>, form: Form) -> Option<Bytes> {
    let Text { model, id, created, text } = said;
    let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
    let plain = match api {
        Api::Chat => json!({"id": id, "object": "chat.completion", "created": created, "model": model,
            "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text, "refusal": null}}], "usage": usage}),
        Api::Completions => json!({"id": id, "object": "text_completion", "created": created, "model": model,
            "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": "stop"}], "usage": usage}),
        Api::Responses => json!({"id": id, "object": "response", "created_at": created, "model": model,
            "status": "completed", "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
            "parallel_tool_calls": true, "temperature": null, "top_p": null, "tool_choice": "auto", "tools": [],
            "output": [{"id": format!("msg_{id}"), "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}],
            "usage": {"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0}}),
        Api::Messages => json!({"id": id, "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0}}),
        Api::Embeddings | Api::Models | Api::Opaque => return None,
    };
    match form {
        Form::Plain => serde_json::to_vec(&plain).ok().map(Bytes::from),
        Form::Stream { include_usage } => events::write(api, &to_stream(api, plain, include_usage)?),
    }
}
