//! Hugging Face text-generation-inference.

use std::time::Duration;

use serde_json::json;

use super::state::Source;
use super::{Answers, Dialect, Tokenize, flags, text, tokens};
use crate::exchange::{EngineKind, Fingerprint};

pub(super) static DIALECT: Dialect = Dialect {
    kind: EngineKind::Tgi,
    // After a quiet while it runs a token through the model.
    health_path: "/health",
    health_takes: Duration::from_secs(5),
    discovery: &["/info"],
    metrics_paths: &["/metrics"],
    metrics_are_consumed: false,
    metrics: METRICS,
    fingerprint,
    tokenize: Some(Tokenize { path: "/tokenize", body: |_, text| json!({ "inputs": text }) }),
};

const METRICS: &[Source] = &[
    Source::sum(&["tgi_batch_current_size"], |s| &mut s.running),
    Source::sum(&["tgi_queue_size"], |s| &mut s.waiting),
    Source::sum(&["tgi_request_input_length_sum"], |s| &mut s.prompt_tokens_total),
    Source::sum(&["tgi_request_generated_tokens_sum"], |s| &mut s.generation_tokens_total),
];

fn fingerprint(answers: &Answers<'_>) -> Fingerprint {
    let info = answers.json(&["/info"]);
    Fingerprint {
        version: text(&info, "version"),
        model: text(&info, "model_id"),
        context_tokens: tokens(&info, "max_total_tokens"),
        flags: flags(
            &info,
            &["docker_label", "max_concurrent_requests", "max_input_tokens", "model_dtype", "model_sha", "sha"],
        ),
        ..Fingerprint::default()
    }
}
