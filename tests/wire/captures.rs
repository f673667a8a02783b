//! Answers captured from live engines, where a folder of them is at hand.
//!
//! `WEIR_DATA` names a folder with `wire/<engine>/<name>.{hdr,body}`; the captures hold other
//! people's model output and stay out of the repository. Without the variable there is
//! nothing to read, and the fixtures are the test.

use std::fs;
use std::path::{Path, PathBuf};

use weir::exchange::completion::{error_text, read};
use weir::exchange::{Api, EngineKind};
use weir::inline::engine::dialect::{self, Answer, EngineState, Health};

fn folders() -> Vec<PathBuf> {
    let Some(data) = std::env::var_os("WEIR_DATA") else { return Vec::new() };
    let found = fs::read_dir(Path::new(&data).join("wire")).expect("WEIR_DATA holds a folder 'wire'");
    found.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn load(folder: &Path, name: &str) -> (u16, Vec<u8>) {
    let head = fs::read_to_string(folder.join(format!("{name}.hdr"))).expect("a capture has a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a head has a status");
    (status, fs::read(folder.join(format!("{name}.body"))).expect("a capture has a body"))
}

fn check(folder: &Path, name: &str) {
    let (status, body) = load(folder, name);
    if status >= 400 {
        return assert!(error_text(&body).is_some(), "{name}");
    }
    let api = match name.split('_').next() {
        Some("completion") => Api::Completions,
        Some("messages") => Api::Messages,
        Some("responses") => Api::Responses,
        Some("embeddings") => Api::Embeddings,
        Some("native") => Api::Opaque,
        _ => Api::Chat,
    };
    let whole = read(api, "/completion", name.contains("stream"), &body).unwrap_or_else(|| panic!("{name}"));
    if api == Api::Embeddings {
        return assert!(whole.usage.is_some(), "{name}");
    }
    assert!(whole.ended && whole.error.is_none() && !whole.model.is_empty(), "{name}: {whole:?}");
    assert!(whole.choices.iter().all(|c| !c.text.is_empty() && !c.finish_reason.is_empty()), "{name}: {whole:?}");
    assert_eq!(whole.choices.len(), if name == "chat_n2" { 2 } else { 1 }, "{name}");
    if !name.ends_with("stream_logprobs") {
        let usage = whole.usage.unwrap_or_else(|| panic!("{name}"));
        assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 0, "{name}: {usage:?}");
    }
}

#[test]
fn captures_of_live_engines_are_read() {
    for folder in folders() {
        let models = load(&folder, "models");
        let metrics = load(&folder, "metrics");
        let answers = [("/v1/models", &models), ("/metrics", &metrics)];
        let answers = answers.map(|(path, (status, body))| Answer { path, status: *status, body });
        let kind = dialect::detect(&answers).expect("a captured engine is known");
        assert!(matches!(kind, EngineKind::Vllm | EngineKind::LlamaCpp), "{kind:?}");
        let dialect = dialect::of(kind);
        let state = dialect.state(answers[1].body);
        assert!(state.running.is_some() && state.waiting.is_some() && state != EngineState::default(), "{state:?}");
        assert!(state.prompt_tokens_total > Some(0.0) && state.generation_tokens_total > Some(0.0), "{state:?}");
        assert_eq!(dialect.fingerprint(&answers).model, "smollm2");
        assert_eq!(dialect.fingerprint(&answers).context_tokens, 2048);
        if folder.join("props.body").exists() {
            let (status, body) = load(&folder, "props");
            let told = dialect.fingerprint(&[Answer { path: "/props", status, body: &body }]);
            assert!(!told.version.is_empty() && told.template_hash.len() == 16, "{told:?}");
        }
        let (status, body) = load(&folder, "health");
        assert_eq!(dialect.health(status, &body), Health::Ready);
        assert_eq!(dialect.token_count(&load(&folder, "tokenize").1), Some(2));
        for entry in fs::read_dir(&folder).expect("a capture folder is readable").flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let Some(name) = file.strip_suffix(".body") else { continue };
            if !matches!(name, "models" | "metrics" | "health" | "tokenize" | "props") {
                check(&folder, name);
            }
        }
    }
}
