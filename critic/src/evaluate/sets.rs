//! Published sets that are no questions with one answer, by their fields.
//!
//! Each row becomes the case that a critic would meet: a text that is judged as an answer
//! stands in the answer, one that is judged as a prompt in the conversation.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::labelled::{Label, Labelled, Marked, bytes_of, simple};
use super::load::Format;
use crate::{Answer, Case, Passage, Role, Task, Turn};

/// Fields that rows of a format must have.
pub(super) fn fields(format: Format) -> &'static str {
    match format {
        Format::Auto | Format::Weir | Format::Ragtruth => "`answer` and `label`",
        Format::Query => "`query`, `answer` and `label`",
        Format::Refusal => "`prompt`, `answer` and `refusal`",
        Format::Toxicity => "`text` and `toxic`",
        Format::Jailbreak => "`text` and `jailbreak`",
        Format::Injection => "`injection`, with `text`, with `context` and `question`, or with `attack`",
        Format::PersonalData => "`text` and `spans` with `start`, `end` and `type`",
        Format::Scope => "`text`, `intent` and perhaps `oos`",
        Format::Solutions => "`question`, `ground_truth` and solutions with `solution` and `is_correct`",
        Format::Relevance => "`question` and `candidates` with `text` and `label`",
        Format::Schema => "`schema`, `instance` and `valid`",
        Format::Preference => "`prompt`, `chosen` and `rejected`",
    }
}

/// The cases of a row; the error says what is wrong.
pub(super) fn cases(format: Format, row: Value) -> Result<Vec<Labelled>, String> {
    match format {
        Format::Auto | Format::Weir | Format::Ragtruth => Err("the row has no format of its own".to_owned()),
        Format::Query => query(parsed(row)?),
        Format::Refusal => refusal(parsed(row)?),
        Format::Toxicity => toxicity(parsed(row)?),
        Format::Jailbreak => jailbreak(parsed(row)?),
        Format::Injection => injection(parsed(row)?),
        Format::PersonalData => personal_data(parsed(row)?),
        Format::Scope => scope(parsed(row)?),
        Format::Solutions => solutions(row),
        Format::Relevance => relevance(parsed(row)?),
        Format::Schema => schema(parsed(row)?),
        Format::Preference => preference(parsed(row)?),
    }
}

fn parsed<T: DeserializeOwned>(row: Value) -> Result<T, String> {
    serde_json::from_value(row).map_err(|error| error.to_string())
}

fn prompt(text: &str) -> Case {
    Case { conversation: vec![Turn { role: Role::User, text: text.to_owned() }], ..Case::default() }
}

#[derive(Deserialize)]
struct Query {
    id: Option<String>,
    query: String,
    answer: String,
    label: Label,
    source_id: Option<String>,
}

fn query(row: Query) -> Result<Vec<Labelled>, String> {
    let case = Labelled::new(simple(&row.query, Vec::new(), &row.answer), row.label.bad()?);
    Ok(vec![case.named(row.id, row.source_id)])
}

#[derive(Deserialize)]
struct Refusal {
    id: Option<String>,
    prompt: String,
    answer: String,
    refusal: Label,
}

fn refusal(row: Refusal) -> Result<Vec<Labelled>, String> {
    let case = Labelled::new(simple(&row.prompt, Vec::new(), &row.answer), row.refusal.bad()?);
    // The same prompt was given to several models.
    Ok(vec![case.named(row.id, Some(row.prompt))])
}

#[derive(Deserialize)]
struct Toxicity {
    id: Option<String>,
    text: String,
    toxic: Label,
    #[serde(default)]
    dataset: String,
}

fn toxicity(row: Toxicity) -> Result<Vec<Labelled>, String> {
    let case = Labelled::new(simple("", Vec::new(), &row.text), row.toxic.bad()?);
    Ok(vec![Labelled { slice: row.dataset, ..case.named(row.id, None) }])
}

