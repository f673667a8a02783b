//! Numbers in the answer that nothing which was sent holds.
//!
//! Where an answer rests on a context, each number in it must stand there or in the
//! conversation: `1,200`, `1 200`, `1200` and `1.2 thousand` are one number, and a word such
//! as `seven` or `семь` supports `7`. Small whole numbers are left alone, since people count
//! what they list. A number that was rightly worked out from others is found too: the rule
//! cannot calculate.

mod parse;

use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip};
use parse::{Number, numbers, spelled};

/// What is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether answers without any context are judged too; false by default, since then the
    /// LLM's own knowledge was asked for.
    pub without_context: bool,
    /// Whole numbers up to this one need no support. Number, 10 by default.
    pub ignore_up_to: u32,
    /// Numbers without support that an answer may hold. Count, 0 by default.
    pub max_unsupported: usize,
}

/// The critic.
#[derive(Debug)]
pub struct UnsupportedNumbers {
    config: Config,
}

impl Default for Config {
    fn default() -> Self {
        Self { without_context: false, ignore_up_to: 10, max_unsupported: 0 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }
}

impl UnsupportedNumbers {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    fn needs_support(&self, number: &Number) -> bool {
        let small = number.values[0].fract() == 0.0 && number.values[0] <= f64::from(self.config.ignore_up_to);
        let is_count = small && number.end - number.start <= 3;
        !(number.is_mark || is_count)
    }
}

impl Critic for UnsupportedNumbers {
    fn version(&self) -> &str {
        "unsupported_numbers-1"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.answers.is_empty() || (case.context.is_empty() && !self.config.without_context) {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let mut known = Known { case, values: None };
        let mut findings = Vec::new();
        for (place, text) in case.texts().filter(|(place, _)| matches!(place, Place::Text { .. })) {
            let open = numbers(text).filter(|number| self.needs_support(number));
            for number in open {
                if findings.len() <= crate::verdict::MAX_FINDINGS && !known.holds(text, &number) {
                    let written = &text[number.start..number.end];
                    let message = format!("`{written}` stands in nothing that was given; check it or leave it out");
                    findings.push(Finding::new("unsupported_number", place, message).at(number.start..number.end));
                }
            }
        }
        if findings.len() <= self.config.max_unsupported {
            findings.clear();
        }
        Judgement::of(findings)
    }
}

/// The numbers that were given.
struct Known<'a> {
    case: &'a Case,
    /// Their values, sorted; made only when a number was not found as written.
    values: Option<Vec<f64>>,
}

/// Everything that was sent.
fn sent(case: &Case) -> impl Iterator<Item = &str> {
    let turns = case.conversation.iter().map(|turn| turn.text.as_str());
    turns.chain(case.context.iter().map(|passage| passage.text.as_str()))
}

impl Known<'_> {
    fn holds(&mut self, text: &str, number: &Number) -> bool {
        let written = &text[number.start..number.end];
        let finder = memchr::memmem::Finder::new(written);
        if sent(self.case).any(|text| stands_in(text, &finder)) {
            return true;
        }
        let case = self.case;
        let values = self.values.get_or_insert_with(|| {
            let mut values: Vec<f64> = sent(case).flat_map(all_values).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        });
        let near = |value: f64| {
            let at = values.partition_point(|known| *known < value * (1.0 - 1e-9));
            values.get(at).is_some_and(|known| *known <= value * (1.0 + 1e-9))
        };
        // `12 000` may also be two numbers side by side.
        number.values.iter().any(|value| near(*value))
            || (written.contains(' ') && numbers(&written.replace(' ', ", ")).all(|part| near(part.values[0])))
    }
}

fn all_values(text: &str) -> impl Iterator<Item = f64> {
    let digits = numbers(text).flat_map(|number| {
        // A row of thousands may also be numbers side by side.
        let head = number.parts.unwrap_or(number.values[0]);
        [number.values[0], number.values[1], number.values[2], head]
    });
    digits.chain(spelled(text))
}

/// Whether the digits stand in the text as written, and are no part of a longer number.
fn stands_in(text: &str, written: &memchr::memmem::Finder<'_>) -> bool {
    let bytes = text.as_bytes();
    written.find_iter(bytes).any(|at| {
        let end = at + written.needle().len();
        let before = at.checked_sub(1).map(|at| bytes[at]);
        let joined =
            before.is_some_and(|byte| matches!(byte, b'.' | b',')) && at >= 2 && bytes[at - 2].is_ascii_digit();
        let longer = matches!(bytes.get(end), Some(b'.' | b',')) && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        !before.is_some_and(|byte| byte.is_ascii_digit())
            && !joined
            && !longer
            && !bytes.get(end).is_some_and(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome, Passage};

    fn judge(context: &str, answer: &str) -> Judgement {
        let context = vec![Passage { text: context.to_owned(), ..Passage::default() }];
        let answers = vec![Answer { text: answer.to_owned(), ..Answer::default() }];
        UnsupportedNumbers::new(Config::default()).judge(&Case { context, answers, ..Case::default() })
    }

    #[test]
    fn a_number_that_was_given_may_be_said_in_any_common_form() {
        let table = [
            ("It cost 1,250,000 dollars.", "It cost 1250000 dollars, or 1.25 million."),
            ("Население 1 250 000 человек.", "В городе живут 1,25 млн человек."),
            ("Growth of 12.50 %.", "It grew by 12.5%."),
            ("Рост на 12,5 %.", "It grew by 12.5%."),
            ("There were seventeen of them, and forty-two others.", "17 and 42."),
            ("Их было двадцать пять.", "Их было 25."),
            ("From 1990-1995, at 10:45.", "In 1990, until 1995, at 10:45."),
            ("Opened in 2012.", "1. It opened in 2012.\n12. That is all.\n13) Yes."),
            ("It has three legs.", "It has 4 legs."),
            ("The 21st century", "In the 21st century, COVID-19 and H2O"),
        ];
        for (context, answer) in table {
            assert_eq!(judge(context, answer).outcome, Outcome::Pass, "{context} / {answer}");
        }
    }

    #[test]
    fn a_number_that_was_made_up_is_found_where_it_stands() {
        let table = [
            ("It cost 1,250,000 dollars.", "It cost 1,350,000 dollars.", "1,350,000"),
            ("Opened in 2012.", "Открыт в 2013 году.", "2013"),
            ("At 98.6 degrees.", "At 8.6 degrees.", "8.6"),
            ("Heat to 350 degrees for 45 minutes", "Heat to 350 degrees for 54 minutes", "54"),
        ];
        for (context, answer, number) in table {
            let judged = judge(context, answer);
            let spans: Vec<_> = judged.findings.iter().filter_map(|finding| finding.span.clone()).collect();
            assert_eq!(spans.iter().map(|span| &answer[span.clone()]).collect::<Vec<_>>(), [number], "{judged:?}");
        }
    }
}
