//! A completion: what the LLM returned, read from any API shape, streamed or not.
//!
//! Pure. Foreign bytes: nothing here panics, whatever comes in, and everything that an
//! index in a body could make large is bounded. A plain answer is read by the same code as
//! one large event, so that both ways of sending an answer give the same [`Completion`].

mod chat;
mod completions;
mod embeddings;
mod error;
mod follow;
mod json;
mod messages;
mod native;
mod pattern;
mod pieces;
pub mod render;
mod responses;
mod scan;
pub mod sse;
#[cfg(test)]
mod tests;
mod tokens;
mod usage;

use self::pattern::Pattern;
use self::pieces::Pieces;
use self::sse::{Event, Reader};
use self::usage::Counts;
use super::Api;
use super::tree::Value;

pub use self::error::error_text;
pub use self::follow::{Channel, Delta, Follower};
pub use self::scan::Scanner;
pub use self::tokens::tokens;

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
    /// Whether something of the answer is not here: an event that could not be read, an item of
    /// an unknown kind, more choices or parts than are kept, a text that was replaced by another.
    /// Who judges it has not seen all that the client sees.
    pub partial: bool,
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

/// Choices kept of one answer: what OpenAI allows for `n`.
const MAX_CHOICES: usize = 128;

/// Tool calls, or blocks of another kind, kept of one choice.
const MAX_PARTS: usize = 512;

/// Reads an answer. `stream` says whether the body is a stream of server-sent events;
/// `path` decides the shape of opaque exchanges (llama.cpp `/completion`, TGI and SGLang
/// `/generate`), best effort. None where the bytes are not of that shape at all.
pub fn read(api: Api, path: &str, stream: bool, body: &[u8]) -> Option<Completion> {
    let mut assembler = Assembler::new(api, path)?;
    if stream {
        let mut reader = Reader::default();
        reader.push(body, |event| assembler.event(event));
        assembler.completion.partial |= reader.dropped() > 0;
    } else {
        assembler.plain(body);
    }
    assembler.finish()
}

/// How an answer is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Chat,
    Completions,
    Responses,
    Messages,
    Embeddings,
    /// llama.cpp's own `/completion` and `/infill`.
    LlamaCpp,
    /// `/generate` and `/generate_stream` of TGI, and `/generate` of SGLang.
    Generate,
}

impl Shape {
    fn of(api: Api, path: &str) -> Option<Self> {
        match api {
            Api::Chat => Some(Self::Chat),
            Api::Completions => Some(Self::Completions),
            Api::Responses => Some(Self::Responses),
            Api::Messages => Some(Self::Messages),
            Api::Embeddings => Some(Self::Embeddings),
            Api::Models => None,
            Api::Opaque => match path {
                "/chat/completions" | "/invocations" => Some(Self::Chat),
                "/completion" | "/completions" | "/infill" => Some(Self::LlamaCpp),
                "/generate" | "/generate_stream" | "/" => Some(Self::Generate),
                "/embeddings" => Some(Self::Embeddings),
                _ => None,
            },
        }
    }
}

/// Whether a value is a whole answer or one piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Delta,
}

/// Puts an answer together from the events of its stream, or from its plain body.
#[derive(Clone, Debug)]
pub struct Assembler {
    shape: Shape,
    completion: Completion,
    counts: Counts,
    /// Blocks of shapes that number them; made into the one choice at the end.
    pieces: Pieces,
    /// What events of a stream repeat.
    pattern: Pattern,
    /// Something of this shape was seen.
    seen: bool,
}

impl Assembler {
    /// An assembler for that shape; none where answers of it are not read.
    pub fn new(api: Api, path: &str) -> Option<Self> {
        let shape = Shape::of(api, path)?;
        let (completion, counts, pieces, pattern) = Default::default();
        Some(Self { shape, completion, counts, pieces, pattern, seen: false })
    }

    /// Takes one event of a stream.
    pub fn event(&mut self, event: Event<'_>) {
        if let Some(piece) = self.pattern.piece(event.data).filter(|_| event.name.is_empty()) {
            if let Some(choice) = self.completion.choice(self.pattern.choice) {
                self.pattern.add(piece, choice);
            }
        } else if event.data == b"[DONE]" {
            self.completion.ended |= matches!(self.shape, Shape::Chat | Shape::Completions | Shape::Generate);
            self.seen = true;
        } else if let Ok(value) = serde_json::from_slice::<Value>(event.data) {
            self.take(Part::Delta, event.name, &value);
            self.pattern.learn(self.shape, event.data, &value);
        } else {
            self.completion.partial |= !event.data.is_empty();
        }
    }

    /// Takes a whole plain body.
    pub fn plain(&mut self, body: &[u8]) {
        if self.shape == Shape::Embeddings {
            return embeddings::plain(self, body);
        }
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
        self.take(Part::Whole, b"", &value);
        self.completion.ended = self.seen;
    }

    /// Whether a token came: content, reasoning, refusal or a tool call.
    pub fn has_token(&self) -> bool {
        self.completion.choices.iter().any(Choice::has_token) || self.pieces.has_token()
    }

    /// Whether nothing more can come: the end was seen, or an error.
    pub fn over(&self) -> bool {
        self.completion.ended || self.completion.error.is_some()
    }

    /// The completion; none where nothing of this shape was seen.
    pub fn finish(mut self) -> Option<Completion> {
        self.completion.usage = self.counts.usage();
        let full = |choice: &Choice| choice.tool_calls.len() >= MAX_PARTS;
        self.completion.partial |= self.pieces.is_partial() || self.completion.choices.iter().any(full);
        if !self.pieces.is_empty() {
            self.pieces.into_choice(self.completion.choice(0)?);
        }
        self.seen.then_some(self.completion)
    }

    fn take(&mut self, part: Part, name: &[u8], value: &Value) {
        if let Some(text) = error::in_value(value, name == b"error") {
            self.completion.error.get_or_insert(text);
            self.seen = true;
        }
        match self.shape {
            Shape::Chat => chat::take(self, part, value),
            Shape::Completions => completions::take(self, value),
            Shape::Responses => responses::take(self, part, name, value),
            Shape::Messages => messages::take(self, part, name, value),
            Shape::LlamaCpp => native::llama_cpp(self, value),
            Shape::Generate => native::generate(self, part, value),
            Shape::Embeddings => {}
        }
    }

    /// What the OpenAI shapes have around their choices.
    fn envelope(&mut self, value: &Value) {
        json::copy_text(&mut self.completion.model, value, "model");
        json::copy_text(&mut self.completion.system_fingerprint, value, "system_fingerprint");
        self.counts.read(value);
    }
}

impl Completion {
    /// The choice of that index, made where it is not there yet; none past the limit.
    fn choice(&mut self, index: usize) -> Option<&mut Choice> {
        if index >= MAX_CHOICES {
            self.partial = true;
            return None;
        }
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        self.choices.get_mut(index)
    }
}

impl Choice {
    fn has_token(&self) -> bool {
        !(self.text.is_empty() && self.reasoning.is_empty() && self.refusal.is_empty() && self.tool_calls.is_empty())
    }
}
