//! Follows a stream and tells what each event adds to which text.
//!
//! The texts themselves are put together by [`Assembler`], so that what is watched while it
//! flows is what is read when it is over. A follower keeps the answer, for whoever judges it
//! whole, or forgets each text once it was told: then its memory does not grow with the stream.

use weir_critic::Token;

use super::pieces::Piece;
use super::sse::{Event, Reader};
use super::tokens::Tokens;
use super::{Assembler, Choice, Completion};
use crate::exchange::Api;

/// Largest event that a follower which keeps nothing looks into.
const EVENT_BYTES: usize = 256 << 10;

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
    /// None where texts are forgotten.
    kept: Option<Kept>,
}

/// What is kept besides the texts.
#[derive(Debug)]
struct Kept {
    /// None where the shape tells none.
    tokens: Option<Tokens>,
    /// Bytes that were told, and of events whose tokens are kept.
    bytes: usize,
}

/// Bytes of each text that were told.
#[derive(Clone, Debug, Default)]
struct Told {
    text: usize,
    reasoning: usize,
    summary: usize,
    refusal: usize,
    arguments: Vec<usize>,
}

/// How a text stands in what was told of it.
#[derive(Clone, Copy)]
struct Telling {
    choice: usize,
    forgets: bool,
    /// The text is there from its beginning, though what was told is forgotten.
    whole: bool,
}

impl Follower {
    /// Follows a stream of that shape and forgets what it told; none where answers of it are
    /// not read.
    pub fn new(api: Api, path: &str) -> Option<Self> {
        let assembler = Assembler::new(api, path)?;
        let reader = Reader::new(EVENT_BYTES);
        Some(Self { reader, assembler, choices: Vec::new(), blocks: Vec::new(), kept: None })
    }

    /// The same, and keeps the answer. Events larger than so many bytes are not read.
    pub fn keeping(api: Api, path: &str, limit_bytes: usize) -> Option<Self> {
        let follower = Self::new(api, path)?;
        let tokens = follower.assembler.shape.tells_tokens().then(Tokens::default);
        let kept = Some(Kept { tokens, bytes: 0 });
        Some(Self { reader: Reader::new(limit_bytes), kept, ..follower })
    }

    /// Takes the next bytes, and tells what their events add, and the data of each event.
    pub fn push(&mut self, bytes: &[u8], mut on_delta: impl FnMut(Delta<'_>, &[u8])) {
        let Self { reader, assembler, choices, blocks, kept } = self;
        let forgets = kept.is_none();
        reader.push(bytes, |event| {
            let data = event.data;
            assembler.event(Event { ..event });
            let mut added = 0;
            let mut tell = |delta: Delta<'_>| {
                added += delta.text.len();
                on_delta(delta, data);
            };
            choices.resize_with(assembler.completion.choices.len(), Told::default);
            for (number, choice) in assembler.completion.choices.iter_mut().enumerate() {
                choices[number].choice(Telling { choice: number, forgets, whole: false }, choice, &mut tell);
            }
            for (number, block) in assembler.pieces.iter_mut() {
                let at = blocks.iter().position(|(known, _)| known == number).unwrap_or_else(|| {
                    blocks.push((*number, Told::default()));
                    blocks.len() - 1
                });
                blocks[at].1.block(*number, forgets, block, &mut tell);
            }
            if let Some(kept) = kept {
                kept.bytes += added + kept.tokens.as_mut().map_or(0, |tokens| tokens.event(data));
            }
        });
    }

    /// Whether the stream's end, or an error, was seen.
    pub fn is_over(&self) -> bool {
        self.assembler.over()
    }

    /// Whether the end of any choice was seen, or that of the stream.
    pub fn is_ending(&self) -> bool {
        self.is_over() || self.assembler.completion.choices.iter().any(|choice| !choice.finish_reason.is_empty())
    }

    /// Bytes of the answer that are kept.
    pub fn kept_bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.bytes)
    }

    /// Gives out the answer that was kept, with the tokens of each choice; none where nothing of
    /// its shape came.
    pub fn take(&mut self) -> Option<(Completion, Vec<Vec<Token>>)> {
        let (completion, counts, pieces, pattern) = Default::default();
        let shape = self.assembler.shape;
        let fresh = Assembler { shape, completion, counts, pieces, pattern, seen: false };
        self.assembler.completion.partial |= self.reader.dropped() > 0;
        let tokens = self.kept.as_mut().and_then(|kept| kept.tokens.as_mut()).map(Tokens::take);
        Some((std::mem::replace(&mut self.assembler, fresh).finish()?, tokens.unwrap_or_default()))
    }
}

