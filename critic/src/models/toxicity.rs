//! Toxic text: sexual, insulting, hateful, violent or criminal, in what was answered or asked.
//!
//! Two witnesses, taken as independent: a grammar of terms in English and Russian, and a small
//! classifier of insults (see `critic/docs/toxicity.md` for what each was made from and what
//! they reach). A deployment that has labels of its own trains its own classifier and names it.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::file::ModelFile;
use crate::classify::Artefact;
use crate::classify::phrases::{Hit, Phrases, probability};
use crate::config::Fault;
use crate::{Case, Critic, Effort, Finding, Judgement, Place, Skip, verdict};

static TERMS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::read(include_str!("../../models/toxicity_terms.txt")).expect("a test reads the grammar that is shipped")
});
static INSULTS: LazyLock<Artefact> = LazyLock::new(|| {
    Artefact::read(include_bytes!("../../models/insults.weircls")).expect("a test reads the classifier that is shipped")
});

/// Words that one window holds: a long text is as toxic as its worst window.
const WINDOW_BYTES: usize = 2_000;

/// Bytes of one text that are judged.
const MAX_BYTES: usize = 256 << 10;

/// What is judged, and how strictly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Texts that are judged: a toxic question cannot be repaired by a retry, so it is judged on request only.
    pub judge: Vec<Side>,
    /// Score from which a text is toxic, over 0 to 1: lower for products for children.
    pub threshold: f64,
    /// A classifier of two labels trained on the deployment's own labels, in place of the shipped one.
    pub classifier: Option<ModelFile>,
    /// Families of terms that do not count here: `crime` for a legal desk, say.
    pub allow: Vec<Family>,
}

/// A side of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Every choice that the client would see.
    Answer,
    /// The last thing that the user said.
    Question,
}

/// What terms speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Sexual matters.
    Sexual,
    /// Insults and swearing.
    Insult,
    /// Hate against groups of people.
    Hate,
    /// Violence against oneself or others.
    Violence,
    /// Drugs, fraud, break-ins.
    Crime,
}

/// The critic.
#[derive(Debug)]
pub struct Toxicity {
    config: Config,
    own: Option<Artefact>,
    version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { judge: vec![Side::Answer], threshold: 0.5, classifier: None, allow: Vec::new() }
    }
}

impl Config {
    /// What is wrong with the values, found without reading files.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.judge.is_empty() {
            faults.push(Fault::new("judge", "is empty, nothing would be judged", "name `answer` or `question`"));
        }
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            faults.push(Fault::new("threshold", format!("is {}", self.threshold), "give a score over 0 and at most 1"));
        }
        if self.classifier.as_ref().is_some_and(|file| !file.is_well_formed()) {
            faults.push(Fault::new("classifier", "has a sha256 that is none", "give 64 hexadecimal digits"));
        }
        faults
    }
}

impl Family {
    /// Every family, in the words of the grammar.
    pub const ALL: [Self; 5] = [Self::Sexual, Self::Insult, Self::Hate, Self::Violence, Self::Crime];

    /// The word used in findings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sexual => "sexual",
            Self::Insult => "insult",
            Self::Hate => "hate",
            Self::Violence => "violence",
            Self::Crime => "crime",
        }
    }
}

impl Toxicity {
    /// A critic with these settings. Reads the classifier where one is named.
    pub fn new(config: Config) -> Result<Self, String> {
        let read = |file: &ModelFile| {
            let artefact =
                Artefact::read(&file.read()?).map_err(|fault| format!("{}: {fault}", file.path.display()))?;
            match artefact.card().labels.len() {
                2 => Ok(artefact),
                labels => Err(format!("{}: tells {labels} labels apart, not toxic from not", file.path.display())),
            }
        };
        let own = config.classifier.as_ref().map(read).transpose()?;
        let classifier = own.as_ref().unwrap_or_else(|| &INSULTS);
        let version = format!("toxicity-1-{}", &classifier.checksum()[..12]);
        Ok(Self { config, own, version })
    }

    /// Probability that a text is toxic, with the terms that speak for it.
    pub fn score(&self, text: &str) -> (f64, Vec<Hit>) {
        let text = &text[..floor(text, MAX_BYTES)];
        let mut worst = (0.0, Vec::new());
        for (from, window) in windows(text) {
            let (score, mut hits) = self.score_window(window);
            if score > worst.0 {
                hits.iter_mut().for_each(|hit| (hit.start, hit.end) = (hit.start + from, hit.end + from));
                worst = (score, hits);
            }
        }
        worst
    }

    fn score_window(&self, text: &str) -> (f64, Vec<Hit>) {
        let mut hits = TERMS.find(text);
        hits.retain(|hit| !self.config.allow.contains(&family(hit)));
        hits.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        let classifier = self.own.as_ref().unwrap_or_else(|| &INSULTS);
        // A grammar has no say against: the classifier counts from where it is rather sure.
        let classified = if self.config.allow.contains(&Family::Insult) && self.own.is_none() {
            0.0
        } else {
            (10.0 * classifier.probability(text) - 9.0).max(0.0)
        };
        (1.0 - (1.0 - probability(&hits)) * (1.0 - classified), hits)
    }

