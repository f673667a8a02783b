//! Real programs, of the shell's making, behave well and badly.

use std::time::Instant;

use super::*;
use crate::{Answer, Turn as Said};

fn shell(script: &str) -> Config {
    Config { argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(), ..Config::default() }
}

fn judge(config: Config) -> Judgement {
    let turn = Said { text: "2 + 2?".to_owned(), ..Said::default() };
    let answer = Answer { text: "четыре".to_owned(), ..Answer::default() };
    let case = Case { conversation: vec![turn], answers: vec![answer], ..Case::default() };
    Command::new(config).unwrap().judge(&case)
}

fn why(judgement: &Judgement) -> &str {
    &judgement.findings[0].message
}

#[test]
fn it_reads_the_case_and_its_verdict_is_taken() {
    let script = r#"if grep -q '"text":"четыре"'; then
        echo '{"outcome":"fail","score":0.75,"findings":[{"code":"word","message":"write digits","choice":0}]}'
        else echo '{"outcome":"pass"}'; fi"#;
    let judged = judge(Config { environment: vec!["PATH".to_owned()], ..shell(script) });
    assert_eq!((judged.outcome, judged.score), (Outcome::Fail, Some(0.75)));
    assert_eq!(judged.findings, [Finding::new("word", Place::Text { choice: 0 }, "write digits")]);
}

#[test]
fn whatever_is_no_verdict_is_a_skip_that_says_why() {
    let table = [
        ("echo '{\"outcome\":\"abstain\"}'", Skip::Abstained, ""),
        ("echo good", Skip::Failed, "cannot be read"),
        ("echo '{\"outcome\":\"maybe\"}'", Skip::Failed, "cannot be read"),
        ("echo '{\"outcome\":\"pass\",\"score\":7}'", Skip::Failed, "no number from 0 to 1"),
        ("echo '{\"outcome\":\"pass\"}'; exit 3", Skip::Failed, "exit status: 3"),
        ("", Skip::Failed, "cannot be read"),
        ("while :; do echo 0123456789abcdef; done", Skip::Failed, "more than 65536 bytes"),
    ];
    for (script, skip, expected) in table {
        let judged = judge(shell(script));
        assert_eq!(judged.outcome, Outcome::Skipped(skip), "{script}");
        assert!(expected.is_empty() || why(&judged).contains(expected), "{script}: {judged:?}");
    }
}

#[test]
fn a_program_that_takes_too_long_is_killed_with_all_its_group() {
    let folder = std::env::temp_dir().join(format!("weir-command-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // A grandchild holds the pipe; without the group's end it would write its mark.
    let script = "(/bin/sleep 2; echo late > mark) & /bin/sleep 60";
    let config = Config { timeout_milliseconds: 100, directory: folder.clone(), ..shell(script) };
    let began = Instant::now();
    assert_eq!(judge(config).outcome, Outcome::Skipped(Skip::TimedOut));
    assert!(began.elapsed() < Duration::from_millis(1500));
    let left = || {
        let folders = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cwd"));
        folders.filter(|cwd| std::fs::read_link(cwd).is_ok_and(|cwd| cwd == folder)).count()
    };
    // A killed process is gone when the kernel comes to it, well before its own sleep would end.
    while left() > 0 {
        assert!(began.elapsed() < Duration::from_millis(1500), "{} processes are left", left());
        std::thread::yield_now();
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_environment_is_empty_but_for_named_variables() {
    let script = r#"echo "{\"outcome\":\"fail\",\"findings\":[{\"message\":\"[$HOME][$CARGO_MANIFEST_DIR]\"}]}""#;
    let config = Config { environment: vec!["CARGO_MANIFEST_DIR".to_owned()], ..shell(script) };
    let expected = format!("[][{}]", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    assert_eq!(why(&judge(config)), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_limited_before_the_case_is_told() {
    let script = "read -r line; ulimit -v >/dev/null; \
        echo \"{\\\"outcome\\\":\\\"fail\\\",\\\"findings\\\":[{\\\"message\\\":\\\"$(ulimit -v) $(ulimit -c)\\\"}]}\"";
    let judged = judge(Config { max_memory_bytes: 64 << 20, ..shell(script) });
    assert_eq!(why(&judged), "65536 0");
}

#[test]
fn a_case_larger_than_a_pipe_is_told_whole_and_one_over_the_limit_not_at_all() {
    let text = "слово ".repeat(50_000);
    let case = Case { answers: vec![Answer { text, ..Answer::default() }], ..Case::default() };
    let length = serde_json::to_vec(&case).unwrap().len();
    let script = format!(r#"[ "$(wc -c)" = {length} ] && echo '{{"outcome":"pass"}}'"#);
    let config = Config { environment: vec!["PATH".to_owned()], ..shell(&script) };
    assert_eq!(Command::new(config.clone()).unwrap().judge(&case).outcome, Outcome::Pass);
    let small = Config { max_input_bytes: 1000, ..config.clone() };
    assert_eq!(Command::new(small).unwrap().judge(&case).outcome, Outcome::Skipped(Skip::Unreadable));
    let deaf = Config { argv: shell("echo '{\"outcome\":\"pass\"}'").argv, ..config };
    assert_eq!(Command::new(deaf).unwrap().judge(&case).outcome, Outcome::Pass);
}

#[test]
fn what_comes_beside_too_many_is_shed() {
    let command = Command::new(Config { concurrency: 1, ..shell("echo '{\"outcome\":\"pass\"}'") }).unwrap();
    let held = Turn::take(&command.running, 1).unwrap();
    assert_eq!(command.judge(&Case::default()).outcome, Outcome::Skipped(Skip::Shed));
    drop(held);
    assert_eq!(command.judge(&Case::default()).outcome, Outcome::Pass);
}

#[test]
fn settings_that_cannot_work_are_faults_and_a_missing_program_is_an_error() {
    let keys = |config: Config| config.faults().iter().map(|fault| fault.key).collect::<Vec<_>>();
    assert_eq!(keys(Config::default()), ["argv"]);
    assert_eq!(keys(Config { argv: vec!["judge".to_owned()], ..Config::default() }), ["argv"]);
    assert_eq!(keys(Config { concurrency: 0, directory: "here".into(), ..shell("") }), ["directory", "concurrency"]);
    let absent = Command::new(Config { argv: vec!["/no/such/judge".to_owned()], ..Config::default() });
    assert!(absent.unwrap_err().contains("/no/such/judge"));
}
