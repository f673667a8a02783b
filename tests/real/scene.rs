//! What each test begins with: the engine for itself, and the real program in front of it.

use std::process::{Output, Stdio};
use std::time::Duration;

use harness::{Llama, Weir, wait};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// A small model on two busy cores, with a debug build between.
const SCRIPT_LIMIT: Duration = Duration::from_secs(150);

/// Held while a test has the engine for itself.
pub(crate) struct Alone {
    pub(crate) llama: &'static Llama,
    _turn: MutexGuard<'static, ()>,
}

/// Waits for the turn, and until the engine works for nobody.
pub(crate) async fn alone() -> Alone {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let llama = Llama::shared();
    wait::until_asked("the engine is idle", SCRIPT_LIMIT, async || (busy_slots(llama).await == 0).then_some(())).await;
    Alone { llama, _turn: turn }
}

/// The configuration before the engine with nothing kept: every answer is the engine's own.
pub(crate) fn nothing_kept(llama: &Llama) -> String {
    let engine = format!("[engines.llama]\nreplicas = [\"{}\"]\n", llama.url);
    format!("{engine}[[routes]]\nname = \"all\"\nengines = [\"llama\"]\n[routes.cache]\nmode = \"off\"\n")
}

/// Slots of the engine that work.
pub(crate) async fn busy_slots(llama: &Llama) -> usize {
    let mut client = harness::Client::connect(llama.address).await.expect("the engine takes connections");
    // The engine tells its slots between two steps, and one step of a long prompt takes seconds.
    let slots = client.get("/slots").await.expect("the engine tells its slots").json();
    slots.as_array().unwrap().iter().filter(|slot| slot["is_processing"] == true).count()
}

/// The body of a question that is answered the same each time.
pub(crate) fn question(text: &str, max_tokens: u32) -> Value {
    json!({
        "model": "smollm2", "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens,
        "temperature": 0, "seed": 7, "cache_prompt": false,
    })
}

/// `question`, streamed, with usage at the end.
pub(crate) fn streamed(text: &str, max_tokens: u32) -> Value {
    let mut body = question(text, max_tokens);
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// Runs a program to its end.
pub(crate) async fn run(command: &mut Command) -> Output {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(SCRIPT_LIMIT, running).await;
    ended.unwrap_or_else(|_| panic!("it has not ended after {SCRIPT_LIMIT:?}: {command:?}")).expect("it can be run")
}

/// Runs a script that prints one line per check.
pub(crate) async fn run_checks(command: &mut Command, weir: &Weir) {
    let output = run(command).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let holds = output.status.success() && said.contains("ok   ");
    assert!(holds, "{command:?}: {}\n{said}\n{}", output.status, weir.said());
}
