//! A critic at work on labelled cases: what it said of each, and what that cost.

use std::ops::Range;
use std::time::Duration;

use super::labelled::Labelled;
use super::split::numbers;
use crate::{Critic, Finding, Judgement, Outcome, Place, Question, Questioner, Reply};

/// Whoever judges.
pub enum Judge<'a> {
    /// A critic that judges by itself.
    Alone(&'a dyn Critic),
    /// One that asks an LLM, and who asks for it; none where the engine gave no reply.
    Asking(&'a dyn Questioner, &'a dyn Fn(&Question) -> Option<Reply>),
}

/// What judging needs from outside.
pub struct Watch<'a> {
    /// Processor time of this thread so far.
    pub clock: &'a dyn Fn() -> Duration,
    /// Told after every case how many are done, of how many.
    pub progress: &'a mut dyn FnMut(usize, usize),
}

/// What was said of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The truth.
    pub bad: bool,
    /// Cases with the same number share a source text.
    pub group: u32,
    /// How many cases it stands for.
    pub weight: f64,
    /// What kind of case it is.
    pub slice: String,
    /// The verdict.
    pub outcome: Outcome,
    /// Its score, where the critic has a scale.
    pub score: Option<f64>,
    /// Characters that were marked against those that should be; none where nobody marked any.
    pub spans: Option<SpanCount>,
    /// Processor time.
    pub cpu: Duration,
    /// Tokens that engines read and made for it.
    pub tokens: u64,
}

/// Characters of an answer, marked and to be marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCount {
    /// Marked, and rightly.
    pub right: u64,
    /// Marked.
    pub marked: u64,
    /// To be marked.
    pub wanted: u64,
}

impl Judge<'_> {
    /// The critic's version.
    pub fn version(&self) -> &str {
        match self {
            Self::Alone(critic) => critic.version(),
            Self::Asking(questioner, _) => questioner.version(),
        }
    }

    /// The judgement of a case, and the tokens that it took.
    fn judge(&self, case: &crate::Case) -> (Judgement, u64) {
        match self {
            Self::Alone(critic) => (critic.judge(case), 0),
            Self::Asking(questioner, ask) => {
                let questions = questioner.ask(case);
                if questions.is_empty() {
                    return (Judgement::skipped(crate::Skip::NotApplicable), 0);
                }
                let replies: Vec<Option<Reply>> = questions.iter().map(ask).collect();
                let tokens = replies
                    .iter()
                    .flatten()
                    .map(|reply| u64::from(reply.prompt_tokens) + u64::from(reply.completion_tokens));
                let tokens = tokens.sum();
                (questioner.read(case, &replies), tokens)
            }
        }
    }
}

/// Judges every case, one after another.
pub fn observe(judge: &Judge<'_>, cases: &[Labelled], watch: &mut Watch<'_>) -> Vec<Observed> {
    let groups = numbers(cases.iter().map(|case| case.group.as_str()));
    let mut found = Vec::with_capacity(cases.len());
    for (case, group) in cases.iter().zip(groups) {
        let before = (watch.clock)();
        let (judgement, tokens) = judge.judge(&case.case);
        let cpu = (watch.clock)().saturating_sub(before);
        let text = case.case.answers.first().map_or("", |answer| &answer.text);
        let spans = case.spans.as_ref().map(|wanted| count(text, wanted, &judgement));
        found.push(Observed {
            bad: case.bad,
            group,
            weight: case.weight,
            slice: case.slice.clone(),
            outcome: judgement.outcome,
            score: judgement.score.filter(|score| score.is_finite()),
            spans,
            cpu,
            tokens,
        });
        (watch.progress)(found.len(), cases.len());
    }
    found
}

