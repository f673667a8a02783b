//! The texts of a row: bodies, headers, plain text for search. All of them pass redaction.

use std::borrow::Cow;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};

use crate::exchange::Record;
use crate::exchange::completion::{Choice, Completion};
use crate::exchange::conversation::{Conversation, Message, Part};
use crate::exchange::stored::StoredExchange;

use super::{Config, Read, Redact, judged};

/// Bytes beyond the limit that are redacted too, so that a find at the limit is seen whole.
const SLACK_BYTES: usize = 8192;

/// Longest short text (path, model, fault) that is kept.
const SHORT_BYTES: usize = 1024;

/// Fills in every text of the row.
pub(super) fn fill(row: &mut StoredExchange, record: &Record, read: &Read, config: &Config, redact: &dyn Redact) {
    let mut pen = Pen { redact, finds: 0 };
    let request = &record.request;
    row.path = pen.short(request.target.path());
    row.model_requested = pen.short(request.facts.model.as_deref().unwrap_or_default());
    row.error_message = pen.short(record.error.as_ref().map_or("", |error| &error.message));
    row.response_type = pen.short(&record.response.content_type);
    row.user_agent = pen.short(header(record, &USER_AGENT));
    if record.cache.hit.is_some() {
        row.redactions = pen.finds;
        return;
    }
    let (headers, finds) = redact.headers(&request.headers);
    row.request_headers = headers;
    pen.finds += finds;

    let kind = header(record, &CONTENT_TYPE);
    let request_body = if request_is_plain(record) { &request.body[..] } else { b"" };
    let response_body = if is_plain(&record.response.content_encoding) { &record.response.body[..] } else { b"" };
    row.request_body = pen.body(kind, request_body, config.request_bytes.bytes());
    row.response_body = pen.body(&record.response.content_type, response_body, config.response_bytes.bytes());
    row.content_truncated = request_body.len().min(config.request_bytes.bytes()) < request.body.len()
        || (response_body.len().min(config.response_bytes.bytes()) as u64) < record.response.total_bytes;

    let limit = config.text_bytes.bytes();
    if let Some(conversation) = &read.conversation {
        row.prompt_text = pen.long(&last_user_text(conversation), limit);
    }
    if let Some(completion) = &read.completion {
        row.model_answered = pen.short(&completion.model);
        row.finish_reasons = completion.choices.iter().map(|choice| pen.short(&choice.finish_reason)).collect();
        let said = completion.choices.first().map_or("", |choice| said(choice));
        row.completion_text = pen.long(said, limit);
    }
    judged::fill(row, record, read.completion.as_ref(), config, &mut pen);
    row.redactions = pen.finds;
}

/// Redacts, cuts and counts.
pub(super) struct Pen<'a> {
    redact: &'a dyn Redact,
    finds: u32,
}

impl Pen<'_> {
    pub(super) fn short(&mut self, text: &str) -> String {
        self.long(text, SHORT_BYTES)
    }

    pub(super) fn long(&mut self, text: &str, limit: usize) -> String {
        let (text, finds) = self.redact.text(Cow::Borrowed(head(text, limit.saturating_add(SLACK_BYTES))));
        self.finds = self.finds.saturating_add(finds);
        cut(text, limit)
    }

    /// Text whose finds are counted elsewhere.
    pub(super) fn uncounted(&mut self, text: &str, limit: usize) -> String {
        let finds = self.finds;
        let text = self.long(text, limit);
        self.finds = finds;
        text
    }

    pub(super) fn body(&mut self, kind: &str, body: &[u8], limit: usize) -> String {
        let most = limit.saturating_add(SLACK_BYTES).min(body.len());
        let read = &body[..most];
        // The lossy reader is slow where there is nothing to lose.
        let text = std::str::from_utf8(read).map_or_else(|_| String::from_utf8_lossy(read), Cow::Borrowed);
        let (text, finds) = self.redact.body(kind, text);
        self.finds = self.finds.saturating_add(finds);
        cut(text, limit)
    }
}

/// The text as far as the limit, on a character boundary.
fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn cut(text: Cow<'_, str>, limit: usize) -> String {
    let mut text = text.into_owned();
    text.truncate(text.floor_char_boundary(limit));
    text
}

fn header<'a>(record: &'a Record, name: &http::HeaderName) -> &'a str {
    record.request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether a body of this content encoding can be read as it is.
pub(super) fn is_plain(encoding: &str) -> bool {
    encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

pub(super) fn request_is_plain(record: &Record) -> bool {
    record.request.headers.get(CONTENT_ENCODING).is_none_or(|value| value.to_str().is_ok_and(is_plain))
}

/// Every text of a conversation; none where it has parts that are no text.
pub(super) fn texts(conversation: &Conversation) -> Option<Vec<&str>> {
    let parts = conversation.messages.iter().flat_map(|message| &message.parts);
    let mut texts = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Reasoning(text) | Part::ToolResult(text) => texts.push(text.as_str()),
            Part::ToolCall { name, arguments } => texts.extend([name.as_str(), arguments.as_str()]),
            Part::Other(_) => return None,
        }
    }
    Some(texts)
}

fn last_user_text(conversation: &Conversation) -> String {
    let said =
        |message: &&Message| message.role == "user" && message.parts.iter().any(|part| matches!(part, Part::Text(_)));
    let Some(message) = conversation.messages.iter().rev().find(said) else { return String::new() };
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) fn said(choice: &Choice) -> &str {
    if choice.text.is_empty() { &choice.refusal } else { &choice.text }
}

/// Tokens of a completion that nobody counted: one for each event of a stream that carries
/// a piece of text, or by the length of the text, whichever is more.
pub(super) fn estimate_tokens(record: &Record, completion: &Completion) -> u32 {
    let texts = completion.choices.iter().flat_map(|choice| {
        let calls = choice.tool_calls.iter().flat_map(|call| [call.name.as_str(), call.arguments.as_str()]);
        [choice.text.as_str(), choice.reasoning.as_str(), choice.refusal.as_str()].into_iter().chain(calls)
    });
    let (ascii, other) = texts.fold((0u64, 0u64), |(ascii, other), text| {
        let plain = text.bytes().filter(u8::is_ascii).count();
        (ascii + plain as u64, other + (text.chars().count() - plain) as u64)
    });
    if ascii + other == 0 {
        return 0;
    }
    // Common vocabularies: about five letters of English, two of other scripts, to a token.
    let by_length = (ascii / 5 + other / 2).max(1);
    // Every choice opens with an event for its role and closes with one for its reason;
    // the stream closes with one for its end.
    let choices = completion.choices.len() as u32;
    let closed = completion.choices.iter().filter(|choice| !choice.finish_reason.is_empty()).count() as u32;
    let frame = choices + closed + u32::from(completion.ended);
    u32::try_from(by_length).unwrap_or(u32::MAX).max(record.response.events.saturating_sub(frame))
}
