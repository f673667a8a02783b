//! What the key of a JSON value tells of the value.

use super::json::hash;

/// Keys whose value is a secret whatever it looks like, lower case without `-` and `_`.
const SECRETS: [&str; 16] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "clientsecret",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "apitoken",
    "privatekey",
    "authorization",
    "secretaccesskey",
];

/// What matters of the key read last.
#[derive(Clone, Copy, Default)]
pub(super) struct Key {
    pub(super) hash: u64,
    pub(super) index: bool,
    pub(super) kind: bool,
    pub(super) whole: bool,
    pub(super) secret: bool,
    pub(super) spelling: bool,
}

impl Key {
    pub(super) fn of(text: &str) -> Self {
        Self {
            hash: hash(text),
            index: is_index(text),
            kind: text == "type",
            whole: is_whole(text),
            secret: text.len() <= 32 && is_secret(text),
            spelling: is_spelling(text),
        }
    }
}

/// Keys whose string is whole in itself: never a piece of a longer text.
fn is_whole(key: &str) -> bool {
    matches!(
        key,
        "id" | "object"
            | "model"
            | "role"
            | "type"
            | "system_fingerprint"
            | "finish_reason"
            | "service_tier"
            | "obfuscation"
            | "item_id"
            | "event_id"
            | "call_id"
            | "status"
            | "name"
    )
}

/// Keys that tell which of several texts a delta belongs to.
fn is_index(key: &str) -> bool {
    matches!(key, "index" | "output_index" | "content_index" | "summary_index")
}

/// Keys whose value spells the text once more, token by token.
fn is_spelling(key: &str) -> bool {
    matches!(
        key,
        "logprobs"
            | "prompt_logprobs"
            | "top_logprobs"
            | "completion_probabilities"
            | "token_ids"
            | "prompt_token_ids"
            | "tokens"
    )
}

/// Keys of the usual requests and answers.
pub(super) fn is_common(key: &str) -> bool {
    is_whole(key)
        || is_index(key)
        || matches!(
            key,
            "messages"
                | "content"
                | "text"
                | "stream"
                | "temperature"
                | "max_tokens"
                | "choices"
                | "created"
                | "message"
                | "delta"
                | "logprobs"
                | "usage"
                | "prompt_tokens"
                | "completion_tokens"
                | "total_tokens"
                | "tools"
                | "tool_calls"
                | "function"
                | "description"
                | "parameters"
                | "properties"
                | "required"
                | "arguments"
        )
}

/// Compares without `-`, `_` and case.
fn is_secret(key: &str) -> bool {
    let last = key.as_bytes().last().map(u8::to_ascii_lowercase);
    if key.len() < 3 || !matches!(last, Some(b'd' | b'e' | b't' | b'y' | b'n')) {
        return false;
    }
    let plain = || key.bytes().filter(|byte| !matches!(byte, b'-' | b'_')).map(|byte| byte.to_ascii_lowercase());
    matches!(plain().next(), Some(b'a' | b'c' | b'p' | b'r' | b's'))
        && SECRETS.iter().any(|secret| secret.len() <= key.len() && plain().eq(secret.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_keys_hold_no_find_and_are_no_secrets_names() {
        let source = include_str!("keys.rs");
        let keys: Vec<&str> = source.split('"').skip(1).step_by(2).filter(|key| is_common(key)).collect();
        assert!(keys.len() > 30, "{keys:?}");
        for key in keys {
            assert!(weir_critic::personal_data::find(key).is_empty() && !is_secret(key), "{key}");
        }
    }
}
