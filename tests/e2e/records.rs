//! What the store holds of exchanges: one row each, true, and without anything private.

use std::path::Path;
use std::time::Duration;

use harness::client::{Response, request};
use harness::engine::Engine;
use harness::weir::Setup;
use harness::{Answer, wait};
use serde_json::Value;

use crate::fixture;
use crate::scene::{CHAT, DONE, PLAIN, STREAM, Scene, Text, begun, stream};

const EMAIL: &str = "jane.roe@private-mail.com";
const KEY: &str = "sk-proj-Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LmNbVcXz";
const KEPT: &str = "words-that-may-be-kept";
/// A store's first start takes long where the machine is loaded.
const STORED: Duration = Duration::from_secs(90);

/// An engine that says what it is, as llama.cpp does.
async fn talkative() -> Engine {
    let engine = Engine::start(stream()).await;
    for (path, fixture) in [("/props", "llama_cpp/props"), ("/v1/models", "llama_cpp/models")] {
        engine.answer_at(path, Answer::json(fixture::load(fixture).1.body));
    }
    engine
}

async fn row(scene: &Scene, response: &Response) -> Value {
    row_of(scene, response.header("x-weir-exchange").expect("every answer names its exchange")).await
}

async fn row_of(scene: &Scene, id: &str) -> Value {
    let what = format!("the store has exchange {id}");
    wait::until_asked(&what, STORED, async || {
        let answered = scene.weir.ask_console(&format!("/api/exchange/{id}")).await;
        // Texts are written a moment after their row.
        (answered.status() == 200).then(|| answered.json()).filter(|row| !row["texts"].is_null())
    })
    .await
}

fn text(row: &Value, key: &str) -> String {
    row["exchange"][key].as_str().unwrap_or_else(|| panic!("{key} in {row}")).to_owned()
}

fn number(row: &Value, key: &str) -> f64 {
    row["exchange"][key].as_f64().unwrap_or_else(|| panic!("{key} in {row}"))
}

/// Whether any file below a folder holds the text.
pub(crate) fn holds(folder: &Path, text: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => holds(&path, text),
        false => std::fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes())),
    })
}

fn secret_chat(answer_stream: bool) -> Vec<u8> {
    let body = format!(
        "{{\"model\":\"m\",\"stream\":{answer_stream},\"messages\":[{{\"role\":\"user\",\"content\":\
         \"{KEPT}: write to {EMAIL} with {KEY}\"}}]}}"
    );
    let headers = [("Authorization", format!("Bearer {KEY}")), ("X-Api-Key", KEY.to_owned())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    request("POST", &format!("{CHAT}?mail={EMAIL}"), &headers, body.as_bytes())
}

/// The address in the answer comes in pieces, in a stream whose type is written oddly.
fn secret_stream() -> Answer {
    let event =
        |part: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{part}\"}}}}]}}\n\n");
    let (left, right) = EMAIL.split_at(9);
    let begun = Answer::begin_chunked("Text/Event-Stream");
    let events = [event("write to "), event(left), event(right), String::from_utf8_lossy(DONE).into_owned()];
    events.iter().fold(begun, |answer, event| answer.piece(event.as_bytes())).end_chunks()
}

async fn make_secrets(scene: &Scene) -> Vec<Response> {
    let plain = format!("{{\"choices\":[{{\"index\":0,\"message\":{{\"content\":\"{EMAIL} has {KEY}\"}}}}]}}");
    let mut responses = Vec::new();
    for answer in [secret_stream(), Answer::json(plain)] {
        scene.engine().answer(answer);
        let response = scene.ask(&secret_chat(responses.is_empty())).await;
        responses.push(response);
    }
    responses
}

#[tokio::test]
async fn nothing_private_is_written_to_disk_or_said() {
    let scene = Scene::with(1, Text { rest: "[telemetry.logs]\nlevel = \"debug\"", ..Text::default() }).await;
    make_secrets(&scene).await;
    scene.settle().await;
    let folder = scene.weir.data_folder();
    wait::until_true("the text is on disk", || holds(&folder, KEPT)).await;
    for private in [EMAIL, KEY, "private-mail"] {
        assert!(!holds(&folder, private), "{private} is on disk");
        assert!(!scene.weir.said().contains(private), "{private} in {}", scene.weir.said());
    }
}

const SAMPLE: &str = "[sink]\nflush_interval = \"100ms\"\n[sample]\nrare_below = 0\n[sample.routes]\nhalf = 0.5\n[[routes]]\nname = \"half\"\n\
    models = [\"half\"]\nengines = [\"default\"]\n[[routes]]\nname = \"rest\"\nengines = [\"default\"]";

async fn stored_scene() -> Scene {
    let engine = talkative().await;
    let text = Text { rest: SAMPLE, ..Text::default() }.before(&[engine.url()]);
    let scene = Scene::from(vec![engine], Setup::config(text)).await;
    wait::until_asked("the engine is recognised", wait::PATIENCE, async || {
        scene.weir.said().contains("kind=\"llama-cpp\"").then_some(())
    })
    .await;
    scene
}