impl Told {
    fn choice(&mut self, telling: Telling, choice: &mut Choice, tell: &mut impl FnMut(Delta<'_>)) {
        for (channel, text, told) in [
            (Channel::Text, &mut choice.text, &mut self.text),
            (Channel::Reasoning, &mut choice.reasoning, &mut self.reasoning),
            (Channel::Refusal, &mut choice.refusal, &mut self.refusal),
        ] {
            telling.rest(channel, text, told, tell);
        }
        self.arguments.resize(choice.tool_calls.len(), 0);
        for (call, (made, told)) in choice.tool_calls.iter_mut().zip(&mut self.arguments).enumerate() {
            telling.rest(Channel::Arguments { call }, &mut made.arguments, told, tell);
        }
    }

    fn block(&mut self, number: usize, forgets: bool, block: &mut Piece, tell: &mut impl FnMut(Delta<'_>)) {
        let telling = Telling { choice: 0, forgets, whole: std::mem::take(&mut block.whole) };
        // What was told of it is no longer what it says: all of it is new.
        if std::mem::take(&mut block.rewritten) && !forgets {
            *self = Self::default();
        }
        for (channel, text, told) in [
            (Channel::Text, &mut block.text, &mut self.text),
            (Channel::Refusal, &mut block.refusal, &mut self.refusal),
            (Channel::Reasoning, &mut block.reasoning, &mut self.reasoning),
            (Channel::Reasoning, &mut block.summary, &mut self.summary),
        ] {
            telling.rest(channel, text, told, tell);
        }
        if let Some(made) = &mut block.call {
            self.arguments.resize(1, 0);
            let call = Channel::Arguments { call: number };
            telling.rest(call, &mut made.arguments, &mut self.arguments[0], tell);
        }
    }
}

impl Telling {
    /// Tells what a text has beyond what was told.
    fn rest(self, channel: Channel, text: &mut String, told: &mut usize, tell: &mut impl FnMut(Delta<'_>)) {
        let from = if self.forgets && !self.whole { 0 } else { *told };
        if let Some(added) = text.get(from..).filter(|added| !added.is_empty()) {
            tell(Delta { choice: self.choice, channel, text: added });
        }
        *told = if from == 0 && self.forgets { *told + text.len() } else { text.len().max(*told) };
        if self.forgets {
            text.clear();
        }
    }
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

    #[test]
    fn a_follower_that_forgets_tells_the_same_and_keeps_no_text() {
        let event = |kind: &str, rest: &str| format!("data: {{\"type\":\"response.{kind}\",{rest}}}\n\n");
        let item = r#""output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"one two"}]}"#;
        let stream = [
            event("reasoning_summary_text.delta", r#""output_index":1,"delta":"why""#),
            event("output_text.delta", r#""output_index":0,"delta":"one ""#),
            event("output_text.delta", r#""output_index":0,"delta":"t""#),
            event("output_item.done", item),
        ];
        let told = [(Channel::Reasoning, "why"), (Channel::Text, "one "), (Channel::Text, "t"), (Channel::Text, "wo")];
        for mut follower in
            [Follower::new(Api::Responses, "").unwrap(), Follower::keeping(Api::Responses, "", 9999).unwrap()]
        {
            let mut found = Vec::new();
            follower.push(stream.concat().as_bytes(), |delta, _| found.push((delta.channel, delta.text.to_owned())));
            let found: Vec<_> = found.iter().map(|(channel, text)| (*channel, text.as_str())).collect();
            assert_eq!(found, told);
            let keeps = follower.kept.is_some();
            assert_eq!(follower.kept_bytes(), if keeps { 10 } else { 0 });
            let text = follower.take().unwrap().0.choices[0].text.clone();
            assert_eq!(text, if keeps { "one two" } else { "" });
        }
    }

    #[test]
    fn what_is_said_again_in_other_words_is_told_again() {
        let mut follower = Follower::keeping(Api::Responses, "", 9999).unwrap();
        let mut found = String::new();
        for (kind, rest) in [
            ("output_text.delta", r#""output_index":0,"delta":"good""#),
            (
                "output_item.done",
                r#""output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"evil"}]}"#,
            ),
        ] {
            let event = format!("data: {{\"type\":\"response.{kind}\",{rest}}}\n\n");
            follower.push(event.as_bytes(), |delta, _| found.push_str(delta.text));
        }
        assert_eq!(found, "goodevil");
    }

    #[test]
    fn tokens_are_kept_with_the_answer() {
        let mut follower = Follower::keeping(Api::Chat, "", 9999).unwrap();
        let logprobs = r#"{"content":[{"token":"a","logprob":-0.5,"top_logprobs":[]}]}"#;
        let event = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"a"}},"logprobs":{logprobs}}}]}}"#);
        follower.push(format!("data: {event}\n\ndata: {event}\n\n").as_bytes(), |_, _| {});
        assert!(!follower.is_ending());
        let (completion, tokens) = follower.take().unwrap();
        assert_eq!((completion.choices[0].text.as_str(), tokens[0].len(), tokens[0][1].logprob), ("aa", 2, -0.5));
    }
}
