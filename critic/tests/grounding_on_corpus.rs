//! What the grounding critic is worth on labelled corpora, and floors for it.
//!
//! The corpora are not part of the repository: `WEIR_DATA` names the folder that holds
//! `faithfulness/*.jsonl`. Floors stand a little below what was measured. For the data it was
//! trained on, a model is trained anew without a fifth of the source texts and judged on them.

use std::path::PathBuf;

use serde::Deserialize;
use weir_critic::grounding::train::perturb::{Change, append, draw};
use weir_critic::grounding::train::{Example, Settings, fold, train};
use weir_critic::grounding::{Artefact, Config, Grounding, Risk};
use weir_stats::confusion::Confusion;
use weir_stats::ranking::{Scored, at_prior, auroc};
use weir_stats::reliability::expected_calibration_error;

#[derive(Deserialize)]
struct Row {
    source_id: String,
    question: Option<String>,
    context: String,
    answer: String,
    label: u8,
    spans: Option<Vec<Label>>,
}

/// A labelled span; offsets count characters.
#[derive(Deserialize)]
struct Label {
    start: usize,
    end: usize,
}

/// Sentences that claim nothing; training has seen none of them.
const NEUTRAL: [&str; 4] = [
    "I hope this answers your question.",
    "Please let me know if you need more details.",
    "This summary reflects the information given above.",
    "There may be more to say about this topic.",
];