/// What a failed answer was marked for; the findings of one that passed are not acted on.
fn count(text: &str, wanted: &[Range<usize>], judgement: &Judgement) -> SpanCount {
    let is_marked = |finding: &&Finding| finding.place == Place::Text { choice: 0 };
    let findings = judgement.findings.iter().filter(is_marked);
    let marked: Vec<Range<usize>> = match judgement.outcome {
        Outcome::Fail => findings.filter_map(|finding| finding.span.clone()).collect(),
        Outcome::Pass | Outcome::Skipped(_) => Vec::new(),
    };
    let holds = |spans: &[Range<usize>], at: usize| spans.iter().any(|span| span.contains(&at));
    let mut found = SpanCount::default();
    for (at, _) in text.char_indices() {
        let (is_marked, is_wanted) = (holds(&marked, at), holds(wanted, at));
        found.right += u64::from(is_marked && is_wanted);
        found.marked += u64::from(is_marked);
        found.wanted += u64::from(is_wanted);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Case, Effort, Skip};

    #[derive(Debug)]
    struct Vowels;

    impl Critic for Vowels {
        fn version(&self) -> &str {
            "vowels-1"
        }
        fn effort(&self) -> Effort {
            Effort::Rule
        }
        fn judge(&self, case: &Case) -> Judgement {
            let place = Place::Text { choice: 0 };
            let finding = Finding::new("vowel", place, "leave it out");
            let text = &case.answers[0].text;
            let found: Vec<Finding> = text
                .char_indices()
                .filter(|(_, c)| "аe".contains(*c))
                .map(|(at, c)| finding.clone().at(at..at + c.len_utf8()))
                .collect();
            Judgement::of(found)
        }
    }

    #[derive(Debug)]
    struct Asks;

    impl Questioner for Asks {
        fn version(&self) -> &str {
            "asks-1"
        }
        fn ask(&self, case: &Case) -> Vec<Question> {
            case.answers.iter().map(|_| Question { body: serde_json::json!({"messages": []}) }).collect()
        }
        fn read(&self, _: &Case, replies: &[Option<Reply>]) -> Judgement {
            if replies[0].is_some() {
                Judgement::scored(0.9, 0.5, Vec::new())
            } else {
                Judgement::skipped(Skip::Failed)
            }
        }
    }

    fn labelled(text: &str, spans: Option<Vec<Range<usize>>>) -> Labelled {
        let answers = vec![Answer { text: text.to_owned(), ..Answer::default() }];
        Labelled { spans, ..Labelled::new(Case { answers, ..Case::default() }, true) }
    }

    #[test]
    fn marked_characters_are_counted_as_characters() {
        // "балл": the second letter is marked; the second and third should be.
        let cases = [
            labelled("балл", Some(std::iter::once(2..6).collect())),
            labelled("бё", Some(Vec::new())),
            labelled("e", None),
        ];
        let mut done = Vec::new();
        let mut progress = |at, of| done.push((at, of));
        let mut watch = Watch { clock: &|| Duration::ZERO, progress: &mut progress };
        let found = observe(&Judge::Alone(&Vowels), &cases, &mut watch);
        assert_eq!(found[0].spans, Some(SpanCount { right: 1, marked: 1, wanted: 2 }));
        assert_eq!((found[1].spans, found[2].spans), (Some(SpanCount::default()), None));
        assert_eq!(done, [(1, 3), (2, 3), (3, 3)]);
    }

    #[test]
    fn a_questioner_is_asked_through_the_caller() {
        let reply = Reply { prompt_tokens: 5, completion_tokens: 2, ..Reply::default() };
        let mut nothing = |_, _| {};
        let mut watch = Watch { clock: &|| Duration::ZERO, progress: &mut nothing };
        let told = observe(&Judge::Asking(&Asks, &|_| Some(reply.clone())), &[labelled("a", None)], &mut watch);
        assert_eq!((told[0].outcome, told[0].score, told[0].tokens), (Outcome::Fail, Some(0.9), 7));
        let deaf = observe(&Judge::Asking(&Asks, &|_| None), &[labelled("a", None)], &mut watch);
        assert_eq!((deaf[0].outcome, deaf[0].tokens), (Outcome::Skipped(Skip::Failed), 0));
    }
}
