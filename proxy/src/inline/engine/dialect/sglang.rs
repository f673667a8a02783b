//! SGLang's HTTP server.

use std::time::Duration;

use serde_json::json;

use super::state::Source;
use super::{Answers, Dialect, Tokenize, flags, text, tokens};
use crate::exchange::{EngineKind, Fingerprint};

pub(super) static DIALECT: Dialect = Dialect {
    kind: EngineKind::Sglang,
    // By default this generates one token, and looks for it once a second.
    health_path: "/health",
    health_takes: Duration::from_secs(20),
    discovery: &["/v1/models", "/server_info", "/get_server_info", "/model_info", "/get_model_info"],
    metrics_paths: &["/metrics"],
    metrics_are_consumed: false,
    metrics: METRICS,
    fingerprint,
    tokenize: Some(Tokenize { path: "/tokenize", body: |model, text| json!({ "model": model, "prompt": text }) }),
};

const METRICS: &[Source] = &[
    Source::sum(&["sglang:num_running_reqs"], |s| &mut s.running),
    Source::sum(&["sglang:num_queue_reqs"], |s| &mut s.waiting),
    Source::max(&["sglang:token_usage"], |s| &mut s.kv_cache_used_ratio),
    Source::sum(&["sglang:prompt_tokens_total"], |s| &mut s.prompt_tokens_total),
    Source::sum(&["sglang:generation_tokens_total"], |s| &mut s.generation_tokens_total),
    Source::sum(&["sglang:num_retracted_requests_total"], |s| &mut s.preemptions_total),
    Source::sum(&["sglang:prompt_tokens_total"], |s| &mut s.prefix_cache_queries_total),
    Source::sum(&["sglang:cached_tokens_total"], |s| &mut s.prefix_cache_hits_total),
    Source::max(&["sglang:cache_hit_rate"], |s| &mut s.prefix_cache_hit_ratio),
];

/// Server arguments that change speed or answers.
const FLAGS: [&str; 16] = [
    "attention_backend",
    "chat_template",
    "chunked_prefill_size",
    "disable_cuda_graph",
    "disable_radix_cache",
    "dp_size",
    "dtype",
    "kv_cache_dtype",
    "max_running_requests",
    "max_total_num_tokens",
    "mem_fraction_static",
    "model_path",
    "reasoning_parser",
    "speculative_algorithm",
    "tool_call_parser",
    "tp_size",
];

fn fingerprint(answers: &Answers<'_>) -> Fingerprint {
    let card = answers.model_card();
    let server = answers.json(&["/server_info", "/get_server_info"]);
    let model = answers.json(&["/model_info", "/get_model_info"]);
    let names = [text(&card, "id"), text(&server, "served_model_name"), text(&model, "model_path")];
    let context = [tokens(&card, "max_model_len"), tokens(&server, "context_length")];
    let mut flags = flags(&server, &FLAGS);
    flags.extend(super::flags(&model, &["weight_version"]));
    Fingerprint {
        version: text(&server, "version"),
        model: names.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
        quantisation: text(&server, "quantization"),
        context_tokens: context.into_iter().find(|n| *n > 0).unwrap_or(0),
        flags,
        ..Fingerprint::default()
    }
}
