//! Judges read what a real engine replied: llama.cpp with Qwen2.5-Coder-1.5B-Instruct Q4_K_M.
//!
//! The model judges poorly, and nothing is asserted about how well: only that its replies are
//! read as it meant them, with the odds that it gave.

use serde::Deserialize;
use weir_critic::config::{Built, Config};
use weir_critic::{Answer, Case, Judgement, Outcome, Reply, Token};

#[derive(Deserialize)]
struct Asked {
    name: String,
    critic: Config,
    case: Case,
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    choices: Vec<Choice>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

#[derive(Deserialize)]
struct Choice {
    finish_reason: String,
    message: Message,
    logprobs: Logprobs,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct Logprobs {
    content: Vec<Piece>,
}

#[derive(Deserialize)]
struct Piece {
    token: String,
    logprob: f32,
    top_logprobs: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    token: String,
    logprob: f32,
}

impl Response {
    fn reply(mut self) -> Option<Reply> {
        let choice = self.choices.pop()?;
        let tokens = choice.logprobs.content.into_iter().map(|piece| Token {
            text: piece.token,
            logprob: piece.logprob,
            top: piece.top_logprobs.into_iter().map(|top| (top.token, top.logprob)).collect(),
        });
        let answer = Answer {
            text: choice.message.content,
            finish_reason: choice.finish_reason,
            tokens: tokens.collect(),
            ..Answer::default()
        };
        let (prompt_tokens, completion_tokens) = (self.usage.prompt_tokens, self.usage.completion_tokens);
        Some(Reply { answer, prompt_tokens, completion_tokens })
    }
}

fn judged() -> Vec<(String, Judgement)> {
    let text = include_str!("fixtures/judge/llama_cpp.json");
    let rows: Vec<Asked> = serde_json::from_str(text).expect("the fixture was captured in this shape");
    let judge = |row: Asked| {
        let Ok(Built::Asking(critic)) = row.critic.build() else { panic!("{} asks nobody", row.name) };
        assert_eq!(critic.ask(&row.case).len(), row.responses.len(), "{}", row.name);
        let replies: Vec<_> = row.responses.into_iter().map(Response::reply).collect();
        (row.name, critic.read(&row.case, &replies))
    };
    rows.into_iter().map(judge).collect()
}
