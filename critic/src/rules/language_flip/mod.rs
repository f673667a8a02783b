//! Answers in another language than the question.
//!
//! Scripts are compared first, then the common words of the two texts vote; only where these
//! do not settle it does a language detector (whatlang, trigrams) read the texts, which costs
//! a hundred times as much. Code, links and JSON
//! do not count. A conversation that names a language or speaks of translating, or that was
//! held in the answer's language before, may be answered in it.

mod sample;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};
use whatlang::{Lang, Script};

use crate::config::Fault;
use crate::{Answer, Case, Critic, Effort, Finding, Format, Judgement, Place, Role, Skip, Task};
use sample::{READ, Sample};

/// Bytes of what was sent that are searched for the name of a language.
const SEARCHED: usize = 100_000;

/// When two texts are of different languages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Letters that a question and an answer need at least for their language to be told. In
    /// characters, 24 by default.
    pub min_letters: usize,
    /// Letters that both need where their script is the same, so that only their words can
    /// tell. In characters, 64 by default.
    pub min_letters_of_one_script: usize,
    /// How sure the detector must be of both languages of one script. Ratio, 0.9 by default.
    pub min_confidence: f64,
}

/// The critic.
#[derive(Debug)]
pub struct LanguageFlip {
    config: Config,
}

/// Words of a conversation in which another language may be asked for.
const LANGUAGE_WORDS: [&str; 78] = [
    "translat",
    "language",
    "in english",
    "english",
    "french",
    "german",
    "spanish",
    "italian",
    "portuguese",
    "russian",
    "ukrainian",
    "polish",
    "dutch",
    "swedish",
    "danish",
    "norwegian",
    "finnish",
    "czech",
    "slovak",
    "hungarian",
    "romanian",
    "bulgarian",
    "serbian",
    "croatian",
    "greek",
    "turkish",
    "arabic",
    "hebrew",
    "persian",
    "farsi",
    "hindi",
    "bengali",
    "urdu",
    "tamil",
    "chinese",
    "mandarin",
    "cantonese",
    "japanese",
    "kanji",
    "korean",
    "vietnamese",
    "thai",
    "indonesian",
    "malay",
    "swahili",
    "latin",
    "esperanto",
    "перевед",
    "перевод",
    "язык",
    "англ",
    "русск",
    "немец",
    "франц",
    "испан",
    "итальян",
    "китай",
    "япон",
    "корей",
    "украин",
    "польск",
    "арабск",
    "турец",
    "латин",
    "по-русски",
    "auf deutsch",
    "auf englisch",
    "übersetz",
    "traduis",
    "en français",
    "en anglais",
    "traduce",
    "en español",
    "en inglés",
    "翻译",
    "英文",
    "中文",
    "日本語",
];

static NAMES: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(LANGUAGE_WORDS).ok());

impl Default for Config {
    fn default() -> Self {
        Self { min_letters: 24, min_letters_of_one_script: 64, min_confidence: 0.9 }
    }
}

impl Config {
    /// What is wrong with the values.
    pub fn faults(&self) -> Vec<Fault> {
        match (0.0..=1.0).contains(&self.min_confidence) {
            true => Vec::new(),
            false => vec![Fault::new("min_confidence", "is no ratio", "set it between 0 and 1")],
        }
    }
}

impl LanguageFlip {
    /// A critic with these settings.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Whether the two languages differ; none where a text is too short or cannot be told.
    fn differ(&self, question: &str, answer: &str) -> Option<bool> {
        let (ours, theirs) = (Sample::of(question), Sample::of(answer));
        if ours.letters < self.config.min_letters || theirs.letters < self.config.min_letters {
            return None;
        }
        if !may_be_one(ours.script?, theirs.script?) {
            return Some(true);
        }
        let leads = (ours.leading(), theirs.leading());
        if leads.0.is_some() && leads.0 == leads.1 {
            return Some(false);
        }
        // Trigrams of a short text, or of a list of names, say anything.
        let shared = matches!(ours.script?, Script::Latin | Script::Cyrillic | Script::Arabic | Script::Devanagari);
        if shared && ours.letters.min(theirs.letters) < self.config.min_letters_of_one_script {
            return None;
        }
        let (ours, theirs) = (whatlang::detect(ours.text.as_ref())?, whatlang::detect(theirs.text.as_ref())?);
        if ours.lang() == theirs.lang() || are_close(ours.lang(), theirs.lang()) {
            return Some(false);
        }
        // Two that differ must both be sure.
        (ours.confidence().min(theirs.confidence()) >= self.config.min_confidence).then_some(true)
    }

    fn look(&self, case: &Case, choice: usize, answer: &Answer) -> Option<Option<Finding>> {
        let question = case.question();
        if !self.differ(question, &answer.text)? {
            return Some(None);
        }
        // The request may stand before or after what it is about.
        let tail = question.len().saturating_sub(READ / 2);
        let tail = (tail..question.len()).find(|at| question.is_char_boundary(*at)).map_or("", |at| &question[at..]);
        let before = case.conversation.iter().filter(|turn| turn.role != Role::Tool).map(|turn| turn.text.as_str());
        let mut also = before.chain([tail]).filter(|text| !text.is_empty());
        if also.any(|text| self.differ(text, &answer.text) == Some(false)) || names_language(case) {
            return Some(None);
        }
        let message = "the answer is in another language than the question; answer in the question's";
        Some(Some(Finding::new("language_flip", Place::Text { choice }, message)))
    }
}

