//! TensorRT-LLM's `trtllm-serve`.
//!
//! `/metrics` is no Prometheus text but JSON: the statistics of the iterations since the
//! last reader, taken from a queue. Prometheus text is at `/prometheus/metrics` where the
//! server runs with `return_perf_metrics`; that one is asked first because reading it takes
//! nothing from anybody.

use std::time::Duration;

use serde_json::Value;

use super::state::Source;
use super::{Answers, Dialect, EngineState, flags, text};
use crate::exchange::{EngineKind, Fingerprint};

pub(super) static DIALECT: Dialect = Dialect {
    kind: EngineKind::TensorrtLlm,
    health_path: "/health",
    health_takes: Duration::from_secs(1),
    discovery: &["/v1/models", "/version", "/server_info"],
    metrics_paths: &["/prometheus/metrics", "/metrics"],
    metrics_are_consumed: true,
    metrics: METRICS,
    fingerprint,
    tokenize: None,
};

const METRICS: &[Source] = &[
    Source::sum(&["trtllm_num_requests_running"], |s| &mut s.running),
    Source::sum(&["trtllm_num_requests_waiting"], |s| &mut s.waiting),
    Source::max(&["trtllm_kv_cache_utilization"], |s| &mut s.kv_cache_used_ratio),
    Source::sum(&["trtllm_prompt_tokens_total"], |s| &mut s.prompt_tokens_total),
    Source::sum(&["trtllm_generation_tokens_total"], |s| &mut s.generation_tokens_total),
    Source::max(&["trtllm_kv_cache_hit_rate"], |s| &mut s.prefix_cache_hit_ratio),
    Source::sum(&["trtllm_spec_decode_num_draft_tokens_total"], |s| &mut s.drafted_tokens_total),
    Source::sum(&["trtllm_spec_decode_num_accepted_tokens_total"], |s| &mut s.accepted_tokens_total),
];

/// Reads iteration statistics: an array, of which the last one is now.
pub(super) fn iteration_state(body: &[u8]) -> EngineState {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let latest = value.as_array().map_or(Some(&value), |list| list.last()).unwrap_or(&Value::Null);
    let number = |object: &Value, key: &str| object.get(key).and_then(Value::as_f64);
    let cache = latest.get("kvCacheStats").unwrap_or(&Value::Null);
    let used = number(cache, "usedNumBlocks").zip(number(cache, "maxNumBlocks"));
    let (reused, missed) = (number(cache, "reusedBlocks"), number(cache, "missedBlocks"));
    EngineState {
        running: number(latest, "numActiveRequests"),
        waiting: number(latest, "numQueuedRequests"),
        kv_cache_used_ratio: used.filter(|(_, most)| *most > 0.0).map(|(used, most)| used / most),
        prefix_cache_queries_total: reused.zip(missed).map(|(reused, missed)| reused + missed),
        prefix_cache_hits_total: reused,
        prefix_cache_hit_ratio: number(cache, "cacheHitRate"),
        ..EngineState::default()
    }
}

fn fingerprint(answers: &Answers<'_>) -> Fingerprint {
    Fingerprint {
        version: text(&answers.json(&["/version"]), "version"),
        model: text(&answers.model_card(), "id"),
        flags: flags(&answers.json(&["/server_info"]), &["backend", "server_role", "tp_size", "pp_size"]),
        ..Fingerprint::default()
    }
}
