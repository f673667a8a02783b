//! vLLM's OpenAI-compatible server, engines V0 and V1.

use std::time::Duration;

use serde_json::json;

use super::state::Source;
use super::{Answers, Dialect, Tokenize, samples, text, tokens};
use crate::exchange::{EngineKind, Fingerprint};

pub(super) static DIALECT: Dialect = Dialect {
    kind: EngineKind::Vllm,
    health_path: "/health",
    health_takes: Duration::from_secs(1),
    discovery: &["/v1/models", "/version", "/metrics"],
    metrics_paths: &["/metrics"],
    metrics_are_consumed: false,
    metrics: METRICS,
    fingerprint,
    tokenize: Some(Tokenize { path: "/tokenize", body: |model, text| json!({ "model": model, "prompt": text }) }),
};

const METRICS: &[Source] = &[
    Source::sum(&["vllm:num_requests_running"], |s| &mut s.running),
    Source::sum(&["vllm:num_requests_waiting"], |s| &mut s.waiting),
    Source::max(&["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"], |s| &mut s.kv_cache_used_ratio),
    Source::sum(&["vllm:prompt_tokens_total"], |s| &mut s.prompt_tokens_total),
    Source::sum(&["vllm:generation_tokens_total"], |s| &mut s.generation_tokens_total),
    Source::sum(&["vllm:num_preemptions_total"], |s| &mut s.preemptions_total),
    Source::sum(
        &["vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries"],
        |s| &mut s.prefix_cache_queries_total,
    ),
    Source::sum(
        &["vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits"],
        |s| &mut s.prefix_cache_hits_total,
    ),
    Source::max(&["vllm:gpu_prefix_cache_hit_rate"], |s| &mut s.prefix_cache_hit_ratio),
    Source::sum(&["vllm:spec_decode_num_draft_tokens_total"], |s| &mut s.drafted_tokens_total),
    Source::sum(&["vllm:spec_decode_num_accepted_tokens_total"], |s| &mut s.accepted_tokens_total),
];

/// Labels of `vllm:cache_config_info` that change speed or answers.
const CACHE_FLAGS: [&str; 8] = [
    "block_size",
    "cache_dtype",
    "enable_prefix_caching",
    "gpu_memory_utilization",
    "kv_cache_size_tokens",
    "num_cpu_blocks",
    "num_gpu_blocks",
    "sliding_window",
];

fn fingerprint(answers: &Answers<'_>) -> Fingerprint {
    let card = answers.model_card();
    let metrics = answers.body("/metrics").unwrap_or_default();
    let config = samples(metrics).find(|sample| sample.name == "vllm:cache_config_info");
    let told = |key: &&str| config?.label(key).filter(|value| value != "None").map(|value| format!("{key}={value}"));
    let mut flags: Vec<String> = CACHE_FLAGS.iter().filter_map(told).collect();
    flags.extend(super::flags(&card, &["root"]));
    Fingerprint {
        version: text(&answers.json(&["/version"]), "version"),
        model: text(&card, "id"),
        context_tokens: tokens(&card, "max_model_len"),
        flags,
        ..Fingerprint::default()
    }
}