#[derive(Deserialize)]
struct Jailbreak {
    id: Option<String>,
    text: String,
    jailbreak: Label,
}

fn jailbreak(row: Jailbreak) -> Result<Vec<Labelled>, String> {
    Ok(vec![Labelled::new(prompt(&row.text), row.jailbreak.bad()?).named(row.id, None)])
}

#[derive(Deserialize)]
struct Injection {
    id: Option<String>,
    injection: Label,
    dataset: Option<String>,
    text: Option<String>,
    context: Option<String>,
    question: Option<String>,
    pre_prompt: Option<String>,
    attack: Option<String>,
    post_prompt: Option<String>,
    attack_type: Option<String>,
}

/// Injected text stands where it came in: in the prompt, or in what was retrieved.
fn injection(row: Injection) -> Result<Vec<Labelled>, String> {
    let bad = row.injection.bad()?;
    let turn = |role, text: &str| Turn { role, text: text.to_owned() };
    let (case, group) = match (row.text, row.context, row.attack) {
        (Some(text), _, _) => (prompt(&text), None),
        (None, Some(context), _) => {
            let passage = Passage { source: "tool".to_owned(), text: context };
            let case = Case { context: vec![passage], ..prompt(row.question.as_deref().unwrap_or_default()) };
            // `...-email-0-start`: the same text with the attack elsewhere.
            let stem = row.id.as_deref().and_then(|id| id.rsplit_once('-')).map(|(stem, _)| stem.to_owned());
            (case, stem)
        }
        (None, None, Some(attack)) => {
            let system = row.pre_prompt.as_deref().map(|text| turn(Role::System, text));
            let after = row.post_prompt.as_deref().filter(|text| !text.is_empty()).map(|text| turn(Role::System, text));
            let turns = system.into_iter().chain([turn(Role::User, &attack)]).chain(after);
            (Case { conversation: turns.collect(), ..Case::default() }, row.pre_prompt)
        }
        (None, None, None) => return Err("there is neither `text`, `context` nor `attack`".to_owned()),
    };
    let slice = row.attack_type.or(row.dataset).unwrap_or_default();
    Ok(vec![Labelled { slice, ..Labelled::new(case, bad).named(row.id, group) }])
}

#[derive(Deserialize)]
struct PersonalData {
    id: Option<String>,
    text: String,
    spans: Vec<Typed>,
    template_id: Option<u64>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(flatten)]
    span: Marked,
    r#type: String,
}

/// Kinds that a rule can know; names, places and dates are no secrets by themselves.
const LEAKS: [&str; 4] = ["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE"];

