//! Which engine program answers, where the operator gave only a URL.

use serde_json::Value;

use super::{Answer, Answers, samples, text};
use crate::exchange::EngineKind;

/// `GET` paths to ask; each program answers some and refuses the rest.
pub const DETECTION_PATHS: [&str; 6] = ["/v1/models", "/props", "/info", "/model_info", "/get_model_info", "/metrics"];

/// The program behind the answers; none where nothing speaks like an engine.
/// What only one program says comes first, the list of models that all have comes last.
pub fn detect(answers: &[Answer<'_>]) -> Option<EngineKind> {
    let answers = Answers(answers);
    let props = answers.json(&["/props"]);
    if props.get("default_generation_settings").is_some() || props.get("build_info").is_some() {
        return Some(EngineKind::LlamaCpp);
    }
    let info = answers.json(&["/info"]);
    if info.get("model_id").is_some() && info.get("max_concurrent_requests").is_some() {
        return Some(EngineKind::Tgi);
    }
    let model = answers.json(&["/model_info", "/get_model_info"]);
    if model.get("model_path").is_some() && model.get("is_generation").is_some() {
        return Some(EngineKind::Sglang);
    }
    by_owner(&answers).or_else(|| by_metrics(&answers)).or_else(|| {
        let list = answers.json(&["/v1/models"]);
        list.get("data").is_some_and(Value::is_array).then_some(EngineKind::Openai)
    })
}

fn by_owner(answers: &Answers<'_>) -> Option<EngineKind> {
    match text(&answers.model_card(), "owned_by").as_str() {
        "vllm" => Some(EngineKind::Vllm),
        "sglang" => Some(EngineKind::Sglang),
        "tensorrt_llm" => Some(EngineKind::TensorrtLlm),
        "llamacpp" => Some(EngineKind::LlamaCpp),
        _ => None,
    }
}

fn by_metrics(answers: &Answers<'_>) -> Option<EngineKind> {
    let body = answers.body("/metrics")?;
    let prefixes = [
        ("vllm:", EngineKind::Vllm),
        ("sglang:", EngineKind::Sglang),
        ("llamacpp:", EngineKind::LlamaCpp),
        ("tgi_", EngineKind::Tgi),
        ("trtllm_", EngineKind::TensorrtLlm),
    ];
    let named = |name: &str| prefixes.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, kind)| *kind);
    samples(body).find_map(|sample| named(sample.name)).or_else(|| {
        let stats: Value = serde_json::from_slice(body).ok()?;
        stats.get(0)?.get("iterLatencyMS").map(|_| EngineKind::TensorrtLlm)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_what_only_it_says() {
        let table: [(&str, &str, Option<EngineKind>); 12] = [
            ("/v1/models", r#"{"data":[{"id":"m","owned_by":"vllm"}]}"#, Some(EngineKind::Vllm)),
            ("/v1/models", r#"{"data":[{"id":"m","owned_by":"tensorrt_llm"}]}"#, Some(EngineKind::TensorrtLlm)),
            ("/v1/models", r#"{"data":[{"id":"m","owned_by":"library"}]}"#, Some(EngineKind::Openai)),
            ("/v1/models", r#"{"data":[]}"#, Some(EngineKind::Openai)),
            ("/props", r#"{"build_info":"b1-x"}"#, Some(EngineKind::LlamaCpp)),
            ("/info", r#"{"model_id":"m","max_concurrent_requests":8}"#, Some(EngineKind::Tgi)),
            ("/get_model_info", r#"{"model_path":"m","is_generation":true}"#, Some(EngineKind::Sglang)),
            ("/metrics", "x 1\nsglang:num_running_reqs{a=\"b\"} 1", Some(EngineKind::Sglang)),
            ("/metrics", "tgi_queue_size 0", Some(EngineKind::Tgi)),
            ("/metrics", r#"[{"iterLatencyMS":1.5}]"#, Some(EngineKind::TensorrtLlm)),
            ("/metrics", "go_goroutines 1", None),
            ("/v1/models", "<html>", None),
        ];
        for (path, body, kind) in table {
            let answer = Answer { path, status: 200, body: body.as_bytes() };
            assert_eq!(detect(&[answer]), kind, "{body}");
            assert_eq!(detect(&[Answer { status: 404, ..answer }]), None, "{body}");
        }
    }
}
