//! What a critic sees: a conversation, what was retrieved for it, and every answer to it.
//!
//! Plain data, whatever the API shape it came in. Everything that the client would see is
//! here: each choice, its reasoning, its refusal and its tool calls. Text is as the engine
//! wrote it; offsets in findings are bytes into it, on character boundaries.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One exchange as critics see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// Messages before the answer, in order.
    pub conversation: Vec<Turn>,
    /// What the answer should rest on: retrieved passages and results of tools.
    pub context: Vec<Passage>,
    /// Tools that were offered.
    pub tools: Vec<Tool>,
    /// The form that was asked for.
    pub format: Format,
    /// Every choice of the answer, by index.
    pub answers: Vec<Answer>,
    /// Answers known to be right; empty where none is.
    pub references: Vec<String>,
    /// What kind of work was asked for.
    pub task: Task,
}

/// One message before the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// All its text; parts that are no text are left out.
    pub text: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who sets the rules: `system`, `developer`, `instructions`.
    System,
    /// Who asks.
    #[default]
    User,
    /// The LLM, earlier.
    Assistant,
    /// A tool that was called.
    Tool,
}

/// Text that the answer should rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Where it was found: `tool`, `user`, `system` or a name.
    #[serde(default)]
    pub source: String,
    /// The text.
    pub text: String,
}

/// A tool that was offered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// JSON Schema of its arguments; none where the client gave none.
    #[serde(default)]
    pub parameters: Option<Arc<Value>>,
}

/// The form that was asked for (`response_format`, `text.format`, guided JSON).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// One JSON value, an object as the OpenAI API has it.
    Json,
    /// One JSON value that fits a JSON Schema.
    Schema(Arc<Value>),
}

/// One choice of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Visible text.
    pub text: String,
    /// Reasoning, where the engine separates it.
    pub reasoning: String,
    /// Refusal, where the shape has a field for it.
    pub refusal: String,
    /// Tool calls in order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended, as the engine wrote it: `stop`, `length`, `end_turn` ...; empty where it said nothing.
    pub finish_reason: String,
    /// Tokens of the visible text with their log-probabilities; empty where they are not known.
    pub tokens: Vec<Token>,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Name of the tool.
    pub name: String,
    /// Arguments as the LLM wrote them, perhaps invalid JSON.
    pub arguments: String,
}

/// A token with what the engine told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its text.
    pub text: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
    /// Likeliest tokens at its place, likeliest first, with their log-probabilities.
    #[serde(default)]
    pub top: Vec<(String, f32)>,
}

/// What kind of work was asked for. Critics of prose are not used on code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Text for people.
    #[default]
    Prose,
    /// Program text.
    Code,
    /// A JSON value.
    Json,
    /// Calls of tools and nothing else.
    Tools,
}

impl Task {
    /// Every class, for tables of settings and tests.
    pub const ALL: [Self; 4] = [Self::Prose, Self::Code, Self::Json, Self::Tools];

    /// The word used in settings and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prose => "prose",
            Self::Code => "code",
            Self::Json => "json",
            Self::Tools => "tools",
        }
    }
}

impl Case {
    /// The last thing that the user said; empty where there is no user.
    pub fn question(&self) -> &str {
        let last = self.conversation.iter().rev().find(|turn| turn.role == Role::User);
        last.map_or("", |turn| &turn.text)
    }

    /// The parts of every choice that hold text, in the order in which people read them.
    pub fn texts(&self) -> impl Iterator<Item = (super::Place, &str)> {
        use super::Place;
        self.answers.iter().enumerate().flat_map(|(choice, answer)| {
            let calls = answer.tool_calls.iter().enumerate();
            let calls = calls.map(move |(call, c)| (Place::ToolCall { choice, call }, c.arguments.as_str()));
            let own = [
                (Place::Reasoning { choice }, answer.reasoning.as_str()),
                (Place::Text { choice }, answer.text.as_str()),
                (Place::Refusal { choice }, answer.refusal.as_str()),
            ];
            own.into_iter().chain(calls).filter(|(_, text)| !text.is_empty())
        })
    }
}
