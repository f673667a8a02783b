//! The embedding model in process, when it is there: `WEIR_MODELS` (or the usual folder, which
//! `make models` fills) holds `all-MiniLM-L6-v2`. Oracles: Hugging Face `tokenizers` 0.23 and `onnxruntime` 1.32.

#![cfg(feature = "onnx")]

use std::sync::Arc;
use std::time::Instant;

use weir_critic::embed::{Config, Refused, Service, WordPiece, cosine, models_folder};

fn service(config: Config) -> Option<Arc<Service>> {
    if !models_folder().join("all-MiniLM-L6-v2/model.onnx").exists() {
        eprintln!("not measured: no model at {} (`make models` fetches it)", models_folder().display());
        return None;
    }
    Some(config.service().unwrap_or_else(|fault| panic!("{fault}")))
}

#[test]
fn tokens_are_those_of_the_reference_tokenizer() {
    let Ok(file) = std::fs::read(models_folder().join("all-MiniLM-L6-v2/tokenizer.json")) else {
        return eprintln!("not measured: no tokenizer at {}", models_folder().display());
    };
    let words = WordPiece::read(&file).unwrap();
    let table: [(&str, &[u32]); 5] = [
        ("Café naïve — don't stop!", &[101, 7668, 15743, 1517, 2123, 1005, 1056, 2644, 999, 102]),
        (
            "Привет, мир! Йод и ёлка.",
            &[
                101, 1194, 16856, 10325, 25529, 15290, 22919, 1010, 1191, 10325, 16856, 999, 1188, 14150, 29742, 1188,
                1185, 29436, 28598, 1012, 102,
            ],
        ),
        ("日本語のテキスト 123", &[101, 1864, 1876, 1950, 1671, 30239, 30227, 30233, 30240, 13138, 102]),
        (
            "https://example.org/a_b?c=1 #tag",
            &[
                101, 16770, 1024, 1013, 1013, 2742, 1012, 8917, 1013, 1037, 1035, 1038, 1029, 1039, 1027, 1015, 1001,
                6415, 102,
            ],
        ),
        ("What is the capital of France?", &[101, 2054, 2003, 1996, 3007, 1997, 2605, 1029, 102]),
    ];
    for (text, ids) in table {
        assert_eq!(words.encode(text, 256).ids, ids, "{text}");
    }
    // A file of `{"text", "ids"}` lines made by the reference tokenizer, for a whole corpus.
    let Some(oracle) = std::env::var_os("WEIR_TOKEN_ORACLE") else { return };
    for line in std::fs::read_to_string(oracle).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = row["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
        assert_eq!(words.encode(text, 256).ids, ids, "{text}");
    }
}

#[test]
fn vectors_are_those_of_the_reference_runtime() {
    let Some(service) = service(Config::default()) else { return };
    let embed = |text| service.embed(text).unwrap();
    let fox = embed("The quick brown fox jumps over the lazy dog.");
    let reference = [0.0456, 0.0722, 0.0512, 0.0799, 0.0323, -0.0342];
    // int8: runtimes round differently.
    assert!(
        fox.iter().zip(reference).all(|(ours, theirs): (&f32, f32)| (ours - theirs).abs() < 0.01),
        "{:?}",
        &fox[..6]
    );
    let (question, answer) = (embed("What is the capital of France?"), embed("Paris is the capital of France."));
    let (near, far) = (cosine(&question, &answer), cosine(&question, &fox));
    assert!((near - 0.857).abs() < 0.02 && (far - 0.024).abs() < 0.02, "{near} {far}");
}

#[test]
fn tokens_have_vectors_and_say_where_they_stand() {
    let Some(service) = service(Config::default()) else { return };
    let text = "Paris is big.";
    let tokens = service.token_vectors(text).unwrap();
    let words: Vec<&str> = tokens.spans.iter().map(|span| &text[span.clone()]).collect();
    assert_eq!((words, tokens.width), (vec!["Paris", "is", "big", "."], 384));
    assert_eq!(tokens.vectors.len(), 4 * 384);
    assert!((cosine(tokens.get(0), tokens.get(0)) - 1.0).abs() < 1e-3);
}

#[test]
fn a_full_queue_refuses_and_the_others_are_answered_alike() {
    let Some(service) = service(Config { waiting: 2, ..Config::default() }) else { return };
    let alone = service.embed(&long(0)).unwrap();
    let (mut full, mut answered) = (0, 0);
    std::thread::scope(|scope| {
        let ask = |at: usize| {
            let service = &service;
            scope.spawn(move || (at, service.embed(&long(at))))
        };
        let asked: Vec<_> = (0..24).map(ask).collect();
        for thread in asked {
            match thread.join().unwrap() {
                (at, Ok(vector)) => {
                    answered += 1;
                    assert!(at != 0 || vector == alone, "a vector depends on who else asked");
                }
                (_, Err(refused)) => {
                    full += 1;
                    assert_eq!(refused, Refused::Full);
                }
            }
        }
    });
    assert!(full > 0 && answered >= 1, "{full} refused, {answered} answered");
}

/// Long enough that the queue fills while one is run.
fn long(at: usize) -> String {
    format!("text {at} {}", "and so on ".repeat(70))
}

#[test]
fn times_by_length_are_told() {
    let Some(service) = service(Config::default()) else { return };
    for words in [8, 32, 64, 128, 250] {
        let texts: Vec<String> = (0..10).map(|at| format!("{at}{}", " word".repeat(words))).collect();
        let started = Instant::now();
        texts.iter().for_each(|text| drop(service.embed(text).unwrap()));
        eprintln!("embedding of {} tokens: {:.1} ms", words + 3, started.elapsed().as_secs_f64() * 100.0);
    }
}
