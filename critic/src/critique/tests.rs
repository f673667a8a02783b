//! What a critique says, and what it never does.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::panel::{Cost, OnSkip};
use crate::{Answer, Judgement, Outcome, Skip, Turn};

fn case(question: &str, answer: &str) -> Case {
    let turn = Turn { text: question.to_owned(), ..Turn::default() };
    let answer = Answer { text: answer.to_owned(), ..Answer::default() };
    Case { conversation: vec![turn], answers: vec![answer], ..Case::default() }
}

fn verdict(mode: Mode, judgement: Judgement) -> Verdict {
    Verdict {
        critic: "grounding".into(),
        version: "1".into(),
        mode,
        on_skip: OnSkip::Closed,
        weight: 1.0,
        judgement,
        took: Duration::ZERO,
        cost: Cost::default(),
    }
}

fn found(messages: &[&str]) -> Verdict {
    let findings = messages.iter().map(|message| Finding::new("unsupported", Place::Text { choice: 0 }, *message));
    verdict(Mode::Enforce, Judgement::of(findings.collect()))
}

#[test]
fn it_lists_what_was_found_with_the_words_it_is_about() {
    let finding = Finding::new("unsupported", Place::Text { choice: 0 }, "not in the context").at(0..14);
    let verdicts = [verdict(Mode::Enforce, Judgement::of(vec![finding]))];
    let text = write(&Config::default(), &case("Where is it?", "The Moon base is in Paris."), &verdicts, 2);
    assert!(text.contains("(attempt 2)"), "{text}");
    assert!(text.contains("- not in the context: \"The Moon base\""), "{text}");
}

#[test]
fn it_speaks_the_language_of_the_question() {
    for (question, word) in [
        ("Сколько будет два плюс два?", "попытка 1"),
        ("Привет", "попытка 1"),
        ("What is two and two?", "attempt 1"),
        ("Wie viel ist zwei und zwei?", "attempt 1"),
        ("", "attempt 1"),
    ] {
        let text = write(&Config::default(), &case(question, "5"), &[found(&["wrong"])], 1);
        assert!(text.contains(word), "{question}: {text}");
    }
}

#[test]
fn it_is_silent_about_audit_and_speaks_for_critics_that_gave_no_reason() {
    let audit = verdict(Mode::Audit, found(&["watched only"]).judgement);
    let mute = verdict(Mode::Enforce, Judgement { outcome: Outcome::Fail, score: Some(0.9), findings: Vec::new() });
    let late = verdict(Mode::Enforce, Judgement::skipped(Skip::TimedOut));
    let text = write(&Config::default(), &case("Why?", "x"), &[audit, mute, late], 1);
    assert!(!text.contains("watched only"));
    assert_eq!(text.matches("`grounding` failed").count(), 1, "said once: {text}");
}

#[test]
fn an_answer_cannot_write_into_the_template() {
    let text = write(&Config::default(), &case("Why?", "x"), &[found(&["{attempt} {findings}\n- other"])], 7);
    assert!(text.contains("- {attempt} {findings} - other\n"), "{text}");
}

#[test]
fn templates_that_cannot_work_are_faults() {
    let table = [
        ("{findings} in {language}", 4096, Some("has the unknown placeholder {language}")),
        ("try again", 4096, Some("says nothing of what is wrong")),
        ("{findings}", 100, Some("leaves no room for findings within max_bytes")),
        ("{findings} as {\"json\": 1} or {}", 4096, None),
    ];
    for (english, max_bytes, problem) in table {
        let config = Config { english: english.to_owned(), russian: "{findings}".to_owned(), max_bytes };
        let first = config.faults().into_iter().next();
        assert_eq!(first.as_ref().map(|fault| fault.problem.as_str()), problem, "{english}");
    }
    assert!(Config::default().faults().is_empty());
}

#[test]
fn what_does_not_fit_is_counted() {
    let config = Config { english: "{findings}".to_owned(), max_bytes: 300, ..Config::default() };
    let messages: Vec<String> = (0..40).map(|i| format!("finding number {i}")).collect();
    let judgement = Judgement {
        findings: messages.iter().map(|m| Finding::new("x", Place::Whole, m)).collect(),
        ..Judgement::of(Vec::new())
    };
    let verdicts = [verdict(Mode::Enforce, Judgement { outcome: Outcome::Fail, ..judgement })];
    let text = write(&config, &case("Why?", "x"), &verdicts, 1);
    let shown = text.lines().count() - 1;
    assert!(text.ends_with(&format!("- and {} more", 40 - shown)), "{text}");
    assert!(shown > 8 && text.len() <= 300);
}

proptest! {
    #[test]
    fn it_is_never_longer_than_allowed(messages in proptest::collection::vec("\\PC{0,400}", 0..20), extra in 0..600_usize) {
        let config = Config { max_bytes: Config::default().russian.len() + MIN_FINDINGS_BYTES + extra, ..Config::default() };
        prop_assert!(config.faults().is_empty());
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        for question in ["Why is it so?", "Почему это так?"] {
            let text = write(&config, &case(question, "x"), &[found(&messages)], u32::MAX);
            prop_assert!(text.len() <= config.max_bytes);
        }
    }
}