fn load(set: &str) -> Option<Vec<Example>> {
    let Some(folder) = std::env::var_os("WEIR_DATA") else {
        eprintln!("not measured: WEIR_DATA does not name a folder with the corpora");
        return None;
    };
    let path = PathBuf::from(folder).join(format!("faithfulness/{set}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let row = |line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    Some(text.lines().map(|line| example(row(line))).collect())
}

fn example(row: Row) -> Example {
    let byte = |char: usize| row.answer.char_indices().nth(char).map_or(row.answer.len(), |(at, _)| at);
    let spans = row.spans.unwrap_or_default().iter().map(|label| byte(label.start)..byte(label.end)).collect();
    Example {
        group: row.source_id,
        question: row.question.unwrap_or_default(),
        passages: vec![row.context],
        bad: row.label == 1,
        spans,
        answer: row.answer,
    }
}

fn risk(model: &Artefact, example: &Example) -> Option<Risk> {
    let passages: Vec<&str> = example.passages.iter().map(String::as_str).collect();
    model.risk(&example.question, &passages, &example.answer)
}

fn scored(model: &Artefact, set: &[&Example]) -> Vec<Scored> {
    let case = |example: &&Example| {
        Some(Scored { score: risk(model, example)?.score, bad: example.bad, weight: 1.0, group: 0 })
    };
    set.iter().filter_map(case).collect()
}

fn f1(cases: &[Scored], threshold: f64) -> f64 {
    let mut table = Confusion::default();
    cases.iter().for_each(|case| table.add(case.score >= threshold, case.bad, case.weight));
    table.f1().unwrap_or_default()
}

#[test]
fn on_sets_that_it_was_not_trained_on_the_shipped_model_reaches_its_floors() {
    let floors = [
        ("attributionbench_dev", 0.69),
        ("wice_dev", 0.79),
        ("halueval_qa_dev", 0.90),
        ("halueval_qa_unfiltered_dev", 0.90),
        ("halueval_summ_dev", 0.67),
        ("begin_dev", 0.90),
        ("summedits_ectsum_dev", 0.50),
        ("summedits_news_dev", 0.50),
        ("summedits_podcast_dev", 0.50),
        ("summedits_samsum_dev", 0.50),
    ];
    let critic = Grounding::new(Config::default()).unwrap();
    for (set, floor) in floors {
        let Some(examples) = load(set) else { return };
        let reached = auroc(&scored(critic.artefact(), &examples.iter().collect::<Vec<_>>())).unwrap();
        eprintln!("{set}: {} answers, AUROC {reached:.3}", examples.len());
        assert!(reached >= floor, "{set}: {reached}");
    }
}

#[test]
fn on_source_texts_that_training_left_out_it_reaches_its_floors() {
    let Some(all) = load("ragtruth_qa_train") else { return };
    let (out, kept): (Vec<&Example>, Vec<&Example>) = all.iter().partition(|example| fold(&example.group, 99) == 0);
    let kept: Vec<Example> = kept.into_iter().cloned().collect();
    let model = train(&kept, &Settings::default(), &|_| ()).unwrap();
    let cases = scored(&model, &out);
    let as_if = at_prior(&cases, model.card.prevalence).unwrap();
    let (f1_as_given, f1_at_prevalence) = (f1(&cases, model.threshold), f1(&as_if, model.threshold));
    let error = expected_calibration_error(&as_if, 10).unwrap();
    let reached = auroc(&cases).unwrap();
    let spans = span_f1(&model, &out);
    eprintln!(
        "{} answers: AUROC {reached:.3}, F1 {f1_as_given:.3} as given, {f1_at_prevalence:.3} at prevalence, \
         calibration error {error:.3}, span F1 {spans:.3}",
        out.len()
    );
    assert!(reached >= 0.76 && f1_as_given >= 0.57 && f1_at_prevalence >= 0.45);
    assert!(error <= 0.08 && spans >= 0.45);
    let blank: Vec<Example> =
        out.iter().map(|example| Example { passages: vec!["nothing".to_owned()], ..(*example).clone() }).collect();
    let without = auroc(&scored(&model, &blank.iter().collect::<Vec<_>>())).unwrap();
    eprintln!("without the context: AUROC {without:.3}");
    assert!(without < 0.70);
    changes(&model, &out);
}

fn span_f1(model: &Artefact, out: &[&Example]) -> f64 {
    let (mut found, mut named, mut labelled) = (0, 0, 0);
    for example in out {
        labelled += example.spans.iter().map(|span| span.len()).sum::<usize>();
        let sentences = risk(model, example).map(|risk| risk.sentences).unwrap_or_default();
        for (sentence, _) in sentences.iter().filter(|(_, risk)| f64::from(*risk) >= model.sentence_threshold()) {
            named += sentence.len();
            let shared =
                |bad: &std::ops::Range<usize>| bad.end.min(sentence.end).saturating_sub(bad.start.max(sentence.start));
            found += example.spans.iter().map(shared).sum::<usize>();
        }
    }
    2.0 * found as f64 / (named + labelled).max(1) as f64
}

fn changes(model: &Artefact, out: &[&Example]) {
    let floors = [
        (Change::Context, 0.98),
        (Change::Support, 0.95),
        (Change::Number, 0.92),
        (Change::Name, 0.93),
        (Change::Negation, 0.60),
    ];
    let good: Vec<&&Example> = out.iter().filter(|example| !example.bad).collect();
    for (change, floor) in floors {
        let (mut worse, mut pairs) = (0, 0);
        for (at, example) in good.iter().enumerate() {
            let other = out[(at * 7 + 13) % out.len()];
            let Some(changed) = draw(example, other, change, at as u64) else { continue };
            let (Some(before), Some(after)) = (risk(model, example), risk(model, &changed)) else { continue };
            pairs += 1;
            worse += usize::from(after.score > before.score);
        }
        let share = worse as f64 / f64::from(pairs.max(1));
        eprintln!("{}: {pairs} pairs, {share:.3} score worse", change.as_str());
        assert!(share >= floor, "{}", change.as_str());
    }
    let moved = out.iter().enumerate().filter(|(at, example)| {
        let appended = append(example, NEUTRAL[at % NEUTRAL.len()]);
        let scores = risk(model, example).zip(risk(model, &appended));
        scores.is_some_and(|(before, after)| (before.score - after.score).abs() > 0.1)
    });
    let moved = moved.count() as f64 / out.len() as f64;
    eprintln!("a neutral sentence moves {moved:.3} by more than .1");
    assert!(moved <= 0.05);
}