#[tokio::test]
async fn the_store_has_one_true_row_of_each_exchange() {
    let scene = stored_scene().await;
    rows_say_how_it_ended(&scene).await;
    rows_say_what_was_used(&scene).await;
    a_cut_prompt_is_an_event(&scene).await;
    for response in make_secrets(&scene).await {
        let row = row(&scene, &response).await;
        let told = row.to_string();
        assert!(told.contains(KEPT) && !told.contains("private-mail") && !told.contains(KEY), "{told}");
        assert!(number(&row, "redactions") >= 3.0, "{told}");
    }
    probabilities_are_stored(&scene).await;
    scene.settle().await;
    assert!(!holds(&scene.weir.data_folder(), EMAIL) && !scene.weir.said().contains(EMAIL));
}

async fn rows_say_how_it_ended(scene: &Scene) {
    let table = [
        (stream(), STREAM, "complete", 200, ""),
        (Answer::status(404, "{\"error\":{\"message\":\"no\"}}"), PLAIN, "engine_error", 404, ""),
        (Answer::default().close(), PLAIN, "failed", 502, "engine_broke"),
        (begun().reset(), STREAM, "broken", 200, "engine_broke"),
        (stream(), &b"{"[..], "refused", 400, "invalid_request"),
    ];
    for (answer, body, outcome, status, kind) in table {
        scene.engine().answer(answer);
        let response = scene.chat(body).await;
        let row = row(scene, &response).await;
        let told = (text(&row, "outcome"), number(&row, "status"), text(&row, "error_kind"));
        assert_eq!(told, (outcome.to_owned(), f64::from(status), kind.to_owned()), "{row}");
        let tries = row["exchange"]["attempt_engines"].as_array().map(Vec::len);
        assert_eq!(tries, Some(usize::from(outcome != "refused")), "{row}");
        assert_eq!(text(&row, "trace_id"), text(&row, "id").replace('-', ""), "{row}");
    }
    scene.engine().answer(begun().stall());
    let mut client = scene.begin_chat(STREAM).await;
    let head = client.head().await.unwrap();
    client.until("content").await.unwrap();
    client.hang_up();
    let row = row_of(scene, head.header("x-weir-exchange").unwrap()).await;
    assert_eq!((text(&row, "outcome"), text(&row, "error_kind")), ("client_left".into(), "client_left".into()));
    assert!(number(&row, "wasted_tokens") >= 1.0, "{row}");
}

async fn rows_say_what_was_used(scene: &Scene) {
    for (id, stream) in [("llama_cpp/chat", false), ("llama_cpp/chat_stream", true)] {
        let (sent, answered) = fixture::load(id);
        let head = if stream { "text/event-stream" } else { "application/json" };
        scene.engine().answer(Answer::with(200, &[("Content-Type", head)], &answered.body));
        let response = scene.ask(&request("POST", CHAT, &[], &sent.body)).await;
        let row = row(scene, &response).await;
        let used = ["prompt_tokens", "completion_tokens", "cached_tokens"].map(|key| number(&row, key));
        assert_eq!(used, [37.0, 12.0, 24.0], "{id}: {row}");
        assert_eq!(number(&row, "first_token_us") > 0.0, stream, "{id}: {row}");
        let moments =
            ["identified_us", "admitted_us", "sent_us", "head_us", "first_byte_us", "last_byte_us", "total_us"];
        let moments = moments.map(|key| number(&row, key));
        assert!(moments.is_sorted() && moments[0] > 0.0, "{moments:?}");
        assert_eq!((text(&row, "engine_kind"), text(&row, "model_answered")), ("llama-cpp".into(), "qwen3-8b".into()));
        assert!(!text(&row, "fingerprint").is_empty() && row["fingerprint"].to_string().contains("b11549"), "{row}");
        assert_eq!(row["texts"]["response_body"].as_str().map(str::len), Some(answered.body.len()), "{row}");
    }
}

async fn a_cut_prompt_is_an_event(scene: &Scene) {
    let words: String = (0..4000).map(|number| format!("word{number} ")).collect();
    let body = format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{words}\"}}]}}");
    let used = "{\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":1,\"total_tokens\":101}}";
    scene.engine().answer(Answer::json(used));
    let response = scene.chat(body.as_bytes()).await;
    let row = row(scene, &response).await;
    assert_eq!(row["exchange"]["prompt_truncated"], Value::Bool(true), "{row}");
    let event = format!("/exchange/{}\">prompt_truncated", text(&row, "id"));
    wait::until_asked("the event names the exchange", STORED, async || {
        scene.weir.ask_console("/health").await.text().contains(&event).then_some(())
    })
    .await;
}

async fn probabilities_are_stored(scene: &Scene) {
    scene.engine().answer(Answer::json("{}"));
    for _ in 0..60 {
        scene.chat(br#"{"model":"half","messages":[]}"#).await;
    }
    scene.settle().await;
    // The last one of the other route is stored after all of these.
    let last = scene.chat(PLAIN).await;
    let row = row(scene, &last).await;
    assert_eq!(number(&row, "inclusion_probability"), 1.0);
    let listed = scene.weir.ask_console("/api/exchanges?route=half").await.json();
    let list = listed["lines"].as_array().or(listed["exchanges"].as_array());
    let list = list.unwrap_or_else(|| panic!("no list: {listed}"));
    assert!((10..=50).contains(&list.len()), "about half of 60: {}", list.len());
    assert!(list.iter().all(|line| line["inclusion_probability"] == 0.5), "{listed}");
}
