//! Measures what the rules and the stream watchers cost: microseconds of processor time for
//! answers of 20 and of 200 words, nanoseconds for a token of a stream. `copied` answers begin
//! as their system prompt does, the others have nothing of it.
//!
//! `cargo run --release -p weir-critic --example rules_cost`; for instructions, which do not
//! depend on what else the machine does:
//! `valgrind --tool=callgrind target/release/examples/rules_cost`, then
//! `callgrind_annotate --inclusive=yes` on its file.

use std::hint::black_box;
use std::time::Instant;

use serde_json::json;
use weir_critic::config::{Built, Config};
use weir_critic::stream::{Config as StreamConfig, Lane, Piece, Watch};
use weir_critic::{Answer, Case, Format, Passage, Role, Token, Turn};

const KINDS: [&str; 13] = [
    "banned_terms",
    "copied_prompt",
    "empty",
    "json",
    "language_flip",
    "leaked_tokens",
    "personal_data",
    "refusal",
    "repetition_loop",
    "token_probability",
    "truncated",
    "unsupported_links",
    "unsupported_numbers",
];

fn main() {
    let kinds = [("20 words", 20, 11), ("200 words", 200, 11), ("20 copied", 20, 7), ("200 copied", 200, 7)];
    for (name, words, seed) in kinds {
        let case = case(words, seed);
        let mut sum = 0.0;
        for kind in KINDS {
            let mut config = json!({ "kind": kind });
            if kind == "banned_terms" {
                config["terms"] = json!(["acme", "foobar", "проект синий"]);
            }
            let config: Config = serde_json::from_value(config).expect("the settings are those of a known kind");
            let Ok(Built::Alone(critic)) = config.build() else { continue };
            let cost = each(2000, || drop(black_box(critic.judge(black_box(&case)))));
            sum += cost;
            tell(&format!("{name}: {kind}"), cost, "us");
        }
        tell(&format!("{name}: all rules"), sum, "us");
    }
    let watch = Watch::new(StreamConfig::default()).expect("the default settings hold no term");
    let text = prose(2000, 7);
    let tokens: Vec<&str> = text.split_inclusive(' ').collect();
    let cost = each(50, || {
        let mut watcher = watch.stream(&Format::Text);
        for text in &tokens {
            black_box(watcher.push(Piece { choice: 0, lane: Lane::Text, text, logprob: Some(-0.3) }));
        }
    });
    tell("stream: a token", cost * 1000.0 / tokens.len() as f64, "ns");
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn tell(name: &str, cost: f64, unit: &str) {
    println!("{name:34} {cost:9.2} {unit}");
}

/// Microseconds for one call, the least of some rounds.
fn each(times: u32, mut call: impl FnMut()) -> f64 {
    let mut round = || {
        let begin = Instant::now();
        (0..times).for_each(|_| call());
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(times)
    };
    (0..5).map(|_| round()).fold(f64::MAX, f64::min)
}

/// Sentences without a loop, with some numbers.
fn prose(words: usize, mut seed: u32) -> String {
    let stock =
        ["the", "river", "engine", "reads", "a", "prompt", "and", "writes", "of", "water", "dam", "in", "level"];
    let mut text = String::new();
    for at in 0..words {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(stock[seed as usize / 7 % stock.len()]);
        match at % 17 {
            16 => text.push_str(". "),
            9 => text.push_str(", 42 "),
            _ => text.push(' '),
        }
    }
    text.trim_end().to_owned() + "."
}

fn case(words: usize, seed: u32) -> Case {
    let turn = |role, text: String| Turn { role, text };
    let token = |text: &str| Token { text: text.to_owned(), logprob: -0.3, top: Vec::new() };
    let text = prose(words, seed);
    let tokens = text.split_inclusive(' ').map(token).collect();
    Case {
        conversation: vec![
            turn(Role::System, prose(150, 7)),
            turn(Role::User, format!("How does the river go? {}", prose(30, 7))),
        ],
        context: vec![Passage { text: prose(600, 7), ..Passage::default() }],
        answers: vec![Answer { text, tokens, finish_reason: "stop".to_owned(), ..Answer::default() }],
        ..Case::default()
    }
}
