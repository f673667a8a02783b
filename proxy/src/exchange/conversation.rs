//! The conversation in a request body, read from any API shape into one readable form.
//!
//! Pure. Foreign bytes: nothing here panics, whatever comes in.

use super::Api;

/// What the client asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Messages in order; a `system` or `instructions` field comes first.
    pub messages: Vec<Message>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool` ... as written.
    pub role: String,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// Reasoning that was sent back.
    Reasoning(String),
    /// A tool call by the assistant: name and arguments as JSON text.
    ToolCall {
        /// Name of the tool.
        name: String,
        /// Arguments as written.
        arguments: String,
    },
    /// The result of a tool.
    ToolResult(String),
    /// Anything that is no text: `image_url`, `input_audio`, `file` ... by its type.
    Other(String),
}

/// Reads the conversation of a request body; none where the body is not of that shape.
pub fn read(_api: Api, _body: &[u8]) -> Option<Conversation> {
    None
}
