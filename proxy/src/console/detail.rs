//! One exchange made readable: conversation, answer, waterfall, raw bodies.

use minijinja::value::Value;
use serde::Serialize;

use super::format::cut;
use super::rows::{Texts, Whole};
use super::{json_text, list, sse_text};
use crate::exchange::completion::{self, Choice};
use crate::exchange::conversation::{self, Message, Part};
use crate::exchange::{Api, Fingerprint};

/// Characters of a text beyond which it is folded.
const FOLD: usize = 2400;
/// Characters of one text that the page holds at all; the raw body has the rest.
const MAX_TEXT: usize = 400_000;
/// Characters of a raw body that the page holds.
const MAX_RAW: usize = 400_000;

/// What the store has of one exchange.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) whole: Whole,
    /// None where their time to live is over.
    pub(super) texts: Option<Texts>,
    /// The engine fingerprint as JSON.
    pub(super) fingerprint: Option<String>,
}

/// Everything that the page shows.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    pub(super) whole: Whole,
    pub(super) class: &'static str,
    pub(super) phases: Vec<Phase>,
    pub(super) attempts: Vec<Try>,
    /// Tokens per second from the first token to the last.
    pub(super) speed: Option<f64>,
    pub(super) fingerprint: Vec<(&'static str, String)>,
    pub(super) content: Option<Content>,
}

/// What was said; none where the texts' time to live is over.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    pub(super) messages: Vec<Said>,
    pub(super) tools: Vec<String>,
    pub(super) answers: Vec<Said>,
    pub(super) answer_error: Option<String>,
    /// Whether a stream came to its proper end.
    pub(super) ended: Option<bool>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) request: Raw,
    pub(super) response: Raw,
    pub(super) response_type: String,
}

/// One message or choice.
#[derive(Debug, Default, Serialize)]
pub(super) struct Said {
    pub(super) role: String,
    pub(super) finish_reason: String,
    pub(super) pieces: Vec<Piece>,
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
    folded: bool,
    cut: bool,
}

/// A stretch of a text: prose, or what stood between two fences of three backticks.
#[derive(Debug, PartialEq, Serialize)]
struct Block {
    code: bool,
    text: String,
}

/// A raw body in its views.
#[derive(Debug, Default, Serialize)]
pub(super) struct Raw {
    bytes: usize,
    text: String,
    cut: bool,
    json: Option<Value>,
    events: Vec<sse_text::Event>,
    events_total: usize,
}

/// One stretch of time; places are thousandths of the whole.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Phase {
    name: &'static str,
    start_us: u64,
    took_us: u64,
    x: f64,
    width: f64,
}

/// One try at an engine.
#[derive(Debug, Serialize)]
pub(super) struct Try {
    engine: String,
    replica: String,
    status: u16,
    error_kind: String,
    started_us: u64,
    took_us: u64,
    x: f64,
    width: f64,
}

impl Detail {
    pub(super) fn of(Facts { whole, texts, fingerprint }: Facts) -> Self {
        let streamed = whole.last_byte_us.saturating_sub(whole.first_token_us);
        let timed = whole.first_token_us > 0 && streamed > 0 && whole.completion_tokens > 1;
        Self {
            class: list::class(&whole.outcome, whole.status),
            phases: phases(&whole),
            attempts: attempts(&whole),
            speed: timed.then(|| f64::from(whole.completion_tokens - 1) / (streamed as f64 / 1e6)),
            fingerprint: fingerprint.as_deref().map(fingerprint_fields).unwrap_or_default(),
            content: texts.map(|texts| Content::of(&whole, texts)),
            whole,
        }
    }
}

impl Content {
    fn of(whole: &Whole, texts: Texts) -> Self {
        let api = Api::ALL.into_iter().find(|api| api.as_str() == whole.api).unwrap_or(Api::Opaque);
        let streamed = texts.response_type.starts_with("text/event-stream");
        let conversation = conversation::read(api, texts.request_body.as_bytes()).unwrap_or_default();
        let completion = completion::read(api, &whole.path, streamed, texts.response_body.as_bytes());
        let ended = completion.as_ref().filter(|_| streamed).map(|completion| completion.ended);
        let completion = completion.unwrap_or_default();
        Self {
            messages: conversation.messages.into_iter().map(Said::message).collect(),
            tools: conversation.tools,
            answers: completion.choices.into_iter().map(Said::choice).collect(),
            answer_error: completion.error,
            ended,
            headers: texts.request_headers,
            request: Raw::of(&texts.request_body, false),
            response: Raw::of(&texts.response_body, streamed),
            response_type: texts.response_type,
        }
    }
}

impl Said {
    fn message(message: Message) -> Self {
        let piece = |part| match part {
            Part::Text(text) => Piece::of("text", "", &text),
            Part::Reasoning(text) => Piece::of("reasoning", "", &text),
            Part::ToolCall { name, arguments } => Piece::of("tool_call", &name, &arguments),
            Part::ToolResult(text) => Piece::of("tool_result", "", &text),
            Part::Other(kind) => Piece::of("other", &kind, ""),
        };
        let pieces = message.parts.into_iter().map(piece).collect();
        Self { role: message.role, pieces, ..Self::default() }
    }

    fn choice(choice: Choice) -> Self {
        let texts = [("reasoning", &choice.reasoning), ("text", &choice.text), ("refusal", &choice.refusal)];
        let told = texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(kind, text)| Piece::of(kind, "", text));
        let calls = choice.tool_calls.iter().map(|call| Piece::of("tool_call", &call.name, &call.arguments));
        let pieces = told.chain(calls).collect();
        Self { role: "assistant".into(), finish_reason: choice.finish_reason, pieces }
    }
}