fn personal_data(row: PersonalData) -> Result<Vec<Labelled>, String> {
    let leaks = row.spans.iter().filter(|span| LEAKS.contains(&span.r#type.as_str()));
    let marked: Vec<Marked> = leaks.clone().map(|span| span.span).collect();
    let slice = leaks.clone().next().map_or("none", |span| &span.r#type).to_owned();
    let spans = Some(bytes_of(&row.text, &marked)?);
    let case = Labelled::new(simple("", Vec::new(), &row.text), !marked.is_empty());
    let group = row.template_id.map(|id| id.to_string());
    Ok(vec![Labelled { spans, slice, ..case.named(row.id, group) }])
}

#[derive(Deserialize)]
struct Scope {
    id: Option<String>,
    text: String,
    oos: Option<Label>,
    intent: String,
    domain: Option<String>,
}

fn scope(row: Scope) -> Result<Vec<Labelled>, String> {
    let bad = row.oos.map_or(Ok(false), |label| label.bad())?;
    Ok(vec![Labelled {
        slice: row.domain.unwrap_or(row.intent),
        ..Labelled::new(prompt(&row.text), bad).named(row.id, None)
    }])
}

#[derive(Deserialize)]
struct Solution {
    solution: String,
    is_correct: bool,
}

fn solutions(row: Value) -> Result<Vec<Labelled>, String> {
    let text = |field: &str| row.get(field).and_then(Value::as_str);
    let (Some(question), Some(truth)) = (text("question"), text("ground_truth")) else {
        return Err("`question` or `ground_truth` is missing".to_owned());
    };
    let truth = truth.lines().last().unwrap_or_default().trim_start_matches("A:").trim().to_owned();
    let id = text("id").unwrap_or(question);
    let mut found = Vec::new();
    for (model, solution) in row.as_object().into_iter().flatten().filter(|(_, value)| value.is_object()) {
        let solution: Solution = parsed(solution.clone())?;
        let case = Case { references: vec![truth.clone()], ..simple(question, Vec::new(), &solution.solution) };
        let case = Labelled { slice: model.clone(), ..Labelled::new(case, !solution.is_correct) };
        found.push(case.named(Some(format!("{id}-{model}")), Some(id.to_owned())));
    }
    if found.is_empty() { Err("there is no solution".to_owned()) } else { Ok(found) }
}

#[derive(Deserialize)]
struct Relevance {
    id: Option<String>,
    question: String,
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    text: String,
    label: u8,
}

/// Label 1 of a candidate says that it answers.
fn relevance(row: Relevance) -> Result<Vec<Labelled>, String> {
    let id = row.id.unwrap_or_else(|| row.question.clone());
    let case = |(at, candidate): (usize, Candidate)| {
        let case = Labelled::new(simple(&row.question, Vec::new(), &candidate.text), candidate.label == 0);
        case.named(Some(format!("{id}-{at}")), Some(id.clone()))
    };
    Ok(row.candidates.into_iter().enumerate().map(case).collect())
}

#[derive(Deserialize)]
struct Schema {
    id: Option<String>,
    schema: Value,
    instance: Value,
    valid: bool,
    keyword: Option<String>,
    group: Option<String>,
}

fn schema(row: Schema) -> Result<Vec<Labelled>, String> {
    let answer = Answer { text: row.instance.to_string(), finish_reason: "stop".to_owned(), ..Answer::default() };
    let format = crate::Format::Schema(Arc::new(row.schema));
    let case = Case { answers: vec![answer], format, task: Task::Json, ..Case::default() };
    let case = Labelled { slice: row.keyword.unwrap_or_default(), ..Labelled::new(case, !row.valid) };
    Ok(vec![case.named(row.id, row.group)])
}

#[derive(Deserialize)]
struct Preference {
    id: Option<String>,
    prompt: String,
    chosen: String,
    rejected: String,
}

fn preference(row: Preference) -> Result<Vec<Labelled>, String> {
    let id = row.id.unwrap_or_else(|| row.prompt.clone());
    let conversation = dialogue(&row.prompt);
    let case = |text: &str, bad: bool| {
        let case = Case { conversation: conversation.clone(), ..simple("", Vec::new(), text) };
        let which = if bad { "rejected" } else { "chosen" };
        Labelled::new(case, bad).named(Some(format!("{id}-{which}")), Some(id.clone()))
    };
    Ok(vec![case(&row.chosen, false), case(&row.rejected, true)])
}

/// The turns of `\n\nHuman: ...\n\nAssistant: ...`; a text without them is one turn.
fn dialogue(text: &str) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut rest = text;
    while let Some(at) = rest
        .find("\n\nHuman: ")
        .map(|at| (at, Role::User))
        .into_iter()
        .chain(rest.find("\n\nAssistant: ").map(|at| (at, Role::Assistant)))
        .min_by_key(|(at, _)| *at)
    {
        let (start, role) = at;
        let word = if role == Role::User { "\n\nHuman: " } else { "\n\nAssistant: " };
        let after = &rest[start + word.len()..];
        let end = [after.find("\n\nHuman: "), after.find("\n\nAssistant: ")].into_iter().flatten().min();
        let (said, next) = after.split_at(end.unwrap_or(after.len()));
        turns.push(Turn { role, text: said.to_owned() });
        rest = next;
    }
    if turns.is_empty() { prompt(text).conversation } else { turns }
}
