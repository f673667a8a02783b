//! How the members of many chunks become one member of a plain answer.

use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Members = Map<String, Value>;

/// What a later value of a member does to an earlier one. Null never replaces anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Says the same, or nothing yet: `model`, `role`.
    Same,
    /// Is all there is: members that nobody knows, where two equal pieces could also be two halves.
    Once,
    /// Is ignored: moments at which a chunk was made.
    First,
    /// Replaces it: running totals.
    Last,
    /// Goes on with the text.
    Text,
    /// Goes on with the list.
    List,
}

/// Merges one member; none where the rule does not allow its value.
pub(super) fn member(target: &mut Members, key: String, value: Value, rule: Rule) -> Option<()> {
    let of_kind = match rule {
        Rule::Text => value.is_null() || value.is_string(),
        Rule::List => value.is_null() || value.is_array(),
        _ => true,
    };
    if !of_kind {
        return None;
    }
    let held = match target.get_mut(&key) {
        Some(held) if !held.is_null() => held,
        _ => {
            target.insert(key, value);
            return Some(());
        }
    };
    match (rule, held, value) {
        (_, _, Value::Null) | (Rule::First, _, _) => {}
        (Rule::Text, Value::String(held), Value::String(more)) => held.push_str(&more),
        (Rule::List, Value::Array(held), Value::Array(more)) => held.extend(more),
        (Rule::Last, held, value) => *held = value,
        (Rule::Same, held, value) if *held == value => {}
        (Rule::Same | Rule::Once, _, value) if is_empty(&value) => {}
        (Rule::Same | Rule::Once, held, value) if is_empty(held) => *held = value,
        _ => return None,
    }
    Some(())
}

/// Merges every member by the rule of its key.
pub(super) fn members(target: &mut Members, from: Members, rule: impl Fn(&str, &Value) -> Rule) -> Option<()> {
    for (key, value) in from {
        let rule = rule(&key, &value);
        member(target, key, value, rule)?;
    }
    Some(())
}

/// Merges the members of an object within an object: `key` of `from` into `key` of `target`.
pub(super) fn nested(
    target: &mut Members,
    from: &mut Members,
    key: &str,
    rule: impl Fn(&str, &Value) -> Rule,
) -> Option<()> {
    let Some(value) = from.remove(key) else { return Some(()) };
    let held = target.entry(key).or_insert(Value::Null);
    if value.is_null() {
        return Some(());
    }
    if held.is_null() {
        *held = Value::Object(Members::new());
    }
    members(held.as_object_mut()?, object(value)?, rule)
}

/// The members of a value; none where it is no object.
pub(super) fn object(value: Value) -> Option<Members> {
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// The elements of a member, moved out; none where it is no array.
pub(super) fn take_list(from: &mut Members, key: &str) -> Option<Vec<Value>> {
    match from.remove(key)? {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// The text of a member, moved out; what is left there is what the start of a stream says.
/// Outer none where it is something else than text or nothing.
pub(super) fn take_text(from: &mut Members, key: &str, left: Value) -> Option<Option<String>> {
    match from.get_mut(key) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.is_empty() => Some(None),
        Some(Value::String(text)) => {
            let text = std::mem::take(text);
            from.insert(key.to_owned(), left);
            Some(Some(text))
        }
        Some(_) => None,
    }
}

/// Whether a value says nothing: some engines repeat such members in each chunk.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Text of a string field; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A field that numbers something; none where absent, `usize::MAX` where absurd.
pub(super) fn index(value: &Value, key: &str) -> Option<usize> {
    let number = value.get(key)?.as_u64()?;
    Some(usize::try_from(number).unwrap_or(usize::MAX))
}
