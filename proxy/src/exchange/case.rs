//! An exchange as critics see it, made from the bytes of its request and the answer read.
//!
//! Pure. The context of an answer is what the conversation itself carries of it: results of
//! tools always, and the parts of messages that a deployment says hold retrieved text.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_critic::{Answer, Case, Format, Passage, Role, Task, Token, Tool, ToolCall, Turn};

use super::completion::{self, Completion};
use super::conversation::{self, Message, Part};
use super::record::is_event_stream;
use super::tree::Value;
use super::{Api, Fault, Request};

/// Where retrieved text stands in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    /// Names of tags: what stands between `<name>` and `</name>` in a system or user message is
    /// retrieved text. Attributes within the opening tag are allowed.
    pub tags: Vec<String>,
    /// Whether the whole system message is text that answers should rest on.
    pub system: bool,
}

impl Default for Context {
    fn default() -> Self {
        let tags = ["context", "document", "documents", "passage", "passages", "source", "sources"];
        Self { tags: tags.map(str::to_owned).to_vec(), system: false }
    }
}

impl Context {
    /// What is wrong with the values.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        let is_name =
            |tag: &&String| tag.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') && !tag.is_empty();
        let bad = self.tags.iter().filter(|tag| !is_name(tag));
        let cure = "write the bare name, as in \"context\"";
        bad.map(|tag| Fault::new(format!("{path}.tags"), format!("'{tag}' is no name of a tag"), cure)).collect()
    }

    /// The retrieved text in a message of that role.
    fn passages(&self, role: Role, text: &str) -> Vec<Passage> {
        let source = match role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant | Role::Tool => return Vec::new(),
        };
        if role == Role::System && self.system {
            return vec![Passage { source: source.to_owned(), text: text.to_owned() }];
        }
        let found = tagged(text, &self.tags);
        found.into_iter().map(|text| Passage { source: source.to_owned(), text: text.to_owned() }).collect()
    }
}

/// An answer's bytes and what its head says of them.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// `Content-Type`.
    pub content_type: &'a str,
    /// `Content-Encoding`; empty where none. Encoded answers are not read.
    pub content_encoding: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// Reads an answer, and makes the case of its exchange. No case where the answer cannot be read,
/// or not all of it: a critic must not find good what it has not seen.
pub fn read(request: &Request, given: &Given<'_>, context: &Context) -> (Option<Completion>, Option<Case>) {
    if !(given.content_encoding.is_empty() || given.content_encoding.eq_ignore_ascii_case("identity")) {
        return (None, None);
    }
    let (api, path) = (request.api, request.target.path());
    let stream = is_event_stream(given.content_type);
    let Some(completion) = completion::read(api, path, stream, given.body) else { return (None, None) };
    if completion.partial || completion.choices.is_empty() {
        return (Some(completion), None);
    }
    let mut case = case(api, &request.body, &completion, context);
    let tokens = completion::tokens(api, path, stream, given.body);
    add_tokens(&mut case, tokens);
    (Some(completion), Some(case))
}

/// Puts an answer that has come since into a case that was made before it.
pub fn answered(case: &mut Case, completion: &Completion, tokens: Vec<Vec<Token>>) {
    case.answers = answers(completion);
    case.task = task(&case.format, &case.answers);
    add_tokens(case, tokens);
}

fn add_tokens(case: &mut Case, tokens: Vec<Vec<Token>>) {
    case.answers.iter_mut().zip(tokens).for_each(|(answer, tokens)| answer.tokens = tokens);
}

/// The case of an exchange. Where the request's body cannot be read, the conversation is empty:
/// the answer is judged all the same.
pub fn case(api: Api, body: &[u8], completion: &Completion, context: &Context) -> Case {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let conversation = conversation::of_value(api, &value).unwrap_or_default();
    let turns: Vec<Turn> = conversation.messages.iter().map(turn).collect();
    let results = conversation.messages.iter().flat_map(|message| &message.parts).filter_map(result);
    let said = turns.iter().flat_map(|turn| context.passages(turn.role, &turn.text));
    let format = format(&value);
    let answers = answers(completion);
    Case {
        context: results.chain(said).collect(),
        conversation: turns,
        tools: tools(&value),
        task: task(&format, &answers),
        format,
        answers,
        references: Vec::new(),
    }
}

/// The form that a request asks for. Bodies that say none are not parsed for it.
pub fn asked_format(request: &Request) -> Format {
    if !request.facts.formatted {
        return Format::Text;
    }
    serde_json::from_slice::<Value>(&request.body).map_or(Format::Text, |value| format(&value))
}

/// The choices of an answer as critics see them.
pub fn answers(completion: &Completion) -> Vec<Answer> {
    completion.choices.iter().map(answer).collect()
}

fn turn(message: &Message) -> Turn {
    let role = match message.role.as_str() {
        "system" | "developer" => Role::System,
        "assistant" | "model" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::User,
    };
    let texts: Vec<&str> = message.parts.iter().filter_map(text).collect();
    Turn { role, text: texts.join("\n") }
}

fn text(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) | Part::ToolResult(text) => Some(text),
        Part::Reasoning(_) | Part::ToolCall { .. } | Part::Other(_) => None,
    }
}

fn result(part: &Part) -> Option<Passage> {
    let Part::ToolResult(text) = part else { return None };
    Some(Passage { source: "tool".to_owned(), text: text.clone() })
}

