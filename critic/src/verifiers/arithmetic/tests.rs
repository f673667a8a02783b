//! Sums that are right, wrong, and none.

use proptest::prelude::*;

use super::*;
use crate::{Answer, Outcome};

fn case(text: &str) -> Case {
    Case { answers: vec![Answer { text: text.to_owned(), ..Answer::default() }], ..Case::default() }
}

fn judge(text: &str) -> Judgement {
    Arithmetic::new(Config::default()).judge(&case(text))
}

#[test]
fn right_sums_pass_however_they_are_written() {
    for text in [
        "16 - 3 - 4 = <<16-3-4=9>>9 eggs",
        "She makes 9 * 2 = $<<9*2=18>>18 a day",
        "5 apples + 3 apples = 8 apples",
        "The total is $1,200 + $350 = $1,550.",
        "1 200 + 350 = 1 550 рублей",
        "2,5 + 2,5 = 5",
        "3 × (4 + 5) = 27",
        "2(3 + 4) = 14",
        "12 : 4 = 3",
        "\\frac{3}{4} \\times 8 = 6",
        "\\(\\frac{10}{4} = 2.5\\)",
        "2^10 = 1024 and 3² + 4² = 25 and 2**3 = 8",
        "20% of 50 = 10",
        "20% от 50 = 10",
        "1/2 of 10 = 5",
        "3 / 12 = 25%",
        "3 / 12 * 100 = 25%",
        "100% - 20% = 80%",
        "10 / 3 = 3.33",
        "10 / 4 = 2",
        "12.75 * 1.15 = 14.66",
        "5x3=15, 5 x 3 = 15",
        "**5 + 3 = 8**",
        "5 + 3 = **8** apples",
        "- 5 + 3 = 8\n* 2 * 2 = 4\n1. 7 + 1 = 8\n2) 7 + 2 = 9",
        "Итого = 5 + 3 = 8",
        "3 + 4 = 7 * 2 = 14",
        "60 miles/hour * 2 hours = 120 miles",
        "$5/apple * 3 apples = $15",
        "1.234,50 + 0,50 = 1.235,00",
        "-3 + 5 = 2",
        "5 плюс 3 = 8",
    ] {
        assert_eq!(judge(text).outcome, Outcome::Pass, "{text}: {:?}", judge(text));
    }
}

#[test]
fn wrong_sums_are_found_where_they_stand() {
    for (text, step, value) in [
        ("So 16 - 3 - 4 = 10 eggs.", "16 - 3 - 4 = 10", "9"),
        ("<<9*2=19>>19", "9*2=19", "18"),
        ("Сначала 12 * 12 = 124, затем 5 + 5 = 10", "12 * 12 = 124", "144"),
        ("$1,200 + $350 = $1,650", "1,200 + $350 = $1,650", "1550"),
        ("5 apples + 3 apples = 9 apples", "5 apples + 3 apples = 9", "8"),
        ("3 × (4 + 5) = 17", "3 × (4 + 5) = 17", "27"),
        ("\\frac{3}{4} \\times 8 = 7", "\\frac{3}{4} \\times 8 = 7", "6"),
        ("20% of 50 = 15", "20% of 50 = 15", "10"),
        ("2 + 2 = 4 = 2 * 3", "4 = 2 * 3", "4"),
        ("10 / 3 = 3.5", "10 / 3 = 3.5", "3.333333"),
        ("0,5 + 0,25 = 0,85", "0,5 + 0,25 = 0,85", "0.75"),
        ("2^10 = 1000", "2^10 = 1000", "1024"),
        ("7 * 8 = 54.", "7 * 8 = 54", "56"),
        ("5 плюс 3 = 9", "5 плюс 3 = 9", "8"),
    ] {
        let judged = judge(text);
        assert_eq!(judged.outcome, Outcome::Fail, "{text}");
        let finding = &judged.findings[0];
        assert_eq!(&text[finding.span.clone().unwrap()], step);
        assert!(finding.message.contains(&format!("is {value};")), "{}", finding.message);
    }
}

#[test]
fn what_is_no_sum_of_numbers_is_left_alone() {
    for text in [
        "2x + 3 = 7",
        "x = 5",
        "y - 3 = 8 and 2 + y = 9",
        "5 + 3x = 11",
        "f(5) + 3 = 9",
        "half of 6 + 2 = 5",
        "1 hour + 30 minutes = 90 minutes",
        "100 minutes / 60 = 1 hour 40 minutes",
        "1.5 million * 2 = 3,000,000",
        "2 dozen + 1 = 25",
        "2 + 2 == 5",
        "2 + 2 != 5",
        "2 + 2 ≈ 5",
        "17 mod 5 = 2",
        "4! + 1 = 25",
        "80 + 5% = 84",
        "E = mc^2",
        "log 100 + 1 = 3",
        "a = b = c",
        "version = 1.2.3",
        "```\nx = 2 + 2 = 5\n```",
        "",
        "10^400 * 10^400 = 1",
        "5 / 0 = 7",
    ] {
        assert_eq!(judge(text), Judgement::skipped(Skip::NotApplicable), "{text}");
    }
}

#[test]
fn code_is_not_computed_and_reasoning_only_where_asked() {
    let code = Case { task: Task::Code, ..case("2 + 2 = 5") };
    assert_eq!(Arithmetic::new(Config::default()).judge(&code), Judgement::skipped(Skip::NotApplicable));
    let answer = Answer { reasoning: "2 + 2 = 5? No.".to_owned(), ..Answer::default() };
    let thought = Case { answers: vec![answer], ..Case::default() };
    assert_eq!(Arithmetic::new(Config::default()).judge(&thought), Judgement::skipped(Skip::NotApplicable));
    let all = Arithmetic::new(Config { reasoning: true }).judge(&thought);
    assert_eq!((all.outcome, all.findings[0].place), (Outcome::Fail, Place::Reasoning { choice: 0 }));
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_fall(text in "[0-9.,%=+*/^()x \\\\{}а-яa-z$²:-]{0,80}") {
        let judged = judge(&text);
        for finding in &judged.findings {
            prop_assert!(text.get(finding.span.clone().unwrap()).is_some());
        }
    }

    #[test]
    fn sums_of_integers_are_judged_as_they_are(a in 0..5000_i64, b in 1..5000_i64, off in -3..=3_i64, sign in 0..3_usize) {
        let (mark, right) = [("+", a + b), ("-", a - b), ("*", a * b)][sign];
        let text = format!("It is {a} {mark} {b} = {}.", right + off);
        let expected = if off == 0 { Outcome::Pass } else { Outcome::Fail };
        prop_assert_eq!(judge(&text).outcome, expected, "{}", text);
    }
}
