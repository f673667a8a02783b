//! Answers and tool arguments that are not the JSON that was asked for.
//!
//! Where the client asked for JSON, the visible text must be one JSON value (RFC 8259) and
//! nothing else; where it gave a JSON Schema (draft 2020-12, or the draft that the schema
//! names), the value must fit it. Tool calls must name a tool that was offered, and their
//! arguments must be a JSON object that fits the tool's schema. A schema that cannot be
//! compiled is no fault of the answer: the critic then does not say.

mod schemas;

use std::fmt::Write as _;
use std::sync::Arc;

use jsonschema::ValidationError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Format, Judgement, Place, Skip, ToolCall};
use schemas::Schemas;

/// Faults told of one value: the first ones are what a retry needs.
const TOLD: usize = 4;

/// What is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether visible text is held to the form that was asked for; true by default.
    pub text: bool,
    /// Whether tool calls are held to the tools that were offered; true by default.
    pub tool_calls: bool,
    /// Whether JSON without a schema must be an object, as the OpenAI API promises; true by default.
    pub require_object: bool,
    /// Compiled schemas that are kept, since the same few come with every request. Count, 256
    /// by default.
    pub max_schemas: usize,
}

/// The critic.
#[derive(Debug)]
pub struct Json {
    config: Config,
    schemas: Schemas,
}

/// What was found in one case.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    /// Whether anything was judged.
    judged: bool,
    /// Whether a schema could not be compiled.
    unclear: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { text: true, tool_calls: true, require_object: true, max_schemas: 256 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.text && !self.tool_calls {
            faults.push(Fault::new("text", "is off like tool_calls", "switch one of them on"));
        }
        if self.max_schemas == 0 {
            faults.push(Fault::new("max_schemas", "is 0", "set it to 1 or more"));
        }
        faults
    }
}

impl Json {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        let schemas = Schemas::new(config.max_schemas);
        Self { config, schemas }
    }

    fn judge_text(&self, case: &Case, choice: usize, answer: &Answer, found: &mut Found) {
        let instead = answer.text.is_empty() && (!answer.tool_calls.is_empty() || !answer.refusal.is_empty());
        if !self.config.text || instead || case.format == Format::Text {
            return;
        }
        found.judged = true;
        let place = Place::Text { choice };
        let value = match serde_json::from_str::<Value>(&answer.text) {
            Ok(value) => value,
            Err(fault) => return found.findings.push(unparsed(place, &answer.text, &fault)),
        };
        match &case.format {
            Format::Schema(schema) => self.fit(schema, &value, place, found),
            _ if self.config.require_object && !value.is_object() => {
                let message = "the answer is JSON but no object; answer with one JSON object";
                found.findings.push(Finding::new("not_an_object", place, message));
            }
            _ => {}
        }
    }

    fn judge_call(&self, case: &Case, place: Place, call: &ToolCall, found: &mut Found) {
        found.judged = true;
        let tool = case.tools.iter().find(|tool| tool.name == call.name);
        if tool.is_none() && !case.tools.is_empty() {
            let message = format!("there is no tool `{}`; call one that was offered", call.name);
            return found.findings.push(Finding::new("unknown_tool", place, message));
        }
        // Engines write nothing for a call without arguments.
        let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let value = match serde_json::from_str::<Value>(text) {
            Ok(value) => value,
            Err(fault) => return found.findings.push(unparsed(place, text, &fault)),
        };
        if !value.is_object() {
            let message = "the arguments are JSON but no object; write one JSON object";
            return found.findings.push(Finding::new("not_an_object", place, message));
        }
        if let Some(schema) = tool.and_then(|tool| tool.parameters.as_ref()) {
            self.fit(schema, &value, place, found);
        }
    }

    fn fit(&self, schema: &Arc<Value>, value: &Value, place: Place, found: &mut Found) {
        let Some(validator) = self.schemas.compiled(schema) else {
            found.unclear = true;
            return;
        };
        if !validator.is_valid(value) {
            let faults = validator.iter_errors(value).take(TOLD).map(|fault| misfit(place, &fault));
            found.findings.extend(faults);
        }
    }
}

impl Critic for Json {
    fn version(&self) -> &str {
        "json-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        let mut found = Found::default();
        for (choice, answer) in case.answers.iter().enumerate() {
            self.judge_text(case, choice, answer, &mut found);
            let calls = answer.tool_calls.iter().enumerate().filter(|_| self.config.tool_calls);
            calls.for_each(|(call, c)| self.judge_call(case, Place::ToolCall { choice, call }, c, &mut found));
        }
        match found {
            Found { judged: false, .. } => Judgement::skipped(Skip::NotApplicable),
            Found { findings, unclear: true, .. } if findings.is_empty() => Judgement::skipped(Skip::Abstained),
            Found { findings, .. } => Judgement::of(findings),
        }
    }
}

/// Text that is no JSON.
fn unparsed(place: Place, text: &str, fault: &serde_json::Error) -> Finding {
    let at = offset(text, fault.line(), fault.column());
    let fenced = text.trim_start().starts_with("```");
    let mut message = match fault.is_eof() {
        true => "the JSON stops before its end; write it to its end".to_owned(),
        false => format!("this is no JSON ({fault}); answer with JSON and nothing else"),
    };
    if fenced {
        let _always_fits = write!(message, ", without a code block around it");
    }
    Finding::new("invalid_json", place, message).at(at..text.len())
}

/// The byte that serde_json's line and column (both from 1, in bytes) name.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let begin = match line.checked_sub(2) {
        Some(before) => memchr::memchr_iter(b'\n', text.as_bytes()).nth(before).map_or(text.len(), |at| at + 1),
        None => 0,
    };
    let mut at = (begin + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn misfit(place: Place, fault: &ValidationError<'_>) -> Finding {
    let at = fault.instance_path().to_string();
    let at = if at.is_empty() { "the whole value".to_owned() } else { format!("`{at}`") };
    let mut told = fault.to_string();
    // A fault quotes the value, which may be as long as the answer.
    if let Some((end, _)) = told.char_indices().nth(200) {
        told.truncate(end);
        told.push('…');
    }
    Finding::new("schema", place, format!("{at} does not fit the schema: {told}"))
}

#[cfg(test)]
mod tests;
