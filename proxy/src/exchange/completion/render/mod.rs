//! A kept answer in the form that another client asked for: plain JSON or a stream.
//!
//! Promises: never a wrong rendering. What cannot be rendered without loss or invention, or is
//! not understood, gives `None`, and the caller asks the engine instead; what is rendered was
//! read back and says the same as what was kept. Texts are handed over whole, one piece a
//! field: when which token came is not kept, so it is not made up. Foreign bytes: no panic,
//! and nothing grows beyond a small multiple of the body.
//!
//! Must not know: the cache, HTTP, or who asks.

mod chat;
mod events;
mod merge;
mod messages;
mod responses;
#[cfg(test)]
mod tests;
mod text;
mod whole;

use bytes::Bytes;
use serde_json::Value;

use super::Completion;
use crate::exchange::Api;

pub use self::text::{Text, of_text};
pub use self::whole::of_completion;

/// The form in which a client asked for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// One JSON body.
    Plain,
    /// Server-sent events.
    Stream {
        /// `stream_options.include_usage` of chat and legacy completions: whether a chunk with
        /// the token counts was asked for. The other shapes always tell them.
        include_usage: bool,
    },
}

/// Renders `body`, an answer that a request in the form `from` got, in the form `to`.
///
/// Equal forms give the very bytes. Chat, legacy completions, Responses and Messages are
/// rendered from each form to the other; of every other shape only plain answers are given
/// back. Chunks without a usage are not given to a client that asked for one, and a plain
/// answer is not made from them, since it owes one.
pub fn render(api: Api, body: &Bytes, from: Form, to: Form) -> Option<Bytes> {
    match (from, to) {
        (Form::Plain, Form::Plain) => Some(body.clone()),
        _ if !matches!(api, Api::Chat | Api::Completions | Api::Responses | Api::Messages) => None,
        (Form::Stream { include_usage: had }, Form::Stream { include_usage: wants }) => {
            if had == wants || !counts_on_wish(api) {
                return Some(body.clone());
            }
            let chunks = events::read(api, body)?;
            if wants {
                // Some engines tell the usage without being asked.
                return chat::tells_usage(&chunks).then(|| body.clone());
            }
            checked(api, body, from, to, events::write(api, &chat::without_usage(chunks)?)?)
        }
        (Form::Plain, Form::Stream { include_usage }) => {
            let plain: Value = serde_json::from_slice(body).ok()?;
            checked(api, body, from, to, events::write(api, &to_stream(api, plain, include_usage)?)?)
        }
        (Form::Stream { .. }, Form::Plain) => {
            let plain = to_plain(api, events::read(api, body)?)?;
            checked(api, body, from, to, serde_json::to_vec(&plain).ok()?.into())
        }
    }
}

fn to_stream(api: Api, plain: Value, include_usage: bool) -> Option<Vec<Value>> {
    match api {
        Api::Chat | Api::Completions => chat::to_stream(api, plain, include_usage),
        Api::Responses => responses::to_stream(plain),
        Api::Messages => messages::to_stream(plain),
        Api::Embeddings | Api::Models | Api::Opaque => None,
    }
}

fn to_plain(api: Api, events: Vec<Value>) -> Option<Value> {
    match api {
        Api::Chat | Api::Completions => chat::to_plain(api, events),
        Api::Responses => responses::to_plain(events),
        Api::Messages => messages::to_plain(events),
        Api::Embeddings | Api::Models | Api::Opaque => None,
    }
}

fn counts_on_wish(api: Api) -> bool {
    matches!(api, Api::Chat | Api::Completions)
}

/// The rendering, where it reads as the same completion as what was kept. This is what makes
/// "never wrongly" hold also for bodies that nobody thought of.
fn checked(api: Api, kept: &[u8], from: Form, to: Form, rendered: Bytes) -> Option<Bytes> {
    let read = |form, body| {
        let completion = super::read(api, "", form != Form::Plain, body)?;
        Some(comparable(api, to, completion))
    };
    let (before, after) = (read(from, kept)?, read(to, &rendered)?);
    (before == after && after.ended && after.error.is_none()).then_some(rendered)
}

/// Takes out what rightly differs between two forms of an answer.
fn comparable(api: Api, to: Form, mut completion: Completion) -> Completion {
    if counts_on_wish(api) && to == (Form::Stream { include_usage: false }) {
        completion.usage = None;
    }
    if api == Api::Messages {
        // A tool's input is an object in one form and text in the other.
        for call in completion.choices.iter_mut().flat_map(|choice| &mut choice.tool_calls) {
            if call.arguments.is_empty() {
                "{}".clone_into(&mut call.arguments);
            } else if let Ok(input) = serde_json::from_str::<Value>(&call.arguments) {
                call.arguments = input.to_string();
            }
        }
    }
    completion
}
