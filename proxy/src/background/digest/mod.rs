//! Turns a raw record into what is kept of it.
//!
//! Promises: pure of IO and clocks; whatever the bytes, it gives a row; every text in the
//! row has gone through the redaction port. Where the engine told no token counts, the
//! completion's are estimated and marked so; tokens generated for a client that had left
//! are counted as wasted; a prompt that the engine seems to have cut becomes an event too.
//! What it must not know: how text is redacted, how prompts are judged, where rows go.

mod facts;
mod judged;
#[cfg(test)]
mod judged_tests;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::exchange::completion::{self, Completion};
use crate::exchange::conversation::{self, Conversation};
use crate::exchange::record::Answerer;
use crate::exchange::stored::{StoredEvent, StoredExchange};
use crate::exchange::{Api, ByteSize, Fault, Fingerprint, Record};

/// How much of each exchange is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes kept of a request body. Longer ones are cut and marked. Default: 1MiB.
    pub request_bytes: ByteSize,
    /// Bytes kept of a response body. Longer ones are cut and marked. Default: 1MiB.
    pub response_bytes: ByteSize,
    /// Bytes kept of the last user message and of the answer as plain text, each; these
    /// columns serve search. Default: 64KiB.
    pub text_bytes: ByteSize,
}

/// Takes secrets and personal data out of text. The number is how many were found.
pub trait Redact {
    /// Plain text.
    fn text<'a>(&self, text: Cow<'a, str>) -> (Cow<'a, str>, u32);
    /// A body of this content type, whose form stays.
    fn body<'a>(&self, content_type: &str, body: Cow<'a, str>) -> (Cow<'a, str>, u32);
    /// Headers that may be kept.
    fn headers(&self, headers: &HeaderMap) -> (Vec<(String, String)>, u32);
}

/// Says how many tokens a prompt should have, and whether the engine cut it.
pub trait Expect {
    /// Judges a prompt by the engine's count, and learns from it.
    fn prompt(&mut self, prompt: &Prompt<'_>) -> Expected;
}

/// A prompt of nothing but text, with the engine's count of its tokens.
#[derive(Debug)]
pub struct Prompt<'a> {
    /// Name of the engine.
    pub engine: &'a str,
    /// Model that answered.
    pub model: &'a str,
    /// Every piece of text in the messages.
    pub texts: Vec<&'a str>,
    /// Whether tools were offered, whose definitions the engine counts too.
    pub offers_tools: bool,
    /// Tokens that the engine counted, cached ones included.
    pub counted: u32,
}

/// What is expected of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Tokens; 0 where nothing can be said.
    pub tokens: u32,
    /// Whether the engine seems to have cut it.
    pub truncated: bool,
}

/// What sampling decided, as it goes into the row.
#[derive(Clone, Copy, Debug)]
pub struct Inclusion {
    /// Probability with which such exchanges are kept, in (0, 1].
    pub probability: f64,
    /// Why it was kept.
    pub reason: &'static str,
}

/// Turns records into rows; remembers the last fingerprint so as not to write it out anew.
#[derive(Debug)]
pub struct Digester {
    config: Config,
    instance: String,
    fingerprint: Option<Written>,
}

/// A fingerprint written out.
#[derive(Debug)]
struct Written {
    of: Arc<Fingerprint>,
    digest: String,
    json: String,
}

/// What became of a record.
#[derive(Debug)]
pub struct Digested {
    /// What is kept of it.
    pub row: StoredExchange,
    /// What else it told.
    pub event: Option<StoredEvent>,
    /// What was read in the answer; none for hits, whose answer was read when it was made.
    pub completion: Option<Completion>,
}

/// What is read from the two bodies.
#[derive(Debug, Default)]
struct Read {
    conversation: Option<Conversation>,
    completion: Option<Completion>,
}

impl Default for Config {
    fn default() -> Self {
        Self { request_bytes: ByteSize::mib(1), response_bytes: ByteSize::mib(1), text_bytes: ByteSize::kib(64) }
    }
}

impl Config {
    /// Everything that is wrong with it.
    pub fn faults(&self, path: &str) -> Vec<Fault> {
        // One spool record holds both bodies and both texts.
        let sizes = [
            ("request_bytes", self.request_bytes),
            ("response_bytes", self.response_bytes),
            ("text_bytes", self.text_bytes),
        ];
        let large = sizes.iter().filter(|(_, size)| *size > ByteSize::mib(64));
        large
            .map(|(key, size)| {
                Fault::new(format!("{path}.{key}"), format!("{size} is too much"), "write 64MiB or less")
            })
            .collect()
    }
}

impl Digester {
    /// Makes a digester; `instance` is the name of this Weir in every row.
    pub fn new(config: &Config, instance: &str) -> Self {
        Self { config: config.clone(), instance: instance.to_owned(), fingerprint: None }
    }

    /// What is kept of a record: the exchange, and perhaps an event; and what was read in the answer.
    pub fn digest(
        &mut self,
        record: &Record,
        inclusion: Inclusion,
        redact: &dyn Redact,
        expect: &mut dyn Expect,
    ) -> Digested {
        let read = read(record);
        let (row, event) = self.assemble(record, &read, inclusion, redact, expect);
        Digested { row, event, completion: read.completion }
    }

