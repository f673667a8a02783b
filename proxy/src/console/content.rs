//! What was said in one exchange, made readable: messages, answers, raw bodies.
//!
//! Promises: a page stays small whatever was said. A long text comes as its beginning, and
//! its rest when a reader asks for it ([`Content::piece`]); Everything is cut somewhere, and says so.

use minijinja::value::Value;
use serde::Serialize;

use super::format::cut;
use super::json_text;
use super::raw::is_stream;
use super::rows::{Texts, Whole};
use crate::exchange::Api;
use crate::exchange::completion::{self, Choice};
use crate::exchange::conversation::{self, Message, Part};

/// Characters of a text beyond which only its beginning is on the page.
const FOLD: usize = 2400;
/// Characters of such a beginning.
const BEGINNING: usize = 1500;
/// Characters of all texts on the page; beyond it each has its first words only.
const PAGE: usize = 40_000;
/// Characters of the first words.
const FIRST_WORDS: usize = 200;
/// Characters of one text that are ever laid out; the download has the rest.
const MAX_TEXT: usize = 400_000;
/// Bytes of a stream beyond which a page reads its two ends only, and the whole when asked to.
const LONG_STREAM: usize = 64 << 10;
/// Bytes of its beginning and of its end that are read: the first words, and how it ended.
const STREAM_ENDS: (usize, usize) = (32 << 10, 8 << 10);

/// What was said; none where the texts' time to live is over.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    pub(super) messages: Vec<Said>,
    pub(super) tools: Vec<String>,
    pub(super) answers: Vec<Said>,
    pub(super) answer_error: Option<String>,
    /// Whether of a long stream only the two ends were read: texts are beginnings then.
    pub(super) partial: bool,
    /// Whether a stream came to its proper end.
    pub(super) ended: Option<bool>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
    #[serde(skip)]
    passages: Vec<Vec<Passage>>,
}

/// One text as it was written.
#[derive(Debug)]
struct Passage {
    kind: &'static str,
    /// Of a tool, or of what is no text.
    name: String,
    text: String,
}

/// One message or choice.
#[derive(Debug, Default, Serialize)]
pub(super) struct Said {
    /// Place among all that was said; what the addresses of its texts are made of.
    at: usize,
    role: String,
    finish_reason: String,
    pieces: Vec<Piece>,
}

/// A piece of a message: `text`, `reasoning`, `refusal`, `tool_call`, `tool_result` or `other`.
#[derive(Debug, Serialize)]
pub(super) struct Piece {
    kind: &'static str,
    name: String,
    /// Prose and fenced code in turn.
    blocks: Vec<Block>,
    /// Laid-out JSON, where the text is some.
    json: Option<Value>,
    chars: usize,
    /// Whether this is only the beginning.
    folded: bool,
    /// Whether there is more than is ever laid out.
    cut: bool,
}

/// A stretch of a text: prose, or what stood between two fences of three backticks.
#[derive(Debug, PartialEq, Serialize)]
struct Block {
    code: bool,
    text: String,
}

impl Content {
    /// As much as a page shows at first.
    pub(super) fn glance(whole: &Whole, texts: &Texts) -> Self {
        let ends = Some(&texts.response_body).filter(|_| is_stream(&texts.response_type)).and_then(|body| ends(body));
        let Some(ends) = ends else { return Self::of(whole, texts) };
        let mut content = Self::read(whole, texts, &ends);
        content.partial = true;
        // What lies between the ends is nearly always more of the longest text.
        for piece in content.answers.iter_mut().filter_map(|said| said.pieces.iter_mut().max_by_key(|p| p.chars)) {
            piece.folded = true;
            piece.chars = 0;
        }
        content
    }

    /// Everything.
    pub(super) fn of(whole: &Whole, texts: &Texts) -> Self {
        Self::read(whole, texts, &texts.response_body)
    }

    fn read(whole: &Whole, texts: &Texts, answer: &str) -> Self {
        let api = Api::ALL.into_iter().find(|api| api.as_str() == whole.api).unwrap_or(Api::Opaque);
        let streamed = is_stream(&texts.response_type);
        let conversation = conversation::read(api, texts.request_body.as_bytes()).unwrap_or_default();
        let completion = completion::read(api, &whole.path, streamed, answer.as_bytes());
        let ended = completion.as_ref().filter(|_| streamed).map(|completion| completion.ended);
        let completion = completion.unwrap_or_default();
        let mut content = Self {
            messages: Vec::with_capacity(conversation.messages.len()),
            tools: conversation.tools,
            answers: Vec::with_capacity(completion.choices.len()),
            answer_error: completion.error,
            partial: false,
            ended,
            headers: texts.request_headers.clone(),
            request_bytes: texts.request_body.len(),
            response_bytes: texts.response_body.len(),
            passages: Vec::with_capacity(conversation.messages.len() + completion.choices.len()),
        };
        content.lay_out(conversation.messages, completion.choices);
        content
    }

