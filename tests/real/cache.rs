//! The official clients, unmodified, before the cache: what was kept is the same to them in
//! either form, and what many of them ask at once is generated once.

use std::path::PathBuf;

use harness::llama::{Places, there};
use harness::weir::Setup;
use harness::{Answer, Engine, Weir, repository, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::fixture;
use crate::scene::{Alone, alone, run_checks};

#[tokio::test]
async fn the_clients_for_python_get_the_same_from_the_cache_in_either_form() {
    let alone = alone().await;
    let weir = weir(&alone).await;
    run_checks(script("cache_clients.py").args(places(&alone, &weir)), &weir).await;
    assert_eq!(calls(&weir).await, 10.0, "two prompts of four shapes, a stream without usage, a list of embeddings");
}

#[tokio::test]
async fn the_client_for_javascript_gets_the_same_from_the_cache_in_either_form() {
    let alone = alone().await;
    let weir = weir(&alone).await;
    let modules = there(&Places::get().test_node_modules, "test-tools");
    let mut command = Command::new("node");
    run_checks(command.arg(file("cache_client.mjs")).args(places(&alone, &weir)).arg(modules), &weir).await;
    assert_eq!(calls(&weir).await, 4.0, "two prompts of two shapes");
}

#[tokio::test]
async fn many_clients_that_ask_at_once_share_one_generation_and_the_first_may_leave() {
    let alone = alone().await;
    let weir = weir(&alone).await;
    run_checks(script("cache_flight.py").arg(format!("http://{}", weir.data)), &weir).await;
    assert_eq!(calls(&weir).await, 2.0, "one for each of two stories");
    let wasted = weir.metric("weir_tokens_total", &["kind=\"wasted\""]).await;
    assert_eq!(wasted.unwrap_or(0.0), 0.0, "the one who left had company");
}

/// What the small model cannot give, said by scripted engines: api, members that the answer
/// has, and the answer: a real one, or one written here.
fn answers() -> Vec<(&'static str, &'static str, Said)> {
    let real = |id: &str| Said::of(fixture::load(id).1);
    let calls = real("vllm/chat_tools_stream").with_usage();
    vec![
        ("chat", "tool_calls,Paris,Lyon,logprobs,reasoning_content", Said::plain(&whole_chat())),
        ("chat", "reasoning,France", real("vllm/chat")),
        ("chat", "reasoning_content,France", real("llama_cpp/chat")),
        ("chat", "reasoning_content,France", real("sglang/chat")),
        ("chat", "tool_calls,get_weather", real("tgi/chat")),
        ("chat", "tool_calls,Paris,Lyon", calls),
        ("chat", "reasoning_content,France", real("sglang/chat_stream")),
        ("chat", "usage", real("tensorrt_llm/chat_stream")),
        ("responses", "reasoning_text,France", real("vllm/responses")),
        ("responses", "summary_text,function_call,Paris", real("openai/responses")),
        ("responses", "function_call,Paris,Lyon,logprobs", Said::plain(&whole_response())),
        ("responses", "function_call,Paris,Lyon,call_id", Said::plain(&calls_without_id())),
        ("responses", "reasoning_text,France", real("vllm/responses_stream")),
        ("responses", "summary_text,function_call,Paris", real("openai/responses_stream")),
        ("messages", "thinking,signature,tool_use,Paris", real("vllm/messages")),
        ("messages", "tool_use,Paris,Lyon", Said::plain(&whole_message())),
        ("messages", "thinking,signature,tool_use,Paris", real("vllm/messages_stream")),
    ]
}

#[tokio::test]
async fn tool_calls_reasoning_and_probabilities_come_again_in_either_form() {
    let scripted = Scripted::start(|_, _, _| true).await;
    run_checks(script("cache_answers.py").arg(&scripted.url).args(&scripted.cases), &scripted.weir).await;
    assert_eq!(calls(&scripted.weir).await, scripted.cases.len() as f64, "one call for each answer");
}

#[tokio::test]
async fn and_so_they_do_for_the_client_for_javascript() {
    // As from the engines themselves, its collector keeps only the last piece of SGLang's reasoning,
    // and refuses vLLM's, and calls that have no id but a `call_id`, which llama.cpp gives.
    let readable =
        |members: &str, said: &Said| !(said.is_stream && members.contains("reasoning") || members.contains("call_id"));
    let scripted = Scripted::start(|api, members, said| api != "messages" && readable(members, said)).await;
    let modules = there(&Places::get().test_node_modules, "test-tools");
    let mut command = Command::new("node");
    command.arg(file("cache_answers.mjs")).arg(&scripted.url).arg(modules).args(&scripted.cases);
    run_checks(&mut command, &scripted.weir).await;
    assert_eq!(calls(&scripted.weir).await, scripted.cases.len() as f64, "one call for each answer");
}

/// An engine for each of the answers, and Weir before them all.
struct Scripted {
    weir: Weir,
    url: String,
    /// As the scripts take them.
    cases: Vec<String>,
    _engines: Vec<Engine>,
}

impl Scripted {
    async fn start(wants: impl Fn(&str, &str, &Said) -> bool) -> Self {
        let (mut engines, mut config, mut cases) = (Vec::new(), String::new(), Vec::new());
        let wanted = answers().into_iter().filter(|(api, members, said)| wants(api, members, said));
        for (number, (api, members, said)) in wanted.enumerate() {
            let engine = Engine::start(said.answer()).await;
            let url = engine.url();
            config.push_str(&format!("[engines.e{number}]\nreplicas = [\"{url}\"]\n"));
            config.push_str(&format!("[[routes]]\nname = \"r{number}\"\nmodels = [\"{url}\"]\n"));
            config.push_str(&format!("engines = [\"e{number}\"]\n"));
            cases.push(format!("{api}/{}/{members}/{url}", if said.is_stream { "stream" } else { "plain" }));
            engines.push(engine);
        }
        let weir = ready(Setup::config(config), engines.len()).await;
        Self { url: format!("http://{}", weir.data), weir, cases, _engines: engines }
    }
}

/// What a scripted engine says.
struct Said {
    body: Vec<u8>,
    is_stream: bool,
}

impl Said {
    fn of(message: fixture::Message) -> Self {
        Self { is_stream: message.is_stream(), body: message.body }
    }

    fn plain(body: &Value) -> Self {
        Self { body: body.to_string().into_bytes(), is_stream: false }
    }

    /// With the chunk that vLLM sends where the usage was asked for.
    fn with_usage(mut self) -> Self {
        let usage = json!({
            "id": "chatcmpl-1f0e", "object": "chat.completion.chunk", "created": 1_795_333_411, "model": "qwen3-8b",
            "choices": [], "usage": {"prompt_tokens": 180, "total_tokens": 211, "completion_tokens": 31},
        });
        let text = String::from_utf8(self.body).unwrap();
        self.body = text.replace("data: [DONE]", &format!("data: {usage}\n\ndata: [DONE]")).into_bytes();
        self
    }

    fn answer(&self) -> Answer {
        if self.is_stream { Answer::chunked("text/event-stream", &[&self.body]) } else { Answer::json(&self.body) }
    }
}

fn whole_chat() -> Value {
    let call = |id: &str, city: &str| {
        let arguments = json!({"city": city, "days": [1, 2]}).to_string();
        json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}})
    };
    let token = |text: &str| {
        let top =
            json!([{"token": text, "logprob": -0.1, "bytes": [1]}, {"token": "x", "logprob": -2.5, "bytes": null}]);
        json!({"token": text, "logprob": -0.1, "bytes": [1], "top_logprobs": top})
    };
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_333_411, "model": "m", "system_fingerprint": "f",
        "choices": [{
            "index": 0, "finish_reason": "tool_calls",
            "logprobs": {"content": [token("I"), token(" ask.")], "refusal": null},
            "message": {
                "role": "assistant", "reasoning_content": "Two cities, \u{e9}t\u{e9}\n\u{1f324}.", "content": "I ask.",
                "tool_calls": [call("a", "Paris"), call("b", "Lyon")],
            },
        }],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 4}},
    })
}

