//! Health, identity, load and token counts of each engine.

use weir::exchange::{EngineKind, Fingerprint};
use weir::inline::engine::dialect::{self, Answer, EngineState, Health};

use crate::fixture;

/// Fixtures that this file reads.
pub(crate) const FILES: &[&str] = &[
    "llama_cpp/health",
    "llama_cpp/health_loading",
    "llama_cpp/metrics",
    "llama_cpp/models",
    "llama_cpp/props",
    "llama_cpp/tokenize",
    "openai/models",
    "sglang/health",
    "sglang/metrics",
    "sglang/model_info",
    "sglang/models",
    "sglang/server_info",
    "sglang/tokenize",
    "tensorrt_llm/health",
    "tensorrt_llm/health_failing",
    "tensorrt_llm/metrics",
    "tensorrt_llm/metrics_prometheus",
    "tensorrt_llm/models",
    "tensorrt_llm/version",
    "tgi/health",
    "tgi/health_failing",
    "tgi/info",
    "tgi/metrics",
    "tgi/models",
    "tgi/tokenize",
    "vllm/health",
    "vllm/metrics",
    "vllm/metrics_v0",
    "vllm/models",
    "vllm/tokenize",
    "vllm/version",
];

const FOLDERS: [(&str, EngineKind); 6] = [
    ("vllm", EngineKind::Vllm),
    ("sglang", EngineKind::Sglang),
    ("tensorrt_llm", EngineKind::TensorrtLlm),
    ("llama_cpp", EngineKind::LlamaCpp),
    ("tgi", EngineKind::Tgi),
    ("openai", EngineKind::Openai),
];

fn kind_of(id: &str) -> EngineKind {
    let folder = id.split('/').next();
    FOLDERS.iter().find(|(name, _)| Some(*name) == folder).map(|(_, kind)| *kind).expect("a known folder")
}

