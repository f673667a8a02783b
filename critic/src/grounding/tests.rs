//! The critic with the model that comes with the program, on cases in English and Russian.

use super::*;
use crate::{Answer, Outcome, Passage, Turn};

fn case(question: &str, context: &str, answers: &[&str]) -> Case {
    let turn = Turn { text: question.to_owned(), ..Turn::default() };
    let passage = Passage { source: "tool".to_owned(), text: context.to_owned() };
    let answers = answers.iter().map(|text| Answer { text: (*text).to_owned(), ..Answer::default() }).collect();
    Case { conversation: vec![turn], context: vec![passage], answers, ..Case::default() }
}

fn critic() -> Grounding {
    Grounding::new(Config::default()).unwrap()
}

fn score(case: &Case) -> f64 {
    critic().judge(case).score.unwrap()
}

const BRIDGE: &str = "The Elm Street bridge was opened in 1932 by Mayor Harold Dunn. It is 410 metres long and carries \
    two lanes of traffic. The bridge was closed for repairs between 1987 and 1989.";
const LAKE: &str = "Озеро Светлое находится в 40 километрах к северу от города Кемь. Его глубина достигает 28 метров. \
    Рыбалка на озере разрешена с мая по октябрь. Исследователь Иван Морозов описал озеро в 1911 году.";

#[test]
fn what_the_context_says_scores_below_what_it_does_not_in_both_languages() {
    let pairs = [
        (
            BRIDGE,
            "The bridge was opened in 1932 by Mayor Harold Dunn.",
            "The bridge was opened in 1957 by Mayor Harold Dunn.",
        ),
        (
            BRIDGE,
            "It is 410 metres long and carries two lanes of traffic.",
            "It is painted green and attracts many tourists every summer.",
        ),
        (BRIDGE, "It was opened by Mayor Harold Dunn.", "It was opened by Mayor Peter Walsh."),
        (LAKE, "Глубина озера достигает 28 метров.", "Глубина озера достигает 95 метров."),
        (LAKE, "Рыбалка разрешена с мая по октябрь.", "На берегу построены гостиницы и рестораны для туристов."),
        (LAKE, "Озеро описал Иван Морозов в 1911 году.", "Озеро описал Пётр Семёнов в 1911 году."),
    ];
    for (context, good, bad) in pairs {
        let [good, bad] = [good, bad].map(|answer| score(&case("", context, &[answer])));
        assert!(good < bad, "{good} {bad}");
    }
}

#[test]
fn a_made_up_answer_fails_and_says_where_and_why() {
    let answer = "The bridge is 410 metres long. Its architect Louis Fontaine won the Pritzker prize in 1974 for the \
        design. Every summer it attracts about 250000 tourists, who admire the famous marble statues of Queen Victoria.";
    let judged = critic().judge(&case("How long is the bridge?", BRIDGE, &[answer]));
    assert_eq!(judged.outcome, Outcome::Fail);
    let numbers: Vec<&Finding> = judged.findings.iter().filter(|finding| finding.code == "number").collect();
    assert!(numbers.iter().any(|finding| finding.message.contains("1974")), "{judged:?}");
    assert!(judged.findings.iter().all(|finding| finding.span.as_ref().is_some_and(|span| span.start > 30)));
}

#[test]
fn one_made_up_sentence_beside_a_true_one_is_enough() {
    let answer = "The bridge is 410 metres long. Its architect Louis Fontaine won the Pritzker prize in 1974.";
    let judged = critic().judge(&case("How long is the bridge?", BRIDGE, &[answer]));
    assert_eq!(judged.outcome, Outcome::Fail, "{judged:?}");
}

#[test]
fn every_choice_is_judged_and_the_worst_counts() {
    let (good, bad) = ("It is 410 metres long.", "Its architect Louis Fontaine won the Pritzker prize in 1974.");
    let both = critic().judge(&case("", BRIDGE, &[good, bad]));
    assert_eq!(both.score, Some(score(&case("", BRIDGE, &[bad]))));
    assert_eq!(both.findings[0].place, Place::Text { choice: 1 });
}

#[test]
fn without_context_or_words_nothing_is_said() {
    let skipped = Judgement::skipped(Skip::NotApplicable);
    let bare = Case { context: Vec::new(), ..case("", "", &["Paris."]) };
    let empty = case("", "The capital is Paris.", &["..."]);
    let code = Case { task: Task::Code, ..case("", BRIDGE, &["let x = 1;"]) };
    for case in [bare, empty, code, case("", " \n", &["Paris."])] {
        assert_eq!(critic().judge(&case), skipped);
    }
}

#[test]
fn texts_of_any_shape_and_length_are_judged_without_harm() {
    let long = "Длинное слово и number 42, again. ".repeat(20_000);
    let odd = [
        "\u{202e}\u{0}",
        "1. 2. 3.",
        "a\u{301}\u{301}\u{301}",
        "....",
        "«»\n\n—",
        "passage 9:",
        "passage ",
        "пасс\u{301}",
        &long,
    ];
    for answer in odd {
        for context in odd {
            let judged = critic().judge(&case(answer, context, &[answer]));
            assert!(judged.score.is_none_or(|score| (0.0..=1.0).contains(&score)));
            let whole = |span: &std::ops::Range<usize>| answer.get(span.clone()).is_some();
            assert!(judged.findings.iter().all(|finding| finding.span.as_ref().is_some_and(whole)));
        }
    }
}

#[test]
fn a_file_that_is_not_the_configured_one_is_refused() {
    let path = std::env::temp_dir().join(format!("grounding-{}.json", std::process::id()));
    std::fs::write(&path, SHIPPED).unwrap();
    let with =
        |sha256: Option<String>| Grounding::new(Config { model: Some(path.clone()), sha256, ..Config::default() });
    assert!(with(Some(digest(SHIPPED).to_uppercase())).is_ok());
    assert!(with(Some("0".repeat(64))).unwrap_err().contains("SHA-256"));
    std::fs::write(&path, b"{}").unwrap();
    assert!(with(None).unwrap_err().contains("is no grounding model"));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn settings_that_cannot_be_are_named_with_a_cure() {
    let keys = |config: Config| config.faults().into_iter().map(|fault| fault.key).collect::<Vec<_>>();
    assert!(keys(Config::default()).is_empty());
    assert_eq!(keys(Config { threshold: Some(1.5), ..Config::default() }), ["threshold"]);
    assert_eq!(keys(Config { sha256: Some("abc".to_owned()), ..Config::default() }), ["sha256"]);
    assert_eq!(keys(Config { sha256: Some("a".repeat(64)), ..Config::default() }), ["sha256"]);
}