    /// What is read of a record that is not kept: everything but its text and its prompt's length.
    pub fn outline(&mut self, record: &Record) -> (StoredExchange, Option<Completion>) {
        let mut row = StoredExchange::default();
        let completion = if record.cache.hit.is_none() { completion_of(record) } else { None };
        self.begin(&mut row, record, &completion);
        (row, completion)
    }

    fn begin(&mut self, row: &mut StoredExchange, record: &Record, completion: &Option<Completion>) {
        facts::identity(row, record);
        facts::course(row, record);
        facts::timings(row, record);
        if let Some(answerer) = &record.engine {
            self.engine(row, answerer);
        }
        facts::usage(row, record, completion.as_ref());
        facts::cache(row, record);
        judged::words(row, record);
    }

    fn assemble(
        &mut self,
        record: &Record,
        read: &Read,
        inclusion: Inclusion,
        redact: &dyn Redact,
        expect: &mut dyn Expect,
    ) -> (StoredExchange, Option<StoredEvent>) {
        let mut row = StoredExchange {
            inclusion_probability: inclusion.probability,
            sample_reason: inclusion.reason.to_owned(),
            weir_version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.instance.clone(),
            ..StoredExchange::default()
        };
        self.begin(&mut row, record, &read.completion);
        let event = self.expectation(&mut row, record, read, expect);
        text::fill(&mut row, record, read, &self.config, redact);
        (row, event)
    }

    fn engine(&mut self, row: &mut StoredExchange, answerer: &Answerer) {
        row.engine = answerer.engine.to_string();
        row.engine_kind = answerer.kind.as_str().to_owned();
        row.replica = answerer.replica.to_string();
        let known = self.fingerprint.take().filter(|written| Arc::ptr_eq(&written.of, &answerer.fingerprint));
        let written = known.unwrap_or_else(|| Written::new(&answerer.fingerprint));
        row.fingerprint.clone_from(&written.digest);
        row.fingerprint_json.clone_from(&written.json);
        self.fingerprint = Some(written);
    }

    /// Judges the length of the prompt; an event where the engine seems to have cut it.
    fn expectation(
        &self,
        row: &mut StoredExchange,
        record: &Record,
        read: &Read,
        expect: &mut dyn Expect,
    ) -> Option<StoredEvent> {
        let prompt = prompt(row, record, read)?;
        let sent: usize = prompt.texts.iter().map(|text| text.len()).sum();
        let counted = prompt.counted;
        let expected = expect.prompt(&prompt);
        row.expected_prompt_tokens = expected.tokens;
        row.prompt_truncated = expected.truncated;
        let detail = || {
            serde_json::json!({
                "model": row.model_answered, "sent_bytes": sent,
                "expected_tokens": expected.tokens, "counted_tokens": counted,
            })
        };
        expected.truncated.then(|| StoredEvent {
            event_id: event_id(row.exchange_id, "prompt_truncated"),
            at: row.started_at,
            kind: "prompt_truncated".to_owned(),
            exchange_id: row.exchange_id,
            tenant: row.tenant.clone(),
            route: row.route.clone(),
            engine: row.engine.clone(),
            detail: detail().to_string(),
            instance: self.instance.clone(),
        })
    }
}

impl Written {
    fn new(fingerprint: &Arc<Fingerprint>) -> Self {
        let json = serde_json::to_string(fingerprint.as_ref()).unwrap_or_default();
        Self { of: fingerprint.clone(), digest: fingerprint.digest(), json }
    }
}

/// Reads both bodies, where they can be read. Those of a hit were read, and are kept, with the
/// exchange that its answer was made for.
fn read(record: &Record) -> Read {
    if record.cache.hit.is_some() {
        return Read::default();
    }
    let api = record.request.api;
    let asked = is_read(api) && text::request_is_plain(record);
    Read {
        conversation: if asked { conversation::read(api, &record.request.body) } else { None },
        completion: completion_of(record),
    }
}

/// Whether bodies of this shape can be read.
fn is_read(api: Api) -> bool {
    !matches!(api, Api::Models | Api::Opaque)
}

fn completion_of(record: &Record) -> Option<Completion> {
    let (request, response) = (&record.request, &record.response);
    let plain = text::is_plain(&response.content_encoding);
    plain.then(|| completion::read(request.api, request.target.path(), response.is_stream(), &response.body)).flatten()
}

/// The prompt, where it can be judged: nothing but text, counted by the engine.
fn prompt<'a>(row: &'a StoredExchange, record: &'a Record, read: &'a Read) -> Option<Prompt<'a>> {
    let conversation = read.conversation.as_ref()?;
    let completion = read.completion.as_ref()?;
    let counted = completion.usage?.prompt_tokens;
    let texts = text::texts(conversation)?;
    let engine = record.engine.as_ref()?.engine.as_str();
    let answers = matches!(record.request.api, Api::Chat | Api::Completions | Api::Responses | Api::Messages);
    let model = if completion.model.is_empty() { row.model_requested.as_str() } else { &completion.model };
    let offers_tools = !conversation.tools.is_empty();
    (answers && counted > 0).then_some(Prompt { engine, model, texts, offers_tools, counted })
}

/// An id that is the same whenever the same event is digested again (RFC 9562, version 8).
fn event_id(exchange: Uuid, kind: &str) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    hasher.update(exchange.as_bytes()).update(kind.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