impl Piece {
    fn of(kind: &'static str, name: &str, text: &str) -> Self {
        let chars = text.chars().count();
        let looks_like_json = text.trim_start().starts_with(['{', '[']);
        let json = if looks_like_json { json_text::html(text).map(Value::from_safe_string) } else { None };
        let (shown, cut) = cut(text, MAX_TEXT);
        Self { kind, name: name.to_owned(), blocks: blocks(shown), json, chars, folded: chars > FOLD, cut }
    }
}

impl Raw {
    fn of(body: &str, streamed: bool) -> Self {
        let (text, cut) = cut(body, MAX_RAW);
        let (events, events_total) = if streamed { sse_text::events(body) } else { Default::default() };
        let json = json_text::html(body).map(Value::from_safe_string);
        Self { bytes: body.len(), text: text.to_owned(), cut, json, events, events_total }
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

/// The stretches between the moments that were reached, in order.
fn phases(whole: &Whole) -> Vec<Phase> {
    let first_token = if whole.first_token_us > 0 { whole.first_token_us } else { whole.first_byte_us };
    let moments = [
        ("identify", whole.identified_us),
        ("queue", whole.admitted_us),
        ("connect", whole.sent_us),
        ("wait", first_token),
        ("stream", whole.last_byte_us),
        (if whole.last_byte_us > 0 { "finish" } else { "rest" }, whole.total_us),
    ];
    let mut phases = Vec::with_capacity(moments.len());
    let mut before = 0;
    for (name, at) in moments {
        if at < before || at == 0 {
            continue;
        }
        let (x, width) = place(before, at - before, whole.total_us);
        phases.push(Phase { name, start_us: before, took_us: at - before, x, width });
        before = at;
    }
    phases
}

fn attempts(whole: &Whole) -> Vec<Try> {
    let one = |(i, engine): (usize, &String)| {
        let at = |times: &[u64]| times.get(i).copied().unwrap_or(0);
        let (started_us, took_us) = (at(&whole.attempt_started_us), at(&whole.attempt_took_us));
        let (x, width) = place(started_us, took_us, whole.total_us);
        Try {
            engine: engine.clone(),
            replica: whole.attempt_replicas.get(i).cloned().unwrap_or_default(),
            status: whole.attempt_statuses.get(i).copied().unwrap_or(0),
            error_kind: whole.attempt_error_kinds.get(i).cloned().unwrap_or_default(),
            started_us,
            took_us,
            x,
            width,
        }
    };
    whole.attempt_engines.iter().enumerate().map(one).collect()
}

/// Place and width in thousandths; wide enough to be seen, and within the whole.
fn place(start: u64, took: u64, total: u64) -> (f64, f64) {
    let total = total.max(1) as f64;
    let width = (took as f64 / total * 1000.0).clamp(2.0, 1000.0);
    let x = (start as f64 / total * 1000.0).clamp(0.0, 1000.0 - width);
    (x.round(), width.round())
}

fn fingerprint_fields(json: &str) -> Vec<(&'static str, String)> {
    let print: Fingerprint = match serde_json::from_str(json) {
        Ok(print) => print,
        // An older or newer Weir may have written other fields: then the digest has to do.
        Err(_) => return Vec::new(),
    };
    let context = if print.context_tokens > 0 { print.context_tokens.to_string() } else { String::new() };
    let fields = [
        ("version", print.version),
        ("model", print.model),
        ("quantisation", print.quantisation),
        ("template_hash", print.template_hash),
        ("context_tokens", context),
        ("flags", print.flags.join("  ")),
    ];
    fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(whole: &Whole) -> Vec<&'static str> {
        phases(whole).into_iter().map(|phase| phase.name).collect()
    }

    #[test]
    fn a_waterfall_has_the_stretches_that_were_reached() {
        let whole = Whole {
            identified_us: 100,
            admitted_us: 200,
            sent_us: 300,
            head_us: 350,
            first_byte_us: 400,
            first_token_us: 500,
            last_byte_us: 900,
            total_us: 1000,
            ..Whole::default()
        };
        assert_eq!(names(&whole), ["identify", "queue", "connect", "wait", "stream", "finish"]);
        let refused = Whole { identified_us: 100, total_us: 150, ..Whole::default() };
        assert_eq!(names(&refused), ["identify", "rest"]);
        let plain = Whole { first_token_us: 0, ..whole };
        assert_eq!(phases(&plain)[3], Phase { name: "wait", start_us: 300, took_us: 100, x: 300.0, width: 100.0 });
    }

    #[test]
    fn every_stretch_is_seen_and_within_the_box() {
        for (start, took, total) in [(0, 1, 1_000_000), (1_000_000, 0, 1_000_000), (5, 5, 0), (900, 500, 1000)] {
            let (x, width) = place(start, took, total);
            assert!(x >= 0.0 && width >= 2.0 && x + width <= 1000.0, "{x} {width}");
        }
    }

    #[test]
    fn arguments_that_are_json_are_laid_out_and_others_stay_text() {
        assert!(Piece::of("tool_call", "f", "{\"a\":1}").json.is_some());
        assert!(Piece::of("tool_call", "f", "{\"a\":").json.is_none());
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
    fn a_long_text_is_folded_and_a_huge_one_cut() {
        let long = Piece::of("text", "", &"x".repeat(100_000));
        assert!(long.folded && !long.cut);
        let huge = Piece::of("text", "", &"ж".repeat(MAX_TEXT + 1));
        assert_eq!((huge.cut, huge.blocks[0].text.chars().count()), (true, MAX_TEXT));
    }
}
