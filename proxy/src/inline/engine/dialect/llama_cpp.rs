//! llama.cpp's `llama-server`.

use std::time::Duration;

use serde_json::{Value, json};

use super::state::Source;
use super::{Answers, Dialect, Tokenize, flags, template_hash, text, tokens};
use crate::exchange::{EngineKind, Fingerprint};

pub(super) static DIALECT: Dialect = Dialect {
    kind: EngineKind::LlamaCpp,
    health_path: "/health",
    health_takes: Duration::from_secs(1),
    discovery: &["/v1/models", "/props"],
    metrics_paths: &["/metrics"],
    metrics_are_consumed: false,
    metrics: METRICS,
    fingerprint,
    tokenize: Some(Tokenize { path: "/tokenize", body: |_, text| json!({ "content": text, "add_special": true }) }),
};

/// The first leaves out what came from the cache; both together are the prompts.
const PROMPTS: &[&str] = &["llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total"];

const METRICS: &[Source] = &[
    Source::sum(&["llamacpp:requests_processing"], |s| &mut s.running),
    Source::sum(&["llamacpp:requests_deferred"], |s| &mut s.waiting),
    Source::max(&["llamacpp:kv_cache_usage_ratio"], |s| &mut s.kv_cache_used_ratio),
    Source::all(PROMPTS, |s| &mut s.prompt_tokens_total),
    Source::all(PROMPTS, |s| &mut s.prefix_cache_queries_total),
    Source::sum(&["llamacpp:tokens_predicted_total"], |s| &mut s.generation_tokens_total),
    Source::sum(&["llamacpp:prompt_tokens_cached_total"], |s| &mut s.prefix_cache_hits_total),
    Source::sum(&["llamacpp:spec_decode_num_draft_tokens_total"], |s| &mut s.drafted_tokens_total),
    Source::sum(&["llamacpp:spec_decode_num_accepted_tokens_total"], |s| &mut s.accepted_tokens_total),
];

fn fingerprint(answers: &Answers<'_>) -> Fingerprint {
    let card = answers.model_card();
    let meta = card.get("meta").unwrap_or(&Value::Null);
    let props = answers.json(&["/props"]);
    let settings = props.get("default_generation_settings").unwrap_or(&Value::Null);
    let path = text(&props, "model_path");
    let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut told = flags(meta, &["n_params", "n_ctx_train", "size"]);
    told.extend(flags(&props, &["total_slots"]));
    if !file.is_empty() {
        told.push(format!("model_file={file}"));
    }
    let context = [tokens(settings, "n_ctx"), tokens(meta, "n_ctx")];
    let names = [text(&card, "id"), file.to_owned()];
    let weights = [text(meta, "ftype"), text(&props, "model_ftype")];
    Fingerprint {
        version: text(&props, "build_info"),
        model: names.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
        quantisation: weights.into_iter().find(|kind| !kind.is_empty()).unwrap_or_default(),
        template_hash: template_hash(&text(&props, "chat_template")),
        context_tokens: context.into_iter().find(|n| *n > 0).unwrap_or(0),
        flags: told,
    }
}
