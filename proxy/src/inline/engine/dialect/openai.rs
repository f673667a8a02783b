//! Any other server that speaks the OpenAI API: only `/v1/models` is sure.

use std::time::Duration;

use super::{Answers, Dialect, text, tokens};
use crate::exchange::{EngineKind, Fingerprint};

pub(super) static DIALECT: Dialect = Dialect {
    kind: EngineKind::Openai,
    health_path: "/v1/models",
    health_takes: Duration::from_secs(2),
    discovery: &["/v1/models", "/version"],
    metrics_paths: &[],
    metrics_are_consumed: false,
    metrics: &[],
    fingerprint,
    tokenize: None,
};

fn fingerprint(answers: &Answers<'_>) -> Fingerprint {
    let card = answers.model_card();
    Fingerprint {
        version: text(&answers.json(&["/version"]), "version"),
        model: text(&card, "id"),
        context_tokens: tokens(&card, "max_model_len"),
        ..Fingerprint::default()
    }
}
