//! What the rules say of real answers: refusals against labels, false alarms on ordinary answers.
//!
//! The answers are not part of the repository: `WEIR_DATA` names the folder that holds them.
//! With `WEIR_SHOW=1` each mistake is printed.

use std::path::PathBuf;

use serde_json::Value;
use weir_critic::config::{Built, Config};
use weir_critic::{Answer, Case, Format, Outcome, Passage, Turn};

/// A critic with its default settings.
fn critic(kind: &str) -> std::sync::Arc<dyn weir_critic::Critic> {
    let config: Config = serde_json::from_value(serde_json::json!({ "kind": kind })).expect("default settings");
    match config.build().expect("default settings build") {
        Built::Alone(critic) => critic,
        Built::Asking(_) => panic!("{kind} asks an LLM"),
    }
}

/// The rows of a set; none, and said so, where there is no data.
fn rows(set: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("WEIR_DATA") else {
        eprintln!("not measured: WEIR_DATA does not name a folder with {set}");
        return None;
    };
    let path = PathBuf::from(folder).join(set);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    Some(text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect())
}

fn case(question: &str, context: &str, answer: &str) -> Case {
    let context = Some(context).filter(|text| !text.is_empty());
    Case {
        conversation: vec![Turn { text: question.to_owned(), ..Turn::default() }],
        context: context.map(|text| Passage { text: text.to_owned(), ..Passage::default() }).into_iter().collect(),
        answers: vec![Answer { text: answer.to_owned(), ..Answer::default() }],
        ..Case::default()
    }
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

/// Counts of right and wrong.
#[derive(Default)]
struct Table {
    hits: usize,
    misses: usize,
    alarms: usize,
    rest: usize,
}

impl Table {
    fn add(&mut self, bad: bool, said: bool) -> bool {
        let cell = match (bad, said) {
            (true, true) => &mut self.hits,
            (true, false) => &mut self.misses,
            (false, true) => &mut self.alarms,
            (false, false) => &mut self.rest,
        };
        *cell += 1;
        bad == said
    }

    fn f1(&self) -> f64 {
        2.0 * self.hits as f64 / (2 * self.hits + self.misses + self.alarms).max(1) as f64
    }

    fn alarm_rate(&self) -> f64 {
        self.alarms as f64 / (self.alarms + self.rest).max(1) as f64
    }

    fn tell(&self, name: &str) {
        let Self { hits, misses, alarms, rest } = self;
        let (f1, rate) = (self.f1(), self.alarm_rate());
        eprintln!(
            "{name}: {hits} hits, {misses} misses, {alarms} alarms, {rest} rest, F1 {f1:.3}, false alarms {rate:.4}"
        );
    }
}

fn show(right: bool, what: &str, question: &str, answer: &str) {
    if !right && std::env::var_os("WEIR_SHOW").is_some() {
        let cut = |text: &str, n| text.chars().take(n).collect::<String>().replace('\n', " ");
        eprintln!("  wrong ({what}): {} => {}", cut(question, 90), cut(answer, 260));
    }
}

#[test]
fn refusals_are_told_from_answers() {
    let refusal = critic("refusal");
    let refuses = |case: &Case| refusal.judge(case).outcome == Outcome::Fail;
    let Some(labelled) = rows("refusal/pyrit_refusal_dev.jsonl") else { return };
    let mut table = Table::default();
    for row in &labelled {
        let (question, answer) = (text(row, "prompt"), text(row, "answer"));
        let bad = row["refusal"].as_str() == Some("1");
        let right = table.add(bad, refuses(&case(question, "", answer)));
        show(right, if bad { "missed" } else { "alarm" }, question, answer);
    }
    table.tell("pyrit");
    assert!(table.f1() >= 0.86);
    let mut table = Table::default();
    for row in rows("drift/llmdrift_sensitiveq_eval.jsonl").unwrap() {
        let (question, answer) = (text(&row, "query"), text(&row, "answer"));
        let bad = row["Response Rate"] == 0;
        let right = table.add(bad, refuses(&case(question, "", answer)));
        show(right, if bad { "missed" } else { "alarm" }, question, answer);
    }
    table.tell("sensitiveq");
    assert!(table.f1() >= 0.9);
}

/// Ordinary answers: `(set, question, context, answer)`.
const ORDINARY: [(&str, &str, &str, &str); 4] = [
    ("faithfulness/halueval_general_dev.jsonl", "query", "", "answer"),
    ("faithfulness/ragtruth_qa_train.jsonl", "question", "context", "answer"),
    ("faithfulness/halueval_summ_dev.jsonl", "question", "context", "answer"),
    ("drift/llmdrift_prime_full_eval.jsonl", "query", "", "answer"),
];

#[test]
fn ordinary_answers_raise_few_alarms() {
    let limits = [
        ("empty", 0.005),
        ("truncated", 0.03),
        ("refusal", 0.09),
        ("repetition_loop", 0.005),
        ("language_flip", 0.01),
        ("leaked_tokens", 0.002),
        ("copied_prompt", 0.02),
        ("personal_data", 0.02),
    ];
    for (set, question, context, answer) in ORDINARY {
        let Some(rows) = rows(set) else { return };
        for (kind, limit) in limits {
            let critic = critic(kind);
            let mut table = Table::default();
            for row in &rows {
                let (question, answer) = (text(row, question), text(row, answer));
                let said = critic.judge(&case(question, text(row, context), answer)).outcome == Outcome::Fail;
                show(table.add(false, said), kind, question, answer);
            }
            table.tell(&format!("{set} {kind}"));
            assert!(table.alarm_rate() <= limit, "{kind} on {set}: {}", table.alarm_rate());
        }
    }
}

#[test]
fn json_schema_is_judged_as_the_conformance_suite_says() {
    let Some(rows) = rows("json/json_schema_dev.jsonl") else { return };
    let critic = critic("json");
    let (mut wrong, mut unclear) = (0, 0);
    for row in &rows {
        let mut case = case("", "", &row["instance"].to_string());
        case.format = Format::Schema(std::sync::Arc::new(row["schema"].clone()));
        match (critic.judge(&case).outcome, row["valid"] == true) {
            (Outcome::Pass, true) | (Outcome::Fail, false) => {}
            (Outcome::Skipped(_), _) => {
                unclear += 1;
                show(false, "unclear", &row["schema"].to_string(), text(row, "test"));
            }
            (_, _) => {
                wrong += 1;
                show(false, "wrong", &row["schema"].to_string(), text(row, "test"));
            }
        }
    }
    eprintln!("json schema: {} cases, {wrong} wrong, {unclear} not said", rows.len());
    // Two schemas of the suite, with five cases, name dialects that would have to be fetched.
    assert!(wrong == 0 && unclear <= 5);
}