fn whole_response() -> Value {
    let call = |id: &str, city: &str| {
        let arguments = json!({"city": city}).to_string();
        json!({
            "id": format!("fc_{id}"), "type": "function_call", "status": "completed", "call_id": id,
            "name": "get_weather", "arguments": arguments,
        })
    };
    let logprobs = json!([{"token": "I", "logprob": -0.1, "bytes": [73], "top_logprobs": []}]);
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_795_333_364, "status": "completed", "error": null,
        "incomplete_details": null, "instructions": null, "model": "m", "parallel_tool_calls": true,
        "output": [
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "I", "annotations": [], "logprobs": logprobs},
            ]},
            call("a", "Paris"), call("b", "Lyon"),
        ],
        "temperature": 0.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "metadata": {},
        "usage": {
            "input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 16,
        },
    })
}

/// As llama.cpp gives calls: with a `call_id` only.
fn calls_without_id() -> Value {
    let mut response = whole_response();
    for item in response["output"].as_array_mut().unwrap().iter_mut().filter(|item| item["type"] == "function_call") {
        item.as_object_mut().unwrap().remove("id");
    }
    response
}

fn whole_message() -> Value {
    let call = |id: &str, city: &str| {
        let input = json!({"city": city, "in": {"days": [1, 2.5, null]}});
        json!({"type": "tool_use", "id": id, "name": "get_weather", "input": input})
    };
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [{"type": "text", "text": "I ask."}, call("a", "Paris"), call("b", "Lyon"), {
            "type": "tool_use", "id": "c", "name": "now", "input": {},
        }],
        "usage": {"input_tokens": 9, "output_tokens": 7, "cache_read_input_tokens": 4},
    })
}

fn script(name: &str) -> Command {
    let mut command = Command::new(there(&Places::get().test_python, "test-tools"));
    command.arg(file(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn file(name: &str) -> PathBuf {
    repository().join("tests/real").join(name)
}

fn places(alone: &Alone, weir: &Weir) -> [String; 2] {
    [alone.llama.url.clone(), format!("http://{}", weir.data)]
}

/// Answers of the small model are mostly cut at their limit: they are kept all the same.
async fn weir(alone: &Alone) -> Weir {
    let engine = format!("[engines.llama]\nreplicas = [\"{}\"]\n", alone.llama.url);
    let route = "[[routes]]\nname = \"all\"\nengines = [\"llama\"]\n[routes.cache]\nkeep_cut = true\n";
    ready(Setup::config(format!("{engine}{route}")), 1).await
}

/// Starts it and waits until its engines have told what they are: keys stay the same from then on.
async fn ready(setup: Setup, engines: usize) -> Weir {
    let weir = setup.start().await;
    wait::until_true("the engines are identified", || weir.said().matches("engine identified").count() >= engines)
        .await;
    weir
}

/// Tries at an engine that were answered well.
async fn calls(weir: &Weir) -> f64 {
    weir.metric("weir_attempts_total", &["outcome=\"ok\""]).await.unwrap_or(0.0)
}
