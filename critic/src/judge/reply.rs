//! Reads a reply: one JSON object, and how sure the LLM was of a word in it.

use serde::de::DeserializeOwned;

use crate::{Reply, Token};

/// The object that the reply consists of; none where it is none.
pub(super) fn object<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    let text = reply.answer.text.rsplit("</think>").next()?.trim();
    let text = text.strip_prefix("```json").or(text.strip_prefix("```")).unwrap_or(text);
    let text = text.strip_suffix("```").unwrap_or(text).trim();
    let whole = serde_json::from_str(text).ok();
    if whole.is_some() || !matches!(reply.answer.finish_reason.as_str(), "length" | "max_tokens") {
        return whole;
    }
    // Its last text was cut off: what was decided stands before it.
    serde_json::from_str(&format!("{}\"}}", text.trim_end_matches('\\'))).ok()
}

/// Probability of each of the values of this key, adding up to 1; none where the engine did not
/// tell, or thought of something else altogether.
pub(super) fn odds(tokens: &[Token], key: &str, values: &[&str]) -> Option<Vec<f64>> {
    let (token, _) = at_value(tokens, key)?;
    let mut mass = vec![0.0; values.len()];
    for (text, logprob) in &token.top {
        let word = text.trim_start_matches(|c: char| c.is_whitespace() || c == '"');
        if let Some(index) = values.iter().position(|value| begins(value, word)) {
            mass[index] += f64::from(*logprob).exp();
        }
    }
    let all: f64 = mass.iter().sum();
    (all.is_finite() && all >= MIN_MASS).then(|| mass.iter().map(|one| one / all).collect())
}

/// Under this the values were forced on the LLM, and their odds say nothing.
const MIN_MASS: f64 = 0.01;

/// Whether a token may be the begin of the value, or the value with what follows it.
fn begins(value: &str, word: &str) -> bool {
    let longer = word.strip_prefix(value).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    longer || (!word.is_empty() && value.starts_with(word))
}

/// The token in which the value of a key begins.
fn at_value<'t>(tokens: &'t [Token], key: &str) -> Option<(&'t Token, usize)> {
    let text: String = tokens.iter().map(|token| token.text.as_str()).collect();
    let name = format!("\"{key}\"");
    let colon = text.rfind(&name)? + name.len();
    let rest = text[colon..].trim_start().strip_prefix(':')?.trim_start();
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let at = text.len() - rest.len();
    let mut start = 0;
    for token in tokens {
        if at < start + token.text.len() {
            return Some((token, at - start));
        }
        start += token.text.len();
    }
    None
}
