//! What is the same answer, and what is not.

use proptest::prelude::*;

use super::*;
use crate::{Answer, Outcome};

fn judge(answer: &str, reference: &str) -> Judgement {
    let answer = Answer { text: answer.to_owned(), ..Answer::default() };
    let case = Case { answers: vec![answer], references: vec![reference.to_owned()], ..Case::default() };
    FinalAnswer::new(Config::default()).judge(&case)
}

#[test]
fn the_same_value_passes_however_it_is_written() {
    for (answer, reference) in [
        ("18", "18"),
        ("She makes $18 every day.", "18"),
        ("16 - 7 = 9\n9 * 2 = 18\nA: 18", "Janet sells ...\nA: 18"),
        ("... so 9 eggs.\n#### 1,450,000", "1450000"),
        ("The answer is $\\boxed{\\frac{3}{4}}$.", "0.75"),
        ("The answer is \\boxed{\\dfrac{1}{3}}", "0.33"),
        ("\\boxed{12\\text{ cm}}", "12 cm"),
        ("\\(\\boxed{1{,}234}\\)", "1234"),
        ("The final answer is: **42**", "42"),
        ("The answer is 42. It follows from 7 times 6.", "42"),
        ("Answer: (B)", "b"),
        ("The answer is A.", "A"),
        ("Ответ: 3,5 км", "3.5"),
        ("Ответ: 1 234 рубля", "1234"),
        ("**Ответ:** 15 %", "0.15"),
        ("Итого: 12 часов", "12 ч"),
        ("В итоге получается 7", "7"),
        ("25%", "25"),
        ("25%", "1/4"),
        ("It is 2 1/2 hours", "2.5"),
        ("2 1/2", "5/2"),
        ("-10", "−10"),
        ("−$5", "-5"),
        ("6.02 × 10^23", "6.02e23"),
        ("Paris", "paris."),
        ("да", "yes"),
        ("The answer is yes, since it is even", "yes, since it is even"),
    ] {
        assert_eq!(judge(answer, reference).outcome, Outcome::Pass, "{answer} | {reference}");
    }
}

#[test]
fn another_value_fails() {
    for (answer, reference) in [
        ("19", "18"),
        ("The first has 18, so it is 26", "18"),
        ("5 km", "5 miles"),
        ("$5", "5 €"),
        ("0.33", "0.34"),
        ("0.3", "1/3"),
        ("0.25%", "25%"),
        ("10", "-10"),
        ("Answer: B", "C"),
        ("нет", "yes"),
        ("London", "Paris"),
        ("The answer is 42", "4.2"),
        ("18 apples and 3 pears", "18"),
    ] {
        let judged = judge(answer, reference);
        assert_eq!(judged.outcome, Outcome::Fail, "{answer} | {reference}");
        assert_eq!(judged.findings[0].code, "wrong_answer");
    }
}

#[test]
fn the_right_answer_is_not_told() {
    assert!(!judge("The answer is 19", "18").findings[0].message.contains("18"));
}

#[test]
fn an_answer_that_comes_to_nothing_says_so_and_nothing_is_said_without_a_reference() {
    let long = "I would have to think about that for quite a while longer";
    assert_eq!(judge(long, "5").findings[0].code, "no_final_answer");
    let case = Case { answers: vec![Answer::default()], ..Case::default() };
    assert_eq!(FinalAnswer::new(Config::default()).judge(&case), Judgement::skipped(Skip::NotApplicable));
}

proptest! {
    #[test]
    fn a_number_equals_itself_in_every_dress(n in -9_999_999..9_999_999_i64) {
        let grouped = |mark: &str| {
            let digits = n.abs().to_string();
            let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
            format!("{}{}", if n < 0 { "-" } else { "" }, groups.join(mark))
        };
        for dress in [n.to_string(), format!("{n}.00"), grouped(","), grouped(" "), grouped("\u{a0}"), format!("**{n}**")] {
            prop_assert_eq!(judge(&format!("The answer is {dress}."), &n.to_string()).outcome, Outcome::Pass, "{}", dress);
            prop_assert_eq!(judge(&format!("Ответ: {dress}"), &(n + 1).to_string()).outcome, Outcome::Fail, "{}", dress);
        }
    }

    #[test]
    fn any_text_is_read_without_a_fall(answer in "\\PC{0,60}", reference in "\\PC{0,20}") {
        judge(&answer, &reference);
    }
}