fn answer(choice: &super::completion::Choice) -> Answer {
    let calls = choice.tool_calls.iter();
    Answer {
        text: choice.text.clone(),
        reasoning: choice.reasoning.clone(),
        refusal: choice.refusal.clone(),
        tool_calls: calls.map(|c| ToolCall { name: c.name.clone(), arguments: c.arguments.clone() }).collect(),
        finish_reason: choice.finish_reason.clone(),
        tokens: Vec::new(),
    }
}

/// Tools that were offered, with the schema of their arguments, in each shape.
fn tools(value: &Value) -> Vec<Tool> {
    let list = value.get("tools").and_then(Value::as_array).unwrap_or_default();
    let tool = |tool: &Value| {
        let function = tool.get("function").unwrap_or(tool);
        let name = function.get("name").and_then(Value::as_str)?.to_owned();
        let parameters = function.get("parameters").or_else(|| function.get("input_schema"));
        let parameters = parameters.filter(|schema| schema.is_object()).map(|schema| Arc::new(schema.into()));
        Some(Tool { name, parameters })
    };
    list.iter().filter_map(tool).collect()
}

/// The form that was asked for: `response_format` of chat, `text.format` of Responses,
/// `output_format` of Messages, and the engines' own `guided_json` (vLLM) and `json_schema` (llama.cpp).
fn format(value: &Value) -> Format {
    let of = |format: &Value| match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Format::Json,
        Some("json_schema") => {
            let named = format.get("json_schema").and_then(|named| named.get("schema"));
            named.or_else(|| format.get("schema")).map_or(Format::Json, schema)
        }
        _ => Format::Text,
    };
    let standard = value.get("response_format").or_else(|| value.get("output_format"));
    let standard = standard.or_else(|| value.get("text").and_then(|text| text.get("format")));
    match standard.map(of) {
        Some(format) if format != Format::Text => format,
        _ => {
            let own = ["guided_json", "json_schema"].iter().find_map(|key| value.get(key));
            own.filter(|schema| schema.is_object()).map_or(Format::Text, schema)
        }
    }
}

fn schema(value: &Value) -> Format {
    Format::Schema(Arc::new(value.into()))
}

fn task(format: &Format, answers: &[Answer]) -> Task {
    let mut growing = Growing::default();
    for (choice, answer) in answers.iter().enumerate() {
        growing.text(choice, &answer.text);
        growing.calls |= !answer.tool_calls.is_empty();
    }
    growing.task(format)
}

/// What tells the kind of an answer that is still written.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    /// By choice.
    texts: Vec<Fences>,
    /// Whether a tool is called.
    pub calls: bool,
}

impl Growing {
    /// Adds visible text.
    pub fn text(&mut self, choice: usize, text: &str) {
        if self.texts.len() <= choice {
            self.texts.resize_with(choice + 1, Fences::default);
        }
        self.texts[choice].push(text);
    }

    /// What kind of work the answer is so far.
    pub fn task(&self, format: &Format) -> Task {
        if *format != Format::Text {
            return Task::Json;
        }
        if self.calls && !self.texts.iter().any(|text| text.speaks) {
            return Task::Tools;
        }
        let sum = |(code, all), text: &Fences| (code + text.code(), all + text.all);
        let (code, all) = self.texts.iter().fold((0, 0), sum);
        if code * 2 > all { Task::Code } else { Task::Prose }
    }
}

/// Counts bytes within code fences (CommonMark 4.5); a fence that is not closed goes to the end.
#[derive(Clone, Debug, Default)]
struct Fences {
    open: Option<[u8; 3]>,
    /// The first bytes of the current line that are no space.
    lead: ([u8; 3], usize),
    /// Bytes of the current line.
    line: usize,
    closed_lines: usize,
    all: usize,
    speaks: bool,
}

impl Fences {
    fn push(&mut self, text: &str) {
        self.all += text.len();
        self.speaks = self.speaks || !text.trim().is_empty();
        for part in text.split_inclusive('\n') {
            let (lead, known) = &mut self.lead;
            let said = if *known == 0 { part.trim_start() } else { part };
            for byte in said.bytes().take(lead.len() - *known) {
                lead[*known] = byte;
                *known += 1;
            }
            self.line += part.len();
            if part.ends_with('\n') {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        match (self.open, self.mark()) {
            (None, mark) => self.open = mark,
            (open, mark) if open == mark => self.open = None,
            _ => self.closed_lines += self.line,
        }
        (self.line, self.lead.1) = (0, 0);
    }

    fn mark(&self) -> Option<[u8; 3]> {
        let (lead, known) = self.lead;
        (known == 3 && matches!(&lead, b"```" | b"~~~")).then_some(lead)
    }

    /// Bytes of code, the line that is not over with them.
    fn code(&self) -> usize {
        let is_code = self.open.is_some() && self.mark() != self.open;
        self.closed_lines + if is_code { self.line } else { 0 }
    }
}

/// What stands between tags of those names; tags within tags are part of the outer ones' text.
fn tagged<'a>(text: &'a str, names: &[String]) -> Vec<&'a str> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = memchr::memchr(b'<', rest.as_bytes()) {
        rest = &rest[at + 1..];
        let Some(name) = names.iter().find(|name| opens(rest, name)) else { continue };
        let Some(begin) = rest.find('>').map(|end| end + 1) else { break };
        let close = format!("</{name}>");
        let Some(end) = rest[begin..].find(&close) else { continue };
        found.push(rest[begin..begin + end].trim());
        rest = &rest[begin + end + close.len()..];
    }
    found
}

fn opens(text: &str, name: &str) -> bool {
    text.strip_prefix(name).is_some_and(|rest| rest.starts_with(['>', ' ', '\n']))
}

#[cfg(test)]
mod tests;