    /// The newest is what a reader came for: it gets its room first.
    fn lay_out(&mut self, messages: Vec<Message>, choices: Vec<Choice>) {
        let asked = messages.len();
        let mut said = Vec::with_capacity(asked + choices.len());
        let mut say = |role: String, finish_reason: String| {
            said.push(Said { at: said.len(), role, finish_reason, pieces: Vec::new() });
        };
        for message in messages {
            say(message.role, String::new());
            self.passages.push(message.parts.into_iter().map(Passage::of_part).collect());
        }
        for choice in choices {
            say("assistant".to_owned(), choice.finish_reason.clone());
            self.passages.push(Passage::of_choice(choice));
        }
        let mut room = PAGE;
        for (said, passages) in said.iter_mut().zip(&self.passages).rev() {
            said.pieces = passages.iter().map(|passage| Piece::beginning(passage, &mut room)).collect();
        }
        self.answers = said.split_off(asked);
        self.messages = said;
    }

    /// One text in full, by its place.
    pub(super) fn piece(&self, said: usize, piece: usize) -> Option<Piece> {
        self.passages.get(said)?.get(piece).map(|passage| Piece::of(passage, MAX_TEXT))
    }

    /// All texts of one message or answer as they were written.
    pub(super) fn plain(&self, said: usize) -> Option<String> {
        let texts: Vec<_> = self.passages.get(said)?.iter().map(|passage| passage.text.as_str()).collect();
        Some(texts.join("\n\n"))
    }
}

/// Beginning and end of a long stream, each of whole events.
fn ends(body: &str) -> Option<String> {
    if body.len() <= LONG_STREAM {
        return None;
    }
    let head = body.floor_char_boundary(STREAM_ENDS.0);
    let tail = body.floor_char_boundary(body.len() - STREAM_ENDS.1);
    let after = |at: usize| body[at..].find("\n\n").map(|found| at + found + 2);
    let (head, tail) = (after(head)?, after(tail)?);
    // An event longer than what lies between leaves nothing out.
    (head < tail).then(|| [&body[..head], &body[tail..]].concat())
}

impl Passage {
    fn new(kind: &'static str, name: impl Into<String>, text: String) -> Self {
        Self { kind, name: name.into(), text }
    }

    fn of_part(part: Part) -> Self {
        match part {
            Part::Text(text) => Self::new("text", "", text),
            Part::Reasoning(text) => Self::new("reasoning", "", text),
            Part::ToolCall { name, arguments } => Self::new("tool_call", name, arguments),
            Part::ToolResult(text) => Self::new("tool_result", "", text),
            Part::Other(kind) => Self::new("other", kind, String::new()),
        }
    }

    fn of_choice(choice: Choice) -> Vec<Self> {
        let texts = [("reasoning", choice.reasoning), ("text", choice.text), ("refusal", choice.refusal)];
        let told = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let told = told.map(|(kind, text)| Self::new(kind, "", text));
        let calls = choice.tool_calls.into_iter().map(|call| Self::new("tool_call", call.name, call.arguments));
        told.chain(calls).collect()
    }
}

impl Piece {
    /// As much as the page has room for.
    fn beginning(passage: &Passage, room: &mut usize) -> Self {
        let whole = if *room >= FOLD { FOLD } else { FIRST_WORDS };
        let limit = if passage.text.len() <= whole || passage.text.chars().nth(whole).is_none() {
            whole
        } else {
            BEGINNING.min(whole)
        };
        let piece = Self::of(passage, limit);
        *room = room.saturating_sub(piece.chars.min(limit));
        piece
    }

    fn of(passage: &Passage, limit: usize) -> Self {
        let Passage { kind, name, text } = passage;
        let (shown, more) = cut(text, limit);
        let looks_like_json = !more && text.trim_start().starts_with(['{', '[']);
        let json = if looks_like_json { json_text::html(text).map(Value::from_safe_string) } else { None };
        Self {
            kind,
            name: name.clone(),
            blocks: blocks(shown),
            json,
            chars: text.chars().count(),
            folded: more && limit < MAX_TEXT,
            cut: more && limit == MAX_TEXT,
        }
    }
}

