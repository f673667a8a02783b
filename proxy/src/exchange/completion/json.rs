//! Small readers of loosely typed JSON: a field of the wrong type is a field that is not there.

use crate::exchange::tree::Value;

/// Text of a string field; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Overwrites `target` with a string field that is not empty.
pub(super) fn copy_text(target: &mut String, value: &Value, key: &str) {
    let found = text(value, key);
    if !found.is_empty() && found != target {
        found.clone_into(target);
    }
}

/// A count: a number that is not negative, cut to `u32`.
pub(super) fn count(value: &Value, key: &str) -> Option<u32> {
    value.get(key).and_then(Value::as_f64).filter(|n| *n >= 0.0).map(|n| n as u32)
}

/// A field that numbers something; none where absent, `usize::MAX` where absurd.
pub(super) fn index(value: &Value, key: &str) -> Option<usize> {
    let number = value.get(key)?.as_u64()?;
    Some(usize::try_from(number).unwrap_or(usize::MAX))
}

/// Elements of an array field; none where it is no array.
pub(super) fn items<'a, 'b>(value: &'a Value<'b>, key: &str) -> &'a [Value<'b>] {
    value.get(key).and_then(Value::as_array).unwrap_or_default()
}

/// JSON that some engines write as text and others as a value.
pub(super) fn as_written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

/// Appends the text of a field that is a string, or an array of strings and text parts.
pub(super) fn append_texts(target: &mut String, value: &Value) {
    match value {
        Value::String(text) => target.push_str(text),
        Value::Array(parts) => parts.iter().for_each(|part| match part {
            Value::String(text) => target.push_str(text),
            part => target.push_str(text(part, "text")),
        }),
        _ => {}
    }
}
