//! Engines' own shapes, best effort: llama.cpp `/completion` and `/infill`, TGI `/generate`
//! and `/generate_stream`, SGLang `/generate`.

use super::json::{copy_text, count, index, items, text};
use super::{Assembler, Part};
use crate::exchange::tree::Value;

/// llama.cpp: `content`, `stop`, `stop_type`; an array of them where several prompts were sent.
pub(super) fn llama_cpp(assembler: &mut Assembler, value: &Value) {
    if let Some(answers) = value.as_array() {
        return answers.iter().take(super::MAX_CHOICES).for_each(|answer| llama_cpp(assembler, answer));
    }
    let Some(content) = value.get("content").and_then(Value::as_str) else { return };
    assembler.seen = true;
    assembler.envelope(value);
    assembler.counts.native(count(value, "tokens_evaluated"), count(value, "tokens_predicted"));
    let stopped = value.get("stop").and_then(Value::as_bool).unwrap_or(false);
    if let Some(choice) = assembler.completion.choice(index(value, "index").unwrap_or(0)) {
        choice.text.push_str(content);
        if stopped {
            let old = [("stopped_eos", "eos"), ("stopped_word", "word"), ("stopped_limit", "limit")];
            let is_set = |key: &str| value.get(key).and_then(Value::as_bool) == Some(true);
            let old = old.into_iter().find(|(key, _)| is_set(key)).map_or("", |(_, word)| word);
            old.clone_into(&mut choice.finish_reason);
            copy_text(&mut choice.finish_reason, value, "stop_type");
        }
    }
    assembler.completion.ended = stopped && assembler.completion.choices.iter().all(|c| !c.finish_reason.is_empty());
}

/// TGI (`generated_text`, `token`) and SGLang (`text`, `meta_info`) share a path.
pub(super) fn generate(assembler: &mut Assembler, part: Part, value: &Value) {
    if let Some(answers) = value.as_array() {
        for (number, answer) in answers.iter().take(super::MAX_CHOICES).enumerate() {
            generate_one(assembler, part, number, answer);
        }
    } else {
        generate_one(
            assembler,
            part,
            index(value, "index").filter(|_| value.get("meta_info").is_some()).unwrap_or(0),
            value,
        );
    }
}

fn generate_one(assembler: &mut Assembler, part: Part, number: usize, value: &Value) {
    if value.get("meta_info").is_some() {
        sglang(assembler, number, value);
    } else {
        tgi(assembler, part, number, value);
    }
}

fn tgi(assembler: &mut Assembler, part: Part, number: usize, value: &Value) {
    let whole = value.get("generated_text").and_then(Value::as_str);
    let token = value.get("token").filter(|token| token.is_object());
    if whole.is_none() && token.is_none() {
        return;
    }
    assembler.seen = true;
    let details = value.get("details").unwrap_or(&Value::Null);
    let prompt = count(details, "input_length").or_else(|| prefilled(details));
    assembler.counts.native(prompt, count(details, "generated_tokens"));
    let Some(choice) = assembler.completion.choice(number) else { return };
    copy_text(&mut choice.finish_reason, details, "finish_reason");
    match (whole, token) {
        // The last event of a stream tells the whole text once more, stop words taken off.
        (Some(text), _) => text.clone_into(&mut choice.text),
        (None, Some(token)) if token.get("special").and_then(Value::as_bool) != Some(true) => {
            choice.text.push_str(text(token, "text"));
        }
        _ => {}
    }
    assembler.completion.ended |= part == Part::Delta && whole.is_some();
}

/// Prompt tokens listed where the request asked for `decoder_input_details`.
fn prefilled(details: &Value) -> Option<u32> {
    u32::try_from(items(details, "prefill").len()).ok().filter(|n| *n > 0)
}

/// SGLang tells the whole text so far in each event, unless it was started with incremental
/// output; a text that does not go on from what is held is taken as a piece.
fn sglang(assembler: &mut Assembler, number: usize, value: &Value) {
    let Some(said) = value.get("text").and_then(Value::as_str) else { return };
    let meta = value.get("meta_info").unwrap_or(&Value::Null);
    assembler.seen = true;
    assembler.counts.read_usage(meta);
    let Some(choice) = assembler.completion.choice(number) else { return };
    match said.strip_prefix(choice.text.as_str()) {
        Some(more) => choice.text.push_str(more),
        None => choice.text.push_str(said),
    }
    match meta.get("finish_reason") {
        Some(Value::String(reason)) => choice.finish_reason = reason.to_string(),
        Some(reason) => copy_text(&mut choice.finish_reason, reason, "type"),
        None => {}
    }
}