impl Critic for LanguageFlip {
    fn version(&self) -> &str {
        "language_flip-2"
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judge(&self, case: &Case) -> Judgement {
        if case.format != Format::Text || matches!(case.task, Task::Json | Task::Tools) {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let answers = case.answers.iter().enumerate();
        let looked: Vec<Option<Finding>> =
            answers.filter_map(|(choice, answer)| self.look(case, choice, answer)).collect();
        match looked.is_empty() {
            true => Judgement::skipped(Skip::NotApplicable),
            false => Judgement::of(looked.into_iter().flatten().collect()),
        }
    }
}

/// Whether texts of the two scripts may be of one language: Japanese is written in several.
fn may_be_one(a: Script, b: Script) -> bool {
    let east = |script| matches!(script, Script::Mandarin | Script::Hiragana | Script::Katakana);
    a == b || (east(a) && east(b))
}

/// Languages that a detector takes for each other on a few sentences.
fn are_close(a: Lang, b: Lang) -> bool {
    const GROUPS: [&[Lang]; 7] = [
        &[Lang::Nob, Lang::Dan, Lang::Swe],
        &[Lang::Ces, Lang::Slk],
        &[Lang::Hrv, Lang::Srp, Lang::Slv, Lang::Mkd, Lang::Bul],
        &[Lang::Spa, Lang::Por, Lang::Cat, Lang::Ita],
        &[Lang::Nld, Lang::Afr],
        &[Lang::Hin, Lang::Mar, Lang::Nep],
        &[Lang::Rus, Lang::Bel, Lang::Bul],
    ];
    GROUPS.iter().any(|group| group.contains(&a) && group.contains(&b))
}

/// Whether who asked spoke of a language.
fn names_language(case: &Case) -> bool {
    let Some(names) = NAMES.as_ref() else { return true };
    case.conversation.iter().filter(|turn| matches!(turn.role, Role::System | Role::User)).any(|turn| {
        let end = (0..=turn.text.len().min(SEARCHED)).rev().find(|at| turn.text.is_char_boundary(*at)).unwrap_or(0);
        names.is_match(&turn.text[..end].to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, Turn};

    const QUESTION: [&str; 4] = [
        "How does a steam engine work, and why was it important for the industry of that time?",
        "Как работает паровая машина и почему она была важна для промышленности того времени?",
        "Wie funktioniert eine Dampfmaschine und warum war sie für die Industrie dieser Zeit wichtig?",
        "蒸汽机是怎样工作的？为什么它对当时的工业这么重要？请简单说明一下它的历史和意义。",
    ];
    const ANSWER: [&str; 4] = [
        "A steam engine turns the pressure of steam into motion. It drove the machines of mills and mines.",
        "Паровая машина превращает давление пара в движение. Она приводила в ход станки на фабриках и насосы в шахтах.",
        "Eine Dampfmaschine wandelt den Druck des Dampfes in Bewegung um. Sie trieb die Maschinen der Fabriken an.",
        "蒸汽机把蒸汽的压力变成运动。它带动了工厂里的机器和矿井里的水泵，改变了整个工业的面貌。",
    ];

    fn judge(turns: &[&str], answer: &str) -> Outcome {
        let conversation = turns.iter().map(|text| Turn { text: (*text).to_owned(), ..Turn::default() }).collect();
        let answers = vec![Answer { text: answer.to_owned(), ..Answer::default() }];
        LanguageFlip::new(Config::default()).judge(&Case { conversation, answers, ..Case::default() }).outcome
    }

    #[test]
    fn an_answer_is_in_the_language_of_its_question() {
        for (asked, question) in QUESTION.iter().enumerate() {
            for (answered, answer) in ANSWER.iter().enumerate() {
                let expected = if asked == answered { Outcome::Pass } else { Outcome::Fail };
                assert_eq!(judge(&[question], answer), expected, "{question} => {answer}");
            }
        }
    }

    #[test]
    fn another_language_may_be_asked_for_or_spoken_before() {
        let asked = format!("{} Answer in German, please.", QUESTION[0]);
        assert_eq!(judge(&[&asked], ANSWER[2]), Outcome::Pass);
        assert_eq!(judge(&["Переведи на английский: паровая машина двигала насосы."], ANSWER[0]), Outcome::Pass);
        assert_eq!(judge(&[QUESTION[1], QUESTION[0]], ANSWER[1]), Outcome::Pass);
        let about = format!("Was steht hier, und was bedeutet es für uns? {}", QUESTION[0].repeat(6));
        assert_eq!(judge(&[&about], ANSWER[2]), Outcome::Fail, "most of it is English");
    }

    #[test]
    fn code_and_short_texts_have_no_language() {
        let code = "```rust\nfn main() { println!(\"hello to all the people of the world\"); }\n```";
        assert_eq!(judge(&[QUESTION[1]], code), Outcome::Skipped(Skip::NotApplicable));
        assert_eq!(judge(&[QUESTION[1]], "OK"), Outcome::Skipped(Skip::NotApplicable));
    }
}
