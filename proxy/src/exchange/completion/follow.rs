//! Follows a stream and tells what each event adds to which text.
//!
//! The texts themselves are put together by [`Assembler`], so that what is watched while it
//! flows is what is read when it is over.

use super::sse::{Event, Reader};
use super::{Assembler, Choice, Completion};
use crate::exchange::Api;

/// Text that an event added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta<'a> {
    /// Index of the choice.
    pub choice: usize,
    /// Which of its texts.
    pub channel: Channel,
    /// What was added to it.
    pub text: &'a str,
}

/// A text of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Visible text.
    Text,
    /// Reasoning.
    Reasoning,
    /// Refusal.
    Refusal,
    /// Arguments of a tool call.
    Arguments {
        /// Index of the call.
        call: usize,
    },
}

/// A stream under way.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    assembler: Assembler,
    /// How much of each choice was told.
    choices: Vec<Told>,
    /// How much of each numbered block, which are the one choice of their shapes.
    blocks: Vec<(usize, Told)>,
}

/// Bytes of each text that were told.
#[derive(Clone, Debug, Default)]
struct Told {
    text: usize,
    reasoning: usize,
    refusal: usize,
    arguments: Vec<usize>,
}

impl Follower {
    /// Follows a stream of that shape; none where answers of it are not read.
    pub fn new(api: Api, path: &str) -> Option<Self> {
        let assembler = Assembler::new(api, path)?;
        Some(Self { reader: Reader::default(), assembler, choices: Vec::new(), blocks: Vec::new() })
    }

    /// Takes the next bytes, and tells what their events add, and the data of each event.
    pub fn push(&mut self, bytes: &[u8], mut on_delta: impl FnMut(Delta<'_>, &[u8])) {
        let Self { reader, assembler, choices, blocks } = self;
        reader.push(bytes, |event| {
            let data = event.data;
            assembler.event(Event { ..event });
            let mut tell = |delta: Delta<'_>| on_delta(delta, data);
            choices.resize_with(assembler.completion.choices.len(), Told::default);
            for (number, choice) in assembler.completion.choices.iter().enumerate() {
                choices[number].tell(number, choice, &mut tell);
            }
            for (number, block) in assembler.pieces.iter() {
                let at = blocks.iter().position(|(known, _)| known == number).unwrap_or_else(|| {
                    blocks.push((*number, Told::default()));
                    blocks.len() - 1
                });
                let told = &mut blocks[at].1;
                let call = Channel::Arguments { call: *number };
                for (channel, text, told) in [
                    (Channel::Text, block.text.as_str(), &mut told.text),
                    (Channel::Refusal, &block.refusal, &mut told.refusal),
                    (Channel::Reasoning, &block.reasoning, &mut told.reasoning),
                ] {
                    rest(0, channel, text, told, &mut tell);
                }
                if let Some(made) = &block.call {
                    told.arguments.resize(1, 0);
                    rest(0, call, &made.arguments, &mut told.arguments[0], &mut tell);
                }
            }
        });
    }

    /// Whether the stream's end, or an error, was seen.
    pub fn is_over(&self) -> bool {
        self.assembler.over()
    }

    /// What was said so far; none before anything of its shape came.
    pub fn so_far(&self) -> Option<Completion> {
        let mut said = self.assembler.clone().finish()?;
        said.partial |= self.reader.dropped() > 0;
        Some(said)
    }
}

impl Told {
    fn tell(&mut self, number: usize, choice: &Choice, tell: &mut impl FnMut(Delta<'_>)) {
        for (channel, text, told) in [
            (Channel::Text, choice.text.as_str(), &mut self.text),
            (Channel::Reasoning, &choice.reasoning, &mut self.reasoning),
            (Channel::Refusal, &choice.refusal, &mut self.refusal),
        ] {
            rest(number, channel, text, told, tell);
        }
        self.arguments.resize(choice.tool_calls.len(), 0);
        for (call, (made, told)) in choice.tool_calls.iter().zip(&mut self.arguments).enumerate() {
            rest(number, Channel::Arguments { call }, &made.arguments, told, tell);
        }
    }
}

/// Tells what a text has beyond what was told; a text that was replaced by a shorter one, or
/// by another of the same length, adds nothing.
fn rest(choice: usize, channel: Channel, text: &str, told: &mut usize, tell: &mut impl FnMut(Delta<'_>)) {
    if let Some(added) = text.get(*told..).filter(|added| !added.is_empty()) {
        tell(Delta { choice, channel, text: added });
    }
    *told = text.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(api: Api, stream: &str, piece: usize) -> Vec<(usize, Channel, String)> {
        let mut follower = Follower::new(api, "").unwrap();
        let mut found: Vec<(usize, Channel, String)> = Vec::new();
        for bytes in stream.as_bytes().chunks(piece) {
            follower.push(bytes, |delta, _| match found.last_mut() {
                Some((choice, channel, text)) if (*choice, *channel) == (delta.choice, delta.channel) => {
                    text.push_str(delta.text);
                }
                _ => found.push((delta.choice, delta.channel, delta.text.to_owned())),
            });
        }
        found
    }

    #[test]
    fn every_text_is_told_once_however_the_bytes_are_cut() {
        let chat = concat!(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\u{e9}b\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"k\\\"\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\n",
            "data: [DONE]\n\n"
        );
        let messages = concat!(
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"one \"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"two\"}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        );
        for piece in [1, 7, 10_000] {
            let found = deltas(Api::Chat, chat, piece);
            let expected = [
                (0, Channel::Reasoning, "hm".to_owned()),
                (0, Channel::Text, "a\u{e9}b".to_owned()),
                (1, Channel::Arguments { call: 0 }, "{\"k\":1}".to_owned()),
            ];
            assert_eq!(found, expected, "{piece}");
            assert_eq!(deltas(Api::Messages, messages, piece), [(0, Channel::Text, "one two".to_owned())], "{piece}");
        }
    }
}
