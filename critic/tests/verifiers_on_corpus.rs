//! Arithmetic and final answers on GSM8K: human solutions and those of four models.
//!
//! Reads the folder named by WEIR_DATA; says so where it is not set.

use std::path::PathBuf;

use serde::Deserialize;
use weir_critic::verifiers::{arithmetic, final_answer};
use weir_critic::{Answer, Case, Critic, Outcome};

#[derive(Deserialize)]
struct Row {
    ground_truth: String,
    #[serde(rename = "6b_finetuning")]
    a: Solution,
    #[serde(rename = "6b_verification")]
    b: Solution,
    #[serde(rename = "175b_finetuning")]
    c: Solution,
    #[serde(rename = "175b_verification")]
    d: Solution,
}

#[derive(Deserialize)]
struct Solution {
    is_correct: bool,
    solution: String,
}

fn rows() -> Option<Vec<Row>> {
    let Some(folder) = std::env::var_os("WEIR_DATA") else {
        eprintln!("not measured: WEIR_DATA names no folder");
        return None;
    };
    let path = PathBuf::from(folder).join("answer_quality/gsm8k_model_solutions_dev.jsonl");
    let text = std::fs::read_to_string(path).expect("the data folder holds GSM8K");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("rows are as their card says")).collect())
}

fn case(text: &str, reference: &str) -> Case {
    let answer = Answer { text: text.to_owned(), ..Answer::default() };
    Case { answers: vec![answer], references: vec![reference.to_owned()], ..Case::default() }
}

/// Without the calculator's own notes.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for piece in text.split("<<") {
        plain.push_str(piece.split_once(">>").map_or(piece, |(_, rest)| rest));
    }
    plain
}

#[test]
fn human_solutions_hold_hardly_any_wrong_sum_and_a_changed_result_is_found() {
    let Some(rows) = rows() else { return };
    let critic = arithmetic::Arithmetic::new(arithmetic::Config::default());
    let (mut judged, mut alarms, mut changed, mut found) = (0, 0, 0, 0);
    for row in &rows {
        let text = plain(&row.ground_truth);
        let outcome = critic.judge(&case(&text, "")).outcome;
        judged += usize::from(outcome != Outcome::Skipped(weir_critic::Skip::NotApplicable));
        if outcome == Outcome::Fail {
            alarms += 1;
            eprintln!("alarm: {:?}", critic.judge(&case(&text, "")).findings[0].message);
        }
        if let Some(wrong) = one_result_changed(&row.ground_truth) {
            changed += 1;
            found += usize::from(critic.judge(&case(&wrong, "")).outcome == Outcome::Fail);
        }
    }
    eprintln!(
        "arithmetic: {} solutions, {judged} with sums, {alarms} alarms; {changed} changed, {found} found",
        rows.len()
    );
    assert!(judged * 100 >= rows.len() * 85, "{judged}");
    assert!(alarms * 100 <= judged, "{alarms} of {judged}");
    assert!(found * 100 >= changed * 85, "{found} of {changed}");
}

/// The solution without notes, with its last computed result one higher.
fn one_result_changed(text: &str) -> Option<String> {
    let at = text.rfind(">>")? + 2;
    let digits = text[at..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - at);
    let value: u64 = text[at..at + digits].parse().ok()?;
    Some(plain(&format!("{}{}{}", &text[..at], value + 1, &text[at + digits..])))
}

#[test]
fn final_answers_agree_with_people_about_what_is_right() {
    let Some(rows) = rows() else { return };
    let critic = final_answer::FinalAnswer::new(final_answer::Config::default());
    let (mut agree, mut all, mut shown) = (0, 0, 0);
    for row in &rows {
        for solution in [&row.a, &row.b, &row.c, &row.d] {
            let judged = critic.judge(&case(&solution.solution, &row.ground_truth));
            let right = (judged.outcome == Outcome::Pass) == solution.is_correct;
            all += 1;
            agree += usize::from(right);
            if !right && shown < 10 {
                shown += 1;
                eprintln!("differs: {judged:?} {} {:?}", solution.is_correct, solution.solution);
            }
        }
    }
    eprintln!("final_answer: {agree} of {all} as people said");
    assert!(agree * 1000 >= all * 995, "{agree} of {all}");
}