/// Everything that an engine answered to a `GET`, as a discovery round would gather it.
fn with_answers<T>(folder: &str, take: impl FnOnce(&[Answer<'_>]) -> T) -> T {
    let ids: Vec<&&str> = FILES.iter().filter(|id| id.split('/').next() == Some(folder)).collect();
    let messages: Vec<_> = ids.iter().map(|id| fixture::load(id)).collect();
    let gets = messages.iter().filter(|(request, _)| request.method() == http::Method::GET);
    let answers: Vec<Answer<'_>> = gets
        .map(|(request, response)| Answer { path: request.path(), status: response.status(), body: &response.body })
        .collect();
    take(&answers)
}

#[test]
fn every_engine_is_detected_and_identified() {
    let flags = |list: &[&str]| list.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    let print = |version: &str, model: &str, context_tokens, list: &[&str]| Fingerprint {
        version: version.into(),
        model: model.into(),
        context_tokens,
        flags: flags(list),
        ..Fingerprint::default()
    };
    let vllm = [
        "block_size=16",
        "cache_dtype=fp8",
        "enable_prefix_caching=True",
        "gpu_memory_utilization=0.9",
        "num_gpu_blocks=2727",
        "root=Qwen/Qwen3-8B",
    ];
    let sglang = [
        "attention_backend=fa3",
        "chunked_prefill_size=8192",
        "disable_radix_cache=false",
        "dp_size=1",
        "dtype=auto",
        "kv_cache_dtype=fp8_e5m2",
        "max_total_num_tokens=512000",
        "mem_fraction_static=0.88",
        "model_path=Qwen/Qwen3-8B",
        "reasoning_parser=qwen3",
        "tp_size=2",
        "weight_version=default",
    ];
    let llama = [
        "model_file=Qwen3-8B-Q4_K_M.gguf",
        "n_ctx_train=40960",
        "n_params=8190735360",
        "size=5027783488",
        "total_slots=4",
    ];
    let tgi = [
        "max_concurrent_requests=128",
        "max_input_tokens=4095",
        "model_sha=0e9e39f249a16976918f6564b8830bc894c89659",
        "sha=db931fcf",
    ];
    let expected = [
        print("0.32.0", "qwen3-8b", 40960, &vllm),
        Fingerprint { quantisation: "fp8".into(), ..print("0.5.23", "qwen3-8b", 40960, &sglang) },
        print("1.3.0", "TinyLlama-1.1B-Chat-v1.0", 0, &[]),
        Fingerprint {
            quantisation: "Q4_K_M".into(),
            template_hash: "0bda64f1ddb18ad9".into(),
            ..print("b11549-3c0f1d2", "qwen3-8b", 8192, &llama)
        },
        print("3.3.6-dev0", "meta-llama/Llama-3.1-8B-Instruct", 4096, &tgi),
        print("", "gpt-5-mini", 0, &[]),
    ];
    for ((folder, kind), expected) in FOLDERS.into_iter().zip(expected) {
        with_answers(folder, |answers| {
            assert_eq!(dialect::detect(answers), Some(kind), "{folder}");
            assert_eq!(dialect::of(kind).fingerprint(answers), expected, "{folder}");
        });
    }
}

#[test]
fn every_dialect_asks_paths_that_its_engine_answers() {
    for (folder, kind) in FOLDERS {
        let dialect = dialect::of(kind);
        with_answers(folder, |answers| {
            let answered = |path: &str| answers.iter().any(|answer| answer.path == path);
            assert!(answered(dialect.health_path), "{folder}");
            assert!(dialect.discovery.iter().any(|path| answered(path)), "{folder}");
            assert!(dialect.metrics_paths.iter().all(|path| answered(path)), "{folder}");
        });
    }
}

#[test]
fn health_is_read_as_each_engine_tells_it() {
    let table = [
        ("vllm/health", Health::Ready),
        ("llama_cpp/health", Health::Ready),
        ("llama_cpp/health_loading", Health::Loading),
        ("sglang/health", Health::Ready),
        ("tgi/health", Health::Ready),
        ("tgi/health_failing", Health::Failing),
        ("tensorrt_llm/health", Health::Ready),
        ("tensorrt_llm/health_failing", Health::Failing),
        ("openai/models", Health::Ready),
    ];
    for (id, health) in table {
        let (_, response) = fixture::load(id);
        assert_eq!(dialect::of(kind_of(id)).health(response.status(), &response.body), health, "{id}");
    }
}

#[test]
fn metrics_of_every_engine_become_one_state() {
    let load = |running, waiting, used| EngineState {
        running: Some(running),
        waiting: Some(waiting),
        kv_cache_used_ratio: used,
        ..EngineState::default()
    };
    let tokens = |prompt, generated, state: EngineState| EngineState {
        prompt_tokens_total: Some(prompt),
        generation_tokens_total: Some(generated),
        ..state
    };
    let cache = |queries, hits, ratio, state: EngineState| EngineState {
        prefix_cache_queries_total: queries,
        prefix_cache_hits_total: hits,
        prefix_cache_hit_ratio: ratio,
        ..state
    };
    let drafts = |drafted, accepted, state: EngineState| EngineState {
        drafted_tokens_total: Some(drafted),
        accepted_tokens_total: Some(accepted),
        ..state
    };
    let preempted = |n, state: EngineState| EngineState { preemptions_total: Some(n), ..state };
    let table = [
        ("vllm/metrics", {
            let state = tokens(4000.0, 850.0, load(5.0, 1.0, Some(0.5)));
            preempted(2.0, drafts(300.0, 210.0, cache(Some(4000.0), Some(1000.0), Some(0.25), state)))
        }),
        ("vllm/metrics_v0", {
            preempted(1.0, cache(None, None, Some(0.5), tokens(100.0, 50.0, load(4.0, 7.0, Some(0.875)))))
        }),
        ("sglang/metrics", {
            let state = tokens(8128.0, 7557.0, load(6.0, 2.0, Some(0.28)));
            preempted(3.0, cache(Some(8128.0), Some(61.0), Some(0.0075), state))
        }),
        ("llama_cpp/metrics", {
            let state = tokens(400.0, 103.0, load(2.0, 5.0, None));
            drafts(40.0, 30.0, cache(Some(400.0), Some(100.0), Some(0.25), state))
        }),
        ("tgi/metrics", tokens(444.0, 168.0, load(8.0, 4.0, None))),
        ("tensorrt_llm/metrics", cache(Some(1000.0), Some(850.0), Some(0.85), load(5.0, 3.0, Some(0.6)))),
        ("tensorrt_llm/metrics_prometheus", {
            drafts(20.0, 15.0, cache(None, None, Some(0.85), tokens(128.0, 50.0, load(5.0, 3.0, Some(0.6)))))
        }),
    ];
    for (id, expected) in table {
        let (_, response) = fixture::load(id);
        assert_eq!(dialect::of(kind_of(id)).state(&response.body), expected, "{id}");
    }
}

#[test]
fn tokens_are_counted_by_the_engines_that_can() {
    for (id, count) in [("vllm/tokenize", 2), ("sglang/tokenize", 2), ("llama_cpp/tokenize", 3), ("tgi/tokenize", 2)] {
        let (request, response) = fixture::load(id);
        let dialect = dialect::of(kind_of(id));
        let (path, body) = dialect.tokenize("qwen3-8b", "Hello there").unwrap_or_else(|| panic!("{id}"));
        let sent: serde_json::Value = serde_json::from_slice(&body).expect("a request body is JSON");
        let fixture: serde_json::Value = serde_json::from_slice(&request.body).expect("a request body is JSON");
        assert_eq!((path, sent), (request.path(), fixture), "{id}");
        assert_eq!(dialect.token_count(&response.body), Some(count), "{id}");
    }
}
