//! Completions and conversations.

use weir::exchange::Api;
use weir::exchange::completion::{Choice, Completion, Scanner, error_text, read, sse};
use weir::exchange::conversation::{self, Conversation, Part};

use crate::fixture::{self, Message};

/// Fixture, and what is read of its answer: choices, usage (prompt, completion, cached,
/// reasoning), whether it ended, and its error.
pub(crate) const ANSWERS: &[(&str, &str)] = &[
    ("llama_cpp/chat", r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." stop] 37/12/24/0 ended"#),
    (
        "llama_cpp/chat_stream",
        r#"qwen3-8b ["" thought "I need it." xYz1=get_weather{"city":"Évry"} tool_calls] 37/12/24/0 ended"#,
    ),
    ("llama_cpp/chat_stream_error", r#"qwen3-8b ["Par" ] cut error "context size has been exceeded""#),
    ("llama_cpp/completion", r#"qwen3-8b [" Paris, and" limit] 37/12/24/0 ended"#),
    ("llama_cpp/completion_stream", r#"qwen3-8b [" Paris, and" limit] 37/12/24/0 ended"#),
    (
        "llama_cpp/error_context",
        r#" ended error "request (9031 tokens) exceeds the available context size (2048 tokens), try increasing it""#,
    ),
    ("llama_cpp/messages_stream", r#"qwen3-8b ["Paris." end_turn] 37/12/24/0 ended"#),
    (
        "llama_cpp/responses_stream",
        r#"qwen3-8b ["Paris." fc_xYz1=get_weather{"city":"Paris"} completed] 37/12/24/0 ended"#,
    ),
    ("openai/chat", r#"gpt-5-mini-2025-08-07 ["" refused "I can't help with that." stop] 1117/46/1024/32 ended"#),
    (
        "openai/chat_stream",
        r#"gpt-5-mini-2025-08-07 ["" refused "I can't help with that." stop] 1117/46/1024/32 ended"#,
    ),
    ("openai/error", r#" ended error "The model `nope` does not exist or you do not have access to it.""#),
    (
        "openai/responses",
        r#"gpt-5-mini-2025-08-07 ["" thought "Looking up the weather." call_1=get_weather{"city":"Paris"} completed] 328/52/0/32 ended"#,
    ),
    (
        "openai/responses_stream",
        r#"gpt-5-mini-2025-08-07 ["" thought "Looking up the weather." call_1=get_weather{"city":"Paris"} completed] 328/52/0/32 ended"#,
    ),
    (
        "openai/responses_stream_failed",
        r#"gpt-5-mini-2025-08-07 ["" failed] ended error "The model failed to generate a response.""#,
    ),
    ("sglang/chat", r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." stop] 37/14/36/9 ended"#),
    ("sglang/chat_stream", r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." stop] 37/14/0/9 ended"#),
    ("sglang/chat_stream_error", r#"qwen3-8b ["" ] ended error "Out of memory. Try a smaller request.""#),
    ("sglang/error", r#" ended error "Messages cannot be empty""#),
    ("sglang/generate", r#" [" Paris, and" length] 5/3/4/0 ended"#),
    ("sglang/generate_stream", r#" [" Paris, and" length] 5/3/4/0 ended"#),
    ("tensorrt_llm/chat", r#"TinyLlama-1.1B-Chat-v1.0 ["Paris." stop] 37/3/32/0 ended"#),
    ("tensorrt_llm/chat_stream", r#"TinyLlama-1.1B-Chat-v1.0 ["Paris." stop] 37/3/32/0 ended"#),
    ("tensorrt_llm/completions", r#"TinyLlama-1.1B-Chat-v1.0 [" Paris" length] 3/1/0/0 ended"#),
    ("tensorrt_llm/error", r#" ended error "n must be at least 1""#),
    (
        "tensorrt_llm/error_validation",
        r#" ended error "[{'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required'}]""#,
    ),
    ("tgi/chat", r#"meta-llama/Llama-3.1-8B-Instruct ["" 0=get_weather{"city":"Paris"} stop] 501/29/0/0 ended"#),
    (
        "tgi/chat_stream",
        r#"meta-llama/Llama-3.1-8B-Instruct ["" 0=get_weather{ "city": "Paris"} stop] 501/29/0/0 ended"#,
    ),
    ("tgi/error", r#" ended error "Input validation error: `inputs` cannot be empty""#),
    ("tgi/generate", r#" [" Paris, and" length] 2/3/0/0 ended"#),
    ("tgi/generate_stream", r#" [" Paris." eos_token] 6/3/0/0 ended"#),
    (
        "tgi/generate_stream_error",
        r#" [" Paris" ] cut error "Request failed during generation: Server error: CUDA out of memory""#,
    ),
    ("vllm/chat", r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." stop] 37/14/32/0 ended"#),
    (
        "vllm/chat_stream",
        r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." stop] ["Paris" length] 37/18/32/0 ended"#,
    ),
    (
        "vllm/chat_stream_error",
        r#"qwen3-8b ["Par" ] ended error "EngineCore encountered an issue. See stack trace (above) for the root cause.""#,
    ),
    (
        "vllm/chat_tools_stream",
        r#"qwen3-8b ["" chatcmpl-tool-a1=get_weather{"city": "Paris"} chatcmpl-tool-b2=get_weather{"city": "Lyon"} tool_calls] ended"#,
    ),
    ("vllm/completions_stream", r#"qwen3-8b [" Paris." length] ["4" stop] 9/4/0/0 ended"#),
    ("vllm/embeddings", r#"bge-m3 6/0/0/0 ended"#),
    ("vllm/error_model", r#" ended error "The model `nope` does not exist.""#),
    ("vllm/error_old", r#" ended error "The model `nope` does not exist.""#),
    (
        "vllm/messages",
        r#"qwen3-8b ["Let me see." thought "I need the weather." chatcmpl-tool-a1=get_weather{"city":"Paris"} tool_use] 180/31/0/0 ended"#,
    ),
    (
        "vllm/messages_stream",
        r#"qwen3-8b ["Let me see." thought "I need the weather." chatcmpl-tool-a1=get_weather{"city":"Paris"} tool_use] 180/31/0/0 ended"#,
    ),
    ("vllm/responses", r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." completed] 37/14/32/9 ended"#),
    (
        "vllm/responses_stream",
        r#"qwen3-8b ["Paris." thought "France. Its capital is Paris." completed] 37/14/32/9 ended"#,
    ),
];

/// A completion on one line.
fn line(c: &Completion) -> String {
    let mut words = vec![c.model.clone()];
    for choice in &c.choices {
        let mut said = format!("{:?}", choice.text);
        for (label, text) in [("thought", &choice.reasoning), ("refused", &choice.refusal)] {
            if !text.is_empty() {
                said.push_str(&format!(" {label} {text:?}"));
            }
        }
        for call in &choice.tool_calls {
            said.push_str(&format!(" {}={}{}", call.id, call.name, call.arguments));
        }
        words.push(format!("[{said} {}]", choice.finish_reason));
    }
    if let Some(u) = c.usage {
        words.push(format!("{}/{}/{}/{}", u.prompt_tokens, u.completion_tokens, u.cached_tokens, u.reasoning_tokens));
    }
    words.push(if c.ended { "ended" } else { "cut" }.to_owned());
    words.extend(c.error.as_ref().map(|text| format!("error {text:?}")));
    words.join(" ")
}

fn says_something(c: &Choice) -> bool {
    !(c.text.is_empty() && c.reasoning.is_empty() && c.refusal.is_empty() && c.tool_calls.is_empty())
}

fn answer(request: &Message, response: &Message) -> Option<Completion> {
    let api = Api::of(&request.method(), request.path());
    read(api, request.path(), response.is_stream(), &response.body)
}

#[test]
fn every_answer_is_read_as_its_row_says() {
    let mut wrong = String::new();
    for (id, expected) in ANSWERS {
        let (request, response) = fixture::load(id);
        let read = answer(&request, &response).map_or("nothing".to_owned(), |c| line(&c));
        if read != *expected {
            wrong.push_str(&format!("{id}\n  is      {read}\n  must be {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_request_has_a_conversation_that_ends_with_what_the_client_said() {
    for (id, _) in ANSWERS.iter().filter(|(id, _)| !id.ends_with("error") && !id.contains("error_validation")) {
        let (request, _) = fixture::load(id);
        let api = Api::of(&request.method(), request.path());
        let Some(Conversation { messages, .. }) = conversation::read(api, &request.body) else { panic!("{id}") };
        let last = &messages.last().unwrap_or_else(|| panic!("{id}")).parts;
        assert!(last.iter().any(|p| *p != Part::Text(String::new())), "{id}: {last:?}");
    }
}

#[test]
fn the_scanner_agrees_with_the_whole_reading_wherever_chunks_end() {
    for (id, _) in ANSWERS {
        let (request, response) = fixture::load(id);
        if !response.is_stream() {
            continue;
        }
        let api = Api::of(&request.method(), request.path());
        let completion = answer(&request, &response).unwrap_or_else(|| panic!("{id}"));
        let mut events = 0;
        sse::Reader::default().push(&response.body, |_| events += 1);
        for size in [1, 2, 3, 7, 64, 250, 4096, response.body.len()] {
            let mut scanner = Scanner::new(api, request.path());
            let tokens = response.body.chunks(size).filter(|chunk| scanner.push(chunk)).count();
            assert_eq!(tokens, usize::from(completion.choices.iter().any(says_something)), "{id}");
            assert_eq!((scanner.events(), scanner.at_boundary()), (events, true), "{id}");
            assert_eq!(scanner.failed(), completion.error.is_some(), "{id}");
            if scanner.owes_end() {
                assert_eq!(scanner.ended(), completion.ended, "{id}");
            }
        }
    }
}

#[test]
fn a_stream_cut_anywhere_is_never_taken_for_a_whole_one() {
    for (id, _) in ANSWERS {
        let (request, response) = fixture::load(id);
        let api = Api::of(&request.method(), request.path());
        let mut scanner = Scanner::new(api, request.path());
        if !response.is_stream() || !scanner.owes_end() || answer(&request, &response).is_some_and(|c| !c.ended) {
            continue;
        }
        let body = response.body.strip_suffix(b"data: [DONE]\n\n").filter(|_| api == Api::Messages);
        let body = body.unwrap_or(&response.body);
        for (at, byte) in body.iter().enumerate() {
            scanner.push(std::slice::from_ref(byte));
            assert_eq!(scanner.ended(), at + 1 == body.len(), "{id} at {at} of {}", body.len());
        }
    }
}

#[test]
fn every_refusal_has_a_text() {
    for id in fixture::all() {
        let (_, response) = fixture::load(&id);
        if response.status() >= 400 {
            assert!(error_text(&response.body).is_some_and(|text| !text.starts_with('{')), "{id}");
        }
    }
}

#[test]
fn every_fixture_has_a_row() {
    let mut known: Vec<&str> = ANSWERS.iter().map(|(id, _)| *id).collect();
    known.extend(crate::dialects::FILES);
    let known: std::collections::BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
    assert_eq!(fixture::all(), known);
}