/// Splits at lines that begin with a fence; one that is never closed reaches to the end.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut code = false;
    let mut fresh = true;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            (code, fresh) = (!code, true);
            continue;
        }
        match blocks.last_mut() {
            Some(block) if !fresh => block.text.push_str(line),
            _ => blocks.push(Block { code, text: line.to_owned() }),
        }
        fresh = false;
    }
    blocks.retain(|block| !block.text.trim().is_empty());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(kind: &'static str, text: &str) -> Passage {
        Passage::new(kind, "", text.to_owned())
    }

    fn content(request: &str, response: &str) -> Content {
        let whole = Whole { api: "chat".into(), ..Whole::default() };
        let texts = Texts { request_body: request.into(), response_body: response.into(), ..Texts::default() };
        Content::of(&whole, &texts)
    }

    #[test]
    fn arguments_that_are_json_are_laid_out_and_others_stay_text() {
        assert!(Piece::of(&passage("tool_call", "{\"a\":1}"), FOLD).json.is_some());
        assert!(Piece::of(&passage("tool_call", "{\"a\":"), FOLD).json.is_none());
    }

    #[test]
    fn fenced_code_is_told_from_prose() {
        let block = |code, text: &str| Block { code, text: text.into() };
        assert_eq!(
            blocks("a\n```sql\nSELECT 1;\n```\nb"),
            [block(false, "a\n"), block(true, "SELECT 1;\n"), block(false, "b")]
        );
        assert_eq!(blocks("```\nnever closed"), [block(true, "never closed")]);
        assert_eq!(blocks("plain"), [block(false, "plain")]);
        assert!(blocks("").is_empty());
    }

    #[test]
    fn a_long_text_is_folded_to_its_beginning_and_comes_in_full_when_asked_for() {
        let mut room = PAGE;
        let short = Piece::beginning(&passage("text", &"ж".repeat(FOLD)), &mut room);
        assert_eq!((short.folded, short.blocks[0].text.chars().count()), (false, FOLD));
        let long = Piece::beginning(&passage("text", &"ж".repeat(FOLD + 1)), &mut room);
        assert_eq!((long.folded, long.blocks[0].text.chars().count(), long.chars), (true, BEGINNING, FOLD + 1));
        let huge = Piece::of(&passage("text", &"ж".repeat(MAX_TEXT + 1)), MAX_TEXT);
        assert_eq!((huge.cut, huge.folded, huge.blocks[0].text.chars().count()), (true, false, MAX_TEXT));
    }

    #[test]
    fn a_conversation_of_many_long_messages_stays_small_and_its_answer_keeps_its_room() {
        let message = serde_json::json!({"role": "user", "content": "x".repeat(50_000)});
        let request = serde_json::json!({"messages": vec![message; 300]}).to_string();
        let answer = "y".repeat(FOLD);
        let response = serde_json::json!({"choices": [{"message": {"content": answer}}]}).to_string();
        let content = content(&request, &response);
        assert_eq!((content.messages.len(), content.answers[0].at), (300, 300));
        assert_eq!(content.answers[0].pieces[0].blocks[0].text, answer);
        let page: usize =
            content.messages.iter().flat_map(|said| &said.pieces).map(|piece| piece.blocks[0].text.len()).sum();
        assert!(page < PAGE + 300 * FIRST_WORDS, "{page}");
        assert_eq!(content.piece(7, 0).map(|piece| piece.blocks[0].text.len()), Some(50_000));
        assert_eq!(content.plain(300).as_deref(), Some(answer.as_str()));
        assert!(content.piece(301, 0).is_none() && content.piece(0, 1).is_none() && content.plain(301).is_none());
    }

    #[test]
    fn of_a_long_stream_the_page_reads_the_beginning_and_how_it_ended() {
        let chunk = |delta: serde_json::Value, finish: Option<&str>| {
            let choice = serde_json::json!({"index": 0, "delta": delta, "finish_reason": finish});
            format!("data: {}\n\n", serde_json::json!({"choices": [choice]}))
        };
        let words: String = (0..3000).map(|n| chunk(serde_json::json!({"content": format!("w{n} ")}), None)).collect();
        let body = words + &chunk(serde_json::json!({}), Some("length")) + "data: [DONE]\n\n";
        let whole = Whole { api: "chat".into(), ..Whole::default() };
        let texts = |body: &str| Texts {
            response_type: "text/event-stream".into(),
            response_body: body.into(),
            ..Texts::default()
        };
        let glance = Content::glance(&whole, &texts(&body));
        let answer = &glance.answers[0];
        assert!(glance.partial && answer.pieces[0].folded && answer.pieces[0].blocks[0].text.starts_with("w0 w1 w2 "));
        assert_eq!((glance.ended, answer.finish_reason.as_str()), (Some(true), "length"));
        let full = Content::of(&whole, &texts(&body));
        assert!(!full.partial && full.plain(0).is_some_and(|text| text.ends_with("w2999 ")));
        let short = chunk(serde_json::json!({"content": "short"}), Some("stop"));
        assert!(!Content::glance(&whole, &texts(&short)).partial);
    }
}
