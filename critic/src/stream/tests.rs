//! The rules that watch streams: what they find, whatever the cut, and what they leave alone.

use proptest::prelude::*;

use super::*;
use crate::Place;

/// Everything that is sighted when the text comes in pieces of `cut` characters.
fn watch(config: Config, format: &Format, lane: Lane, text: &str, cut: usize) -> Vec<Sighting> {
    let mut watcher = Watch::new(config).unwrap().stream(format);
    let characters: Vec<char> = text.chars().collect();
    let pieces = characters.chunks(cut.max(1)).map(|piece| piece.iter().collect::<String>());
    pieces.filter_map(|text| watcher.push(Piece { choice: 0, lane, text: &text, logprob: None })).collect()
}

fn codes(sightings: &[Sighting]) -> Vec<(&str, bool)> {
    sightings.iter().map(|sighting| (sighting.finding.code.as_ref(), sighting.degenerate)).collect()
}

#[test]
fn a_loop_is_worth_aborting_soon_after_it_began() {
    for part in ["I do not know what to say. ", "не знаю, что сказать, ", "我不知道该怎么说。", "ok "]
    {
        let text = format!("Well: {}", part.repeat(2000));
        let found = watch(Config::default(), &Format::Text, Lane::Text, &text, 5);
        assert_eq!(codes(&found), [("repetition_loop", true)], "{part}");
        assert!(found[0].finding.span.clone().unwrap().end < 2000, "{found:?}");
    }
}

#[test]
fn legitimate_repetition_is_never_aborted() {
    let table: String = (0..400).map(|i| format!("| {i} | yes | no | {} |\n", i * 7 % 13)).collect();
    let list: String = (0..400).map(|i| format!("- item {i}\n")).collect();
    let code: String = (0..200).map(|i| format!("        assert_eq!(f({i}), {});\n", i * i)).collect();
    let chorus = "We all live by the river, the river, the river,\nand the river lives by us.\n".repeat(8);
    let base64 = format!("{}{}", "A".repeat(900), "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo".repeat(12));
    let rows = format!("|{}|\n|{}|", "---|".repeat(300), " 0 |".repeat(900));
    for text in [table, list, code, chorus, base64, rows, "-".repeat(8000), "0, ".repeat(3000), "█".repeat(2000)] {
        let found = watch(Config::default(), &Format::Text, Lane::Text, &text, 4);
        assert_eq!(codes(&found), [], "{}", &text[..60]);
    }
}

#[test]
fn marks_across_pieces_are_seen_once_and_many_are_degenerate() {
    for cut in 1..9 {
        let found = watch(Config::default(), &Format::Text, Lane::Text, "Привет <|im_end|> and on", cut);
        assert_eq!(codes(&found), [("leaked_tokens", false)], "{cut}");
        assert_eq!(found[0].finding.span, Some(13..23));
        let text = "<|im_start|>user\nhi<|im_end|>\n".repeat(3);
        let found = watch(Config::default(), &Format::Text, Lane::Text, &text, cut);
        assert!(codes(&found).contains(&("leaked_tokens", true)), "{cut}");
    }
}

#[test]
fn broken_json_is_told_at_the_byte_that_breaks_it() {
    let asked = |lane, text| watch(Config::default(), &Format::Json, lane, text, 3);
    let found = asked(Lane::Text, "{\"a\": Sorry, I cannot}");
    assert_eq!(codes(&found), [("invalid_json", true)]);
    assert_eq!(found[0].finding.span, Some(6..6));
    assert_eq!(codes(&asked(Lane::Text, "{\"a\": [1, true, \"я\"]}")), []);
    assert_eq!(codes(&asked(Lane::Reasoning, "Let me see")), []);
    let call = Lane::ToolArguments { call: 1 };
    let found = watch(Config::default(), &Format::Text, call, "{\"city\": Omsk}", 2);
    assert_eq!(found[0].finding.place, Place::ToolCall { choice: 0, call: 1 });
}

#[test]
fn probabilities_that_fall_and_stay_low_are_degenerate() {
    let watch = Watch::new(Config::default()).unwrap();
    let sightings = |logprobs: &[f32]| {
        let mut watcher = watch.stream(&Format::Text);
        let piece = |logprob: &f32| Piece { choice: 0, lane: Lane::Text, text: "a ", logprob: Some(*logprob) };
        logprobs.iter().position(|logprob| watcher.push(piece(logprob)).is_some())
    };
    let mut falling = [-0.3f32; 400];
    falling[200..].fill(-9.0);
    let at = sightings(&falling).unwrap();
    assert!((210..280).contains(&at), "{at}");
    let mut doubtful = [-0.3f32; 400];
    doubtful.iter_mut().step_by(4).for_each(|logprob| *logprob = -8.0);
    assert_eq!(sightings(&doubtful), None);
    assert_eq!(sightings(&[-9999.0; 400]), None);
}

#[test]
fn terms_across_pieces_are_seen_as_whole_words() {
    let terms = banned_terms::Config {
        terms: vec!["Проект Синий".to_owned(), "acme".to_owned()],
        ..Default::default()
    };
    let config = Config { banned_terms: terms, ..Config::default() };
    let long: String = (0..300).map(|i| format!("слово {i} ")).collect();
    for cut in 1..8 {
        let found = watch(config.clone(), &Format::Text, Lane::Text, &format!("{long} это проект синий, да"), cut);
        assert_eq!(codes(&found), [("banned_term", false)], "{cut}");
        assert_eq!(codes(&watch(config.clone(), &Format::Text, Lane::Text, "acmeist pacme ", cut)), []);
    }
}

#[test]
fn each_rule_can_be_switched_off() {
    let off = Config { repetition: false, leaked_tokens: false, probability: false, json: false, ..Config::default() };
    let text = format!("<|im_end|>{}", "again and ".repeat(2000));
    assert_eq!(watch(off, &Format::Json, Lane::Text, &text, 7), []);
}

proptest! {
    #[test]
    fn no_ordinary_words_are_aborted(words in prop::collection::vec("[a-zа-я]{1,9}[,.]?", 1..400), cut in 1usize..9) {
        let found = watch(Config::default(), &Format::Text, Lane::Text, &words.join(" "), cut);
        prop_assert!(found.iter().all(|sighting| !sighting.degenerate), "{:?}", found);
    }
}