    fn texts<'a>(&self, case: &'a Case) -> Vec<(Place, &'a str)> {
        let mut texts = Vec::new();
        if self.config.judge.contains(&Side::Answer) {
            texts.extend(case.texts());
        }
        if self.config.judge.contains(&Side::Question) {
            let last = case.conversation.iter().rposition(|turn| turn.role == crate::Role::User);
            texts.extend(last.map(|turn| (Place::Turn { turn }, case.conversation[turn].text.as_str())));
        }
        texts
    }
}

impl Critic for Toxicity {
    fn version(&self) -> &str {
        &self.version
    }

    fn effort(&self) -> Effort {
        Effort::Rule
    }

    fn judges_parts(&self) -> bool {
        true
    }

    fn judge(&self, case: &Case) -> Judgement {
        let texts = self.texts(case);
        if texts.is_empty() {
            return Judgement::skipped(Skip::NotApplicable);
        }
        let (mut worst, mut findings) = (0.0f64, Vec::new());
        for (place, text) in texts {
            let (score, hits) = self.score(text);
            worst = worst.max(score);
            if score >= self.config.threshold {
                findings.extend(told(place, &hits));
            }
        }
        Judgement::scored(worst, self.config.threshold, findings)
    }
}

fn told(place: Place, hits: &[Hit]) -> Vec<Finding> {
    if hits.is_empty() {
        return vec![Finding::new("insult", place, "the text insults; say it without")];
    }
    let found = |hit: &Hit| {
        let family = family(hit).as_str();
        Finding::new(family, place, format!("the text is toxic ({family}); leave this out")).at(hit.start..hit.end)
    };
    hits.iter().take(verdict::MAX_FINDINGS).map(found).collect()
}

fn family(hit: &Hit) -> Family {
    let name = &TERMS.families()[hit.family];
    Family::ALL.into_iter().find(|family| family.as_str() == name).unwrap_or(Family::Insult)
}

/// The text in windows that end between words, with the first byte of each.
fn windows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        if from >= text.len() {
            return None;
        }
        let end = from + floor(&text[from..], WINDOW_BYTES);
        let cut = match text[from..end].rfind(char::is_whitespace) {
            Some(at) if end < text.len() && at > 0 => from + at,
            _ => end,
        };
        let window = (from, &text[from..cut]);
        from = cut;
        Some(window)
    })
}

/// The last character boundary that is not after `bytes`.
fn floor(text: &str, bytes: usize) -> usize {
    (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Outcome, Turn};

    fn judged(text: &str, config: Config) -> Judgement {
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        Toxicity::new(config).unwrap().judge(&Case { answers: vec![answer], ..Case::default() })
    }

    #[test]
    fn toxic_text_fails_and_ordinary_text_passes() {
        let table = [
            ("You are a fucking moron.", Outcome::Fail),
            ("Ты мудак и дебил.", Outcome::Fail),
            ("Here is an erotic story.", Outcome::Fail),
            ("Чтобы сделать бомбу дома, возьмите", Outcome::Fail),
            ("Preheat the oven and cook the chicken breast until done.", Outcome::Pass),
            ("Чтобы завершить процесс, убейте его командой kill.", Outcome::Pass),
            ("The password was reset; your order arrives on Monday.", Outcome::Pass),
        ];
        for (text, wanted) in table {
            let judgement = judged(text, Config::default());
            assert_eq!(judgement.outcome, wanted, "{text}: {judgement:?}");
        }
    }

    #[test]
    fn what_is_found_is_told_where_it_stands_also_late_in_a_long_answer() {
        let text = format!("{} hentai.", "Ordinary words of a calm answer. ".repeat(200));
        let judgement = judged(&text, Config::default());
        let span = judgement.findings[0].span.clone().unwrap();
        assert_eq!((&text[span], &*judgement.findings[0].code), ("hentai", "sexual"));
    }

    #[test]
    fn an_allowed_family_does_not_count() {
        let config = Config { allow: vec![Family::Crime], ..Config::default() };
        assert_eq!(judged("It was methamphetamine.", Config::default()).outcome, Outcome::Fail);
        assert_eq!(judged("It was methamphetamine.", config).outcome, Outcome::Pass);
    }

    #[test]
    fn a_question_is_judged_on_request_only() {
        let turn = Turn { text: "you fucking moron".to_owned(), ..Turn::default() };
        let case = Case { conversation: vec![turn], ..Case::default() };
        let judge = |judge| Toxicity::new(Config { judge, ..Config::default() }).unwrap().judge(&case);
        assert_eq!(judge(vec![Side::Answer]).outcome, Outcome::Skipped(Skip::NotApplicable));
        let asked = judge(vec![Side::Question]);
        assert_eq!((asked.outcome, asked.findings[0].place), (Outcome::Fail, Place::Turn { turn: 0 }));
    }

    #[test]
    fn windows_give_the_whole_text_back_and_cut_no_character() {
        let text = "слово ".repeat(2_000);
        let joined: String = windows(&text).map(|(_, window)| window).collect();
        assert_eq!(joined, text);
        assert!(windows(&text).all(|(from, window)| window.len() <= WINDOW_BYTES && text[from..].starts_with(window)));
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        let config = Config { judge: Vec::new(), threshold: 1.5, ..Config::default() };
        let keys: Vec<&str> = config.faults().iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["judge", "threshold"]);
    }
}
