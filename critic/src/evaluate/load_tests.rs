//! Tests of the loaders: one row of each format, and faults with their lines.

use super::*;
use crate::Role;

fn read(files: &[(&str, &str)], format: Format, filters: &[Filter]) -> Result<Vec<Labelled>, LoadError> {
    let input =
        |(name, text): &(&str, &'static str)| Input { name: (*name).to_owned(), reader: Box::new(text.as_bytes()) };
    // The tests' texts are literals, so that the readers may borrow them.
    let files: Vec<(&str, &'static str)> =
        files.iter().map(|(name, text)| (*name, &*Box::leak((*text).to_owned().into_boxed_str()))).collect();
    load(files.iter().map(input).collect(), format, filters)
}

#[test]
fn each_published_set_is_known_by_its_fields() {
    let table: &[(&str, &[bool])] = &[
        (r#"{"question": "q", "context": "c", "answer": "a", "label": 1, "spans": null, "source_id": "s"}"#, &[true]),
        (r#"{"query": "q", "answer": "a", "label": 0, "spans_text": [], "source_id": "s"}"#, &[false]),
        (r#"{"id": "r", "prompt": "p", "answer": "no", "refusal": "1"}"#, &[true]),
        (r#"{"text": "t", "cls": "offensive", "toxic": 1}"#, &[true]),
        (r#"{"text": "t", "toxic": 0, "jailbreak": 1}"#, &[false]),
        (r#"{"text": "t", "injection": 1}"#, &[true]),
        (r#"{"id": "b-0-start", "context": "c", "question": "q", "injection": 0, "attack": null}"#, &[false]),
        (r#"{"pre_prompt": "be good", "attack": "no", "post_prompt": "", "injection": 1}"#, &[true]),
        (r#"{"text": "a@b.org", "spans": [{"start": 0, "end": 7, "type": "EMAIL_ADDRESS"}]}"#, &[true]),
        (r#"{"text": "Ann", "spans": [{"start": 0, "end": 3, "type": "PERSON"}], "template_id": 4}"#, &[false]),
        (r#"{"text": "t", "intent": "oos", "domain": "x", "oos": 1}"#, &[true]),
        (r#"{"text": "t", "intent": "card"}"#, &[false]),
        (
            r#"{"question": "q", "ground_truth": "1+1\nA: 2", "m": {"solution": "A: 2", "is_correct": true},
                "n": {"solution": "A: 3", "is_correct": false}}"#,
            &[false, true],
        ),
        (r#"{"question": "q", "candidates": [{"text": "a", "label": 0}, {"text": "b", "label": 1}]}"#, &[true, false]),
        (r#"{"schema": {"type": "object"}, "instance": 4, "valid": false}"#, &[true]),
        (r#"{"prompt": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "chosen": "d", "rejected": "e"}"#, &[false, true]),
    ];
    for (row, expected) in table {
        let row = row.replace('\n', " ");
        let found = read(&[("f", &row)], Format::Auto, &[]).unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(found.iter().map(|case| case.bad).collect::<Vec<_>>(), *expected, "{row}");
        assert!(found.iter().all(|case| !case.id.is_empty() && !case.group.is_empty()), "{row}");
    }
}

#[test]
fn a_dialogue_keeps_its_turns_and_a_solution_its_reference() {
    let row = r#"{"prompt": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "chosen": "d", "rejected": "e"}"#;
    let found = read(&[("f", row)], Format::Auto, &[]).unwrap();
    let turns: Vec<(Role, &str)> = found[0].case.conversation.iter().map(|turn| (turn.role, &*turn.text)).collect();
    assert_eq!(turns, [(Role::User, "a"), (Role::Assistant, "b"), (Role::User, "c")]);
    let row = r#"{"question": "q", "ground_truth": "1+1\nA: 2", "m": {"solution": "A: 2", "is_correct": true}}"#;
    assert_eq!(read(&[("f", row)], Format::Auto, &[]).unwrap()[0].case.references, ["2"]);
}

const SOURCES: &str = r#"{"source_id": "1", "task_type": "QA", "source": "MARCO", "source_info": {"question": "q?", "passages": "passage 1:one\n\npassage 2:two\n\nmore\n\n"}, "prompt": "Briefly answer"}
{"source_id": "2", "task_type": "Summary", "source": "CNN/DM", "source_info": "News.", "prompt": "Summarize the following news within 9 words:\nNews.\noutput:"}
{"source_id": "3", "task_type": "Data2txt", "source": "Yelp", "source_info": {"name": "Subway", "hours": {"Monday": "9:0-22:30"}}, "prompt": "Instruction:\nWrite an objective overview"}"#;
const RESPONSES: &str = r#"{"id": "7", "source_id": "1", "model": "m", "temperature": 0.7, "labels": [{"start": 2, "end": 5, "text": "bad", "meta": "", "label_type": "Evident Conflict", "implicit_true": false, "due_to_null": false}], "split": "train", "quality": "good", "response": "é bad"}
{"id": "8", "source_id": "2", "labels": [], "split": "test", "quality": "good", "response": "News."}
{"id": "9", "source_id": "3", "labels": [], "split": "test", "quality": "truncated", "response": "A shop"}"#;

#[test]
fn ragtruths_own_files_are_joined_whatever_their_order() {
    for files in [[("response.jsonl", RESPONSES), ("source_info.jsonl", SOURCES)], [("s", SOURCES), ("r", RESPONSES)]] {
        let found = read(&files, Format::Auto, &[]).unwrap();
        let told: Vec<_> =
            found.iter().map(|case| (&*case.slice, case.case.question(), case.case.context.len())).collect();
        assert_eq!(
            told,
            [
                ("QA", "q?", 2),
                ("Summary", "Summarize the following news within 9 words:", 1),
                ("Data2txt", "Write an objective overview", 1)
            ]
        );
        assert!(found[0].bad && found[0].spans.as_ref().is_some_and(|spans| spans[0] == (3..6)));
        assert!(found[2].case.context[0].text.contains("Subway"));
    }
    let only = |field: &str, value: &str| Filter { field: field.to_owned(), value: value.to_owned() };
    let files = [("r", RESPONSES), ("s", SOURCES)];
    let table = [
        (vec![only("split", "test")], 2),
        (vec![only("split", "test"), only("quality", "good")], 1),
        (vec![only("task_type", "QA")], 1),
        (vec![only("colour", "red")], 0),
    ];
    for (filters, count) in table {
        assert_eq!(read(&files, Format::Ragtruth, &filters).unwrap().len(), count, "{filters:?}");
    }
    let error = read(&[("response.jsonl", RESPONSES)], Format::Auto, &[]).unwrap_err().to_string();
    assert!(error.starts_with("response.jsonl:1: no source \"1\" was given; give source_info.jsonl"), "{error}");
}

#[test]
fn every_fault_names_its_line_and_what_to_change() {
    let good = r#"{"answer": "a", "label": 1}"#;
    let table = [
        (format!("{good}\n\n{{\"answer\": 3, \"label\": 1}}"), "f:3: invalid type", "give `answer`, `label`"),
        (format!("{good}\n{{"), "f:2: EOF", "write one JSON object a line"),
        (format!("{good}\n[1]"), "f:2: the line is no JSON object", "begin it with {"),
        (format!("{good}\n{{\"answer\": \"a\"}}"), "f:2: missing field `label`", "give"),
        ("{\"a\": 1}".to_owned(), "f:1: the fields a are those of no known format", "--format"),
        ("{\"text\": \"t\", \"toxic\": 7}".to_owned(), "f:1: the label 7 is neither", "`text` and `toxic`"),
    ];
    for (text, begin, cure) in table {
        let error = read(&[("f", &text)], Format::Auto, &[]).unwrap_err().to_string();
        assert!(error.starts_with(begin) && error.contains(cure), "{text}: {error}");
    }
    let many = "{}\n".repeat(100);
    assert_eq!(read(&[("f", &many)], Format::Weir, &[]).unwrap_err().0.len(), 10);
    assert_eq!(read(&[("f", "\n")], Format::Auto, &[]).unwrap(), []);
}
