//! The scenario of the document application, short: the real program, the tiny model, and what
//! must hold whatever that says. How good answers are is not asked here.

use std::path::Path;

use harness::llama::{Places, there};
use harness::repository;
use harness::weir::program;
use serde_json::Value;
use tokio::process::Command;

use crate::scene::{alone, run};

const QUESTIONS: &str = "3";
const ENFORCED: [&str; 8] = [
    "empty",
    "truncated",
    "leaked_tokens",
    "repetition_loop",
    "language_flip",
    "unsupported_numbers",
    "unsupported_links",
    "grounding",
];

#[tokio::test]
async fn answers_about_documents_are_judged_retried_and_escalated() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let (json, report) = (folder.path().join("cases.json"), folder.path().join("report.md"));
    let output = run(scenario().arg("--json").arg(&json).arg("--report").arg(&report)).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}", output.status);
    let cases: Vec<Value> = serde_json::from_str(&read(&json)).unwrap();
    assert_eq!(cases.len().to_string(), QUESTIONS);
    cases.iter().for_each(is_judged);
    let without: Vec<&Value> = cases.iter().filter(|case| !case["plain"].is_null()).collect();
    assert_eq!(without.len(), 1, "one was asked without critics too");
    assert_eq!(without[0]["plain_verdict"], "", "and not judged");
    let report = read(&report);
    for part in ["What the client got", "By critic", "What a retry made", "Cost for one question"] {
        assert!(report.contains(part), "'{part}' is missing in\n{report}");
    }
}

/// Few tokens: most answers are cut, so that retries are seen as well.
fn scenario() -> Command {
    let mut command = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    command.arg(repository().join("tests/scenarios/rag.py")).arg("--weir").arg(program());
    command.arg("--model").arg(there(&Places::get().llama_model, "llama"));
    command.args(["--questions", QUESTIONS, "--without", "1", "--max-tokens", "12"]);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The client's headers and the record tell the same story, and every critic is in it.
fn is_judged(case: &Value) {
    assert_eq!(case["status"], 200, "{case:#}");
    let answers = case["answers"].as_array().unwrap();
    assert_eq!(case["attempts"], answers.len(), "{case:#}");
    let rejected: Vec<bool> = answers.iter().map(|answer| is_rejected(answer, case)).collect();
    let expected: &[&[bool]] = &[&[false], &[true, false], &[true, true]];
    assert!(expected.contains(&rejected.as_slice()), "one retry, and only of what was rejected: {case:#}");
    let passed = !rejected.last().unwrap();
    assert_eq!(answers.last().unwrap()["given"], passed, "{case:#}");
    assert_eq!(case["verdict"], if passed { "pass" } else { "fail" }, "{case:#}");
}

fn is_rejected(answer: &Value, case: &Value) -> bool {
    let verdicts: Vec<[&str; 3]> = answer["verdicts"].as_array().unwrap().iter().map(verdict).collect();
    let enforced: Vec<_> = verdicts.iter().filter(|[_, mode, _]| *mode == "enforce").collect();
    assert_eq!(enforced.iter().map(|[critic, ..]| *critic).collect::<Vec<_>>(), ENFORCED, "{case:#}");
    assert!(enforced.iter().any(|[.., outcome]| *outcome != "skipped"), "somebody judged: {case:#}");
    enforced.iter().any(|[.., outcome]| *outcome == "fail")
}

/// Critic, mode, outcome.
fn verdict(row: &Value) -> [&str; 3] {
    [0, 1, 2].map(|at| row[at].as_str().unwrap())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}
